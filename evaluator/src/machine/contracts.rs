//! Checking contracts.
//!
//! A check looks at a value's outermost form only. What is inside gets a check of its own,
//! which runs when that part is needed, or none where it is known to be right already.

use hb_lang::suggest::nearest;

use super::Machine;
use crate::contract::{Blame, Contract, Step, shown};
use crate::error::{ContractProblem, Error, Eval};
use crate::heap::{Attrs, Kind, Obj};
use crate::program::Op;
use crate::source::Pos;
use crate::symbol::{Symbol, well_known};
use crate::value::{Type, Value};

/// The check of a value that is not needed yet. It captures contract, blame and value.
pub(super) const DELAYED_CHECK: &[Op] =
    &[Op::ForceUpvalue(2), Op::Upvalue(0), Op::Upvalue(1), Op::Check, Op::Resolve];

/// A function whose argument and result are checked. It captures the argument's contract
/// and blame, the function, and a pair of the result's.
pub(super) const GUARD: &[Op] = &[
    Op::Upvalue(0),
    Op::Upvalue(1),
    Op::CheckArgument(0),
    Op::ForceUpvalue(2),
    Op::Local(0),
    Op::Call(1),
    Op::Upvalue(3),
    Op::Upvalue(4),
    Op::Check,
    Op::Return,
];

/// How many values that captures.
pub(super) const GUARD_CAPTURES: u16 = 5;

/// What a record says of one attribute.
struct Rule {
    name: Symbol,
    contract: Value,
    absent: Absent,
}

/// What to do about an attribute that is left out.
#[derive(Clone, Copy)]
enum Absent {
    Refuse,
    Accept,
    Add(Value),
}

impl Machine {
    /// Check an evaluated value: gives what to use in its place. It is reachable from a root, as
    /// are contract and blame.
    pub(crate) fn check(&mut self, contract: Value, blame: Value, value: Value) -> Eval<Value> {
        let contract =
            Contract::of(self, contract).map_err(|error| match error.details().placed {
                true => error,
                false => error.at(Blame::read(blame).declared(self), ""),
            })?;
        match contract.surely_holds(value) {
            true => Ok(value),
            false => self.deeper(|m| m.check_for(contract, blame, value)),
        }
    }

    /// The same for a contract that is read already. All of it is reachable from a root.
    pub(crate) fn check_for(
        &mut self,
        contract: Contract,
        blame: Value,
        value: Value,
    ) -> Eval<Value> {
        match contract {
            Contract::Optional(inner) | Contract::Default { contract: inner, .. } => {
                return self.check(inner, blame, value);
            }
            Contract::Nullable(inner) => {
                let inner = Contract::of(self, inner)?;
                let all = [Contract::Type(Type::Null), inner];
                return self.check_one_of(&all, contract, blame, value);
            }
            Contract::Or(contracts) => {
                let contracts = contracts.as_list().unwrap_or_default();
                let all = contracts.iter().map(|&inner| Contract::of(self, inner));
                let all = all.collect::<Eval<Vec<_>>>()?;
                return self.check_one_of(&all, contract, blame, value);
            }
            Contract::Where { base, predicate, .. } => {
                let value = self.check(base, blame, value)?;
                self.keep(value);
                if self.satisfies(predicate, value)? {
                    return Ok(value);
                }
            }
            Contract::Record { fields, open } if value.as_attrs().is_some() => {
                return self.check_record(fields, open, blame, value);
            }
            Contract::List(of) if value.as_list().is_some() => {
                return Ok(self.check_items(of, blame, value));
            }
            Contract::Attrs(of) if value.as_attrs().is_some() => {
                return Ok(self.check_attributes(of, blame, value));
            }
            Contract::Arrow { from, to } if self.fits(contract, value)? => {
                return Ok(self.guarded_function(from, to, blame, value));
            }
            _ if self.fits(contract, value)? => return Ok(value),
            _ => {}
        }
        let expected = contract.description(self)?;
        let found = shown(value);
        let help = self.near_choice(contract, value);
        let problem = ContractProblem::Mismatch { expected, found };
        Err(Blame::read(blame).error(self, problem).with_help(help))
    }

    /// Whether a value fits a contract as far as its outermost form tells: what decides
    /// between alternatives.
    fn fits(&mut self, contract: Contract, value: Value) -> Eval<bool> {
        if contract.surely_holds(value) {
            return Ok(true);
        }
        let fits = |m: &mut Self, inner| {
            m.deeper(|m| {
                let inner = Contract::of(m, inner)?;
                m.fits(inner, value)
            })
        };
        Ok(match contract {
            Contract::Any | Contract::Type(_) | Contract::Number => false,
            Contract::Function | Contract::Arrow { .. } => {
                value.type_of() == Some(Type::Lambda)
                    || value.as_attrs().is_some_and(|set| set.get(well_known::FUNCTOR).is_some())
            }
            Contract::Derivation => match value.as_attrs() {
                Some(attrs) => self.is_derivation(attrs)?,
                None => false,
            },
            Contract::List(_) => value.as_list().is_some(),
            Contract::Attrs(_) => value.as_attrs().is_some(),
            Contract::Record { fields, open } => match value.as_attrs() {
                Some(attrs) => {
                    let rules = self.rules(fields)?;
                    let attrs = self.heap.flat(attrs);
                    self.wrong_attribute(&rules, open, attrs).is_none()
                }
                None => false,
            },
            Contract::Optional(inner) | Contract::Default { contract: inner, .. } => {
                fits(self, inner)?
            }
            Contract::Nullable(inner) => value == Value::NULL || fits(self, inner)?,
            Contract::Enum(values) => self.contains(values, value)?,
            Contract::Or(contracts) => {
                for &inner in contracts.as_list().unwrap_or_default() {
                    if fits(self, inner)? {
                        return Ok(true);
                    }
                }
                false
            }
            Contract::Where { base, predicate, .. } => {
                fits(self, base)? && self.satisfies(predicate, value)?
            }
        })
    }

    fn contains(&mut self, values: Value, value: Value) -> Eval<bool> {
        for &one in values.as_list().unwrap_or_default() {
            if self.equal(one, value)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn satisfies(&mut self, predicate: Value, value: Value) -> Eval<bool> {
        let result = self.call(predicate, &[value])?;
        self.expect_bool(result)
    }

    /// The first alternative that fits decides. Where none does, a set is held against
    /// the only record, to say which attribute is wrong.
    fn check_one_of(
        &mut self,
        all: &[Contract],
        whole: Contract,
        blame: Value,
        value: Value,
    ) -> Eval<Value> {
        for &contract in all {
            if self.fits(contract, value)? {
                return self.check_for(contract, blame, value);
            }
        }
        let mut records = all.iter().filter(|one| matches!(one, Contract::Record { .. }));
        if let (Some(&record), None, Some(_)) = (records.next(), records.next(), value.as_attrs()) {
            return self.check_for(record, blame, value);
        }
        let expected = whole.description(self)?;
        let found = shown(value);
        let problem = ContractProblem::Mismatch { expected, found };
        Err(Blame::read(blame).error(self, problem))
    }

    /// The value of an enumeration that a wrong string is near to.
    fn near_choice(&self, contract: Contract, value: Value) -> Option<String> {
        let Contract::Enum(values) = contract else { return None };
        let text = |value: &Value| {
            let value = value.evaluated()?;
            value.as_bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        };
        let choices: Vec<String> = values.as_list()?.iter().filter_map(text).collect();
        let near = hb_lang::suggest::nearest(&text(&value)?, choices.iter().map(String::as_str));
        near.map(|near| format!("did you mean \"{near}\"?"))
    }

    fn check_items(&mut self, of: Value, blame: Value, list: Value) -> Value {
        let items = list.as_list().unwrap_or_default();
        if items.iter().all(|&item| self.is_kept(of, item)) {
            return list;
        }
        let checked = items
            .iter()
            .enumerate()
            .map(|(i, &item)| self.checked_part(of, Step::Element(i as u32), blame, item));
        let checked: Vec<Value> = checked.collect();
        self.list(&checked)
    }

    fn check_attributes(&mut self, of: Value, blame: Value, set: Value) -> Value {
        let Some(attrs) = set.as_attrs() else { unreachable!("callers checked the type") };
        let attrs = self.heap.flat(attrs);
        let checked = attrs.iter().map(|(name, pos, value)| {
            (name, pos, self.checked_part(of, Step::Attribute(name), blame, value))
        });
        let checked = checked.collect();
        self.attrs(checked)
    }

    fn check_record(&mut self, fields: Attrs, open: bool, blame: Value, set: Value) -> Eval<Value> {
        let Some(attrs) = set.as_attrs() else { unreachable!("callers checked the type") };
        let rules = self.rules(fields)?;
        let attrs = self.heap.flat(attrs);
        if let Some(problem) = self.wrong_attribute(&rules, open, attrs) {
            return Err(self.refuse_attribute(problem, &rules, blame, attrs));
        }
        let mut checked: Vec<_> = attrs.iter().collect();
        for (name, _, value) in &mut checked {
            if let Some(rule) = rules.iter().find(|rule| rule.name == *name) {
                *value = self.checked_part(rule.contract, Step::Attribute(*name), blame, *value);
            }
        }
        for rule in &rules {
            if let Absent::Add(default) = rule.absent
                && attrs.get(rule.name).is_none()
            {
                let blame = Step::Default.of(&mut self.heap, blame);
                let step = Step::Attribute(rule.name);
                let value = self.checked_part(rule.contract, step, blame, default);
                checked.push((rule.name, Pos::NONE, value));
            }
        }
        Ok(self.attrs(checked))
    }

    /// What a record says; its contracts are evaluated by this.
    fn rules(&mut self, fields: Attrs) -> Eval<Vec<Rule>> {
        let rules = fields.iter().map(|(name, _, contract)| {
            let (contract, absent) = match Contract::of(self, contract)? {
                Contract::Optional(contract) => (contract, Absent::Accept),
                Contract::Default { default, contract } => (contract, Absent::Add(default)),
                _ => (contract, Absent::Refuse),
            };
            Ok(Rule { name, contract, absent })
        });
        rules.collect()
    }

    /// The first attribute, by name, that is missing or not allowed.
    fn wrong_attribute(&self, rules: &[Rule], open: bool, attrs: Attrs) -> Option<ContractProblem> {
        let text = |name: Symbol| self.symbols.text(name).into_owned();
        let missing = rules
            .iter()
            .filter(|rule| matches!(rule.absent, Absent::Refuse) && attrs.get(rule.name).is_none())
            .map(|rule| text(rule.name));
        if let Some(name) = missing.min() {
            return Some(ContractProblem::Missing { name });
        }
        let unexpected = attrs
            .iter()
            .map(|attribute| attribute.0)
            .filter(|&name| !open && rules.iter().all(|rule| rule.name != name))
            .map(text);
        unexpected.min().map(|name| ContractProblem::Unexpected { name })
    }

    #[cold]
    fn refuse_attribute(
        &self,
        problem: ContractProblem,
        rules: &[Rule],
        blame: Value,
        attrs: Attrs,
    ) -> Error {
        let text = |name: Symbol| self.symbols.text(name).into_owned();
        let known: Vec<String> = rules.iter().map(|rule| text(rule.name)).collect();
        let others = attrs.iter().map(|attribute| attribute.0);
        let others: Vec<String> = others.map(text).filter(|name| !known.contains(name)).collect();
        let (given, help) = match &problem {
            ContractProblem::Missing { name } => {
                let near = nearest(name, others.iter().map(String::as_str));
                let help = near.map(|near| format!("'{near}' was given: did you mean '{name}'?"));
                (near, help)
            }
            ContractProblem::Unexpected { name } => {
                let near = nearest(name, known.iter().map(String::as_str));
                (Some(name.as_str()), near.map(|near| format!("did you mean '{near}'?")))
            }
            ContractProblem::Mismatch { .. } => (None, None),
        };
        let symbol = given.and_then(|name| self.symbols.find(name.as_bytes()));
        let place = symbol
            .and_then(|symbol| attrs.find(symbol))
            .and_then(|(_, pos)| self.sources.word_at(pos));
        Blame::read(blame)
            .error(self, problem)
            .with_label(place, "not in the contract")
            .with_help(help)
    }

    /// A part of a value, or what checks it when it is needed.
    fn checked_part(&mut self, contract: Value, step: Step, blame: Value, part: Value) -> Value {
        if self.is_kept(contract, part) {
            return part;
        }
        let blame = step.of(&mut self.heap, blame);
        self.heap.delayed_call(self.delayed_check, contract, &[blame, part])
    }

    /// Whether a value is known to keep a contract without evaluating anything.
    fn is_kept(&mut self, contract: Value, value: Value) -> bool {
        let (Some(contract), Some(value)) = (contract.evaluated(), value.evaluated()) else {
            return false;
        };
        contract.as_builtin().is_some()
            && Contract::of(self, contract).is_ok_and(|contract| contract.surely_holds(value))
    }

    /// `Op::CheckArgument`.
    pub(super) fn check_argument(&mut self, at: usize, contract: Value, blame: Value) {
        let value = self.stack[at];
        let is_default = value.as_thunk().is_some_and(Obj::is_unfilled);
        if !is_default {
            let step = Step::Argument(self.caller());
            self.stack[at] = self.checked_part(contract, step, blame, value);
        }
    }

    /// The instruction with a place that called the function that runs.
    fn caller(&self) -> u32 {
        let calls = self.frames.iter().rev().filter_map(|frame| {
            let is_native = frame.ip == self.program.exit;
            let next = if is_native { frame.base } else { frame.ip.address() };
            self.program.number_before(next)
        });
        calls.into_iter().find(|&call| self.program.place(call).is_some()).unwrap_or_default()
    }

    /// A function that checks what goes in and what comes out.
    fn guarded_function(&mut self, from: Value, to: Value, blame: Value, function: Value) -> Value {
        let result = Step::Result.of(&mut self.heap, blame);
        let guard = self.blank(self.guard);
        for (i, value) in [from, blame, function, to, result].into_iter().enumerate() {
            guard.capture(i, value);
        }
        Value::object(guard)
    }

    /// The function that a guarding one guards.
    pub(super) fn guarded(&self, closure: Obj) -> Option<Value> {
        (closure.kind() == Kind::Closure && closure.extra() == self.guard).then(|| closure.value(2))
    }
}
