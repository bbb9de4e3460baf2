//! Expressions that are tried at once where a thunk would do.
//!
//! Many delayed expressions are as small as the next index, a list's head or an attribute, and most
//! of them are needed. If what one works on is evaluated already, and it cannot fail, it is done
//! at once: it runs no code and evaluates nothing, so no value tells. It also takes about as long
//! as making its thunk does, however large what it works on is, for it may not be needed after all.

use hb_lang::ast::{AttrName, BinaryOp, Expr, ExprId};

use super::compile::{Compiler, infix};
use super::constant::Constant;
use super::op::{Infix, Op, Slot};
use super::quick::Quick;
use super::variables::Known;

/// How many operations of one expression may be tried: all of them are, even if the first one is
/// in vain.
const MAX_OPERATIONS: usize = 4;

/// What is tried, and on what.
enum Attempt<'a> {
    Infix(Infix, ExprId, ExprId),
    /// A builtin of one or two arguments. That of three, `substring`, copies.
    Builtin(Quick, [Option<ExprId>; 2]),
    Select(ExprId, &'a [AttrName]),
}

impl<'a> Compiler<'a> {
    /// Push an expression's value if it can be had at once, or else its thunk. Variables in
    /// slots from `end` on are not there yet.
    pub(super) fn try_or_delay(&mut self, id: ExprId, thunk: u32, end: Slot) {
        if self.can_try(id, end, &mut { MAX_OPERATIONS }) {
            self.attempt(id);
        }
        self.emit(Op::Thunk(thunk), 1);
    }

    /// Whether what an expression gives at once is always evaluated. What is not might as well be
    /// the thunk that lies in the list or the set, which messages would then show instead of it.
    pub(super) fn gives_no_thunk(&mut self, id: ExprId) -> bool {
        match self.attempt_of(id) {
            Some(Attempt::Infix(..)) => true,
            Some(Attempt::Builtin(quick, _)) => !matches!(quick, Quick::Head | Quick::ElemAt),
            Some(Attempt::Select(..)) | None => false,
        }
    }

    /// What an expression tries, if it is of the right form.
    fn attempt_of(&mut self, id: ExprId) -> Option<Attempt<'a>> {
        let ast = self.ast;
        Some(match ast.expr(id) {
            Expr::Binary { op, left, right } => Attempt::Infix(cheap(*op)?, *left, *right),
            Expr::Apply { function, argument: last } => {
                let (function, arguments) = match ast.expr(*function) {
                    Expr::Apply { function, argument } => {
                        (function, [Some(*argument), Some(*last)])
                    }
                    _ => (function, [Some(*last), None]),
                };
                let Known::Constant(Constant::Builtin(number)) = self.known(*function) else {
                    return None;
                };
                let quick = self.around.names.quick(number)?;
                let count = arguments.iter().flatten().count();
                return (quick.arity() == count).then_some(Attempt::Builtin(quick, arguments));
            }
            Expr::Select { base, path, default: None } => Attempt::Select(*base, path),
            _ => return None,
        })
    }

    /// Whether an expression is one to try, of no more operations than are `left`.
    fn can_try(&mut self, id: ExprId, end: Slot, left: &mut usize) -> bool {
        let Some(attempt) = self.attempt_of(id) else { return false };
        let count = match attempt {
            Attempt::Infix(..) | Attempt::Builtin(..) => 1,
            Attempt::Select(_, path) => path.len(),
        };
        let Some(rest) = left.checked_sub(count) else { return false };
        *left = rest;
        let mut can_work_on = |id| self.can_work_on(id, end, left);
        match attempt {
            Attempt::Infix(_, first, second) => can_work_on(first) && can_work_on(second),
            Attempt::Builtin(_, arguments) => arguments.into_iter().flatten().all(can_work_on),
            Attempt::Select(base, path) => {
                can_work_on(base)
                    && path.iter().all(|attribute| match attribute {
                        AttrName::Static { .. } => true,
                        AttrName::Dynamic { value, .. } => can_work_on(*value),
                    })
            }
        }
    }

    /// Whether what is tried may work on an expression.
    fn can_work_on(&mut self, id: ExprId, end: Slot, left: &mut usize) -> bool {
        match self.known(id) {
            Known::Variable(variable) => variable.level != self.level() || variable.slot < end,
            Known::Constant(value) => !value.may_be_delayed(),
            Known::Dynamic => self.can_try(id, end, left),
            Known::Undefined => false,
        }
    }

    /// Try an expression that [`Self::can_try`]: skip the next instruction if it can be done.
    fn attempt(&mut self, id: ExprId) {
        match self.attempt_of(id) {
            None => unreachable!("asked before"),
            Some(Attempt::Infix(infix, left, right)) => {
                self.work_on(left);
                self.work_on(right);
                self.emit(Op::TryInfix(infix), -2);
            }
            Some(Attempt::Builtin(quick, arguments)) => {
                arguments.into_iter().flatten().for_each(|argument| self.work_on(argument));
                self.emit(Op::TryQuick(quick), -(quick.arity() as i32));
            }
            Some(Attempt::Select(base, path)) => {
                self.work_on(base);
                for (i, attribute) in path.iter().enumerate() {
                    if i > 0 {
                        self.emit(Op::Unset, 1);
                    }
                    match attribute {
                        AttrName::Static { name, .. } => {
                            let name = self.symbol(*name);
                            self.emit(Op::try_select(name), -1);
                        }
                        AttrName::Dynamic { value, .. } => {
                            self.work_on(*value);
                            self.emit(Op::TrySelectDynamic, -2);
                        }
                    }
                }
            }
        }
    }

    /// Push what is worked on, as it is; [`Value::UNSET`](crate::Value::UNSET) if it is tried
    /// itself, in vain.
    fn work_on(&mut self, id: ExprId) {
        match self.known(id) {
            Known::Variable(variable) => self.push_variable(variable, None),
            Known::Constant(value) => self.push_constant(value),
            Known::Dynamic | Known::Undefined => {
                self.attempt(id);
                self.emit(Op::Unset, 1);
            }
        }
    }
}

/// The operator, if it makes neither a list nor a set, which may be large.
fn cheap(op: BinaryOp) -> Option<Infix> {
    match op {
        BinaryOp::And | BinaryOp::Or | BinaryOp::Implies => None,
        BinaryOp::Concat | BinaryOp::Update => None,
        _ => Some(infix(op)),
    }
}
