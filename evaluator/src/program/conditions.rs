//! Conditions, and the operators that may not need their right side.

use hb_lang::ast::{BinaryOp, Expr, ExprId, UnaryOp};

use super::compile::{Compiler, RED_ZONE, STACK_SEGMENT};
use super::constant::Constant;
use super::function::Jump;
use super::op::Op;
use super::quick::Quick;
use super::variables::Known;

/// `&&`, `||` or `->`.
#[derive(Clone, Copy)]
pub(super) struct ShortCut {
    /// The left side that decides.
    left: bool,
    /// The result that it decides on; otherwise it is that of the right side.
    result: bool,
}

impl ShortCut {
    pub(super) fn of(op: BinaryOp) -> Option<Self> {
        match op {
            BinaryOp::And => Some(Self { left: false, result: false }),
            BinaryOp::Or => Some(Self { left: true, result: true }),
            BinaryOp::Implies => Some(Self { left: false, result: true }),
            _ => None,
        }
    }
}

impl Compiler<'_> {
    /// Code that jumps if the condition is `when`, and goes on otherwise.
    pub(super) fn branch(&mut self, id: ExprId, when: bool) -> Jump {
        stacker::maybe_grow(RED_ZONE, STACK_SEGMENT, || self.branch_here(id, when))
    }

    fn branch_here(&mut self, id: ExprId, when: bool) -> Jump {
        let ast = self.ast;
        match ast.expr(id) {
            Expr::Unary { op: UnaryOp::Not, operand } => return self.branch(*operand, !when),
            Expr::Binary { op, left, right } => {
                if let Some(short_cut) = ShortCut::of(*op) {
                    let decided = self.branch(*left, short_cut.left);
                    let jump = self.branch(*right, when);
                    if short_cut.result == when {
                        return self.here().join(decided, jump);
                    }
                    self.here().land(decided);
                    return jump;
                }
            }
            _ => {}
        }
        self.strict(id);
        let jump = if when { Op::JumpIfTrue } else { Op::JumpIfFalse };
        self.here().jump_at(jump, -1, ast.span(id))
    }

    /// Code that leaves the truth value of `left op right`.
    pub(super) fn short_cut(&mut self, short_cut: ShortCut, left: ExprId, right: ExprId) {
        let decided = self.branch(left, short_cut.left);
        self.strict(right);
        if !self.gives_truth_value(right) {
            let span = self.ast.span(right);
            self.emit_at(Op::CheckBool, 0, span);
        }
        let end = self.here().jump(Op::Jump, -1);
        self.here().land(decided);
        self.emit(Op::Bool(short_cut.result), 1);
        self.here().land(end);
    }

    /// Whether the value of an expression is a truth value if it is any.
    fn gives_truth_value(&mut self, id: ExprId) -> bool {
        match self.ast.expr(id) {
            Expr::HasAttr { .. } | Expr::Unary { op: UnaryOp::Not, .. } => true,
            Expr::Binary { op, .. } => !matches!(
                op,
                BinaryOp::Concat
                    | BinaryOp::Update
                    | BinaryOp::Add
                    | BinaryOp::Sub
                    | BinaryOp::Mul
                    | BinaryOp::Div
            ),
            Expr::Apply { function, .. } => match self.known(*function) {
                Known::Constant(Constant::Builtin(number)) => {
                    matches!(self.around.names.quick(number), Some(Quick::Is(_)))
                }
                _ => false,
            },
            _ => false,
        }
    }
}
