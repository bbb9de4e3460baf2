//! The builders that hb carries out itself.
//!
//! Each is a function in [`run`]'s table under a versioned name; its parameters are the
//! derivation's `attrs`. They make exactly the path they are told, or nothing: what
//! a failed or cancelled one left is removed again. They block, and ask often whether
//! they are still wanted.

mod archive;
mod name;
mod patch;
mod root;
mod tree;
mod unpack;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use hb_model::{DeclaredHash, STORE_DIR};
use hb_sandbox::Runner;
use rustix::fs::{Mode, OFlags, ResolveFlags};
use serde::de::DeserializeOwned;

use crate::fetch::{self, FetchError, FetchSettings};

pub use archive::ArchiveError;
pub use patch::{Mismatch, ParseError, PatchError};
pub use root::RootError;
pub use tree::TreeError;
pub use unpack::UnpackError;

/// One run of a builder of hb's own.
pub struct Job<'a> {
    /// The whole name, such as `builtin:unpack-1`.
    pub builder: &'a str,
    /// The derivation's `attrs`: JSON text.
    pub attrs: &'a str,
    /// Where an input physically lies, by its store path.
    pub input: &'a dyn Fn(&str) -> Option<PathBuf>,
    /// What to create. It does not exist; its parent does.
    pub out: &'a Path,
    /// What the output's bytes must be, where that was declared.
    pub declared: Option<&'a DeclaredHash>,
    /// How to fetch.
    pub fetch: &'a FetchSettings,
    /// Runs the clients that fetch; without it those origins fail.
    pub sandbox: Option<&'a Runner>,
    /// Who follows the run.
    pub watch: Watch<'a>,
}

/// Whoever follows a run: may end it, and hears how far it got.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Whether the run is no longer wanted.
    pub cancelled: &'a (dyn Fn() -> bool + Sync),
    /// Hears what happens.
    pub report: &'a (dyn Fn(Report) + Sync),
}

/// What a builder tells while it runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// Text for the log; need not end with a line.
    Log(Vec<u8>),
    /// A download got further.
    Progress {
        /// The bytes that are here.
        received: u64,
        /// The bytes in all, where known.
        total: Option<u64>,
    },
}

/// Why a builder of hb's own failed.
#[derive(Debug, thiserror::Error)]
pub enum BuiltinError {
    /// No such builder in this version of hb.
    #[error("there is no builder '{builder}'")]
    Unknown {
        /// What was asked for.
        builder: String,
    },
    /// The `attrs` are not what the builder takes.
    #[error("the attributes of {builder} are wrong")]
    Attributes {
        /// The builder.
        builder: String,
        /// What is wrong.
        #[source]
        error: serde_json::Error,
    },
    /// A path that no input holds.
    #[error("{path} is not there among the inputs")]
    Input {
        /// The path.
        path: String,
    },
    /// A fetch must declare what it brings.
    #[error("a fetch needs a declared hash of the file's bytes")]
    Undeclared,
    /// An input or the output could not be used.
    #[error("{} could not be used", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Not wanted any longer.
    #[error("stopped")]
    Cancelled,
    /// Unpacking failed.
    #[error("{archive} could not be unpacked")]
    Unpack {
        /// The archive's store path.
        archive: String,
        /// Why.
        #[source]
        error: UnpackError,
    },
    /// Patching failed.
    #[error(transparent)]
    Patch(#[from] PatchError),
    /// A root could not be composed.
    #[error(transparent)]
    Root(#[from] RootError),
    /// Fetching failed.
    #[error(transparent)]
    Fetch(#[from] FetchError),
}

/// Carry out the builder that the job names.
pub fn run(job: &Job) -> Result<(), BuiltinError> {
    let made = match job.builder {
        "builtin:fetch-1" => fetch::build(job),
        "builtin:unpack-1" => unpack::build(job),
        "builtin:patch-1" => patch::build(job),
        "builtin:root-1" => root::build(job),
        other => return Err(BuiltinError::Unknown { builder: other.to_owned() }),
    };
    made.map_err(|error| {
        // No partial output stays; that removing it failed would only hide the cause.
        let _ = match job.out.symlink_metadata() {
            Ok(found) if found.is_dir() => fs::remove_dir_all(job.out),
            _ => fs::remove_file(job.out),
        };
        // However deep the wish to stop was noticed.
        if (job.watch.cancelled)() { BuiltinError::Cancelled } else { error }
    })
}

impl Job<'_> {
    /// The parameters.
    pub(crate) fn attributes<T: DeserializeOwned>(&self) -> Result<T, BuiltinError> {
        serde_json::from_str(self.attrs)
            .map_err(|error| BuiltinError::Attributes { builder: self.builder.to_owned(), error })
    }

    /// Open an input, or something below it; no symbolic link leads out of it.
    pub(crate) fn open(&self, path: &str) -> Result<fs::File, BuiltinError> {
        let missing = || BuiltinError::Input { path: path.to_owned() };
        let base = path
            .strip_prefix(STORE_DIR)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(missing)?;
        let (object, below) = match base.split_once('/') {
            Some((object, below)) => (object, Some(below)),
            None => (base, None),
        };
        let physical = (self.input)(&format!("{STORE_DIR}/{object}")).ok_or_else(missing)?;
        let failed = |error: rustix::io::Errno| match error {
            rustix::io::Errno::NOENT => missing(),
            error => BuiltinError::Io { path: physical.clone(), error: error.into() },
        };
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let top = rustix::fs::open(&physical, flags | OFlags::NOFOLLOW, Mode::empty());
        let top = top.map_err(failed)?;
        let Some(below) = below else { return Ok(top.into()) };
        rustix::fs::openat2(top, below, flags, Mode::empty(), ResolveFlags::BENEATH)
            .map(fs::File::from)
            .map_err(failed)
    }
}
