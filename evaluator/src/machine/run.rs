//! The run loop.

use super::{Frame, Machine};
use crate::builtins::Builtin;
use crate::error::{Error, Eval, Fault};
use crate::heap::{Attrs, Kind, Obj};
use crate::program::{CodePointer, Hint, Infix, Op, Quick};
use crate::symbol::Symbol;
use crate::value::Value;

use super::access::type_fault;
use super::captures::fill;
use super::quick;
use super::stack::StackPointer;

impl Machine {
    /// Run from the machine's state until [`Op::Exit`].
    ///
    /// On a fault the state is that of the instruction that raised it.
    pub(super) fn run(&mut self) -> Eval<Value> {
        // What runs next, where the frame's values begin, and the first free place: kept out of
        // memory. Whatever may move what they point into is followed by finding them again.
        let mut pc = self.ip;
        let mut base = self.stack.pointer(self.base);
        let mut top = self.stack.top();
        let mut env = self.env;

        macro_rules! save {
            () => {{
                self.ip = pc;
                self.base = self.stack.offset_of(base);
                self.env = env;
                self.stack.set_top(top);
            }};
        }
        macro_rules! load {
            () => {{
                pc = self.ip;
                base = self.stack.pointer(self.base);
                env = self.env;
                top = self.stack.top();
            }};
        }
        macro_rules! fail {
            ($error:expr) => {{
                save!();
                return Err(Error::from($error));
            }};
        }
        // An operation that changes the machine's state: what runs next, what is on the stack.
        macro_rules! change {
            ($operation:expr) => {{
                save!();
                $operation?;
                load!();
            }};
        }
        // An operation that may look at the machine's state or re-enter it. What it keeps on
        // the stack goes.
        macro_rules! run {
            ($operation:expr) => {{
                save!();
                let height = self.stack.offset_of(top);
                match $operation {
                    Ok(value) => {
                        base = self.stack.pointer(self.base);
                        top = self.stack.pointer(height);
                        value
                    }
                    Err(error) => return Err(error),
                }
            }};
        }
        macro_rules! pop {
            () => {{
                top = top.down(1);
                top.get()
            }};
        }
        macro_rules! top {
            () => {
                top.down(1).get()
            };
        }
        macro_rules! set_top {
            ($value:expr) => {{
                let value = $value;
                top.down(1).put(value)
            }};
        }
        macro_rules! push {
            ($value:expr) => {{
                let value = $value;
                top.put(value);
                top = top.up(1);
            }};
        }
        // Wait for what runs next.
        macro_rules! push_frame {
            () => {{
                let base = self.stack.offset_of(base);
                self.frames.push(Frame { ip: pc, base, env });
            }};
        }
        // Go on where the last frame waits.
        macro_rules! pop_frame {
            () => {{
                // SAFETY: all code has a frame: whoever enters the loop pushes the one that leaves.
                let frame = unsafe { self.frames.pop_unchecked() };
                pc = frame.ip;
                base = self.stack.pointer(frame.base);
                env = frame.env;
            }};
        }
        // Give a result to whoever waits. Often that is the end of a call or of a thunk, which
        // hands it on.
        macro_rules! give {
            ($result:expr) => {{
                let result: Value = $result;
                loop {
                    pop_frame!();
                    match *pc.next() {
                        Op::Return => {
                            top = base.down(1);
                            self.depth -= 1;
                        }
                        Op::Resolve => {
                            top = base;
                            env.resolve(result);
                        }
                        Op::Exit => {
                            self.stack.set_top(top);
                            return Ok(result);
                        }
                        _ => break,
                    }
                }
                push!(result);
            }};
        }
        macro_rules! push_upvalues {
            ($count:expr) => {
                for index in 1..=$count as usize {
                    push!(env.value(index));
                }
            };
        }
        macro_rules! collect_if_due {
            () => {
                if self.heap.collection_is_due() {
                    change!(self.make_room());
                }
            };
        }
        // Push a thunk, and then fill it: it may capture itself.
        macro_rules! push_thunk {
            ($prototype:expr) => {{
                let prototype: u32 = $prototype;
                let thunk = self.bare(prototype);
                push!(Value::thunk(thunk));
                fill(&self.program, prototype, thunk, base, env);
            }};
        }
        // Evaluate an unforced thunk that is no longer on the stack.
        macro_rules! enter {
            ($thunk:expr) => {
                break $thunk
            };
        }
        // Push a value, evaluated.
        macro_rules! push_forced {
            ($value:expr) => {{
                let value: Value = $value;
                if value.is_thunk() {
                    let thunk = value.pointee();
                    match thunk.result() {
                        Some(result) => push!(result),
                        None => enter!(thunk),
                    }
                } else {
                    push!(value);
                }
            }};
        }
        // Do something with the value at a place, or see to it that there is one. What its thunk has
        // come to is kept there: whoever looks there next finds it at once.
        macro_rules! with_value {
            ($place:expr, |$value:ident| $body:expr) => {{
                let place: StackPointer = $place;
                match evaluated(place) {
                    Some($value) => $body,
                    None => enter!(place.get().pointee()),
                }
            }};
        }

        // Call the function below so many arguments.
        macro_rules! call {
            ($count:expr) => {{
                let count: usize = $count;
                let function = top.down(count + 1).get();
                if let Some(closure) = function.of_kind(Kind::Closure) {
                    let prototype = self.program.prototype(closure.extra());
                    if prototype.arity as usize == count {
                        let (entry, room) = (prototype.entry, prototype.height);
                        if self.depth >= self.options.max_call_depth {
                            fail!(Fault::TooDeep { limit: self.options.max_call_depth });
                        }
                        if !self.stack.has_room_from(top, room) {
                            save!();
                            self.stack.grow(room as usize);
                            load!();
                        }
                        self.depth += 1;
                        push_frame!();
                        (pc, base, env) = (entry, top.down(count), closure);
                        collect_if_due!();
                        continue;
                    }
                } else if let Some(number) = function.as_builtin()
                    && self.builtin(number).params.len() == count
                    && self.depth < self.options.max_call_depth
                {
                    if let Some(thunk) = first_delayed(self.builtin(number), top.down(count)) {
                        // Evaluate it, and come back to this instruction. What it gives is pushed,
                        // and dropped: there is room, for the thunk's frame had as much.
                        push_frame!();
                        pc = self.program.retry;
                        enter!(thunk);
                    }
                    let result = run!(self.run_evaluated(number, count));
                    top = top.down(count + 1);
                    push_forced!(result);
                    continue;
                }
                change!(self.apply(count));
            }};
        }

        // Call a builtin that is plain most of the time. One for each, so that asking which it is
        // and doing it are one jump.
        macro_rules! quick {
            ($quick:expr, $builtin:expr) => {{
                let count = $quick.arity();
                let argument = |index| top.down(count - index).get();
                let result = match quick::builtin(&mut self.heap, $quick, argument) {
                    Some(result) => result,
                    None => run!(self.run_evaluated($builtin, count)),
                };
                top = top.down(count);
                push_forced!(result);
            }};
        }
        // Take two values; what an infix operator makes of them.
        macro_rules! infix {
            ($infix:expr) => {{
                let (left, right) = (top.down(2).get(), top!());
                let result = match quick::infix($infix, left, right) {
                    Some(result) => result,
                    None => match quick::other_infix(&mut self.heap, $infix, left, right) {
                        Some(result) => result,
                        None => run!(self.infix($infix, left, right)),
                    },
                };
                top = top.down(2);
                result
            }};
        }
        // Push what was found at once, and skip the instruction for where nothing is.
        macro_rules! done_or_next {
            ($found:expr) => {
                if let Some(value) = $found {
                    push!(value);
                    pc = pc.skip(1);
                }
            };
        }
        macro_rules! try_infix {
            ($infix:expr) => {{
                top = top.down(2);
                let (left, right) = (top.get(), top.up(1).get());
                let found = quick::infix($infix, left, right);
                let heap = &mut self.heap;
                done_or_next!(found.or_else(|| quick::infix_at_once(heap, $infix, left, right)));
            }};
        }
        macro_rules! try_quick {
            ($quick:expr) => {{
                let count = $quick.arity();
                top = top.down(count);
                let mut arguments = [Value::NULL; 2];
                let mut are_there = true;
                for (i, argument) in arguments.iter_mut().take(count).enumerate() {
                    match quick::at_hand(top.up(i).get()) {
                        Some(value) => *argument = value,
                        None => are_there = false,
                    }
                }
                if are_there {
                    let found = quick::builtin(&mut self.heap, $quick, |i| arguments[i]);
                    done_or_next!(found);
                }
            }};
        }
        // Push a truth value, or jump by it if that is what comes next.
        macro_rules! push_or_jump {
            ($truth:expr) => {{
                let truth: Value = $truth;
                match *pc.next() {
                    Op::JumpIfFalse(distance) => {
                        pc = pc.skip(1);
                        if truth == Value::FALSE {
                            pc = pc.skip(distance);
                        }
                    }
                    _ => push!(truth),
                }
            }};
        }
        // Jump, if that is what comes next.
        macro_rules! jump_if_next {
            () => {
                if let Op::Jump(distance) = *pc.next() {
                    pc = pc.skip(1 + distance);
                }
            };
        }
        // The value of a set's attribute, for the instruction that runs.
        macro_rules! attribute {
            ($set:expr, $hint:expr, $name:expr) => {{
                let (set, hint, name): (Value, Hint, Symbol) = ($set, $hint, $name);
                let hinted = |attrs: Attrs| attrs.get_at(hint.0.into(), name);
                match set.as_flat_attrs().and_then(hinted) {
                    Some(value) => Some(value),
                    None => search(set, name, pc),
                }
            }};
        }
        // Where a variable is: a capture's or a short one's.
        macro_rules! variable {
            ($variable:expr) => {{
                let (number, is_upvalue) = $variable.parts();
                let start = if is_upvalue { StackPointer::of_captures(env) } else { base };
                start.up(number)
            }};
        }
        // Push two values, for an instruction and the next one. The second may be the first one's
        // variable.
        macro_rules! push_both {
            ($first:expr, $second:expr) => {{
                push!($first);
                push!($second);
                pc = pc.skip(1);
            }};
        }
        // The symbol of an attribute's computed name.
        macro_rules! attribute_name {
            ($name:expr) => {{
                let name: Value = $name;
                debug_assert!(!name.is_thunk(), "the set is no longer kept, so nothing may run");
                match quick::symbol(name) {
                    Some(symbol) => symbol,
                    None => run!(self.attribute_name(name)),
                }
            }};
        }

        loop {
            // Go from instruction to instruction, until a thunk must be evaluated.
            let thunk: Obj = loop {
                match *pc.take() {
                    Op::Exit => {
                        let result = pop!();
                        // Whoever entered restores the rest.
                        self.stack.set_top(top);
                        return Ok(result);
                    }
                    Op::Load => {
                        pc = self.load_code(env.extra());
                    }
                    Op::Return => {
                        let result = top!();
                        top = base.down(1);
                        self.depth -= 1;
                        give!(result);
                    }
                    Op::Resolve => {
                        let result = top!();
                        top = base;
                        env.resolve(result);
                        give!(result);
                    }
                    Op::CallRest => {
                        let function = pop!();
                        save!();
                        let at = self.stack.index(self.base);
                        self.stack.insert(at, function);
                        let count = self.stack.len() - at - 1;
                        self.apply(count)?;
                        load!();
                    }
                    Op::ReturnRest => {
                        pop_frame!();
                    }

                    Op::Retry => {
                        top = top.down(1);
                        pop_frame!();
                        pc = pc.back(1);
                    }

                    Op::Constant(index) => push!(*self.program.constants.at(index)),
                    Op::Int(number) => match Value::small_int(number.into()) {
                        Some(value) => push!(value),
                        None => unreachable!("others are constants"),
                    },
                    Op::Bool(truth) => push!(Value::bool(truth)),
                    Op::Local(slot) => push!(base.up(slot as usize).get()),
                    Op::Upvalue(index) => push!(env.value(index as usize)),
                    Op::Upvalues(count) => {
                        push_upvalues!(count);
                    }
                    Op::ForceLocal(slot) => {
                        with_value!(base.up(slot as usize), |value| push!(value));
                    }
                    Op::ForceUpvalue(index) => {
                        let place = StackPointer::of_captures(env).up(index as usize);
                        with_value!(place, |value| push!(value));
                    }
                    Op::Force => {
                        let value = top!();
                        if value.is_thunk() {
                            let thunk = value.pointee();
                            match thunk.result() {
                                Some(result) => set_top!(result),
                                None => {
                                    top = top.down(1);
                                    enter!(thunk);
                                }
                            }
                        }
                    }
                    Op::Slide(count) => {
                        let result = pop!();
                        top = top.down(count as usize);
                        push!(result);
                    }

                    Op::Closure(index) => {
                        let closure = self.bare(index);
                        push!(Value::object(closure));
                        fill(&self.program, index, closure, base, env);
                    }
                    Op::Thunk(index) => push_thunk!(index),
                    Op::AllocateClosure(index) => {
                        push!(Value::object(self.blank(index)));
                    }
                    Op::AllocateThunk(index) => {
                        push!(Value::thunk(self.blank(index)));
                    }
                    Op::Fill(slot) => {
                        let Some(object) = base.up(slot as usize).get().as_any_object() else {
                            unreachable!("allocated before")
                        };
                        fill(&self.program, object.extra(), object, base, env);
                    }
                    Op::TryInfix(Infix::Add) => try_infix!(Infix::Add),
                    Op::TryInfix(Infix::Sub) => try_infix!(Infix::Sub),
                    Op::TryInfix(other) => try_infix!(other),
                    Op::TryQuick(Quick::Head) => try_quick!(Quick::Head),
                    Op::TryQuick(Quick::Tail) => try_quick!(Quick::Tail),
                    Op::TryQuick(Quick::ElemAt) => try_quick!(Quick::ElemAt),
                    Op::TryQuick(Quick::Substring) => unreachable!("it copies: see `attempt`"),
                    Op::TryQuick(other) => try_quick!(other),
                    Op::TrySelect { hint, name } => {
                        let set = pop!();
                        let set = quick::at_hand(set).unwrap_or(Value::UNSET);
                        done_or_next!(attribute!(set, hint, name));
                    }
                    Op::TrySelectDynamic => {
                        let name = pop!();
                        let set = pop!();
                        let attrs = quick::at_hand(set).and_then(Value::as_attrs);
                        let name = quick::at_hand(name).and_then(quick::symbol);
                        done_or_next!(attrs.and_then(|attrs| attrs.get(name?)));
                    }
                    Op::Unset => push!(Value::UNSET),

                    Op::Call(count) => call!(count as usize),
                    Op::CallBuiltin { count, builtin } => {
                        let result = run!(self.run_evaluated(builtin, count as usize));
                        top = top.down(count as usize);
                        push_forced!(result);
                    }
                    Op::CallQuick { quick: Quick::Is(expected), .. } => {
                        let is_of_type = pop!().type_of() == Some(expected);
                        push_or_jump!(Value::bool(is_of_type));
                    }
                    Op::CallQuick { quick: Quick::Length, builtin } => {
                        quick!(Quick::Length, builtin)
                    }
                    Op::CallQuick { quick: Quick::Head, builtin } => quick!(Quick::Head, builtin),
                    Op::CallQuick { quick: Quick::Tail, builtin } => quick!(Quick::Tail, builtin),
                    Op::CallQuick { quick: Quick::ElemAt, builtin } => {
                        quick!(Quick::ElemAt, builtin)
                    }
                    Op::CallQuick { quick: Quick::StringLength, builtin } => {
                        quick!(Quick::StringLength, builtin)
                    }
                    Op::CallQuick { quick: Quick::Substring, builtin } => {
                        quick!(Quick::Substring, builtin)
                    }
                    Op::Mapped(map) => {
                        let held = run!(self.hold_map(map));
                        top = top.down(1);
                        set_top!(held);
                    }
                    Op::Match(pattern) => {
                        change!(self.match_pattern(pattern));
                    }
                    Op::ConstantDefault { slot, constant } => {
                        let at = base.up(slot as usize);
                        if at.get() == Value::UNSET {
                            at.put(*self.program.constants.at(constant));
                        }
                    }
                    Op::AllocateDefault { slot, prototype } => {
                        let at = base.up(slot as usize);
                        if at.get() == Value::UNSET {
                            let mould = self.program.prototype(prototype).mould;
                            let thunk = self.heap.unfilled_thunk(mould);
                            at.put(Value::thunk(thunk));
                        }
                    }
                    Op::FillDefault(slot) => {
                        if let Some(thunk) = base.up(slot as usize).get().as_thunk()
                            && thunk.is_unfilled()
                        {
                            thunk.set_filled();
                            fill(&self.program, thunk.extra(), thunk, base, env);
                        }
                    }

                    Op::Check => {
                        let (value, contract) = (top.down(3).get(), top.down(2).get());
                        let blame = top!();
                        let kept = run!(self.check(contract, blame, value));
                        top = top.down(2);
                        set_top!(kept);
                    }
                    Op::CheckArgument(slot) => {
                        let (blame, contract) = (pop!(), pop!());
                        save!();
                        let at = self.stack.index(self.base) + slot as usize;
                        self.check_argument(at, contract, blame);
                    }

                    Op::Jump(distance) => pc = pc.skip(distance),
                    Op::JumpIfFalse(distance) => match pop!() {
                        Value::FALSE => pc = pc.skip(distance),
                        Value::TRUE => {}
                        other => fail!(type_fault("a Boolean", other)),
                    },
                    Op::JumpIfTrue(distance) => match pop!() {
                        Value::TRUE => pc = pc.skip(distance),
                        Value::FALSE => {}
                        other => fail!(type_fault("a Boolean", other)),
                    },
                    Op::CheckBool => {
                        let value = top!();
                        if value.as_bool().is_none() {
                            fail!(type_fault("a Boolean", value));
                        }
                    }
                    Op::Not => match top!() {
                        Value::TRUE => set_top!(Value::FALSE),
                        Value::FALSE => set_top!(Value::TRUE),
                        other => fail!(type_fault("a Boolean", other)),
                    },
                    Op::Negate => {
                        let operand = top!();
                        set_top!(run!(self.negate(operand)));
                    }
                    Op::Add => push!(infix!(Infix::Add)),
                    Op::Sub => push!(infix!(Infix::Sub)),
                    Op::Mul => push!(infix!(Infix::Mul)),
                    Op::Div => push!(infix!(Infix::Div)),
                    Op::Less => push_or_jump!(infix!(Infix::Less)),
                    Op::LessEq => push_or_jump!(infix!(Infix::LessEq)),
                    Op::More => push_or_jump!(infix!(Infix::More)),
                    Op::MoreEq => push_or_jump!(infix!(Infix::MoreEq)),
                    Op::Equal => push_or_jump!(infix!(Infix::Equal)),
                    Op::NotEqual => push_or_jump!(infix!(Infix::NotEqual)),
                    Op::Concat => push!(infix!(Infix::Concat)),
                    Op::Update => push!(infix!(Infix::Update)),
                    Op::Assert => match pop!() {
                        Value::TRUE => {}
                        Value::FALSE => fail!(Fault::Assertion),
                        other => fail!(type_fault("a Boolean", other)),
                    },

                    Op::Select { hint, name } => {
                        let set = pop!();
                        match attribute!(set, hint, name) {
                            Some(value) => push_forced!(value),
                            None => fail!(self.selection_fault(set, name)),
                        }
                    }
                    Op::SelectOrNext { hint, name } => {
                        let set = pop!();
                        match attribute!(set, hint, name) {
                            Some(value) => {
                                pc = pc.skip(1);
                                push_forced!(value);
                            }
                            None => jump_if_next!(),
                        }
                    }
                    Op::SelectDynamic => {
                        let name = pop!();
                        let set = pop!();
                        let name = attribute_name!(name);
                        match set.as_attrs().and_then(|attrs| attrs.get(name)) {
                            Some(value) => push_forced!(value),
                            None => fail!(self.selection_fault(set, name)),
                        }
                    }
                    Op::SelectDynamicOrNext => {
                        let name = pop!();
                        let set = pop!();
                        let name = attribute_name!(name);
                        if let Some(value) = set.as_attrs().and_then(|attrs| attrs.get(name)) {
                            pc = pc.skip(1);
                            push_forced!(value);
                        }
                    }
                    Op::Has { hint, name } => {
                        let set = pop!();
                        push_or_jump!(Value::bool(attribute!(set, hint, name).is_some()));
                    }
                    Op::HasDynamic => {
                        let name = pop!();
                        let name = attribute_name!(name);
                        let set = pop!();
                        push_or_jump!(has(set, name));
                    }
                    Op::WithOrSkip { hint, name } => {
                        let scope = pop!();
                        match attribute!(scope, hint, name) {
                            Some(value) => {
                                push!(value);
                                jump_if_next!();
                            }
                            None if scope.as_attrs().is_some() => pc = pc.skip(1),
                            None => fail!(type_fault("a set", scope)),
                        }
                    }
                    Op::Undefined(name) => {
                        let name = self.symbols.text(name).into_owned();
                        fail!(Fault::UndefinedVariable { name })
                    }

                    Op::List(count) => {
                        top = top.down(count as usize);
                        push!(self.heap.list(top.several(count as usize)));
                    }
                    Op::Attrs(index) => {
                        let shape = *self.program.shapes.at(index);
                        let count = shape.object.extra() as usize;
                        top = top.down(count);
                        let order = self.program.order_of(shape);
                        push!(self.heap.attrs_of_shape(shape.object, order, top.several(count)));
                    }
                    Op::AddAttr => {
                        change!(self.add_attribute());
                    }
                    Op::Override(list) => {
                        let set = pop!();
                        let Some(overrides) = set.as_attrs() else {
                            fail!(type_fault("a set", set))
                        };
                        save!();
                        let first = self.stack.index(self.base);
                        self.override_variables(list, overrides, first);
                    }
                    Op::Interpolate(count) => {
                        change!(self.interpolate(count as usize));
                    }
                    Op::InterpolatePath(count) => {
                        change!(self.interpolate_path(count as usize));
                    }
                    Op::CurrentPosition => {
                        save!();
                        let position = self.current_position();
                        push!(position);
                    }
                    Op::HomeFolder => {
                        let home = run!(self.home_folder());
                        push!(home);
                    }
                    Op::FindInSearchPath(constant) => {
                        let name = *self.program.constants.at(constant);
                        let path = run!(self.find_in_search_path(name));
                        push!(path);
                    }

                    Op::Pair { first, second } => {
                        push_both!(variable!(first).get(), variable!(second).get());
                    }
                    Op::ForceFirst { first, second } => with_value!(variable!(first), |value| {
                        push_both!(value, variable!(second).get());
                    }),
                    Op::ForceBoth { first, second } => with_value!(variable!(first), |value| {
                        push!(value);
                        if let Some(value) = evaluated(variable!(second)) {
                            push!(value);
                            pc = pc.skip(1);
                        }
                    }),
                    Op::ThunkPair(first) => {
                        push_thunk!(first);
                        let (Op::Thunk(second) | Op::ThunkPair(second)) = *pc.take() else {
                            unreachable!("it was joined with this one")
                        };
                        push_thunk!(second);
                    }
                    Op::ForceAndUpvalues(count) => {
                        with_value!(StackPointer::of_captures(env), |value| {
                            push!(value);
                            push_upvalues!(count);
                            pc = pc.skip(1);
                        });
                    }
                    Op::SelectFrom { variable, hint, name } => {
                        with_value!(variable!(variable), |set| {
                            match attribute!(set, hint, name) {
                                Some(value) => {
                                    pc = pc.skip(1);
                                    push_forced!(value);
                                }
                                None => push!(set),
                            }
                        })
                    }
                    Op::SelectFromOrNext { variable, hint, name } => {
                        with_value!(variable!(variable), |set| {
                            match attribute!(set, hint, name) {
                                Some(value) => {
                                    pc = pc.skip(2);
                                    push_forced!(value);
                                }
                                None => {
                                    pc = pc.skip(1);
                                    jump_if_next!();
                                }
                            }
                        })
                    }
                    Op::TrySelectFrom { variable, hint, name } => {
                        let set = quick::at_hand(variable!(variable).get()).unwrap_or(Value::UNSET);
                        let found = attribute!(set, hint, name);
                        pc = pc.skip(1);
                        done_or_next!(found);
                    }
                    Op::WithFromOrSkip { variable, hint, name } => {
                        with_value!(variable!(variable), |scope| {
                            match attribute!(scope, hint, name) {
                                Some(value) => {
                                    push!(value);
                                    pc = pc.skip(1);
                                    jump_if_next!();
                                }
                                None if scope.as_attrs().is_some() => pc = pc.skip(2),
                                None => push!(scope),
                            }
                        })
                    }
                    Op::HasNamed(variable) => with_value!(variable!(variable), |name| {
                        match quick::symbol(name) {
                            Some(name) => {
                                pc = pc.skip(1);
                                let set = pop!();
                                push_or_jump!(has(set, name));
                            }
                            None => push!(name),
                        }
                    }),
                    Op::EqualConstant(constant) => {
                        let constant = *self.program.constants.at(constant);
                        match quick::equal(top!(), constant) {
                            Some(is_equal) => {
                                top = top.down(1);
                                pc = pc.skip(1);
                                push_or_jump!(Value::bool(is_equal));
                            }
                            None => push!(constant),
                        }
                    }
                    Op::ReturnConstant(constant) => {
                        let constant = *self.program.constants.at(constant);
                        top = base.down(1);
                        self.depth -= 1;
                        give!(constant);
                    }
                }
            };
            // All begin here: so much code in each instruction would not stay in the caches.
            let prototype = self.program.prototype(thunk.extra());
            let (entry, room) = (prototype.entry, prototype.height);
            if self.frames.has_room() && self.stack.has_room_from(top, room) && thunk.enter() {
                push_frame!();
                (pc, base, env) = (entry, top, thunk);
            } else {
                change!(self.enter_slowly(thunk));
            }
            collect_if_due!();
        }
    }
}

/// The first argument of a builtin that must be evaluated and is not. Those before it are
/// replaced by what they have come to.
#[inline(always)]
fn first_delayed(builtin: &Builtin, arguments: StackPointer) -> Option<Obj> {
    for (i, param) in builtin.params.iter().enumerate() {
        let place = arguments.up(i);
        if param.is_forced() && place.get().is_thunk() {
            let thunk = place.get().pointee();
            match thunk.result() {
                Some(result) => place.put(result),
                None => return Some(thunk),
            }
        }
    }
    None
}

/// The value at a place, if it is evaluated. What its thunk has come to is kept there.
#[inline(always)]
fn evaluated(place: StackPointer) -> Option<Value> {
    let value = place.get();
    if !value.is_thunk() {
        return Some(value);
    }
    let result = value.pointee().result()?;
    place.put(result);
    Some(result)
}

fn has(set: Value, name: Symbol) -> Value {
    Value::bool(set.as_attrs().is_some_and(|attrs| attrs.get(name).is_some()))
}

/// The value of a set's attribute, noted for the next time where an instruction did not find it at
/// once.
#[inline(never)]
fn search(set: Value, name: Symbol, next: CodePointer) -> Option<Value> {
    let (value, index) = set.as_attrs()?.search(name)?;
    if let Some(index) = index.and_then(|index| u16::try_from(index).ok()) {
        next.note(Hint(index));
    }
    Some(value)
}
