//! Why a step or a whole build failed: facts for whoever says it.

use std::{io, path::PathBuf, sync::Arc, time::Duration};

use hb_model::{DerivationId, NameError, NodeDigest, OutputName, ResolvedId, StoreName, StorePath};
use hb_sandbox::{Excess, Isolation, RunError, RunnerError};
use hb_store::StoreError;

use crate::{
    Target,
    builders::BuiltinError,
    plan::{Forecasted, MissingSource},
};

/// A step that failed, with everything that helps to find out why.
#[derive(Debug)]
pub struct Failure {
    /// Which derivation.
    pub derivation: DerivationId,
    /// What it is called.
    pub name: StoreName,
    /// What it resolved to.
    pub resolved: ResolvedId,
    /// Why it failed.
    pub cause: FailureCause,
    /// How long it ran.
    pub duration: Duration,
    /// What it wrote, if a program ran.
    pub log: Option<LogEnd>,
    /// The build folder, if it was kept.
    pub kept: Option<PathBuf>,
}

/// The end of a log.
#[derive(Debug)]
pub struct LogEnd {
    /// Where the whole lies.
    pub path: PathBuf,
    /// The last lines, the oldest first.
    pub lines: Vec<String>,
    /// Why the file does not hold the whole, if it doesn't.
    pub error: Option<io::Error>,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum FailureCause {
    /// The builder ended with this status.
    #[error("the builder ended with status {status}")]
    Status {
        /// Not 0.
        status: u8,
    },
    /// The builder was ended by this signal.
    #[error("the builder was ended by signal {signal}")]
    Signal {
        /// Its number.
        signal: u8,
    },
    /// The builder ran longer than it may.
    #[error("the builder ran longer than {} seconds", .limit.as_secs())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The builder wrote nothing for longer than it may.
    #[error("the builder wrote nothing for {} seconds", .limit.as_secs())]
    Silent {
        /// The limit.
        limit: Duration,
    },
    /// The builder used more of something than it may.
    #[error("{}", exceeded(.excess))]
    Exceeded {
        /// What, and how much it may use.
        excess: Excess,
    },
    /// The sandbox was weaker than it has to be.
    #[error("this machine gives builds the isolation '{obtained}', and '{needed}' is needed")]
    Isolation {
        /// What this machine gave.
        obtained: Isolation,
        /// What the settings ask for.
        needed: Isolation,
    },
    /// The outputs are not what outputs can be, or what was declared.
    #[error("the outputs cannot be taken")]
    Output(#[source] StoreError),
    /// A dynamic program that would find nothing to load it.
    #[error(
        "the program '{}' in the output '{output}' needs {interpreter}, which is not in its closure, and there is no runtimeRoot",
        .file.display()
    )]
    Interpreter {
        /// The output that holds it.
        output: OutputName,
        /// The program, from the output's folder on.
        file: PathBuf,
        /// What it asks to be loaded by.
        interpreter: String,
    },
    /// This machine cannot run the builder.
    #[error("it is built on {system}, and this machine is {machine}")]
    ForeignSystem {
        /// Where the derivation runs.
        system: String,
        /// What this machine is.
        machine: String,
    },
    /// An output's name is not one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No sandbox can be run on this machine.
    #[error("no sandbox can be run here")]
    NoSandbox(#[source] Arc<RunnerError>),
    /// The sandbox failed, and not what ran in it.
    #[error("the sandbox failed")]
    Sandbox(#[from] RunError),
    /// A builder of hb's own failed.
    #[error(transparent)]
    Builtin(#[from] BuiltinError),
    /// The build folder could not be prepared or read.
    #[error("{} could not be used", .path.display())]
    Folder {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A builder of hb's own makes one output, `out`.
    #[error("a builder of hb's own makes one output, called 'out'")]
    BuiltinOutputs,
    /// A file for the build folder comes from a path that the inputs do not hold.
    #[error("the file '{file}' is to be a copy of {path}, which no input holds")]
    NotAnInput {
        /// The file in the build folder.
        file: String,
        /// Where it should come from.
        path: String,
    },
    /// Built again, it came out otherwise.
    #[error("built again, the output '{}' came out otherwise: {} instead of {}", .0.output, .0.rebuilt, .0.recorded)]
    Differs(Difference),
}

fn exceeded(excess: &Excess) -> String {
    match excess {
        Excess::Memory(limit) => format!("the builder used more than {limit} bytes of memory"),
        Excess::Processes(limit) => format!("the builder had more than {limit} processes at once"),
        Excess::Disk(limit) => format!("the builder filled {limit} bytes of disk"),
    }
}

/// An output that came out otherwise when it was built again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which output.
    pub output: OutputName,
    /// Where the recorded one lies.
    pub path: StorePath,
    /// Its digest.
    pub recorded: NodeDigest,
    /// The digest of what was built now.
    pub rebuilt: NodeDigest,
}

/// Why a build did not reach its targets.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Steps failed.
    #[error("{} of the steps failed", .failures.len())]
    Failed {
        /// Each that failed.
        failures: Vec<Arc<Failure>>,
        /// What could not be built because of them.
        blocked: Vec<StoreName>,
    },
    /// It was asked to stop.
    #[error("stopped")]
    Cancelled,
    /// Nothing may be fetched, and these are not in the store.
    #[error("{} fetched files are not in the store, and nothing may be fetched", .missing.len())]
    Offline {
        /// All of them.
        missing: Vec<Forecasted>,
    },
    /// Sources that nothing can bring.
    #[error("{} sources are not in the store", .missing.len())]
    MissingSources {
        /// All of them.
        missing: Vec<MissingSource>,
    },
    /// Built again, outputs came out otherwise; nothing else failed.
    #[error("built again, {} steps came out otherwise", .failures.len())]
    NotReproducible {
        /// Each, its cause being [`FailureCause::Differs`].
        failures: Vec<Arc<Failure>>,
    },
    /// The target is not there to be built again or audited.
    #[error("the derivation of the target {} is not in the graph", .0.derivation)]
    NoTarget(Target),
    /// A folder of an audit could not be used.
    #[error("{} could not be used", .path.display())]
    Folder {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}
