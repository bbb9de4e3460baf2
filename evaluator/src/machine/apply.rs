//! Calling whatever can be called.

use hb_lang::suggest::nearest;

use super::{Frame, Machine};
use crate::builtins::MAX_PARAMS;
use crate::error::{Error, Eval, Fault};
use crate::heap::Kind;
use crate::program::Pattern;
use crate::source::Place;
use crate::symbol::well_known;
use crate::value::{Type, Value};

use super::access::type_fault;

impl Machine {
    /// Call the evaluated function below the top `count` values.
    ///
    /// Afterwards either the result is on the stack in their place, or the machine's
    /// state is at the start of what will put it there.
    pub(super) fn apply(&mut self, count: usize) -> Eval<()> {
        let mut count = count;
        loop {
            let at = self.stack.len() - count - 1;
            let function = self.stack[at];
            if count == 0 {
                return Ok(());
            }
            if let Some(number) = function.as_builtin() {
                let arity = self.builtin(number).params.len();
                if count < arity {
                    return self.partial(count);
                }
                self.check_depth()?;
                if count > arity {
                    self.set_rest_aside(count - arity, arity);
                }
                let at = self.stack.len() - arity - 1;
                let result = self.run_builtin(number, arity)?;
                self.stack.truncate(at);
                return match result.as_thunk() {
                    Some(thunk) => self.enter_thunk(thunk),
                    None => {
                        self.stack.push(result);
                        Ok(())
                    }
                };
            }
            let Some(object) = function.as_object() else {
                return Err(not_a_function(function));
            };
            match object.kind() {
                Kind::Closure => {
                    let arity = self.program.prototype(object.extra()).arity as usize;
                    if count < arity {
                        return self.partial(count);
                    }
                    if count > arity {
                        self.check_depth()?;
                        self.set_rest_aside(count - arity, arity);
                    }
                    return self.enter_closure(object);
                }
                Kind::Partial => {
                    let earlier = object.values(1, object.small());
                    self.stack[at] = object.value(0);
                    let (first, height) = (at + 1, self.stack.len());
                    // Value by value: they are few.
                    for &argument in earlier {
                        self.stack.push(argument);
                    }
                    for i in (first..height).rev() {
                        self.stack[i + earlier.len()] = self.stack[i];
                    }
                    for (i, &argument) in earlier.iter().enumerate() {
                        self.stack[first + i] = argument;
                    }
                    count += earlier.len();
                }
                Kind::Attrs | Kind::Layered => {
                    let functor = function.as_attrs().and_then(|set| set.get(well_known::FUNCTOR));
                    let Some(functor) = functor else {
                        return Err(not_a_function(function));
                    };
                    let functor = self.force(functor)?;
                    self.stack.insert(at, functor);
                    count += 1;
                }
                _ => return Err(not_a_function(function)),
            }
        }
    }

    /// Replace the function and its too few arguments by a function of the rest. No other has all
    /// its arguments than what [`Self::hold_map`] makes.
    fn partial(&mut self, count: usize) -> Eval<()> {
        let at = self.stack.len() - count - 1;
        let partial = self.heap.partial(self.stack[at], &self.stack[at + 1..]);
        self.stack.truncate(at);
        self.stack.push(partial);
        Ok(())
    }

    /// Of a call with more arguments than parameters, move the rest below the function,
    /// in a frame that calls the result with them.
    fn set_rest_aside(&mut self, rest: usize, arity: usize) {
        let at = self.stack.len() - rest - arity - 1;
        for _ in 0..rest {
            let Some(last) = self.stack.pop() else { unreachable!("the arguments are there") };
            self.stack.insert(at, last);
        }
        self.frames.push(Frame { ip: self.ip, base: self.base, env: self.env });
        self.ip = self.call_rest;
        self.base = self.stack.offset(at);
    }

    /// Run a builtin on the top `count` values, which stay where they are.
    #[inline]
    pub(super) fn run_builtin(&mut self, number: u32, count: usize) -> Eval<Value> {
        let builtin = self.builtins[number as usize];
        let start = self.stack.len() - count;
        for (i, param) in builtin.params.iter().enumerate() {
            let argument = self.stack[start + i];
            if param.is_forced() && argument.is_thunk() {
                self.stack[start + i] = self.force(argument)?;
            }
        }
        self.run_evaluated(number, count)
    }

    /// The same where those that it takes evaluated are.
    #[inline(never)]
    pub(super) fn run_evaluated(&mut self, number: u32, count: usize) -> Eval<Value> {
        let builtin = self.builtins[number as usize];
        let start = self.stack.len() - count;
        let mut arguments = [Value::NULL; MAX_PARAMS];
        // One by one: copying so few as a slice is a call.
        for (argument, &given) in arguments.iter_mut().zip(&self.stack[start..]) {
            *argument = given;
        }
        debug_assert!(
            builtin.params.iter().zip(arguments).all(|(p, a)| !p.is_forced() || !a.is_thunk())
        );
        match (builtin.run)(self, &arguments[..count]) {
            Ok(value) => Ok(value),
            Err(error) => Err(self.in_builtin(error, builtin.name)),
        }
    }

    /// Take a set from the stack and push the fields of a pattern.
    pub(super) fn match_pattern(&mut self, index: u32) -> Eval<()> {
        let Some(argument) = self.stack.pop() else {
            unreachable!("the compiler pushes the argument")
        };
        let Some(attrs) = argument.as_attrs() else {
            return Err(type_fault("a set", argument));
        };
        let attrs = self.heap.flat(attrs);
        let pattern = self.program.patterns.at(index);
        let (names, values) = (attrs.names(), attrs.values());
        let start = self.stack.len();
        self.stack.extend_with(Value::UNSET, pattern.fields.len());
        let mut next = 0;
        let mut matched = 0;
        let mut missing = None;
        for field in &pattern.fields {
            while next < names.len() && names[next] < field.name.0 {
                next += 1;
            }
            if next < names.len() && names[next] == field.name.0 {
                self.stack[start + field.slot as usize] = values[next];
                next += 1;
                matched += 1;
            } else if !field.has_default {
                missing = missing.into_iter().chain([field]).min_by_key(|field| field.slot);
            }
        }
        if let Some(field) = missing {
            return Err(self.missing_argument(pattern, field.name.0, attrs.names()));
        }
        if matched < names.len() && !pattern.ellipsis {
            return Err(self.unexpected_argument(pattern, attrs.names()));
        }
        Ok(())
    }

    /// What to call the function that runs, and where its pattern is.
    fn running_function(&self) -> (String, Option<Place>) {
        let number = self.env.extra();
        let name = match self.program.prototype(number).name {
            Some(name) => format!("function '{}'", self.symbols.text(name)),
            None => "anonymous function".to_owned(),
        };
        // The instruction that runs is the pattern's.
        (name, self.program.place_before(self.ip))
    }

    #[cold]
    fn missing_argument(&self, pattern: &Pattern, name: u32, given: &[u32]) -> Error {
        let field = |symbol: u32| pattern.fields.iter().find(|field| field.name.0 == symbol);
        let (function, place) = self.running_function();
        let text = |symbol: u32| self.symbols.text(crate::symbol::Symbol(symbol)).into_owned();
        let wanted = text(name);
        // An argument of a similar name that the function does not take.
        let others: Vec<String> =
            given.iter().filter(|&&g| field(g).is_none()).map(|&g| text(g)).collect();
        let help = nearest(&wanted, others.iter().map(String::as_str))
            .map(|near| format!("'{near}' was given: did you mean '{wanted}'?"));
        let place =
            place.zip(field(name)).map(|(place, field)| Place { span: field.span, ..place });
        self.at_call(Fault::MissingArgument { function, name: wanted.clone() })
            .with_label(place, format!("'{wanted}' has no default"))
            .with_help(help)
    }

    #[cold]
    fn unexpected_argument(&self, pattern: &Pattern, given: &[u32]) -> Error {
        let text = |symbol| self.symbols.text(symbol).into_owned();
        let (function, place) = self.running_function();
        let mut fields: Vec<_> = pattern.fields.iter().collect();
        fields.sort_by_key(|field| field.slot);
        let taken: Vec<String> = fields.into_iter().map(|field| text(field.name)).collect();
        let name = given
            .iter()
            .map(|&symbol| crate::symbol::Symbol(symbol))
            .find(|symbol| pattern.fields.iter().all(|field| field.name != *symbol))
            .map(text)
            .unwrap_or_default();
        let help = nearest(&name, taken.iter().map(String::as_str))
            .map(|near| format!("did you mean '{near}'?"));
        self.at_call(Fault::UnexpectedArgument { function, name })
            .with_label(place, format!("it takes {}", listed(&taken)))
            .with_help(help)
    }

    /// A fault that shows where the function that runs was called.
    fn at_call(&self, fault: Fault) -> Error {
        let site = self.frames.last().and_then(|frame| self.program.place_before(frame.ip));
        Error::from(fault).at(site, "")
    }

    /// Whether the machine is about to leave its run loop.
    pub(super) fn is_at_exit(&self) -> bool {
        self.ip == self.program.exit
    }
}

/// Names for a sentence.
fn listed(names: &[String]) -> String {
    match names {
        [] => "no arguments".to_owned(),
        names => names.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", "),
    }
}

#[cold]
fn not_a_function(found: Value) -> Error {
    Fault::NotAFunction { found: found.type_of().unwrap_or(Type::Lambda) }.into()
}
