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
    _file: File,
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

impl BuildLock {
    fn attempt(path: PathBuf) -> Result<LockAttempt> {
        loop {
            let mut file = open_lock(&path)?;
            if !try_exclusive(&file, &path)? {
                let mut text = String::new();
                file.read_to_string(&mut text).at("read the lock", &path)?;
                return Ok(LockAttempt::Held { by: text.trim().parse().ok() });
            }
            // The last holder removed the file: the lock that counts is on a new one.
            if is_still_at(&file, &path).at("look at the lock", &path)? {
                let mut record = || {
                    file.set_len(0)?;
                    file.rewind()?;
                    writeln!(file, "{}", process::id())
                };
                record().at("write the lock", &path)?;
                return Ok(LockAttempt::Acquired(Self { path, _file: file }));
            }
        }
    }
}

impl Drop for BuildLock {
    fn drop(&mut self) {
        // Removed while held: whoever waits on this file finds that it is gone and
        // begins anew. A file that stays is only an empty lock.
        let _ = fs::remove_file(&self.path);
    }
}

impl Store {
    /// Try for the right to build a resolved derivation. Whoever gets it should look
    /// for the realisation once more: the last holder may have just made it.
    pub fn try_lock_build(&self, resolved: &ResolvedId) -> Result<LockAttempt> {
        self.writer()?;
        BuildLock::attempt(self.inner.layout.build_lock(resolved))
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
