//! What can go wrong, one variant per cause, with the facts of it.

use std::{
    collections::BTreeSet,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use hb_model::{
    Algorithm, DeclaredHash, DecodeError, NameError, NodeDigest, OutputName, StorePath,
};
use rustix::{
    fs::{Access, AtFlags, CWD},
    io::Errno,
};

use crate::tree::SpecialKind;

/// Why the store could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the user's quota is full.
    #[error("no space left to {action} '{}'", path.display())]
    Full {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// The file system can only be read.
    #[error("cannot {action} '{}' on a read-only file system", path.display())]
    ReadOnlyFileSystem {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// The system does not let this user do it.
    #[error("not permitted to {action} '{}'", path.display())]
    Denied {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
    },
    /// It belongs to another user: hb was run as one here.
    #[error(
        "not permitted to {action} '{}', which belongs to the user {owner}, not to {user}",
        path.display()
    )]
    OtherUser {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Whose it is, or the folder around it.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// Any other answer of the system.
    #[error("cannot {action} '{}'", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },

    /// A stream could not be imported.
    #[error("the import failed")]
    Archive(#[from] crate::archive::ArchiveError),

    /// An object cannot leave the store: what its path follows from is not recorded.
    #[error("the hash that was declared for '{path}' is not recorded: an earlier hb fetched it")]
    NoFacts {
        /// Which object.
        path: StorePath,
    },

    /// There is no store to read.
    #[error("there is no store at '{}'", root.display())]
    NoStore {
        /// Where one was expected.
        root: PathBuf,
    },
    /// A store to be read beside this one cannot be.
    #[error("the lower store '{}' cannot be used", root.display())]
    Lower {
        /// Where it is.
        root: PathBuf,
        /// Why.
        source: Box<StoreError>,
    },
    /// The database of a lower store is not complete without its log.
    #[error("a process works on the store database '{}', or was killed while it did", path.display())]
    UnfinishedLog {
        /// The database.
        path: PathBuf,
    },
    /// A store is named as its own lower store.
    #[error("the store '{}' is named as a lower store of itself", root.display())]
    BelowItself {
        /// Where it is.
        root: PathBuf,
    },
    /// What is needed lay in a lower store.
    #[error("'{path}' lay in a lower store, and none that is named now has it")]
    GoneBelow {
        /// What is needed.
        path: StorePath,
    },
    /// Equal files cannot be stored once.
    #[error("the file system of the store '{}' cannot clone files", root.display())]
    CannotShare {
        /// Where it is.
        root: PathBuf,
    },
    /// Something of a lower store cannot be changed.
    #[error("'{path}' lies in the lower store '{}', which is only read", root.display())]
    InLower {
        /// The object.
        path: StorePath,
        /// The lower store.
        root: PathBuf,
    },
    /// The store belongs to another user.
    #[error("the store '{}' belongs to the user {owner}, not to {user}", root.display())]
    WrongOwner {
        /// Where it is.
        root: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who asks.
        user: u32,
    },
    /// An earlier hb wrote it, and it was opened for reading only.
    #[error("the store database '{}' still has format {found}; this hb reads {known}", path.display())]
    OlderFormat {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The one that is understood here.
        known: u32,
    },
    /// A later hb wrote it.
    #[error("the store database '{}' has format {found}; this hb knows up to {known}", path.display())]
    NewerFormat {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest that is understood here.
        known: u32,
    },
    /// A database, but not one of hb's.
    #[error("'{}' is a database of another program", path.display())]
    ForeignDatabase {
        /// The file.
        path: PathBuf,
    },
    /// The database cannot be read as one.
    #[error("the store database '{}' is damaged: {detail}", path.display())]
    DamagedDatabase {
        /// The file.
        path: PathBuf,
        /// What gave it away.
        detail: String,
    },
    /// Another process kept the database locked for too long.
    #[error("the store database '{}' stayed locked by another process", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Any other answer of the database.
    #[error("the store database '{}' failed", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// Its answer.
        source: rusqlite::Error,
    },
    /// Writing was asked of a store opened for reading.
    #[error("the store '{}' is opened for reading only", root.display())]
    OpenedForReading {
        /// Where it is.
        root: PathBuf,
    },

    /// A path is not registered.
    #[error("'{path}' is not in the store")]
    NotInStore {
        /// Which.
        path: StorePath,
    },
    /// An object would refer to something that is not there.
    #[error("'{path}' refers to '{reference}', which is not in the store")]
    MissingReference {
        /// The object.
        path: StorePath,
        /// What it refers to.
        reference: StorePath,
    },
    /// The same path came out with other bytes than are registered.
    #[error("'{path}' is registered with the digest {registered}, and {got} was to be added")]
    TwoDigests {
        /// The path.
        path: StorePath,
        /// The digest in the store.
        registered: NodeDigest,
        /// The other one.
        got: NodeDigest,
    },

    /// What lies at a path is not what was registered.
    #[error("'{path}' is not what was put into the store")]
    Changed {
        /// The path.
        path: StorePath,
    },
    /// An object is no encoding of a derivation.
    #[error("'{path}' is not a derivation")]
    NotADerivation {
        /// The object.
        path: StorePath,
        /// What is wrong with it.
        source: DecodeError,
    },

    /// A socket, pipe or device, where only files, links and folders can be.
    #[error("'{}' is a {kind}, which a store object cannot hold", path.display())]
    SpecialFile {
        /// Where it lies.
        path: PathBuf,
        /// What it is.
        kind: SpecialKind,
    },
    /// A path within a tree exceeds what the system can open.
    #[error(
        "a path of {length} bytes below '{}' is too long: {limit} are allowed", root.display()
    )]
    PathTooLong {
        /// The tree.
        root: PathBuf,
        /// The path's length.
        length: usize,
        /// The limit.
        limit: usize,
    },
    /// More entries than a tree can have.
    #[error("'{}' has more than {limit} entries", root.display())]
    TooManyEntries {
        /// The tree.
        root: PathBuf,
        /// The limit.
        limit: usize,
    },
    /// The filter asked to stop.
    #[error("adding '{}' was stopped by its filter", root.display())]
    FilterStopped {
        /// The tree.
        root: PathBuf,
    },
    /// A derived name is too long.
    #[error(transparent)]
    Name(#[from] NameError),

    /// The build left nothing where an output should be.
    #[error("the build did not make its output '{output}'")]
    MissingOutput {
        /// Which output.
        output: OutputName,
        /// Where it was expected.
        at: PathBuf,
    },
    /// A file's name holds the hash part of an output, which changes when it is
    /// published; the name would be another then.
    #[error("the output '{output}' has its temporary hash in the file name '{}'", file.display())]
    HashInName {
        /// The output.
        output: OutputName,
        /// The file, within the output.
        file: PathBuf,
    },
    /// Outputs that refer to each other have no order to be hashed in.
    #[error("the outputs {} refer to each other", list(outputs))]
    OutputCycle {
        /// Which.
        outputs: BTreeSet<OutputName>,
    },
    /// A fixed output is not what was declared.
    #[error("'{path}' should have the hash {expected} but has {got}; it is kept in '{}'", kept.display())]
    HashMismatch {
        /// The path that it would have had.
        path: StorePath,
        /// What was declared.
        expected: DeclaredHash,
        /// What came.
        got: DeclaredHash,
        /// Where the bytes were put aside.
        kept: PathBuf,
    },
    /// A fixed output hashed as one file is something else.
    #[error("'{path}' is declared by the hash of a file, but is none")]
    NotAFile {
        /// The path that it would have had.
        path: StorePath,
    },
    /// Trees are declared in BLAKE3 only.
    #[error("'{path}' is declared by a {} hash of a tree; trees have blake3 hashes only", algorithm.as_str())]
    TreeAlgorithm {
        /// The path that it would have had.
        path: StorePath,
        /// What was declared.
        algorithm: Algorithm,
    },
    /// A fixed output must stand on its own.
    #[error("'{path}' has a declared hash but refers to {}", list(references))]
    FixedRefers {
        /// The path that it would have had.
        path: StorePath,
        /// What it refers to.
        references: BTreeSet<StorePath>,
    },

    /// Something other than a link into a store lies where a result link should go.
    #[error("'{}' is in the way of the result link", link.display())]
    LinkInTheWay {
        /// The link's path.
        link: PathBuf,
    },
}

fn list<T: ToString>(items: &BTreeSet<T>) -> String {
    items.iter().map(|item| format!("'{}'", item.to_string())).collect::<Vec<_>>().join(", ")
}

/// What this crate's functions return.
pub(crate) type Result<T> = std::result::Result<T, StoreError>;

/// Gives a bare answer of the system its place.
pub(crate) trait Context<T> {
    /// Say what was tried on which path.
    fn at(self, action: &'static str, path: impl AsRef<Path>) -> Result<T>;
}

impl<T, E: Into<io::Error>> Context<T> for std::result::Result<T, E> {
    fn at(self, action: &'static str, path: impl AsRef<Path>) -> Result<T> {
        self.map_err(|error| system(action, path.as_ref(), error.into()))
    }
}

fn system(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    let path = path.to_owned();
    match source.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOSPC | Errno::DQUOT) => StoreError::Full { action, path },
        Some(Errno::ROFS) => StoreError::ReadOnlyFileSystem { action, path },
        Some(Errno::ACCESS | Errno::PERM) => denied(action, path),
        _ => StoreError::Io { action, path, source },
    }
}

/// Gives a bare answer of the database its place.
pub(crate) fn database(path: &Path, error: rusqlite::Error) -> StoreError {
    use rusqlite::{Error, ErrorCode};
    let path = path.to_owned();
    // What no hb would have written there.
    if let Error::FromSqlConversionFailure(..)
    | Error::IntegralValueOutOfRange(..)
    | Error::InvalidColumnType(..) = error
    {
        return StoreError::DamagedDatabase { path, detail: error.to_string() };
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => StoreError::Full { action: "write", path },
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            refused(&path).unwrap_or(StoreError::Database { path, source: error })
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy { path },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::DamagedDatabase { path, detail: error.to_string() }
        }
        _ => StoreError::Database { path, source: error },
    }
}

/// The system does not permit it: since it is another user's, or for another reason.
fn denied(action: &'static str, path: PathBuf) -> StoreError {
    let user = rustix::process::geteuid().as_raw();
    // What cannot be looked at, or is not there, is as the folder around it.
    let owner = path.ancestors().find_map(|it| Some(it.symlink_metadata().ok()?.uid()));
    match owner {
        Some(owner) if owner != user && user != 0 => {
            StoreError::OtherUser { action, path, owner, user }
        }
        _ => StoreError::Denied { action, path },
    }
}

/// Why SQLite could not write: of its files and the folder around them, it does not say which
/// one the system refused, nor for which reason.
fn refused(database: &Path) -> Option<StoreError> {
    let beside = |end: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let files = [database.to_owned(), beside("-wal"), beside("-shm")];
    let folder = database.parent().map(Path::to_owned);
    files.into_iter().filter(|file| file.exists()).chain(folder).find_map(|path| {
        let access = Access::READ_OK | Access::WRITE_OK;
        match rustix::fs::accessat(CWD, &path, access, AtFlags::EACCESS) {
            Ok(()) => None,
            Err(error) => Some(system("write", &path, error.into())),
        }
    })
}
