//! Where functions and thunks begin to run.

use super::{Frame, MAX_FRAMES, Machine};
use crate::error::{Eval, Fault};
use crate::heap::Obj;
use crate::program::Prototype;

impl Machine {
    /// Start a call of a closure with as many arguments as it takes, which are on the stack.
    #[inline(always)]
    pub(super) fn enter_closure(&mut self, closure: Obj) -> Eval<()> {
        self.check_depth()?;
        let &Prototype { entry, height, arity, .. } = self.program.prototype(closure.extra());
        self.stack.reserve(height as usize);
        self.depth += 1;
        self.frames.push(Frame { ip: self.ip, base: self.base, env: self.env });
        self.ip = entry;
        self.base = self.stack.offset(self.stack.len() - usize::from(arity));
        self.env = closure;
        Ok(())
    }

    /// Start evaluating a thunk that is not forced: its code runs next, and its value
    /// will be on the stack.
    #[inline(always)]
    pub(super) fn enter_thunk(&mut self, thunk: Obj) -> Eval<()> {
        if let Some(result) = thunk.result() {
            self.stack.push(result);
            return Ok(());
        }
        if !thunk.enter() {
            return Err(self.infinite_recursion(thunk));
        }
        if self.frames.len() >= MAX_FRAMES {
            thunk.leave();
            return Err(Fault::StackFull { limit: MAX_FRAMES }.into());
        }
        self.frames.push(Frame { ip: self.ip, base: self.base, env: self.env });
        let prototype = self.program.prototype(thunk.extra());
        self.ip = prototype.entry;
        self.stack.reserve(prototype.height as usize);
        self.base = self.stack.offset(self.stack.len());
        self.env = thunk;
        Ok(())
    }

    /// The same where it cannot be done at once.
    #[cold]
    #[inline(never)]
    pub(super) fn enter_slowly(&mut self, thunk: Obj) -> Eval<()> {
        self.enter_thunk(thunk)
    }
}
