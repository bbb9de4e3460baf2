//! The machine: runs a program on an explicit stack.
//!
//! Calls, forcing and selection never recurse natively: values and frames lie in two
//! vectors, so deep recursion ends in an error with a span, and the roots of the
//! garbage collection are known. Builtins that need a value call back through one
//! function, [`Machine::nested`], which grows the native stack and counts against the
//! same limit as calls.
//!
//! The stack, of one frame, from its base: a function's arguments, its variables, then
//! operands. Below a function call's base is the function. A thunk has only variables.

mod access;
mod apply;
mod arithmetic;
mod captures;
mod compare;
mod contracts;
mod enter;
mod frames;
mod inspect;
mod link;
mod load;
mod position;
mod quick;
mod run;
mod select;
mod stack;
mod text;
mod unwind;

use std::path::PathBuf;
use std::sync::Arc;

use hb_model::{Derivation, DerivationId, StorePath};
use rustc_hash::FxHashMap;

pub(crate) use access::type_fault;
pub use text::{Coercion, Text};
pub(crate) use text::{bytes_to_path, without_null};

use frames::Frames;

use crate::builtins::regex::Regexes;
use crate::builtins::{self, Builtin, NixScheme};
use crate::context::Contexts;
use crate::error::{Eval, Fault};
use crate::evaluator::Options;
use crate::heap::{Heap, Kind, Obj};
use crate::nix_world::NixWorld;
use crate::program::{LOAD, Op, Program};
use crate::source::{Pos, Sources};
use crate::symbol::Symbols;
use crate::value::Value;
use crate::world::World;

/// Frames, most of them of thunks, that may wait at once: 64 MB of them. A chain of
/// delayed additions gets this deep before anything else gives.
const MAX_FRAMES: usize = 4_000_000;

/// Native stack that must be left when re-entering, and how much a new segment has.
const RED_ZONE: usize = 256 * 1024;
const STACK_SEGMENT: usize = 4 * 1024 * 1024;

/// Stack values and frames that are kept beyond those in use.
const SPARE_STACK: usize = 64 * 1024;

/// The instruction that every entry from native code returns to.
const EXIT: u32 = 0;

/// What to restore when a call or a thunk returns.
#[derive(Clone, Copy)]
struct Frame {
    /// The next instruction.
    ip: u32,
    /// Where the frame's values start on the stack.
    base: u32,
    /// The closure or thunk that runs; its captures are the upvalues.
    env: Obj,
}

/// Derivations by their ids.
pub type Derivations = FxHashMap<DerivationId, Arc<Derivation>>;

/// Everything that one evaluation owns.
pub struct Machine {
    pub(crate) heap: Heap,
    pub(crate) symbols: Symbols,
    pub(crate) contexts: Contexts,
    pub(crate) sources: Sources,
    pub(crate) program: Program,
    pub(crate) world: Box<dyn World>,
    pub(crate) derivations: Derivations,
    /// Where each was made.
    pub(crate) derivation_places: FxHashMap<DerivationId, Pos>,
    /// The store objects that the derivations will be.
    pub(crate) derivation_paths: FxHashMap<DerivationId, StorePath>,
    /// With Nix's paths: what is known of Nix's store.
    pub(crate) nix: Option<NixScheme>,
    pub(crate) regexes: Regexes,
    pub(crate) options: Options,
    /// Values that callers hold by number.
    pub(crate) held: Vec<Value>,
    builtins: Box<[&'static Builtin]>,
    globals: load::Globals,
    files: FxHashMap<PathBuf, Value>,
    imported: FxHashMap<PathBuf, Value>,
    symbol_strings: Vec<Option<Value>>,
    stack: Vec<Value>,
    frames: Frames,
    /// Calls and re-entries that have not returned.
    depth: usize,
    /// Native callers that wait for the run loop and may hold values.
    natives: usize,
    /// How far the native stack may reach; all that there is, for the first that asks.
    native_floor: usize,
    // Of the frame that runs. The run loop keeps copies and stores them before anything
    // that looks here.
    ip: u32,
    base: u32,
    env: Obj,
    // Numbers of the stubs' prototypes.
    delayed_calls: [u32; 3],
    call_rest: u32,
    alias: u32,
    delayed_check: u32,
    guard: u32,
}

impl Machine {
    /// A machine that has evaluated nothing yet.
    pub(crate) fn new(world: Box<dyn World>, options: Options) -> Self {
        let world = match &options.nix_paths {
            Some(store) => Box::new(NixWorld::new(world, store.clone())),
            None => world,
        };
        let heap = Heap::new(options.collect_always);
        let mut program = Program::default();
        let exit = program.add_stub(&[Op::Exit], 0);
        debug_assert_eq!(program.prototype(exit).entry, EXIT);
        let load = program.add_stub(&[Op::Load], 0);
        debug_assert_eq!(program.prototype(load).entry, LOAD);
        let call_rest = program.add_stub(&[Op::CallRest, Op::ReturnRest], 0);
        let alias = program.add_stub(&[Op::ForceUpvalue(0), Op::Resolve], 1);
        let delayed_calls = [1, 2, 3].map(|count: u32| {
            let code = [Op::ForceUpvalue(0), Op::CallCaptured(count), Op::Resolve];
            program.add_stub(&code, count as u16 + 1)
        });
        let delayed_check = program.add_stub(contracts::DELAYED_CHECK, 3);
        let guard = program.add_stub_function(contracts::GUARD, 1, contracts::GUARD_CAPTURES);
        let Some(env) = heap.empty_list().as_object() else { unreachable!("lists are objects") };
        let mut machine = Self {
            heap,
            symbols: Symbols::new(),
            contexts: Contexts::default(),
            sources: Sources::default(),
            call_rest: program.prototype(call_rest).entry,
            program,
            world,
            derivations: Derivations::default(),
            derivation_places: FxHashMap::default(),
            derivation_paths: FxHashMap::default(),
            nix: options.nix_paths.clone().map(NixScheme::new),
            regexes: Regexes::default(),
            options,
            held: Vec::new(),
            builtins: builtins::all().collect(),
            globals: load::Globals::default(),
            files: FxHashMap::default(),
            imported: FxHashMap::default(),
            symbol_strings: Vec::new(),
            stack: Vec::new(),
            frames: Frames::new(),
            depth: 0,
            natives: 0,
            native_floor: usize::MAX,
            ip: EXIT,
            base: 0,
            env,
            delayed_calls,
            alias,
            delayed_check,
            guard,
        };
        machine.make_globals();
        machine
    }

    /// Evaluate a value to its outermost form.
    #[inline(always)]
    pub fn force(&mut self, value: Value) -> Eval<Value> {
        if !value.is_thunk() {
            return Ok(value);
        }
        let thunk = value.pointee();
        match thunk.result() {
            Some(result) => Ok(result),
            None => self.force_thunk(thunk),
        }
    }

    #[inline(never)]
    fn force_thunk(&mut self, thunk: Obj) -> Eval<Value> {
        self.natives += 1;
        let result = self.nested(|machine| machine.enter_thunk(thunk));
        self.natives -= 1;
        result
    }

    /// Evaluate a value that callers hold by number, with no native code waiting.
    pub(crate) fn force_held(&mut self, number: usize) -> Eval<Value> {
        let value = self.held[number];
        let value = match value.as_thunk() {
            Some(thunk) => self.nested(|machine| machine.enter_thunk(thunk))?,
            None => value,
        };
        self.held[number] = value;
        Ok(value)
    }

    /// Call a function (or functor) with arguments and evaluate the result.
    pub fn call(&mut self, function: Value, arguments: &[Value]) -> Eval<Value> {
        let floor = self.stack.len();
        self.stack.push(function);
        // One by one: they are one or two, and copying so few as a slice is a call.
        for &argument in arguments {
            self.stack.push(argument);
        }
        let count = arguments.len();
        self.natives += 1;
        let result = match function.of_kind(Kind::Closure) {
            Some(closure) if self.program.prototype(closure.extra()).arity as usize == count => {
                self.nested(|machine| machine.enter_closure(closure))
            }
            _ => self.call_slowly(floor, count),
        };
        self.natives -= 1;
        self.stack.truncate(floor);
        result
    }

    /// Call whatever lies at an index of the stack, with the values above it.
    #[inline(never)]
    fn call_slowly(&mut self, index: usize, count: usize) -> Eval<Value> {
        self.stack[index] = self.force(self.stack[index])?;
        self.nested(|machine| machine.apply(count))
    }

    /// Re-enter the run loop from native code: `start` sets up what to run.
    ///
    /// Afterwards the frames are as before, and the stack is no higher, whether it worked or not.
    #[inline(always)]
    fn nested(&mut self, start: impl FnOnce(&mut Self) -> Eval<()>) -> Eval<Value> {
        self.deeper(|machine| {
            let (depth, frames) = (machine.depth, machine.frames.len());
            let stack = machine.stack.len();
            let here = Frame { ip: machine.ip, base: machine.base, env: machine.env };
            machine.frames.push(here);
            machine.ip = EXIT;
            let mut result = start(machine).and_then(|()| {
                // What runs may call and force nothing, and a builtin runs it again and again.
                if machine.heap.collection_is_due() {
                    machine.collect();
                }
                machine.run()
            });
            if let Err(error) = result {
                result = Err(machine.unwind(error, frames));
                machine.stack.truncate(stack);
                machine.depth = depth;
            }
            debug_assert!(machine.depth == depth && machine.frames.len() == frames + 1);
            machine.frames.pop();
            (machine.ip, machine.base, machine.env) = (here.ip, here.base, here.env);
            result
        })
    }

    /// Recurse natively by one level.
    #[inline(always)]
    pub(crate) fn deeper<T>(&mut self, level: impl FnOnce(&mut Self) -> Eval<T>) -> Eval<T> {
        self.check_depth()?;
        self.depth += 1;
        let result = match address_here() >= self.native_floor {
            true => level(self),
            false => self.on_enough_stack(level),
        };
        self.depth -= 1;
        result
    }

    /// Do something where enough native stack is left, on a segment of its own if need be.
    #[cold]
    #[inline(never)]
    fn on_enough_stack<T>(&mut self, level: impl FnOnce(&mut Self) -> T) -> T {
        let outside = self.native_floor;
        let inside = |machine: &mut Self| {
            let left = stacker::remaining_stack().unwrap_or_default();
            machine.native_floor = (address_here() - left).saturating_add(RED_ZONE);
            level(machine)
        };
        let result = match stacker::remaining_stack() {
            Some(left) if left >= RED_ZONE => inside(self),
            _ => stacker::grow(STACK_SEGMENT, || inside(self)),
        };
        self.native_floor = outside;
        result
    }

    #[inline(always)]
    fn check_depth(&self) -> Eval<()> {
        if self.depth >= self.options.max_call_depth {
            return Err(Fault::TooDeep { limit: self.options.max_call_depth }.into());
        }
        Ok(())
    }

    /// Free what nothing can reach any more, if there may be much of it. No code runs.
    pub(crate) fn give_memory_back(&mut self) {
        debug_assert!(self.natives == 0 && self.frames.len() == 0, "nothing is being evaluated");
        debug_assert!(self.stack.is_empty(), "what was evaluated has gone from the stack");
        if self.heap.is_worth_collecting() {
            self.heap.insist();
            self.collect();
            self.heap.give_spare_back(0);
        }
    }

    /// Free what nothing can reach any more.
    #[cold]
    #[inline(never)]
    fn collect(&mut self) {
        let Self {
            heap,
            program,
            held,
            globals,
            files,
            imported,
            symbol_strings,
            stack,
            frames,
            env,
            natives,
            ..
        } = self;
        heap.collect(*natives > 0, |marker| {
            marker.values(stack);
            marker.values(held);
            marker.object(*env);
            for frame in frames.all() {
                marker.object(frame.env);
            }
            marker.values(&mut program.constants);
            for shape in program.shapes.iter() {
                marker.object(shape.object);
            }
            for text in &program.texts {
                if let Some(object) = text.scope.and_then(|scope| scope.value().as_any_object()) {
                    marker.object(object);
                }
            }
            for value in files.values_mut().chain(imported.values_mut()) {
                *value = marker.value(*value);
            }
            for value in symbol_strings.iter_mut().flatten() {
                *value = marker.value(*value);
            }
            globals.mark(marker);
        });
        // What deep recursion needed once is not kept for ever.
        // More than any frame reserved stays: frames that wait count on it.
        stack.shrink_to(2 * stack.len() + SPARE_STACK.max(program.max_height as usize));
        frames.shrink_to(2 * frames.len() + SPARE_STACK);
    }

    /// The table's entry for a builtin's number.
    pub(crate) fn builtin(&self, number: u32) -> &'static Builtin {
        self.builtins[number as usize]
    }
}

/// About how far the native stack reaches.
#[inline(always)]
fn address_here() -> usize {
    let here = 0u8;
    (&raw const here).addr()
}
