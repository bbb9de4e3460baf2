//! Exit codes: few, documented, stable. `docs/commands.md` lists them for users.

use std::process::ExitCode;

/// How a run of hb ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything asked for was done.
    Success = 0,
    /// A recipe has a syntax or evaluation error, or a check found problems.
    Evaluation = 1,
    /// The command line, a configuration file or a project file is wrong.
    Usage = 2,
    /// A builder failed.
    Build = 3,
    /// Something could not be fetched, or did not have its hash.
    Fetch = 4,
    /// The store cannot be used, or is damaged.
    Store = 5,
    /// The host lacks something; `hb doctor` says what.
    Host = 6,
    /// A rebuild gave other bytes.
    Differs = 7,
    /// The lock file does not match what was asked for.
    Lock = 8,
    /// Ctrl-C or SIGTERM.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
