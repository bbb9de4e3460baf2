//! What goes wrong when evaluating, as facts.
//!
//! A [`Fault`] is raised where it is found, by code that knows no source positions.
//! The machine attaches places and the trace when it unwinds (`machine::unwind`), and
//! `report` says it all to a person.

use hb_lang::Diagnostic;

use crate::halved_box::HalvedBox;
use crate::print::attribute_name;
use crate::source::{Place, SourceId};
use crate::value::Type;
use crate::world::WorldError;

/// Steps listed in a trace; of deep recursion the innermost ones matter.
const MAX_TRACE: usize = 200;

/// The result of evaluating something.
pub type Eval<T> = Result<T, Error>;

/// A fault with its places; one word, so that results stay small.
#[derive(Debug)]
pub struct Error(HalvedBox<EvalError>);

/// A fault, where it showed, where it came from, and how evaluation got there.
#[derive(Debug)]
pub struct EvalError {
    /// What happened.
    pub fault: Fault,
    /// Marked places; the first is where the fault showed.
    pub labels: Vec<PlaceLabel>,
    /// How evaluation got there, innermost first.
    pub trace: Vec<TraceFrame>,
    /// What to do next, if there is more to say than the fault does.
    pub help: Option<String>,
    /// Whether the innermost place is known already.
    pub(crate) placed: bool,
}

/// A place and what is to be said of it.
#[derive(Clone, Debug)]
pub struct PlaceLabel {
    /// The place.
    pub place: Place,
    /// What is there.
    pub text: String,
}

/// One step of how evaluation got to a fault.
#[derive(Clone, Debug)]
pub struct TraceFrame {
    /// Where the step was taken.
    pub place: Option<Place>,
    /// What was being done.
    pub text: String,
    /// How often in a row.
    pub times: usize,
}

/// One step of a cycle of definitions that need each other.
#[derive(Clone, Debug)]
pub struct CycleStep {
    /// The binding's name, if it has one.
    pub name: Option<String>,
    /// The definition.
    pub place: Option<Place>,
}

/// What happened: one variant for each cause.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what its fields are")]
pub enum Fault {
    #[error("expected {expected}, but found {}{}", found.described(), after_colon(literal))]
    Type { expected: &'static str, found: Type, literal: Option<String> },
    #[error("cannot {operation} {} and {}", left.described(), right.described())]
    Operands { operation: &'static str, left: Type, right: Type },
    #[error("attempt to call something which is not a function but {}", found.described())]
    NotAFunction { found: Type },
    #[error("cannot coerce {} to a string", found.described())]
    NoString { found: Type },
    #[error("{}", missing_attribute(name, path))]
    MissingAttribute { name: String, path: Option<String> },
    #[error("list index {index}{} is out of range", in_path(path))]
    MissingElement { index: usize, path: Option<String> },
    #[error("undefined variable '{name}'")]
    UndefinedVariable { name: String },
    #[error("dynamic attribute '{}' already defined", as_written(name))]
    DuplicateAttribute { name: String },
    #[error("{function} called without required argument '{}'", as_written(name))]
    MissingArgument { function: String, name: String },
    #[error("{function} called with unexpected argument '{}'", as_written(name))]
    UnexpectedArgument { function: String, name: String },
    #[error("assertion failed")]
    Assertion,
    #[error("{message}")]
    Throw { message: String },
    #[error("evaluation aborted with the following error message: '{message}'")]
    Abort { message: String },
    #[error("infinite recursion encountered")]
    InfiniteRecursion { cycle: Vec<CycleStep> },
    #[error("stack overflow: more than {limit} calls deep")]
    TooDeep { limit: usize },
    #[error("stack overflow: more than {limit} values deep in evaluation")]
    StackFull { limit: usize },
    #[error("out of memory: all values together take more than {limit} bytes")]
    HeapFull { limit: usize },
    #[error("a text of {length} bytes is too long: the most is {}", u32::MAX)]
    TextTooLong { length: usize },
    #[error("integer overflow in {operation}")]
    Overflow { operation: String },
    #[error("division by zero")]
    DivisionByZero,
    #[error("the string has a context and cannot be used as {purpose}")]
    ContextNotAllowed { purpose: &'static str },
    #[error("the text is not valid UTF-8")]
    NotUtf8,
    #[error("the text has a zero byte, which strings cannot hold: '{shown}'")]
    NullByte { shown: String },
    #[error("syntax error")]
    Syntax { source_id: SourceId, problems: Vec<Diagnostic> },
    #[error("the string '{text}' is not an absolute path")]
    RelativePath { text: String },
    #[error("file '{name}' was not found in the search path")]
    NotInSearchPath { name: String },
    #[error("all texts together exceed the limit of four gigabytes")]
    TextsTooLarge,
    #[error("{0}")]
    World(#[from] WorldError),
    #[error("invalid argument to '{builtin}': {reason}")]
    Argument { builtin: &'static str, reason: String },
    #[error("broken contract: {subject} {problem}")]
    BrokenContract { subject: String, problem: ContractProblem, argument: Option<String> },
    #[error("expected a contract, but found {}", found.described())]
    NotAContract { found: Type },
    #[error("'{path}' has another hash than it should: {found}, not {wanted}")]
    SourceHash { path: String, wanted: String, found: String },
    #[error("'{primitive}' takes no '{name}'")]
    UnknownKey { primitive: &'static str, name: String },
    #[error("'{primitive}' needs '{name}'")]
    MissingKey { primitive: &'static str, name: &'static str },
    #[error("'{key}' of '{primitive}' must be {expected}, but is {}", found.described())]
    KeyType { primitive: &'static str, key: String, expected: &'static str, found: Type },
    #[error("'{key}' of '{primitive}' is no good: {reason}")]
    KeyValue { primitive: &'static str, key: String, reason: String },
    #[error("'{builtin}' is not available: {reason}")]
    Refused { builtin: &'static str, reason: &'static str },
}

/// How a value breaks a contract.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what its fields are")]
pub enum ContractProblem {
    #[error("must be {expected}, but is {found}")]
    Mismatch { expected: String, found: String },
    #[error("must have an attribute '{name}'")]
    Missing { name: String },
    #[error("may have no attribute '{name}'")]
    Unexpected { name: String },
}

/// A value, if it can be shown, as the end of a message.
fn after_colon(literal: &Option<String>) -> String {
    literal.as_ref().map(|literal| format!(": {literal}")).unwrap_or_default()
}

/// A name as a program has it: in quotes where it needs them.
fn as_written(name: &str) -> String {
    let mut written = Vec::new();
    attribute_name(name.as_bytes(), &mut written);
    String::from_utf8_lossy(&written).into_owned()
}

/// As Nix says it: a path that was given as a text names attributes without quotes.
fn missing_attribute(name: &str, path: &Option<String>) -> String {
    match path {
        Some(_) => format!("attribute '{name}'{} not found", in_path(path)),
        None => format!("attribute '{}' missing", as_written(name)),
    }
}

/// The path that is selected by, where it is no selection of the language but one that a person
/// asked for.
fn in_path(path: &Option<String>) -> String {
    path.as_ref().map(|path| format!(" in selection path '{path}'")).unwrap_or_default()
}

impl Fault {
    /// The stable name of the cause.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Type { .. } => "eval.type",
            Self::Operands { .. } => "eval.operands",
            Self::NotAFunction { .. } => "eval.not-a-function",
            Self::NoString { .. } => "eval.no-string",
            Self::MissingAttribute { .. } | Self::MissingElement { .. } => "eval.missing-attribute",
            Self::UndefinedVariable { .. } => "eval.undefined-variable",
            Self::DuplicateAttribute { .. } => "eval.duplicate-attribute",
            Self::MissingArgument { .. } => "eval.missing-argument",
            Self::UnexpectedArgument { .. } => "eval.unexpected-argument",
            Self::Assertion => "eval.assertion",
            Self::Throw { .. } => "eval.throw",
            Self::Abort { .. } => "eval.abort",
            Self::InfiniteRecursion { .. } => "eval.infinite-recursion",
            Self::TooDeep { .. } => "eval.too-deep",
            Self::StackFull { .. } => "eval.stack-full",
            Self::HeapFull { .. } => "eval.heap-full",
            Self::TextTooLong { .. } => "eval.text-too-long",
            Self::Overflow { .. } => "eval.overflow",
            Self::DivisionByZero => "eval.division-by-zero",
            Self::ContextNotAllowed { .. } => "eval.context",
            Self::NotUtf8 => "eval.not-utf8",
            Self::NullByte { .. } => "eval.null-byte",
            Self::Syntax { .. } => "eval.syntax",
            Self::RelativePath { .. } => "eval.relative-path",
            Self::NotInSearchPath { .. } => "eval.search-path",
            Self::TextsTooLarge => "eval.texts-too-large",
            Self::World(WorldError::Missing { .. }) => "eval.missing-file",
            Self::World(WorldError::Impure { .. }) => "eval.impure",
            Self::World(WorldError::Unbuilt { .. }) => "eval.unbuilt",
            Self::World(WorldError::System { .. }) => "eval.system",
            Self::World(WorldError::Store { .. }) => "eval.store",
            Self::Argument { .. } => "eval.argument",
            Self::BrokenContract { .. } => "eval.contract",
            Self::NotAContract { .. } => "eval.not-a-contract",
            Self::SourceHash { .. } => "eval.source-hash",
            Self::UnknownKey { .. } => "eval.unknown-key",
            Self::MissingKey { .. } => "eval.missing-key",
            Self::KeyType { .. } => "eval.key-type",
            Self::KeyValue { .. } => "eval.key-value",
            Self::Refused { .. } => "eval.refused",
        }
    }

    /// Whether `tryEval` turns this into `success = false`.
    pub fn is_catchable(&self) -> bool {
        matches!(self, Self::Throw { .. } | Self::Assertion | Self::NotInSearchPath { .. })
    }
}

impl Error {
    /// What happened, and all that is known around it.
    pub fn details(&self) -> &EvalError {
        &self.0
    }

    /// What happened.
    pub fn fault(&self) -> &Fault {
        &self.0.fault
    }

    /// With what to do next.
    pub(crate) fn with_help(mut self, help: Option<String>) -> Self {
        if help.is_some() {
            self.0.help = help;
        }
        self
    }

    /// The same of a selection that a person asked for by this path.
    pub(crate) fn in_selection(mut self, whole: &str) -> Self {
        match &mut self.0.fault {
            Fault::MissingAttribute { path, .. } | Fault::MissingElement { path, .. } => {
                *path = Some(whole.to_owned());
                self
            }
            _ => self.in_context(format!("while selecting '{whole}'")),
        }
    }

    /// Add a step to the trace, unless it has too many.
    pub(crate) fn add_step(&mut self, place: Option<Place>, text: String) {
        let has_room = self.0.trace.len() < MAX_TRACE;
        match self.0.trace.last_mut() {
            // What only asks for the same value again adds nothing.
            Some(last) if last.text == text && place.is_none() => {}
            // One step of a recursion is like the others.
            Some(last) if last.text == text && last.place == place => last.times += 1,
            _ if has_room => self.0.trace.push(TraceFrame { place, text, times: 1 }),
            _ => {}
        }
    }

    /// With another step of the trace, without a place.
    pub fn in_context(mut self, text: String) -> Self {
        self.add_step(None, text);
        self
    }

    /// With the place where the fault shows, if code other than what runs is at fault.
    pub(crate) fn at(mut self, place: Option<Place>, text: impl Into<String>) -> Self {
        if let Some(place) = place {
            self.0.placed = true;
            self.0.labels.insert(0, PlaceLabel { place, text: text.into() });
        }
        self
    }

    /// With another marked place.
    pub(crate) fn with_label(mut self, place: Option<Place>, text: impl Into<String>) -> Self {
        if let Some(place) = place {
            self.0.labels.push(PlaceLabel { place, text: text.into() });
        }
        self
    }
}

impl From<Fault> for Error {
    #[cold]
    fn from(fault: Fault) -> Self {
        Self(HalvedBox::new(EvalError {
            fault,
            labels: Vec::new(),
            trace: Vec::new(),
            help: None,
            placed: false,
        }))
    }
}

impl From<WorldError> for Error {
    fn from(error: WorldError) -> Self {
        Fault::World(error).into()
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fault.fmt(f)
    }
}

impl std::error::Error for Error {}
