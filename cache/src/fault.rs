//! What can be wrong with a cache.

use std::{io, path::PathBuf};

use crate::entry::Entry;

/// Why a cache did not do what was asked of it. Each says all in one line.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The system refused something to a folder.
    #[error("'{}' cannot be used: {error}", .path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The server answered so.
    #[error("the server answered '{entry}' with status {status}")]
    Status {
        /// What was asked for.
        entry: String,
        /// The status.
        status: u16,
    },
    /// The server wants credentials, or others.
    #[error("the server refuses the credentials, or wants some (status {0})")]
    Denied(u16),
    /// No connection, or it broke, or nothing came for too long.
    #[error("the network failed: {0}")]
    Network(String),
    /// A certificate that leads to no authority that is known here.
    #[error(
        "no authority that is known here vouches for the server's certificate; the setting \
         `certificates` names others"
    )]
    UnknownAuthority,
    /// An answer that the protocol does not have.
    #[error("the server's answer makes no sense: {0}")]
    Protocol(String),
    /// More bytes than there can be.
    #[error("it has more than {limit} bytes")]
    TooLarge {
        /// The most that there can be.
        limit: usize,
    },
    /// Bytes that are no zstd frame, or not just one.
    #[error("it is damaged, or not compressed as entries are")]
    NoFrame,
    /// An entry is not what it should be.
    #[error("'{entry}' {fault}")]
    Entry {
        /// Its name.
        entry: String,
        /// What is wrong with it.
        fault: String,
    },
    /// An entry that others speak of is not there.
    #[error("'{entry}' is missing, although another entry speaks of it")]
    Missing {
        /// Its name.
        entry: String,
    },
    /// It can only be read.
    #[error("it can only be read")]
    ReadOnly,
    /// It has no list of what it holds.
    #[error("a plain server has no list of what it holds")]
    NoList,
    /// It is not up to hb what is removed there.
    #[error(
        "hb removes nothing there: only in folders and S3-compatible servers; a registry has \
         policies and a garbage collection of its own"
    )]
    NotCollected,
    /// Somebody else is there whose work excludes ours.
    #[error("{0}")]
    Busy(&'static str),
    /// Others may believe that we had gone.
    #[error("nothing was heard of it for too long; begin again")]
    Lapsed,
    /// It failed before, and is not asked again.
    #[error("it failed before, and is not asked again")]
    LeftOut,
    /// Not wanted any longer.
    #[error("stopped")]
    Cancelled,
}

impl Fault {
    /// The same, of this entry.
    pub(crate) fn of(self, entry: &Entry) -> Self {
        match self {
            Self::TooLarge { limit } => wrong(entry, format!("has more than {limit} bytes")),
            Self::NoFrame => wrong(entry, "is damaged, or not compressed as entries are"),
            other => other,
        }
    }
}

/// An entry is not what it should be.
pub(crate) fn wrong(entry: &Entry, fault: impl Into<String>) -> Fault {
    Fault::Entry { entry: entry.name(), fault: fault.into() }
}

/// A cache and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("the cache {cache}: {fault}")]
pub struct CacheError {
    /// Its address.
    pub cache: String,
    /// What is wrong.
    pub fault: Fault,
}

/// Why something did not come from a cache, or did not get into one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cache failed.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// No cache has it.
    #[error("no cache has '{0}'")]
    Nowhere(hb_model::StorePath),
    /// This store failed.
    #[error(transparent)]
    Store(#[from] hb_store::StoreError),
}
