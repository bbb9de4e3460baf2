//! Functions and calls.

use hb_lang::ast::{Expr, ExprId, Field, Name, Param};

use super::compile::Compiler;
use super::constant::Constant;
use super::function::Variable;
use super::op::Op;
use super::scope::Meaning;
use super::variables::Known;
use super::{Pattern, PatternField};
use crate::builtins::Passing;
use crate::symbol::Symbol;

/// A function of more parameters in a row is one that gives another.
const MAX_ARITY: usize = 250;

impl Compiler<'_> {
    pub(super) fn apply(&mut self, id: ExprId) {
        let ast = self.ast;
        let span = ast.span(id);
        // The arguments wait on a list that calls within calls share.
        let start = self.arguments.len();
        let mut function = id;
        while let Expr::Apply { function: inner, argument } = ast.expr(function) {
            self.arguments.push(*argument);
            function = *inner;
        }
        self.arguments[start..].reverse();
        let end = self.arguments.len();
        let mut rest = start..end;
        let builtin = match self.known(function) {
            Known::Constant(Constant::Builtin(number)) => Some(number),
            _ => None,
        };
        let direct = builtin.map(|number| (number, self.around.names.params(number)));
        match direct {
            Some((number, params)) if params.len() <= rest.len() => {
                let count = params.len();
                for (param, i) in params.iter().zip(rest.by_ref()) {
                    let argument = self.arguments[i];
                    match param.passing {
                        Passing::Lazy => self.lazy(argument, None),
                        Passing::Forced => self.strict(argument),
                        Passing::Streamed => self.elements(argument),
                    }
                }
                let op = match self.around.names.quick(number) {
                    Some(quick) => Op::CallQuick { quick, builtin: number },
                    None => Op::CallBuiltin { count: count as u8, builtin: number },
                };
                self.emit_at(op, 1 - count as i32, span);
            }
            _ => self.strict(function),
        }
        while !rest.is_empty() {
            let count = rest.len().min(MAX_ARITY);
            for i in rest.by_ref().take(count) {
                self.lazy(self.arguments[i], None);
            }
            self.emit_at(Op::Call(count as u32), -(count as i32), span);
        }
        self.arguments.truncate(start);
    }

    /// Code that leaves a list, evaluated, or a call of `map` that is not made.
    fn elements(&mut self, id: ExprId) {
        let ast = self.ast;
        if let Expr::Apply { function: call, argument: list } = ast.expr(id)
            && let Expr::Apply { function: map, argument: function } = ast.expr(*call)
            && let Known::Constant(Constant::Builtin(map)) = self.known(*map)
            && map == self.around.names.map
        {
            self.lazy(*function, None);
            self.strict(*list);
            return self.emit_at(Op::Mapped(map), -1, ast.span(id));
        }
        self.strict(id);
    }

    /// The prototype of a function.
    pub(super) fn lambda_prototype(&mut self, id: ExprId, name: Option<Symbol>) -> u32 {
        let ast = self.ast;
        // `a: b: …` is one function of two parameters, up to a pattern: that is checked
        // as soon as its argument is there.
        let mut params = Vec::new();
        let mut body = id;
        while let Expr::Lambda { param, body: inner } = ast.expr(body) {
            params.push(param);
            body = *inner;
            if matches!(param, Param::Pattern(_)) || params.len() == MAX_ARITY {
                break;
            }
        }
        let pattern = match params.last() {
            Some(Param::Pattern(pattern)) => {
                let field = |(slot, field): (usize, &Field)| PatternField {
                    name: self.symbol(field.name),
                    span: field.span,
                    has_default: field.default.is_some(),
                    slot: slot as u32,
                };
                let fields = pattern.fields.iter().enumerate().map(field).collect();
                Some(Pattern { fields, ellipsis: pattern.ellipsis })
            }
            _ => None,
        };
        let span = ast.span(id);
        self.nested(params.len(), name, pattern, span, |compiler| {
            let mut bound = Vec::new();
            for (slot, param) in params.iter().enumerate() {
                if let Param::Name { name, .. } = param {
                    compiler.bind_slot(*name, slot as u32);
                    bound.push(*name);
                }
            }
            if let Some(Param::Pattern(pattern)) = params.last() {
                let slot = params.len() as u32 - 1;
                bound.extend(compiler.bind_pattern(slot, pattern));
            }
            compiler.body(body, Op::Return);
            for name in bound.into_iter().rev() {
                compiler.scopes.leave(name);
            }
        })
    }

    pub(super) fn lambda(&mut self, id: ExprId, name: Option<Symbol>) {
        let prototype = self.lambda_prototype(id, name);
        self.emit(Op::Closure(prototype), 1);
    }

    pub(super) fn bind_slot(&mut self, name: Name, slot: u32) {
        let variable = Variable { level: self.level(), slot };
        self.scopes.enter(name, Meaning::Variable(variable));
    }
}
