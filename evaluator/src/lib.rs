//! The evaluator: a program's tree to values, and values to derivations.
//!
//! [`Evaluator`] is the public entry and owns everything; there is no global state. It
//! reaches files, the store and the environment only through a [`World`]. It never
//! builds anything and never prints.
//!
//! Inside: `program` compiles a tree to instructions, `machine` runs them on a stack of
//! its own, `heap` holds the values, `builtins` is the table of builtins, `error` and
//! `report` say what went wrong.

mod archive;
pub mod builtins;
mod context;
mod contract;
mod difference;
mod documentation;
mod error;
mod evaluator;
mod halved_box;
mod heap;
mod interactive;
mod machine;
mod nix_world;
mod print;
mod program;
mod report;
mod source;
mod symbol;
mod value;
mod world;

pub use context::{ContextElement, ContextId, ContextParts, Contexts};
pub use difference::Difference;
pub use documentation::Documentation;
pub use error::{CycleStep, Error, Eval, EvalError, Fault, PlaceLabel, TraceFrame};
pub use evaluator::{Derivations, Evaluator, Held, Options};
pub use heap::{Attrs, MAX_HEAP};
pub use machine::{Coercion, Machine, Text};
pub use print::{Printing, float_text};
pub use report::{Report, Shown};
pub use source::{Place, Pos, Source, SourceId, Sources};
pub use symbol::{Symbol, Symbols};
pub use value::{Type, Value};
pub use world::{
    CodeKey, FileType, Filter, FilterStop, GitCommit, GitTree, GitView, ImportError, World,
    WorldError,
};
