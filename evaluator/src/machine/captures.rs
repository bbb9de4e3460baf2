//! Closures and thunks as they are made, and the variables that they capture.

use super::Machine;
use super::quick;
use super::stack::StackPointer;
use crate::heap::Obj;
use crate::program::{Eager, Operand, Program, Source};
use crate::value::Value;

impl Machine {
    /// A closure or thunk of a prototype, to be filled at once.
    #[inline(always)]
    pub(super) fn bare(&mut self, prototype: u32) -> Obj {
        self.heap.cast(self.program.prototype(prototype).mould)
    }

    /// A closure or thunk of a prototype; its captures are null until they are filled in.
    pub(super) fn blank(&mut self, prototype: u32) -> Obj {
        self.heap.blank(self.program.prototype(prototype).mould)
    }
}

/// The value of a variable, as it is.
#[inline(always)]
pub(super) fn variable(source: Source, base: StackPointer, env: Obj) -> Value {
    match source {
        Source::Local(slot) => base.up(slot as usize).get(),
        Source::Upvalue(index) => env.value(index as usize),
    }
}

/// Put the captures of a prototype's new closure or thunk in.
#[inline(always)]
pub(super) fn fill(program: &Program, index: u32, object: Obj, base: StackPointer, env: Obj) {
    let prototype = program.prototype(index);
    if prototype.mould.captures() == 0 {
        return;
    }
    let upvalues = StackPointer::of_captures(env);
    let mut to = StackPointer::of_captures(object);
    for index in prototype.capture_start.. {
        debug_assert!(((index - prototype.capture_start) as usize) < prototype.mould.captures());
        let capture = *program.captures.at(index);
        let (number, is_upvalue) = capture.parts();
        let from = if is_upvalue { upvalues } else { base };
        to.put(from.up(number).get());
        to = to.up(1);
        if capture.is_last() {
            break;
        }
    }
}

/// An operation whose operands are known numbers, if it cannot fail.
#[inline(always)]
pub(super) fn try_eager(eager: &Eager, base: StackPointer, env: Obj) -> Option<Value> {
    let operand = |operand| match operand {
        Operand::Variable(source) => variable(source, base, env).evaluated(),
        Operand::Constant(value) => Some(value),
    };
    quick::infix(eager.infix, operand(eager.left)?, operand(eager.right)?)
}
