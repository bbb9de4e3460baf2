//! The only way out of an evaluation.
//!
//! Whoever owns the evaluation implements [`World`]: where files are, what may be
//! read, and where sources go. Purity is its decision: it answers
//! [`WorldError::Impure`] for what a pure evaluation must not see.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hb_model::{Derivation, DerivationId, StoreName, StorePath};

use crate::context::ContextElement;

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// An ordinary file.
    Regular,
    /// A folder.
    Directory,
    /// A symbolic link, not followed.
    Symlink,
    /// A socket, device, or pipe.
    Unknown,
}

impl FileType {
    /// The name that `readDir` and filters see.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Directory => "directory",
            Self::Symlink => "symlink",
            Self::Unknown => "unknown",
        }
    }
}

/// Why the world refused.
#[derive(Clone, Debug, thiserror::Error)]
pub enum WorldError {
    /// There is nothing at the path.
    #[error("'{}' does not exist", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A pure evaluation must not see it.
    #[error("access to {what} is not allowed in pure evaluation: {reason}")]
    Impure {
        /// What was asked for.
        what: String,
        /// Why it is not given.
        reason: String,
    },
    /// The path is an output that is not built: evaluation never waits for a build.
    #[error("'{path}' is the output of a derivation, which exists only once it is built")]
    Unbuilt {
        /// The placeholder.
        path: String,
    },
    /// The system refused.
    #[error("cannot {action} '{}': {cause}", path.display())]
    System {
        /// What was tried, as a verb.
        action: &'static str,
        /// The path.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// The store refused.
    #[error("cannot add '{name}' to the store: {cause}")]
    Store {
        /// The object's name.
        name: String,
        /// The store's words.
        cause: String,
    },
}

/// Which entries of an imported folder to keep: the absolute path and its type.
pub type Filter<'a> = &'a mut dyn FnMut(&Path, FileType) -> Result<bool, FilterStop>;

/// The filter failed; the evaluator holds the reason, so the world just stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterStop;

/// Why importing a path ended early.
#[derive(Debug)]
pub enum ImportError {
    /// The filter failed.
    Filter(FilterStop),
    /// The world refused.
    World(WorldError),
}

impl From<WorldError> for ImportError {
    fn from(error: WorldError) -> Self {
        Self::World(error)
    }
}

impl From<FilterStop> for ImportError {
    fn from(stop: FilterStop) -> Self {
        Self::Filter(stop)
    }
}

/// What a compiled text is kept under: a hash of all that it follows from, the program that
/// compiled it included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CodeKey(pub(crate) [u8; 32]);

impl CodeKey {
    /// The key as bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// What to see of a repository's working tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GitView {
    /// Also what is in the repositories inside of it.
    pub submodules: bool,
    /// Not what has the attribute `export-ignore`.
    pub export_ignore: bool,
    /// How many commits led to a clean one, which means to walk them all.
    pub count: bool,
}

/// What git says of a working tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitTree {
    /// The files that it follows and that are there, and the folders above them, all below the
    /// repository's folder.
    pub paths: BTreeSet<PathBuf>,
    /// The commit that was checked out, if there is one.
    pub commit: Option<GitCommit>,
    /// Whether something that it follows differs from that commit.
    pub is_dirty: bool,
}

/// A commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitCommit {
    /// Its hash: 40 digits, or 64.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub time: i64,
    /// The same as `YYYYMMDDhhmmss`, UTC.
    pub date: String,
    /// How many commits led to it, itself included; zero where they are not counted.
    pub count: i64,
}

/// Files, the store and the environment, as one evaluation may see them.
pub trait World {
    /// A file's bytes.
    fn read_file(&mut self, path: &Path) -> Result<Vec<u8>, WorldError>;

    /// A folder's entries, in any order.
    fn read_dir(&mut self, path: &Path) -> Result<Vec<(Vec<u8>, FileType)>, WorldError>;

    /// What a path is, without following it; `None` if there is nothing.
    fn file_type(&mut self, path: &Path) -> Result<Option<FileType>, WorldError>;

    /// Whether a file may be run by who owns it.
    fn is_executable(&mut self, path: &Path) -> Result<bool, WorldError>;

    /// What a symbolic link says.
    fn read_link(&mut self, path: &Path) -> Result<PathBuf, WorldError>;

    /// The path with every symbolic link in it followed.
    fn resolve(&mut self, path: &Path) -> Result<PathBuf, WorldError>;

    /// Put a path into the store under a name, without what `filter` refuses.
    fn add_path(
        &mut self,
        path: &Path,
        name: &StoreName,
        filter: Option<Filter<'_>>,
    ) -> Result<StorePath, ImportError>;

    /// Put a path into the store that is chosen by `builtins.path`. The same, where what an
    /// object refers to follows from its content.
    fn add_chosen(
        &mut self,
        path: &Path,
        name: &StoreName,
        filter: Option<Filter<'_>>,
    ) -> Result<StorePath, ImportError> {
        self.add_path(path, name, filter)
    }

    /// Put a file into the store by the hash of its bytes alone. The same, where one rule
    /// is for all objects.
    fn add_flat(&mut self, path: &Path, name: &StoreName) -> Result<StorePath, ImportError> {
        self.add_path(path, name, None)
    }

    /// Put a text into the store (`toFile`).
    fn add_text(
        &mut self,
        name: &StoreName,
        text: &[u8],
        references: &[ContextElement],
    ) -> Result<StorePath, WorldError>;

    /// Put derivations into the store, each after those that it needs: something names the
    /// object of one and is not built with its outputs. Needed only where things are built.
    fn add_derivations(
        &mut self,
        _derivations: &[(&DerivationId, &Derivation)],
    ) -> Result<(), WorldError> {
        Ok(())
    }

    /// Whether compiled forms are kept: only then is one asked for, or given to be kept.
    fn keeps_code(&self) -> bool {
        false
    }

    /// The compiled form of a text, as it was once given to [`World::keep_code`]. What is
    /// damaged is noticed.
    fn code(&mut self, _key: &CodeKey) -> Option<Arc<[u8]>> {
        None
    }

    /// Keep a text's compiled form for later evaluations.
    fn keep_code(&mut self, _key: &CodeKey, _code: &Arc<[u8]>) {}

    /// The folder that store paths are below, as text.
    fn store_dir(&self) -> &str {
        hb_model::STORE_DIR
    }

    /// An environment variable; empty where there is none, as Nix has it.
    fn env(&mut self, name: &str) -> Result<Vec<u8>, WorldError>;

    /// Seconds since 1970.
    fn current_time(&mut self) -> Result<i64, WorldError>;

    /// The platform that evaluates, such as `x86_64-linux`.
    fn current_system(&mut self) -> Result<String, WorldError>;

    /// What git says of the working tree of the repository in a folder.
    fn git_tree(&mut self, folder: &Path, _view: GitView) -> Result<GitTree, WorldError> {
        Err(WorldError::Impure {
            what: format!("what git says of '{}'", folder.display()),
            reason: "no repository can be asked here".into(),
        })
    }

    /// The folders behind `<…>`: prefix (perhaps empty) and path, in order.
    fn search_path(&mut self) -> Vec<(String, PathBuf)> {
        Vec::new()
    }

    /// A line of `trace` or `warn`.
    fn trace(&mut self, line: &str);
}
