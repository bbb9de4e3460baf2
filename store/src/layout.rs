//! Where everything lies below the store's root folder.

use std::{
    fs::{self, DirBuilder},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use hb_model::{ResolvedId, StorePath};

use crate::error::{Context as _, Result, StoreError};

/// The names below one root.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("db.sqlite")
    }

    /// The objects.
    pub(crate) fn objects(&self) -> PathBuf {
        self.root.join("store")
    }

    pub(crate) fn object(&self, path: &StorePath) -> PathBuf {
        self.root.join("store").join(path.base_name())
    }

    /// One folder per living process, for what is not published yet.
    pub(crate) fn staging(&self) -> PathBuf {
        self.root.join("staging")
    }

    pub(crate) fn named_roots(&self) -> PathBuf {
        self.root.join("roots/named")
    }

    pub(crate) fn result_roots(&self) -> PathBuf {
        self.root.join("roots/results")
    }

    /// The log of one build: two digits, then the rest, so that no folder gets long.
    pub(crate) fn log(&self, resolved: &ResolvedId) -> PathBuf {
        let digits = resolved.to_string();
        self.root.join("log").join(&digits[..2]).join(format!("{}.log", &digits[2..]))
    }

    /// What did not turn out as declared, or was kept after a failure.
    pub(crate) fn failed(&self) -> PathBuf {
        self.root.join("failed")
    }

    /// Space for when the disk is full.
    pub(crate) fn reserve(&self) -> PathBuf {
        self.root.join("reserve")
    }

    /// Held while a session begins or ends.
    pub(crate) fn sessions_lock(&self) -> PathBuf {
        self.root.join("locks/sessions")
    }

    /// Shared while a session names what it needs, exclusive while gc decides.
    pub(crate) fn gc_lock(&self) -> PathBuf {
        self.root.join("locks/gc")
    }

    pub(crate) fn build_lock(&self, resolved: &ResolvedId) -> PathBuf {
        self.root.join("locks/build").join(resolved.to_string())
    }

    /// Make all folders that are missing.
    pub(crate) fn create(&self) -> Result<()> {
        fs::create_dir_all(&self.root).at("create the folder", &self.root)?;
        let owner = fs::metadata(&self.root).at("look at", &self.root)?.uid();
        let user = rustix::process::geteuid().as_raw();
        if owner != user && user != 0 {
            return Err(StoreError::WrongOwner { root: self.root.clone(), owner, user });
        }
        for folder in
            ["store", "staging", "roots/named", "roots/results", "log", "failed", "locks/build"]
        {
            let path = self.root.join(folder);
            if !path.is_dir() {
                let mut builder = DirBuilder::new();
                builder.recursive(true).mode(0o755);
                builder.create(&path).at("create the folder", &path)?;
            }
        }
        Ok(())
    }
}
