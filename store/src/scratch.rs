//! Folders for work in progress, on the file system of the store.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::{CWD, Mode, RenameFlags};

use crate::{
    disk::{Folder, remove_tree},
    error::{Context as _, Result},
    store::Store,
};

/// A folder that is removed when dropped, whatever lies in it then.
#[derive(Debug)]
pub struct ScratchDir {
    pub(crate) folder: Arc<Folder>,
    name: String,
    store: Store,
}

impl Store {
    /// A new empty folder for the work of this process. Dropped, or left behind by a
    /// process that was killed, it is removed.
    pub fn scratch_dir(&self) -> Result<ScratchDir> {
        let session = &self.writer()?.session;
        let name = session.fresh_name("work");
        rustix::fs::mkdirat(&session.folder.fd, &name, Mode::RWXU)
            .at("create the folder", session.folder.path.join(&name))?;
        let folder = Arc::new(session.folder.open_below(name.as_ref())?);
        Ok(ScratchDir { folder, name, store: self.clone() })
    }

    /// Move something aside into `failed/`, under a name that says what it is; returns
    /// where it lies now. `path` must be on the store's file system.
    pub(crate) fn keep_aside(&self, path: &Path, label: &str) -> Result<PathBuf> {
        let failed = self.inner.layout.failed();
        let mut attempt = 0u32;
        loop {
            let kept = match attempt {
                0 => failed.join(label),
                _ => failed.join(format!("{label}-{attempt}")),
            };
            let moved = rustix::fs::renameat_with(CWD, path, CWD, &kept, RenameFlags::NOREPLACE);
            match moved.map_err(io::Error::from) {
                Ok(()) => return Ok(kept),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
                Err(error) => return Err(error).at("move", path),
            }
        }
    }
}

impl ScratchDir {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.folder.path
    }

    /// Keep the folder for somebody to look into; returns where it lies now.
    pub fn keep(self, label: &str) -> Result<PathBuf> {
        self.store.keep_aside(self.path(), label)
    }

    /// Remove the folder now, and say if that fails.
    pub fn remove(self) -> Result<()> {
        let session = &self.store.writer()?.session;
        remove_tree(&session.folder, self.name.as_bytes())
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if let Ok(writer) = self.store.writer() {
            // What stays is removed when the session ends, or after it.
            let _ = remove_tree(&writer.session.folder, self.name.as_bytes());
        }
    }
}
