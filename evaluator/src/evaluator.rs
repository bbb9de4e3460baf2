//! The public entry.

use std::path::Path;
use std::sync::Arc;

use hb_lang::suggest::nearest;
use hb_lang::{Diagnostic, Dialect, LiteralRules, Severity};
use hb_model::nix::StoreDir;
use hb_model::{Derivation, DerivationId};
use rustc_hash::FxHashMap;

use crate::builtins::XmlStyle;
use crate::difference::{Comparison, Difference};
use crate::documentation::{Documentation, Reader};
use crate::error::{Eval, Fault};
use crate::heap::MAX_HEAP;
use crate::machine::{Machine, Made, Text, type_fault};
use crate::print::{self, Printing};
use crate::source::{Pos, Sources};
use crate::symbol::well_known;
use crate::value::{Type, Value};
use crate::world::World;

/// What an evaluation may be told.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many calls may wait for each other.
    pub max_call_depth: usize,
    /// Collect memory at every safepoint: slow, and finds values that nothing holds.
    pub collect_always: bool,
    /// How many bytes all values may take at once: [`MAX_HEAP`] at most.
    pub max_heap: usize,
    /// Make Nix's own derivations and paths, of a store in this folder, instead of hb's.
    pub nix_paths: Option<StoreDir>,
    /// Let `warn` end the evaluation.
    pub abort_on_warn: bool,
    /// Let `traceVerbose` show its messages.
    pub trace_verbose: bool,
    /// Let `fromTOML` read dates and times.
    pub toml_timestamps: bool,
    /// Delay everything that Nix delays, also what is at hand: slower, and shows in nothing
    /// but how a value prints that is not wholly evaluated.
    pub delay_as_nix: bool,
    /// Literals that no text may have, or is warned of.
    pub literals: LiteralRules,
}

/// Nix's own limit: a recipe that works here works there.
const MAX_CALL_DEPTH: usize = 10_000;

impl Default for Options {
    fn default() -> Self {
        Self {
            max_call_depth: MAX_CALL_DEPTH,
            collect_always: false,
            max_heap: MAX_HEAP,
            nix_paths: None,
            abort_on_warn: false,
            trace_verbose: false,
            toml_timestamps: false,
            delay_as_nix: false,
            literals: LiteralRules::default(),
        }
    }
}

/// A value that the evaluator keeps for its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held(usize);

/// The derivations that an evaluation made.
#[derive(Clone, Default)]
pub struct Derivations {
    made: FxHashMap<DerivationId, Made>,
    sources: Sources,
}

impl Derivations {
    /// One of them.
    pub fn get(&self, id: &DerivationId) -> Option<&Arc<Derivation>> {
        self.made.get(id).map(|made| &made.derivation)
    }

    /// Forget all but some.
    pub fn retain(&mut self, keep: impl Fn(&DerivationId) -> bool) {
        self.made.retain(|id, _| keep(id));
    }

    /// Where one was made, as `file:line:column`.
    pub fn place(&self, id: &DerivationId) -> Option<String> {
        let (source, offset) = self.sources.locate(self.made.get(id)?.pos)?;
        let (line, column) = self.sources.line_column(source, offset);
        Some(format!("{}:{line}:{column}", self.sources.get(source).name))
    }
}

/// One evaluation: its texts, values, and derivations.
pub struct Evaluator {
    pub(crate) machine: Machine,
}

impl Evaluator {
    /// An evaluator that has seen nothing yet.
    pub fn new(world: Box<dyn World>, options: Options) -> Self {
        Self { machine: Machine::new(world, options) }
    }

    pub(crate) fn hold(&mut self, value: Value) -> Held {
        self.machine.held.push(value);
        Held(self.machine.held.len() - 1)
    }

    pub(crate) fn value(&self, held: Held) -> Value {
        self.machine.held[held.0]
    }

    pub(crate) fn replace(&mut self, held: Held, value: Value) {
        self.machine.held[held.0] = value;
    }

    /// Evaluate a file.
    pub fn eval_file(&mut self, path: &Path) -> Eval<Held> {
        let value = self.machine.import(path)?;
        let held = self.hold(value);
        self.force(held)?;
        Ok(held)
    }

    /// Evaluate a text whose relative paths start at a folder.
    pub fn eval_text(&mut self, text: &str, folder: &Path, dialect: Dialect) -> Eval<Held> {
        let name = "«string»".to_owned();
        let value = self.machine.load_text(name, false, text.into(), folder, dialect, None)?;
        let held = self.hold(value);
        self.force(held)?;
        Ok(held)
    }

    /// Evaluate a value to its outermost form.
    pub fn force(&mut self, held: Held) -> Eval<Type> {
        let value = self.machine.force_held(held.0)?;
        Ok(value.type_of().unwrap_or(Type::Lambda))
    }

    /// Evaluate a value and everything in it.
    pub fn force_deep(&mut self, held: Held) -> Eval<()> {
        self.machine.force_deep(self.value(held)).map(drop)
    }

    /// The value at an attribute path such as `a.b`; numbers select from lists.
    pub fn select(&mut self, held: Held, path: &[&str]) -> Eval<Held> {
        let value = self.select_bound(held, path)?.0;
        Ok(self.hold(value))
    }

    /// The value at an attribute path that a person gave: what goes wrong is told with the path.
    /// Functions of named arguments on the way are called with those that they name.
    pub fn select_calling(
        &mut self,
        mut held: Held,
        path: &[String],
        arguments: &[(&str, Held)],
    ) -> Eval<Held> {
        let whole = path.join(".");
        for part in path {
            held = self.call_with(held, arguments)?;
            let value = self.machine.force(self.value(held))?;
            let found = self.attribute(value, part);
            let found = found.map_err(|error| error.in_selection(&whole))?.0;
            let selected = self.machine.force(found).map_err(|error| match path {
                [_] => error,
                _ => error.in_context(format!("while selecting '{whole}'")),
            });
            held = self.hold(selected?);
        }
        Ok(held)
    }

    /// The value at an attribute path, and where the last attribute is bound.
    fn select_bound(&mut self, held: Held, path: &[&str]) -> Eval<(Value, Pos)> {
        let mut selected = (self.machine.force(self.value(held))?, Pos::NONE);
        for part in path {
            let (found, pos) = self.attribute(selected.0, part)?;
            selected = (self.machine.force(found)?, pos);
        }
        Ok(selected)
    }

    /// What one part of a path selects from an evaluated value, and where it is bound.
    fn attribute(&mut self, value: Value, part: &str) -> Eval<(Value, Pos)> {
        if let (Some(items), Ok(index)) = (value.as_list(), part.parse::<usize>()) {
            let item = items.get(index).map(|&item| (item, Pos::NONE));
            return item.ok_or_else(|| Fault::MissingElement { index, path: None }.into());
        }
        let Some(attrs) = value.as_attrs() else {
            return Err(type_fault("a set", value));
        };
        let name = self.machine.intern(part.as_bytes());
        attrs.find(name).ok_or_else(|| self.machine.selection_fault(value, name))
    }

    /// The documentation of the value at an attribute path, if it has any.
    pub fn documentation(&mut self, held: Held, path: &[&str]) -> Eval<Option<Documentation>> {
        let (value, pos) = self.select_bound(held, path)?;
        Ok(Reader::new(&mut self.machine).of(path.join("."), value, pos))
    }

    /// The documentation of everything in the set at an attribute path, and in the sets in
    /// it; nothing if the value is no set.
    pub fn library(&mut self, held: Held, path: &[&str]) -> Eval<Vec<Documentation>> {
        let held = self.select(held, path)?;
        let value = self.value(held);
        match value.as_attrs() {
            Some(_) => Reader::new(&mut self.machine).library(&path.join("."), value),
            None => Ok(Vec::new()),
        }
    }

    /// If the value is a function of named arguments, or a functor that is one, call it
    /// with those of the arguments that it names; or else leave it as it is.
    pub fn call_with(&mut self, held: Held, arguments: &[(&str, Held)]) -> Eval<Held> {
        let mut function = self.machine.force(self.value(held))?;
        if let Some(attrs) = function.as_attrs() {
            let Some(functor) = attrs.get(well_known::FUNCTOR) else { return Ok(held) };
            function = self.machine.call(functor, &[function])?;
            self.hold(function);
        }
        let Some(pattern) = self.machine.pattern_of(function) else { return Ok(held) };
        let mut given = Vec::new();
        for &(name, value) in arguments {
            let symbol = self.machine.intern(name.as_bytes());
            if pattern.ellipsis || pattern.fields.iter().any(|field| field.0 == symbol) {
                given.push((symbol, Pos::NONE, self.value(value)));
            }
        }
        for &(symbol, has_default) in &pattern.fields {
            if !has_default && given.iter().all(|attribute| attribute.0 != symbol) {
                let wanted = self.machine.symbols.text(symbol).into_owned();
                let near = nearest(&wanted, arguments.iter().map(|(name, _)| *name));
                let help = match near {
                    Some(near) => format!("'{near}' was given: did you mean '{wanted}'?"),
                    None => format!("give it with --arg {wanted} VALUE"),
                };
                let fault =
                    Fault::MissingArgument { function: "the function".into(), name: wanted };
                return Err(crate::Error::from(fault).with_help(Some(help)));
            }
        }
        let argument = self.machine.attrs(given);
        let result = self.machine.call(function, &[argument])?;
        Ok(self.hold(result))
    }

    /// A string value, to give to [`Evaluator::call_with`].
    pub fn string(&mut self, text: &str) -> Held {
        let value = self.machine.string(text);
        self.hold(value)
    }

    /// A set, to give to [`Evaluator::call_with`].
    pub fn attrs(&mut self, attributes: &[(&str, Held)]) -> Held {
        let attributes = attributes
            .iter()
            .map(|&(name, held)| {
                let value = self.value(held);
                (self.machine.intern(name.as_bytes()), Pos::NONE, value)
            })
            .collect();
        let value = self.machine.attrs(attributes);
        self.hold(value)
    }

    /// The names of a set's attributes in order, if the value is a set.
    pub fn attr_names(&mut self, held: Held) -> Eval<Option<Vec<String>>> {
        let value = self.machine.force(self.value(held))?;
        let Some(attrs) = value.as_attrs() else { return Ok(None) };
        let sorted = self.machine.sorted_attrs(attrs);
        let names = sorted.iter().map(|a| self.machine.symbols.text(a.0).into_owned()).collect();
        Ok(Some(names))
    }

    /// The elements, if the value is a list.
    pub fn items(&mut self, held: Held) -> Eval<Option<Vec<Held>>> {
        let value = self.machine.force(self.value(held))?;
        let Some(items) = value.as_list() else { return Ok(None) };
        Ok(Some(items.iter().map(|&item| self.hold(item)).collect()))
    }

    /// The text of a value that is a string.
    pub fn text(&mut self, held: Held) -> Eval<Vec<u8>> {
        let value = self.machine.expect_string(self.value(held))?;
        Ok(value.as_bytes().unwrap_or_default().to_vec())
    }

    /// The truth value of a value that is one.
    pub fn truth(&mut self, held: Held) -> Eval<bool> {
        self.machine.expect_bool(self.value(held))
    }

    /// The value as Nix prints it; what is not evaluated shows as `<CODE>` unless
    /// printing is strict.
    pub fn print(&mut self, held: Held, how: Printing) -> Eval<Vec<u8>> {
        let value = self.value(held);
        print::print(&mut self.machine, value, how)
    }

    /// The value as a string, as interpolation has it (`--raw`).
    pub fn raw(&mut self, held: Held) -> Eval<Vec<u8>> {
        let value = self.value(held);
        let text = self.machine.coerce_to_string(value, crate::Coercion::INTERPOLATION)?;
        Ok(text.as_bytes().unwrap_or_default().to_vec())
    }

    /// The value as JSON, all of it evaluated.
    pub fn json(&mut self, held: Held) -> Eval<Vec<u8>> {
        let value = self.value(held);
        let mut text = Text::default();
        crate::builtins::write_json(&mut self.machine, value, true, &mut text)?;
        Ok(text.bytes)
    }

    /// Every place where one value is not what another one is.
    pub fn differences(&mut self, expected: Held, found: Held) -> Eval<Vec<Difference>> {
        let (expected, found) = (self.value(expected), self.value(found));
        Comparison::of(&mut self.machine, expected, found)
    }

    /// The value as XML, if asked for with the places of attributes and functions; what is
    /// not evaluated shows as `unevaluated` unless printing is strict.
    pub fn xml(&mut self, held: Held, how: Printing, places: bool) -> Eval<Vec<u8>> {
        let style = XmlStyle { strict: how == Printing::Strict, places };
        let value = self.value(held);
        Ok(crate::builtins::write_xml(&mut self.machine, value, style)?.bytes)
    }

    /// The derivation that a value is, if it is one.
    pub fn derivation_of(&mut self, held: Held) -> Eval<Option<DerivationId>> {
        self.machine.derivation_of(self.value(held))
    }

    /// A copy of what is known of every derivation that was made so far.
    pub fn derivations(&self) -> Derivations {
        let made = self.machine.derivations.clone();
        Derivations { made, sources: self.machine.sources.clone() }
    }

    /// Every derivation, where nothing else is wanted any more.
    pub fn into_derivations(self) -> Derivations {
        let Machine { derivations: made, sources, .. } = self.machine;
        Derivations { made, sources }
    }

    /// Every problem of a text that can be found without evaluating it: in its syntax, in
    /// its names, and what lints have to say.
    pub fn check(&mut self, text: &str, dialect: Dialect) -> Vec<Diagnostic> {
        let mut problems = hb_lang::check(text, dialect);
        if problems.iter().all(|problem| problem.severity != Severity::Error) {
            problems.extend(self.errors(text, dialect));
        }
        problems
    }

    /// What keeps a text from being evaluated: errors in its syntax and names.
    pub fn errors(&mut self, text: &str, dialect: Dialect) -> Vec<Diagnostic> {
        let name = "«check»".to_owned();
        let folder = Path::new("/");
        match self.machine.load_text(name, false, text.into(), folder, dialect, None) {
            Err(error) => match error.fault() {
                Fault::Syntax { problems, .. } => problems.clone(),
                _ => Vec::new(),
            },
            Ok(_) => Vec::new(),
        }
    }

    /// The texts that errors point into.
    pub fn sources(&self) -> &Sources {
        &self.machine.sources
    }

    /// Forget the values that were held since `mark` (of [`Evaluator::mark`]).
    pub fn release(&mut self, mark: Held) {
        self.machine.held.truncate(mark.0);
    }

    /// A mark for [`Evaluator::release`]: a long session gives values back by it.
    pub fn mark(&self) -> Held {
        Held(self.machine.held.len())
    }
}
