//! Selecting attributes.

use hb_lang::ast::{AttrName, ExprId};

use super::compile::Compiler;
use super::function::Jump;
use super::op::Op;
use super::variables::Known;

impl Compiler<'_> {
    pub(super) fn select(
        &mut self,
        id: ExprId,
        base: ExprId,
        path: &[AttrName],
        default: Option<ExprId>,
    ) {
        if let Known::Constant(value) = self.known(id) {
            self.push_constant(value);
            if value.may_be_delayed() {
                let span = self.ast.span(id);
                self.emit_at(Op::Force, 0, span);
            }
            return;
        }
        self.strict(base);
        let Some(default) = default else {
            for attribute in path {
                match attribute {
                    AttrName::Static { name, span } => {
                        let name = self.symbol(*name);
                        self.emit_at(Op::select(name), 0, *span);
                    }
                    AttrName::Dynamic { value, span } => {
                        self.strict(*value);
                        self.emit_at(Op::SelectDynamic, -1, *span);
                    }
                }
            }
            return;
        };
        let missing = self.select_or_jump(path);
        let end = self.here().jump(Op::Jump, -1);
        for jump in missing {
            self.here().land(jump);
        }
        self.strict(default);
        self.here().land(end);
    }

    /// Replace the set on top by an attribute's value; the jumps are taken, with nothing
    /// pushed, where there is none.
    fn select_or_jump(&mut self, path: &[AttrName]) -> Vec<Jump> {
        let mut missing = Vec::new();
        for attribute in path {
            let span = match attribute {
                AttrName::Static { name, span } => {
                    let name = self.symbol(*name);
                    self.emit_at(Op::select_or_next(name), -1, *span);
                    span
                }
                AttrName::Dynamic { value, span } => {
                    self.strict(*value);
                    self.emit_at(Op::SelectDynamicOrNext, -2, *span);
                    span
                }
            };
            // Where what waits for the attribute's value says it is.
            missing.push(self.here().jump_at(Op::Jump, 1, *span));
        }
        missing
    }

    pub(super) fn has_attr(&mut self, base: ExprId, path: &[AttrName]) {
        self.strict(base);
        let Some((last, front)) = path.split_last() else { return };
        let missing = self.select_or_jump(front);
        match last {
            AttrName::Static { name, .. } => {
                let name = self.symbol(*name);
                self.emit(Op::has(name), 0);
            }
            AttrName::Dynamic { value, span } => {
                self.strict(*value);
                self.emit_at(Op::HasDynamic, -1, *span);
            }
        }
        if missing.is_empty() {
            return;
        }
        let end = self.here().jump(Op::Jump, -1);
        for jump in missing {
            self.here().land(jump);
        }
        self.emit(Op::Bool(false), 1);
        self.here().land(end);
    }
}
