//! Locks between processes: files under `flock`, let go of by the system when their
//! holder dies, however it dies.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read as _, Seek as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process,
};

use hb_model::ResolvedId;

use crate::{
    error::{Context as _, Result},
    protocol::{Attempt, LockFile, attempt, release},
    store::Store,
};

/// Open a lock file, made if it is missing.
pub(crate) fn open_lock(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o644);
    options.open(path).at("open the lock", path)
}

/// Wait until no one else holds the lock.
pub(crate) fn lock_exclusive(path: &Path) -> Result<File> {
    let file = open_lock(path)?;
    file.lock().at("lock", path)?;
    Ok(file)
}

/// Take the lock if no one else holds it.
pub(crate) fn try_exclusive(file: &File, path: &Path) -> Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).at("lock", path),
    }
}

/// The right to build one resolved derivation; given back when dropped.
#[derive(Debug)]
pub struct BuildLock {
    path: PathBuf,
    /// There until it is dropped.
    file: Option<File>,
}

/// What came of trying for a build lock.
#[derive(Debug)]
pub enum LockAttempt {
    /// It is ours.
    Acquired(BuildLock),
    /// Another holds it; the process id if it has been written already.
    Held {
        /// Who builds.
        by: Option<u32>,
    },
}

impl Drop for BuildLock {
    fn drop(&mut self) {
        if let Some(file) = self.file.take() {
            release(file, &self.path);
        }
    }
}

impl LockFile for File {
    type Place = Path;

    fn open(place: &Path) -> Result<Self> {
        open_lock(place)
    }

    fn try_lock(&self, place: &Path) -> Result<bool> {
        try_exclusive(self, place)
    }

    fn is_at(&self, place: &Path) -> Result<bool> {
        is_still_at(self, place).at("look at the lock", place)
    }

    fn holder(&mut self, place: &Path) -> Result<Option<u32>> {
        let mut text = String::new();
        self.read_to_string(&mut text).at("read the lock", place)?;
        Ok(text.trim().parse().ok())
    }

    fn write_holder(&mut self, place: &Path) -> Result<()> {
        let mut record = || {
            self.set_len(0)?;
            self.rewind()?;
            writeln!(self, "{}", process::id())
        };
        record().at("write the lock", place)
    }

    fn remove(place: &Path) {
        let _ = fs::remove_file(place);
    }
}

impl Store {
    /// Try for the right to build a resolved derivation. Whoever gets it should look
    /// for the realisation once more: the last holder may have just made it.
    pub fn try_lock_build(&self, resolved: &ResolvedId) -> Result<LockAttempt> {
        self.writer()?;
        let path = self.inner.layout.build_lock(resolved);
        Ok(match attempt(&*path)? {
            Attempt::Acquired(file) => LockAttempt::Acquired(BuildLock { path, file: Some(file) }),
            Attempt::Held { by } => LockAttempt::Held { by },
        })
    }
}

fn is_still_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
