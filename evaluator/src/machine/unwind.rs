//! The one place where faults get their source positions.
//!
//! Value operations raise bare faults. When the run loop stops with one, unwinding
//! marks where it showed and lists the frames that wait; then it lets go of the
//! thunks that were being evaluated, so that they may be tried again.

use super::Machine;
use crate::error::{CycleStep, Error, Fault};
use crate::heap::{Kind, Obj};
use crate::program::CodePointer;
use crate::source::{Place, Pos};
use crate::symbol::Symbol;

impl Machine {
    /// Leave all frames above `floor`, adding to the error what they know.
    #[cold]
    pub(super) fn unwind(&mut self, mut error: Error, floor: usize) -> Error {
        let mut ip = self.ip;
        let mut env = self.env;
        error = self.mark(error, ip);
        while self.frames.len() > floor {
            let Some(frame) = self.frames.pop() else { break };
            let place = self.program.place_before(frame.ip);
            self.leave_frame(&mut error, env, ip, place);
            error = self.mark(error, frame.ip);
            (ip, env) = (frame.ip, frame.env);
        }
        error
    }

    /// Mark where a fault showed, if that is not known yet.
    fn mark(&self, error: Error, ip: CodePointer) -> Error {
        if error.details().placed {
            return error;
        }
        let place = self.program.place_before(ip);
        error.at(place, "")
    }

    fn leave_frame(&mut self, error: &mut Error, env: Obj, ip: CodePointer, place: Option<Place>) {
        // What waits there waits for something else than a call or a thunk of its own.
        let stubs = [self.call_rest, self.call_rest.skip(1), self.program.retry];
        let in_stub = stubs.contains(&ip);
        let (is_thunk, is_closure) = (env.kind() == Kind::Thunk, env.kind() == Kind::Closure);
        if is_thunk && !in_stub {
            env.leave();
        }
        // What checks a contract is nobody's function.
        let is_guard = self.guarded(env).is_some();
        if in_stub || is_guard || !(is_thunk || is_closure) {
            return;
        }
        let name = self.program.prototype(env.extra()).name.map(|name| self.symbols.text(name));
        let text = match (is_closure, name) {
            (true, Some(name)) => format!("while calling '{name}'"),
            // Called by a builtin: its own step has the place.
            (true, None) if place.is_none() => return,
            (true, None) => "while calling a function".to_owned(),
            (false, Some(name)) => format!("while evaluating '{name}'"),
            // An argument without a name: its place says nothing that the fault's does not.
            (false, None) => return,
        };
        error.add_step(place, text);
    }

    /// Note the builtin that a fault came out of.
    #[cold]
    pub(super) fn in_builtin(&mut self, mut error: Error, name: &'static str) -> Error {
        let says_it_itself = matches!(error.fault(), Fault::Throw { .. } | Fault::Abort { .. });
        if !says_it_itself && !self.is_at_exit() {
            let place = self.program.place_before(self.ip);
            error = self.mark(error, self.ip);
            let text = format!("while calling the builtin '{name}'");
            error.add_step(place, text);
        }
        error
    }

    /// Note the attribute that a fault came out of.
    #[cold]
    pub(crate) fn in_attribute(&mut self, mut error: Error, name: Symbol, pos: Pos) -> Error {
        let text = format!("while evaluating the attribute '{}'", self.symbols.text(name));
        error.add_step(self.sources.word_at(pos), text);
        error
    }

    /// A thunk needs its own value: name every definition on the way round.
    #[cold]
    pub(super) fn infinite_recursion(&self, thunk: Obj) -> Error {
        let mut cycle = Vec::new();
        let mut last = None;
        let envs = std::iter::once(self.env).chain(self.frames.iter().rev().map(|f| f.env));
        for env in envs {
            if last != Some(env) && env.kind() == Kind::Thunk {
                let number = env.extra();
                let name = self.program.prototype(number).name;
                let place = self.program.prototype_place(number);
                if place.is_some() {
                    let name = name.map(|name| self.symbols.text(name).into_owned());
                    cycle.push(CycleStep { name, place });
                }
            }
            last = Some(env);
            if env == thunk {
                break;
            }
        }
        cycle.reverse();
        Fault::InfiniteRecursion { cycle }.into()
    }
}
