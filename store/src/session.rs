//! What one process has in the store while it lives: a folder for what it stages, and
//! the list of the objects that it needs (its temporary roots).
//!
//! The folder holds `lock`, under `flock` for as long as the process lives; `held`, one
//! object per line; and what is being staged. Whoever opens the store for writing
//! removes the folders whose lock is free: their processes are dead.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    process,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use hb_model::StorePath;

use crate::{
    disk::{Folder, remove_tree},
    error::{Context as _, Result},
    layout::Layout,
    lock::{lock_exclusive, open_lock, try_exclusive},
    optimise::mend_after,
};

/// The list of what a session needs, in its folder.
pub(crate) const HELD: &str = "held";

#[derive(Debug)]
pub(crate) struct Session {
    /// The session's own folder.
    pub(crate) folder: Folder,
    staging: Folder,
    name: String,
    counter: AtomicU64,
    held: Mutex<Held>,
    _lock: File,
}

#[derive(Debug)]
struct Held {
    file: File,
    place: PathBuf,
    gc_lock: File,
    gc_lock_place: PathBuf,
    known: HashSet<StorePath>,
}

impl Session {
    /// Begin a session, and clear away what dead ones left.
    pub(crate) fn start(layout: &Layout) -> Result<Self> {
        let staging = Folder::open(&layout.staging())?;
        let beginning = lock_exclusive(&layout.sessions_lock())?;
        let name = make_own_folder(&staging)?;
        let folder = staging.open_below(name.as_ref())?;
        let lock = open_lock(&folder.path.join("lock"))?;
        lock.lock().at("lock", &folder.path)?;
        let place = folder.path.join(HELD);
        let mut options = OpenOptions::new();
        let file =
            options.append(true).create_new(true).mode(0o644).open(&place).at("create", &place)?;
        let dead = take_over_dead(layout, &staging, &folder, &name)?;
        drop(beginning);
        for left in dead {
            remove_tree(&folder, left.as_bytes())?;
        }
        let gc_lock_place = layout.gc_lock();
        let gc_lock = open_lock(&gc_lock_place)?;
        let held = Held { file, place, gc_lock, gc_lock_place, known: HashSet::new() };
        Ok(Self {
            folder,
            staging,
            name,
            counter: AtomicU64::new(0),
            held: Mutex::new(held),
            _lock: lock,
        })
    }

    /// A name in the session's folder that nothing has yet.
    pub(crate) fn fresh_name(&self, what: &str) -> String {
        format!("{what}-{}", self.counter.fetch_add(1, Ordering::Relaxed))
    }

    /// The right to add to the list, while no gc decides.
    pub(crate) fn begin_naming(&self) -> Result<Naming<'_>> {
        // Threads share one handle, and so one lock.
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.gc_lock.lock_shared().at("lock", &held.gc_lock_place)?;
        Ok(Naming { held })
    }
}

/// A session's list, to be added to; gc waits until this is dropped.
#[derive(Debug)]
pub(crate) struct Naming<'a> {
    held: MutexGuard<'a, Held>,
}

impl Naming<'_> {
    /// Name objects that gc must leave, with all that they refer to.
    pub(crate) fn name(&mut self, paths: &[StorePath]) -> Result<()> {
        let held = &mut *self.held;
        let new: Vec<_> = paths.iter().filter(|path| !held.known.contains(*path)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let lines: String = new.iter().map(|path| path.base_name() + "\n").collect();
        held.file.write_all(lines.as_bytes()).at("write", &held.place)?;
        held.known.extend(new.into_iter().cloned());
        Ok(())
    }
}

impl Drop for Naming<'_> {
    fn drop(&mut self) {
        // Giving back a lock that is held does not fail.
        let _ = self.held.gc_lock.unlock();
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // What cannot be removed now is removed by whoever opens the store next.
        let _ = remove_tree(&self.staging, self.name.as_bytes());
    }
}

/// A folder named after this process. Its number may be in use where several containers
/// share a store, or several sessions live in one process.
fn make_own_folder(staging: &Folder) -> Result<String> {
    let mut attempt = 0u64;
    loop {
        let name = format!("{}.{attempt}", process::id());
        let path = staging.path.join(&name);
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(name),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
            Err(error) => return Err(error).at("create the folder", &path),
        }
    }
}

/// Move the folders of dead sessions into our own; their new names.
fn take_over_dead(
    layout: &Layout,
    staging: &Folder,
    own: &Folder,
    own_name: &str,
) -> Result<Vec<String>> {
    let mut taken = Vec::new();
    for entry in fs::read_dir(&staging.path).at("read the folder", &staging.path)? {
        let entry = entry.at("read the folder", &staging.path)?;
        if entry.file_name() == own_name || is_alive(&entry.path())? {
            continue;
        }
        if mend_after(&entry.path(), layout)? {
            // What says so goes now.
            own.sync_file_system()?;
        }
        let name = format!("dead-{}", taken.len());
        match fs::rename(entry.path(), own.path.join(&name)) {
            Ok(()) => taken.push(name),
            // It was just ending by itself.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).at("move", entry.path()),
        }
    }
    Ok(taken)
}

fn is_alive(session: &Path) -> Result<bool> {
    let place = session.join("lock");
    match File::open(&place) {
        Ok(file) => Ok(!try_exclusive(&file, &place)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(error).at("open the lock", place),
    }
}

/// The objects that living sessions need. Must be called under the gc lock.
pub(crate) fn held_by_sessions(layout: &Layout) -> Result<HashSet<StorePath>> {
    let staging = layout.staging();
    let mut paths = HashSet::new();
    for entry in fs::read_dir(&staging).at("read the folder", &staging)? {
        let entry = entry.at("read the folder", &staging)?;
        let place = entry.path().join(HELD);
        match fs::read_to_string(&place) {
            Ok(text) => {
                paths.extend(text.lines().filter_map(|line| StorePath::from_base_name(line).ok()));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).at("read", place),
        }
    }
    Ok(paths)
}
