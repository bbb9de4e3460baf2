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
mod elements;
mod enter;
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
pub(crate) use text::{bytes_to_path, text_of, without_null};

use stack::Stack;

use crate::builtins::regex::Regexes;
use crate::builtins::{self, Builtin, NixScheme};
use crate::context::{ContextId, Contexts};
use crate::error::{Error, Eval, Fault};
use crate::evaluator::Options;
use crate::heap::{Heap, Kind, Obj};
use crate::nix_world::NixWorld;
use crate::program::{CodePointer, Op, Program};
use crate::source::{Pos, Sources};
use crate::symbol::Symbols;
use crate::value::Value;
use crate::world::World;

/// Frames, most of them of thunks, that may wait at once: 96 MB of them. A chain of
/// delayed additions gets this deep before anything else gives.
const MAX_FRAMES: usize = 4_000_000;

/// Native stack that must be left when re-entering, and how much a new segment has.
const RED_ZONE: usize = 256 * 1024;
const STACK_SEGMENT: usize = 4 * 1024 * 1024;

/// Stack values and frames that are kept beyond those in use.
const SPARE_STACK: usize = 64 * 1024;

/// What to restore when a call or a thunk returns.
#[derive(Clone, Copy)]
struct Frame {
    /// The next instruction.
    ip: CodePointer,
    /// Where the frame's values start, in bytes from the start of the stack. If the next
    /// instruction is [`Program::exit`], native code waits and knows that itself; then this is
    /// the address of the instruction after the one that called the native code.
    base: usize,
    /// The closure or thunk that runs; its captures are the upvalues.
    env: Obj,
}

/// A derivation that evaluation made.
#[derive(Clone)]
pub(crate) struct Made {
    pub(crate) derivation: Arc<Derivation>,
    /// The store object that it will be.
    pub(crate) path: StorePath,
    /// Where it was made.
    pub(crate) pos: Pos,
}

/// Everything that one evaluation owns.
pub struct Machine {
    pub(crate) heap: Heap,
    pub(crate) symbols: Symbols,
    pub(crate) contexts: Contexts,
    pub(crate) sources: Sources,
    pub(crate) program: Program,
    pub(crate) world: Box<dyn World>,
    pub(crate) derivations: FxHashMap<DerivationId, Made>,
    /// The paths that were put into the store: see [`Machine::copy_to_store`].
    copied: FxHashMap<Box<[u8]>, (Arc<str>, ContextId)>,
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
    stack: Stack<Value>,
    frames: Stack<Frame>,
    /// Calls and re-entries that have not returned.
    depth: usize,
    /// Native callers that wait for the run loop and may hold values.
    natives: usize,
    /// How far the native stack may reach; all that there is, for the first that asks.
    native_floor: usize,
    // Of the frame that runs. The run loop keeps copies and stores them before anything
    // that looks here.
    ip: CodePointer,
    base: usize,
    env: Obj,
    // Numbers of the stubs' prototypes.
    delayed_calls: [u32; 2],
    call_rest: CodePointer,
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
        let heap = Heap::new(options.collect_always, options.max_heap);
        let mut program = Program::new();
        let call_rest = program.add_stub(&[Op::CallRest, Op::ReturnRest], 0);
        let alias = program.add_stub(&[Op::ForceUpvalue(0), Op::Resolve], 1);
        let delayed_calls = [1, 2].map(|count: u32| {
            let code = [Op::ForceUpvalue(0), Op::Upvalues(count), Op::Call(count), Op::Resolve];
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
            ip: program.exit,
            program,
            world,
            derivations: FxHashMap::default(),
            copied: FxHashMap::default(),
            nix: options.nix_paths.clone().map(NixScheme::new),
            regexes: Regexes::default(),
            options,
            held: Vec::new(),
            builtins: builtins::all().collect(),
            globals: load::Globals::default(),
            files: FxHashMap::default(),
            imported: FxHashMap::default(),
            symbol_strings: Vec::new(),
            stack: Stack::new(),
            frames: Stack::new(),
            depth: 0,
            natives: 0,
            native_floor: usize::MAX,
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
        match self.delayed_call(thunk) {
            Some((closure, count)) => self.call_for(thunk, closure, count),
            None => self.run_thunk(thunk),
        }
    }

    #[inline(never)]
    fn run_thunk(&mut self, thunk: Obj) -> Eval<Value> {
        self.nested(|machine| machine.enter_thunk(thunk))
    }

    /// The function, and the number of arguments, if a thunk that is not forced is a builtin's
    /// delayed call of a function that takes as many.
    #[inline(always)]
    fn delayed_call(&self, thunk: Obj) -> Option<(Obj, usize)> {
        let count = thunk.extra().wrapping_sub(self.delayed_calls[0]) as usize + 1;
        if count > self.delayed_calls.len() {
            return None;
        }
        let closure = thunk.value(0).evaluated()?.of_kind(Kind::Closure)?;
        let arity = self.program.prototype(closure.extra()).arity;
        (arity as usize == count).then_some((closure, count))
    }

    /// Evaluate a delayed call without running the thunk's own code: most thunks that builtins
    /// force are the elements of mapped lists.
    #[inline(never)]
    fn call_for(&mut self, thunk: Obj, closure: Obj, count: usize) -> Eval<Value> {
        if !thunk.enter() {
            return Err(self.infinite_recursion(thunk));
        }
        let floor = self.stack.len();
        // The frame that waits is the thunk's, so what runs here is kept on the stack.
        self.stack.push(Value::object(self.env));
        self.stack.push(Value::object(closure));
        for index in 1..=count {
            self.stack.push(thunk.value(index));
        }
        let result = self.nested(|machine| {
            machine.env = thunk;
            machine.enter_closure(closure)
        });
        self.stack.truncate(floor);
        match result {
            Ok(value) => thunk.resolve(value),
            Err(_) => thunk.leave(),
        }
        result
    }

    /// Evaluate a value that callers hold by number, with no native code waiting.
    pub(crate) fn force_held(&mut self, number: usize) -> Eval<Value> {
        let value = self.held[number];
        let value = match value.as_thunk() {
            Some(thunk) => self.enter_loop(|machine| machine.enter_thunk(thunk))?,
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
        let result = match function.of_kind(Kind::Closure) {
            Some(closure) if self.program.prototype(closure.extra()).arity as usize == count => {
                self.nested(|machine| machine.enter_closure(closure))
            }
            _ => self.call_slowly(floor, count),
        };
        self.stack.truncate(floor);
        result
    }

    /// Call whatever lies at an index of the stack, with the values above it.
    #[inline(never)]
    fn call_slowly(&mut self, index: usize, count: usize) -> Eval<Value> {
        self.stack[index] = self.force(self.stack[index])?;
        self.nested(|machine| machine.apply(count))
    }

    /// Re-enter the run loop from native code that waits and may hold values.
    #[inline(always)]
    fn nested(&mut self, start: impl FnOnce(&mut Self) -> Eval<()>) -> Eval<Value> {
        self.natives += 1;
        let result = self.enter_loop(start);
        self.natives -= 1;
        result
    }

    /// Enter the run loop: `start` sets up what to run.
    ///
    /// Afterwards the frames are as before, and the stack is no higher, whether it worked or not.
    /// Not by [`Self::deeper`]: what is given to that is a function of its own, called each time.
    #[inline(always)]
    fn enter_loop(&mut self, start: impl FnOnce(&mut Self) -> Eval<()>) -> Eval<Value> {
        self.check_depth()?;
        match self.has_native_stack() {
            true => self.run_from(start),
            false => self.on_enough_stack(|machine| machine.run_from(start)),
        }
    }

    #[inline(always)]
    fn run_from(&mut self, start: impl FnOnce(&mut Self) -> Eval<()>) -> Eval<Value> {
        let (depth, frames, stack) = (self.depth, self.frames.len(), self.stack.len());
        let (ip, base, env) = (self.ip, self.base, self.env);
        (self.ip, self.base) = (self.program.exit, ip.address());
        self.depth += 1;
        let mut result = start(self).and_then(|()| {
            // What runs may call and force nothing, and a builtin runs it again and again.
            if self.heap.collection_is_due() {
                self.make_room()?;
            }
            self.run()
        });
        if let Err(error) = result {
            result = Err(self.unwind(error, frames));
            self.stack.truncate(stack);
        } else {
            debug_assert!(self.depth == depth + 1);
        }
        debug_assert!(self.frames.len() == frames);
        self.depth = depth;
        (self.ip, self.base, self.env) = (ip, base, env);
        result
    }

    /// Recurse natively by one level.
    pub(crate) fn deeper<T>(&mut self, level: impl FnOnce(&mut Self) -> Eval<T>) -> Eval<T> {
        self.check_depth()?;
        self.depth += 1;
        let result = match self.has_native_stack() {
            true => level(self),
            false => self.on_enough_stack(level),
        };
        self.depth -= 1;
        result
    }

    /// Whether enough native stack is left here.
    #[inline(always)]
    fn has_native_stack(&self) -> bool {
        address_here() >= self.native_floor
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
        debug_assert!(self.natives == 0 && self.frames.is_empty(), "nothing is being evaluated");
        debug_assert!(self.stack.is_empty(), "what was evaluated has gone from the stack");
        if self.heap.is_worth_collecting() {
            self.heap.insist();
            self.collect();
            self.heap.give_spare_back(0);
        }
    }

    /// Free what nothing can reach any more; an error if too much of the heap's memory is left.
    #[cold]
    #[inline(never)]
    fn make_room(&mut self) -> Eval<()> {
        self.collect();
        if self.heap.is_full() {
            // The first collection of all may have been given up.
            self.collect();
        }
        match self.heap.is_full() {
            true => Err(self.heap_full()),
            false => Ok(()),
        }
    }

    /// Ask for room for something of so many bytes: once it is being made there is no way back.
    pub(crate) fn expect_room(&self, bytes: usize) -> Eval<()> {
        match self.heap.has_room_for(bytes) {
            true => Ok(()),
            false => Err(self.heap_full()),
        }
    }

    #[cold]
    pub(super) fn heap_full(&self) -> Error {
        Fault::HeapFull { limit: self.heap.limit() }.into()
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
            for frame in frames.iter() {
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
