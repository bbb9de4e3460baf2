//! The run loop.

use super::{Frame, MAX_FRAMES, Machine};
use crate::error::{Error, Eval, Fault};
use crate::heap::{Kind, Obj};
use crate::program::{Eager, Infix, Op, Operand, Source};
use crate::symbol::Symbol;
use crate::value::Value;

use super::access::type_fault;

impl Machine {
    /// Run from the machine's state until [`Op::Exit`].
    ///
    /// On a fault the state is that of the instruction that raised it.
    pub(super) fn run(&mut self) -> Eval<Value> {
        let (mut ip, mut base, mut env) = (self.ip as usize, self.base as usize, self.env);
        // How many values are on the stack: kept out of memory, like the others.
        let mut height = self.stack.len();

        macro_rules! save {
            () => {{
                (self.ip, self.base, self.env) = (ip as u32, base as u32, env);
                self.set_height(height);
            }};
        }
        macro_rules! load {
            () => {{
                (ip, base, env) = (self.ip as usize, self.base as usize, self.env);
                height = self.stack.len();
            }};
        }
        macro_rules! fail {
            ($error:expr) => {{
                save!();
                return Err(Error::from($error));
            }};
        }
        // An operation that may look at the machine's state or re-enter it. What it keeps on
        // the stack goes, but for operations that are followed by `load`.
        macro_rules! run {
            ($operation:expr) => {{
                save!();
                match $operation {
                    Ok(value) => value,
                    Err(error) => return Err(error),
                }
            }};
        }
        macro_rules! pop {
            () => {{
                height -= 1;
                self.at(height)
            }};
        }
        macro_rules! top {
            () => {
                self.at(height - 1)
            };
        }
        macro_rules! set_top {
            ($value:expr) => {{
                let value = $value;
                self.put(height - 1, value)
            }};
        }
        macro_rules! push {
            ($value:expr) => {{
                let value = $value;
                self.put(height, value);
                height += 1;
            }};
        }
        // Push a thunk, and then fill it: it may capture itself.
        macro_rules! push_thunk {
            ($prototype:expr) => {{
                let thunk = self.bare(Kind::Thunk, $prototype);
                push!(Value::thunk(thunk));
                self.fill(thunk, base, env);
            }};
        }
        // Evaluate an unforced thunk that is no longer on the stack.
        macro_rules! enter {
            ($thunk:expr) => {{
                save!();
                self.enter_thunk($thunk)?;
                load!();
                if self.heap.collection_is_due() {
                    self.collect();
                }
            }};
        }
        // Push a value, evaluated.
        macro_rules! push_forced {
            ($value:expr) => {{
                let value: Value = $value;
                match value.as_thunk() {
                    None => push!(value),
                    Some(thunk) => match thunk.result() {
                        Some(result) => push!(result),
                        None => enter!(thunk),
                    },
                }
            }};
        }

        loop {
            let op = self.program.op(ip);
            ip += 1;
            match op {
                Op::Exit => {
                    let result = pop!();
                    save!();
                    return Ok(result);
                }
                Op::Load => ip = self.load_code(env.extra()) as usize,
                Op::Return => {
                    let result = pop!();
                    height = base;
                    set_top!(result);
                    self.depth -= 1;
                    let Some(frame) = self.frames.pop() else {
                        unreachable!("every call has a frame")
                    };
                    (ip, base, env) = (frame.ip as usize, frame.base as usize, frame.env);
                }
                Op::Update => {
                    let result = pop!();
                    env.resolve(result);
                    height = base;
                    push!(result);
                    let Some(frame) = self.frames.pop() else {
                        unreachable!("every thunk has a frame")
                    };
                    (ip, base, env) = (frame.ip as usize, frame.base as usize, frame.env);
                }
                Op::CallRest => {
                    let function = pop!();
                    save!();
                    self.stack.insert(base, function);
                    height = self.stack.len();
                    let count = height - base - 1;
                    run!(self.apply(count));
                    load!();
                }
                Op::ReturnRest => {
                    let Some(frame) = self.frames.pop() else {
                        unreachable!("such a call has a frame of its own")
                    };
                    (ip, base, env) = (frame.ip as usize, frame.base as usize, frame.env);
                }

                Op::Constant(index) => push!(self.program.constants[index as usize]),
                Op::Int(number) => match Value::small_int(number.into()) {
                    Some(value) => push!(value),
                    None => unreachable!("32 bits fit"),
                },
                Op::Bool(truth) => push!(Value::bool(truth)),
                Op::Local(slot) => push!(self.at(base + slot as usize)),
                Op::Upvalue(index) => push!(env.value(index as usize)),
                Op::ForceLocal(slot) => {
                    let at = base + slot as usize;
                    let value = self.at(at);
                    match value.as_thunk() {
                        None => push!(value),
                        Some(thunk) => match thunk.result() {
                            Some(result) => {
                                self.put(at, result);
                                push!(result);
                            }
                            None => enter!(thunk),
                        },
                    }
                }
                Op::ForceUpvalue(index) => push_forced!(env.value(index as usize)),
                Op::Force => {
                    if let Some(thunk) = top!().as_thunk() {
                        match thunk.result() {
                            Some(result) => set_top!(result),
                            None => {
                                height -= 1;
                                enter!(thunk);
                            }
                        }
                    }
                }
                Op::Slide(count) => {
                    let result = pop!();
                    height -= count as usize;
                    push!(result);
                }

                Op::Closure(index) => {
                    let closure = self.bare(Kind::Closure, index);
                    push!(Value::object(closure));
                    self.fill(closure, base, env);
                }
                Op::Thunk(index) => push_thunk!(index),
                Op::AllocateClosure(index) => {
                    let count = self.program.prototype(index).capture_count as usize;
                    push!(Value::object(self.heap.closure(index, count)));
                }
                Op::AllocateThunk(index) => {
                    let count = self.program.prototype(index).capture_count as usize;
                    push!(Value::thunk(self.heap.thunk(index, count)));
                }
                Op::Fill(slot) => {
                    let Some(object) = self.at(base + slot as usize).as_any_object() else {
                        unreachable!("allocated before")
                    };
                    self.fill(object, base, env);
                }
                Op::Eager(index) => {
                    let eager = self.program.eager[index as usize];
                    match self.try_eager(&eager, base, env) {
                        Some(value) => push!(value),
                        None => push_thunk!(eager.thunk),
                    }
                }
                Op::EagerSelect(index) => {
                    let select = self.program.eager_selects[index as usize];
                    let found = self
                        .variable(select.base, base, env)
                        .evaluated()
                        .and_then(Value::as_attrs)
                        .and_then(|attrs| attrs.get(select.name));
                    match found {
                        Some(value) => push!(value),
                        None => push_thunk!(select.thunk),
                    }
                }

                Op::Call(count) => {
                    let count = count as usize;
                    let at = height - count - 1;
                    let function = self.at(at);
                    if let Some(closure) = function.of_kind(Kind::Closure) {
                        let prototype = self.program.prototype(closure.extra());
                        if prototype.arity as usize == count {
                            let (entry, room) = (prototype.entry as usize, prototype.height);
                            if self.depth >= self.options.max_call_depth {
                                fail!(Fault::TooDeep { limit: self.options.max_call_depth });
                            }
                            self.set_height(height);
                            self.reserve(room);
                            self.depth += 1;
                            self.frames.push(Frame { ip: ip as u32, base: base as u32, env });
                            (ip, base, env) = (entry, at + 1, closure);
                            if self.heap.collection_is_due() {
                                save!();
                                self.collect();
                            }
                            continue;
                        }
                    } else if let Some(number) = function.as_builtin()
                        && self.builtin(number).params.len() == count
                        && self.depth < self.options.max_call_depth
                    {
                        let result = run!(self.run_builtin(number, count));
                        height = at;
                        push_forced!(result);
                        continue;
                    }
                    run!(self.apply(count));
                    load!();
                }
                Op::CallBuiltin { count, builtin } => {
                    let floor = height - count as usize;
                    let result = run!(self.run_builtin(builtin, count as usize));
                    height = floor;
                    push_forced!(result);
                }
                Op::Match(pattern) => {
                    run!(self.match_pattern(pattern));
                    load!();
                }
                Op::AllocateDefault { slot, prototype } => {
                    let at = base + slot as usize;
                    if self.at(at) == Value::UNSET {
                        let count = self.program.prototype(prototype).capture_count as usize;
                        let thunk = self.heap.unfilled_thunk(prototype, count);
                        self.put(at, Value::thunk(thunk));
                    }
                }
                Op::FillDefault(slot) => {
                    if let Some(thunk) = self.at(base + slot as usize).as_thunk()
                        && thunk.is_unfilled()
                    {
                        thunk.set_filled();
                        self.fill(thunk, base, env);
                    }
                }

                Op::Check => {
                    let floor = height - 3;
                    let (value, contract) = (self.at(floor), self.at(floor + 1));
                    let blame = self.at(floor + 2);
                    let kept = run!(self.check(contract, blame, value));
                    height = floor;
                    push!(kept);
                }
                Op::CheckArgument(slot) => {
                    let (blame, contract) = (pop!(), pop!());
                    save!();
                    self.check_argument(base + slot as usize, contract, blame);
                }

                Op::Jump(distance) => ip += distance as usize,
                Op::JumpIfFalse(distance) => match pop!() {
                    Value::FALSE => ip += distance as usize,
                    Value::TRUE => {}
                    other => fail!(type_fault("a Boolean", other)),
                },
                Op::JumpIfTrue(distance) => match pop!() {
                    Value::TRUE => ip += distance as usize,
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
                Op::Infix(infix) => {
                    let (left, right) = (self.at(height - 2), self.at(height - 1));
                    let result = match quick_infix(infix, left, right) {
                        Some(result) => result,
                        None => run!(self.infix(infix, left, right)),
                    };
                    height -= 1;
                    set_top!(result);
                }
                Op::Assert => match pop!() {
                    Value::TRUE => {}
                    Value::FALSE => fail!(Fault::Assertion),
                    other => fail!(type_fault("a Boolean", other)),
                },

                Op::Select(name) => {
                    let set = pop!();
                    match set.as_attrs().and_then(|attrs| attrs.get(name)) {
                        Some(value) => push_forced!(value),
                        None => fail!(self.selection_fault(set, name)),
                    }
                }
                Op::SelectOrNext(name) => {
                    let set = pop!();
                    if let Some(value) = set.as_attrs().and_then(|attrs| attrs.get(name)) {
                        push!(value);
                        ip += 1;
                    }
                }
                Op::SelectDynamic => {
                    let name = pop!();
                    let set = pop!();
                    let name = run!(self.attribute_name(name));
                    match set.as_attrs().and_then(|attrs| attrs.get(name)) {
                        Some(value) => push_forced!(value),
                        None => fail!(self.selection_fault(set, name)),
                    }
                }
                Op::SelectDynamicOrNext => {
                    let name = pop!();
                    let set = pop!();
                    let name = run!(self.attribute_name(name));
                    if let Some(value) = set.as_attrs().and_then(|attrs| attrs.get(name)) {
                        push!(value);
                        ip += 1;
                    }
                }
                Op::Has(name) => {
                    let set = top!();
                    set_top!(has(set, name));
                }
                Op::HasDynamic => {
                    let name = pop!();
                    let name = run!(self.attribute_name(name));
                    let set = top!();
                    set_top!(has(set, name));
                }
                Op::WithOrSkip(name) => {
                    let scope = pop!();
                    let Some(attrs) = scope.as_attrs() else { fail!(type_fault("a set", scope)) };
                    match attrs.get(name) {
                        Some(value) => push!(value),
                        None => ip += 1,
                    }
                }
                Op::Undefined(name) => {
                    let name = self.symbols.text(name).into_owned();
                    fail!(Fault::UndefinedVariable { name })
                }

                Op::List(count) => {
                    height -= count as usize;
                    push!(self.heap.list(self.several(height, count as usize)));
                }
                Op::Attrs(index) => {
                    let shape = self.program.shapes[index as usize];
                    let count = shape.object.extra() as usize;
                    height -= count;
                    let values = self.several(height, count);
                    let order = self.program.order_of(shape);
                    push!(self.heap.attrs_of_shape(shape.object, order, values));
                }
                Op::AddAttr => {
                    run!(self.add_attribute());
                    load!();
                }
                Op::Override(list) => {
                    let set = pop!();
                    let Some(overrides) = set.as_attrs() else { fail!(type_fault("a set", set)) };
                    save!();
                    self.override_variables(list, overrides, base);
                }
                Op::Interpolate(count) => {
                    run!(self.interpolate(count as usize));
                    load!();
                }
                Op::InterpolatePath(count) => {
                    run!(self.interpolate_path(count as usize));
                    load!();
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
                    let name = self.program.constants[constant as usize];
                    let path = run!(self.find_in_search_path(name));
                    push!(path);
                }
            }
        }
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
        self.reserve(prototype.height);
        self.base = self.stack.len() as u32;
        self.env = thunk;
        Ok(())
    }

    #[inline(always)]
    fn variable(&self, source: Source, base: usize, env: Obj) -> Value {
        match source {
            Source::Local(slot) => self.at(base + slot as usize),
            Source::Upvalue(index) => env.value(index as usize),
        }
    }

    /// Put the captures of a new closure or thunk in.
    #[inline(always)]
    fn fill(&mut self, object: Obj, base: usize, env: Obj) {
        let prototype = self.program.prototype(object.extra());
        for (i, &source) in self.program.captures_of(prototype).iter().enumerate() {
            object.capture(i, self.variable(source, base, env));
        }
    }

    /// A closure or thunk, to be filled at once.
    #[inline(always)]
    fn bare(&mut self, kind: Kind, index: u32) -> Obj {
        self.heap.bare(kind, index, self.program.prototype(index).capture_count as usize)
    }

    /// An operation whose operands are known numbers, if it cannot fail.
    #[inline(always)]
    fn try_eager(&self, eager: &Eager, base: usize, env: Obj) -> Option<Value> {
        let operand = |operand| match operand {
            Operand::Variable(source) => self.variable(source, base, env).evaluated(),
            Operand::Constant(value) => Some(value),
        };
        quick_infix(eager.infix, operand(eager.left)?, operand(eager.right)?)
    }
}

fn has(set: Value, name: Symbol) -> Value {
    Value::bool(set.as_attrs().is_some_and(|attrs| attrs.get(name).is_some()))
}

/// Operations on integers that need no box and cannot fail.
#[inline(always)]
fn quick_infix(infix: Infix, left: Value, right: Value) -> Option<Value> {
    let (left, right) = (left.as_small_int()?, right.as_small_int()?);
    match infix {
        Infix::Add => Value::small_int(left + right),
        Infix::Sub => Value::small_int(left - right),
        Infix::Mul => Value::small_int(left.checked_mul(right)?),
        Infix::Div if right != 0 => Value::small_int(left / right),
        Infix::Less => Some(Value::bool(left < right)),
        Infix::LessEq => Some(Value::bool(left <= right)),
        Infix::More => Some(Value::bool(left > right)),
        Infix::MoreEq => Some(Value::bool(left >= right)),
        Infix::Equal => Some(Value::bool(left == right)),
        Infix::NotEqual => Some(Value::bool(left != right)),
        Infix::Div | Infix::Concat | Infix::Update => None,
    }
}
