//! Sandboxes as plain data, and bubblewrap to run them.
//!
//! A [`SandboxSpec`] says everything about a sandbox. [`Runner::run`] carries one
//! out: `stage` prepares folders, `bubblewrap` turns the specification into
//! arguments, `spawn` starts the program, `run` watches it until every process
//! in it is dead. [`diagnose`] tells what a machine lacks.
//!
//! This crate knows no derivations and no store, prints nothing, and reads no
//! settings: the search path for `bwrap` is all it takes from its environment.

mod bubblewrap;
mod fetch;
mod locate;
mod numbering;
mod outcome;
mod probe;
mod run;
mod seccomp;
mod spawn;
mod spec;
mod stage;
mod start;

pub use fetch::{ClientHost, fetch_client};
pub use locate::{Bubblewrap, LocateError, MIN_VERSION, Version};
pub use outcome::{Ended, Exit, Isolation};
pub use probe::{Finding, Health, diagnose};
pub use run::{RunError, Runner, RunnerError};
pub use seccomp::FilterError;
pub use spawn::SpawnError;
pub use spec::*;
pub use stage::StageError;
