//! Whose fault a broken contract is.
//!
//! A check carries with it where it comes from, as a value: the number of the declaration
//! (null for a contract that was called as a function), and around it one list for each
//! step on the way to the part that is checked. Each time a value goes into a function,
//! the other side must keep the contract: who calls a function answers for its argument,
//! the function for what it gives to its own arguments.

use std::fmt::Write as _;

use crate::error::{ContractProblem, Error, Fault};
use crate::heap::Heap;
use crate::machine::Machine;
use crate::program::Keeper;
use crate::source::Place;
use crate::symbol::Symbol;
use crate::value::Value;

/// A step to the part of a value that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The element of an index.
    Element(u32),
    /// The attribute of a name.
    Attribute(Symbol),
    /// What a function is given, by the call that this instruction is.
    Argument(u32),
    /// What a function gives.
    Result,
    /// What the contract itself gives for an attribute that was left out.
    Default,
}

impl Step {
    fn encoded(self) -> (i64, u32) {
        match self {
            Self::Element(index) => (0, index),
            Self::Attribute(name) => (1, name.0),
            Self::Argument(instruction) => (2, instruction),
            Self::Result => (3, 0),
            Self::Default => (4, 0),
        }
    }

    fn decoded(kind: i64, number: u32) -> Self {
        match kind {
            0 => Self::Element(number),
            1 => Self::Attribute(Symbol(number)),
            2 => Self::Argument(number),
            3 => Self::Result,
            _ => Self::Default,
        }
    }

    /// The blame of a part of what `blame` is for.
    pub(crate) fn of(self, heap: &mut Heap, blame: Value) -> Value {
        let (kind, number) = self.encoded();
        let (kind, number) = (heap.int(kind), heap.int(number.into()));
        heap.list(&[kind, number, blame])
    }
}

/// Where a check comes from.
pub(crate) struct Blame {
    declaration: Option<usize>,
    /// From the outermost.
    steps: Vec<Step>,
}

impl Blame {
    /// Read what a check carries.
    pub(crate) fn read(mut value: Value) -> Self {
        let mut steps = Vec::new();
        while let Some(&[kind, number, rest]) = value.as_list() {
            let number = number.as_int().unwrap_or_default() as u32;
            steps.push(Step::decoded(kind.as_int().unwrap_or_default(), number));
            value = rest;
        }
        steps.reverse();
        Self { declaration: value.as_int().map(|number| number as usize), steps }
    }

    /// Where the contract is written.
    pub(crate) fn declared(&self, m: &Machine) -> Option<Place> {
        Some(m.program.declarations[self.declaration?].place())
    }

    /// The error of a value that breaks the contract.
    #[cold]
    pub(crate) fn error(&self, m: &Machine, problem: ContractProblem) -> Error {
        let declaration = self.declaration.map(|number| &m.program.declarations[number]);
        let is_argument = declaration.is_some_and(|d| d.keeper == Keeper::Caller);
        let steps = &self.steps[usize::from(is_argument && !self.steps.is_empty())..];
        let name = declaration.map(|declaration| &*declaration.subject);
        let argument = name.filter(|_| is_argument && !contains_call(steps)).map(str::to_owned);
        let subject = subject(m, name, steps);
        let fault = Fault::BrokenContract { subject, problem, argument };
        let call = self.steps.iter().rev().find_map(|step| match step {
            Step::Argument(instruction) => m.program.place(*instruction),
            _ => None,
        });
        if self.steps.contains(&Step::Default) {
            let place = declaration.map(|declaration| declaration.place());
            return Error::from(fault).at(place, "this contract's own default is to blame");
        }
        let (place, text) = match (call, declaration.map(|d| (d.value_place(), d.keeper))) {
            (Some(call), _) => (Some(call), "this call is to blame"),
            (None, Some((value, Keeper::Default(_)))) => (value, "this default is to blame"),
            (None, Some((value, _))) => (value, "this definition is to blame"),
            (None, None) => (None, ""),
        };
        Error::from(fault)
            .at(place, text)
            .with_label(declaration.map(|d| d.place()), "the contract")
    }
}

fn contains_call(steps: &[Step]) -> bool {
    steps.iter().any(|step| matches!(step, Step::Argument(_) | Step::Result))
}

/// What a contract is about: `'names[1]'`, `the result of 'f'`, `argument 2 of 'f'`.
fn subject(m: &Machine, name: Option<&str>, steps: &[Step]) -> String {
    let mut path = name.unwrap_or("value").to_owned();
    let mut function = String::new();
    // How many arguments the function has been given.
    let mut given = 0;
    let text = |path: &str, function: &str, given: usize| {
        let whole = match (path.is_empty(), function.is_empty()) {
            (false, true) => format!("'{path}'"),
            (true, _) => function.to_owned(),
            (false, false) => format!("'{path}' of {function}"),
        };
        if given > 0 { format!("the result of {whole}") } else { whole }
    };
    for step in steps {
        match step {
            Step::Default => {}
            Step::Result => given += 1,
            Step::Argument(_) => {
                function = format!("argument {} of {}", given + 1, text(&path, &function, 0));
                path.clear();
                given = 0;
            }
            Step::Element(_) | Step::Attribute(_) => {
                if given > 0 {
                    function = text(&path, &function, given);
                    path.clear();
                    given = 0;
                }
                // Writing to a string cannot fail.
                let _ = match step {
                    Step::Attribute(name) if path.is_empty() => {
                        write!(path, "{}", m.symbols.text(*name))
                    }
                    Step::Attribute(name) => write!(path, ".{}", m.symbols.text(*name)),
                    Step::Element(index) => write!(path, "[{index}]"),
                    _ => Ok(()),
                };
            }
        }
    }
    text(&path, &function, given)
}
