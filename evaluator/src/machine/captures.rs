//! Closures and thunks as they are made, and the variables that they capture.

use super::Machine;
use super::stack::StackPointer;
use crate::heap::Obj;
use crate::program::Program;

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
