//! Under what conditions a round of an audit builds.

use std::time::SystemTime;

/// Something that a build should not depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Factor {
    /// When it is built; rounds are at least [`super::MIN_PAUSE`] apart.
    Time,
    /// The order in which the folders of the inputs list.
    InputListing,
    /// How many names each file of the inputs has.
    LinkCounts,
    /// The order in which folders that the build itself fills list: it follows from
    /// the file system that holds the build folder.
    BuildListing,
    /// How many processors there are.
    Processors,
    /// The path at which the outputs lie while they are built.
    ScratchHash,
    /// The user that the build believes to be.
    User,
    /// What else the machine does.
    Load,
    /// The numbers of the build's processes.
    ProcessIds,
}

/// What one round was like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    /// When it began.
    pub started: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// How many processors the build had.
    pub processors: usize,
    /// The user's number in the build.
    pub user: u32,
    /// The number of the build's first process, where it was not the usual one.
    pub first_process: Option<u32>,
    /// Which of the possible scratch paths were used.
    pub scratch_variant: u32,
    /// The hash parts of the outputs' scratch paths.
    pub scratch_hashes: Vec<String>,
    /// The factors that were not as in the first round.
    pub varied: Vec<Factor>,
    /// The factors that should have been varied and could not be.
    pub not_varied: Vec<NotVaried>,
}

impl Default for Conditions {
    /// Of a round that has not begun.
    fn default() -> Self {
        Self {
            started: SystemTime::UNIX_EPOCH,
            ended: SystemTime::UNIX_EPOCH,
            processors: 1,
            user: 0,
            first_process: None,
            scratch_variant: 0,
            scratch_hashes: Vec::new(),
            varied: Vec::new(),
            not_varied: Vec::new(),
        }
    }
}

/// A factor that could not be varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotVaried {
    /// Which.
    pub factor: Factor,
    /// Why.
    pub reason: Reason,
}

/// Why a factor could not be varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// hb carries the step out itself, without a sandbox.
    #[error("no sandbox is involved")]
    Builtin,
    /// The machine has one processor.
    #[error("this machine has one processor")]
    OneProcessor,
    /// The kernel has no way to number processes from elsewhere.
    #[error("this kernel cannot number processes from elsewhere")]
    NoNumbering,
    /// There is no input with a folder of two entries.
    #[error("no folder of the inputs has several entries")]
    NothingToList,
    /// No input has a file.
    #[error("the inputs have no files")]
    NothingToLink,
    /// Copies made in another order list as before.
    #[error("folders list by name on this file system, whatever the order of creation")]
    ListsByName,
    /// The inputs are larger than a copy may be.
    #[error("the inputs are larger than {} MiB", .limit / (1 << 20))]
    TooLarge {
        /// The most that is copied.
        limit: u64,
    },
    /// There is one place for build folders, or both are on the same kind of file system.
    #[error("there is no second kind of file system for the build folder")]
    OneFileSystem,
}
