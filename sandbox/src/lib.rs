//! Sandboxes as plain data, and two makers of them: hb itself and bubblewrap.
//!
//! A [`SandboxSpec`] says everything about a sandbox. [`Runner::run`] carries one
//! out: `stage` prepares folders, `view` lists the steps that build what it sees, the
//! `starter` forks its first process, which `direct` or `bubblewrap` turns into a
//! sandbox, and `run` watches it until every process in it is dead. [`diagnose`] tells
//! what a machine lacks.
//!
//! This crate knows no derivations and no store, prints nothing, and reads no
//! settings: the search path for `bwrap` is all it takes from its environment.

mod bubblewrap;
mod direct;
mod fetch;
mod group;
mod installation;
mod meter;
mod outcome;
mod probe;
mod process;
mod run;
mod seccomp;
mod spec;
mod stage;
mod starter;
mod view;

pub use bubblewrap::{Bubblewrap, LocateError, MIN_VERSION, Version};
pub use fetch::{ClientHost, fetch_client};
pub use outcome::{Ended, Excess, Exit, Isolation};
pub use probe::{Finding, Health, diagnose};
pub use run::{Backend, Maker, RunError, Runner, RunnerError};
pub use seccomp::FilterError;
pub use spec::*;
pub use stage::StageError;
pub use starter::Reentry;
