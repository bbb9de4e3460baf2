//! Comparing the disk with the database, in both directions.

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    thread,
};

use hb_model::{NodeDigest, StorePath};
use rustc_hash::FxHashSet;
use rustix::fs::Stat;

use crate::{
    clock::STORE_MTIME,
    copy::{copy, digests},
    database::Database,
    error::{Result, StoreError},
    objects::{ObjectInfo, is_registered, own_names},
    scan::Scanner,
    store::Store,
    tree::{Kind, Node, Place, Reading, Tree},
};

/// More threads than this only wait for the disk.
const MAX_THREADS: usize = 8;

/// What to look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct VerifyOptions {
    /// Read all contents, and hash them again; else only what must be there is looked for.
    pub contents: bool,
}

/// How far verifying has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifyProgress {
    /// The objects looked at.
    pub objects: usize,
    /// All objects.
    pub total_objects: usize,
    /// The bytes of those looked at.
    pub bytes: u64,
    /// The bytes of all.
    pub total_bytes: u64,
}

/// Something that is not as it should be.
#[derive(Debug)]
pub enum Finding {
    /// Registered, but not on the disk.
    Missing {
        /// Which object.
        path: StorePath,
    },
    /// On the disk, but not registered.
    Stray {
        /// The name in the object folder.
        name: OsString,
    },
    /// Other bytes, names or executable bits than registered.
    Changed {
        /// Which object.
        path: StorePath,
        /// The digest registered.
        expected: NodeDigest,
        /// The digest of what lies there.
        got: NodeDigest,
    },
    /// An entry that somebody could write to, or that is set-uid.
    WrongMode {
        /// Which object.
        path: StorePath,
        /// The entry within it; empty for itself.
        entry: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// An entry with another time than the store's.
    WrongTime {
        /// Which object.
        path: StorePath,
        /// The entry within it; empty for itself.
        entry: PathBuf,
        /// Its modification time.
        time: i64,
    },
    /// An object that could not be read to the end.
    Unreadable {
        /// Which object.
        path: StorePath,
        /// Why.
        error: StoreError,
    },
    /// The path does not follow from what is registered.
    WrongPath {
        /// The object.
        path: StorePath,
        /// What its digest and references give.
        expected: StorePath,
    },
    /// The database is inconsistent in itself.
    Database {
        /// In SQLite's words.
        detail: String,
    },
}

impl Finding {
    /// Whether it is what a killed process may leave: no part of the store, in nobody's
    /// way, and removed by the next garbage collection.
    pub fn is_leftover(&self) -> bool {
        matches!(self, Self::Stray { .. })
    }
}

impl Store {
    /// Look for everything that is wrong. Objects that come and go meanwhile are no
    /// findings; but in a store opened for reading, one that another process is just
    /// publishing may be taken for a stray.
    pub fn verify(
        &self,
        options: VerifyOptions,
        progress: &(dyn Fn(VerifyProgress) + Sync),
    ) -> Result<Vec<Finding>> {
        let mut findings = self.verify_database()?;
        findings.extend(self.verify_strays()?);
        findings.extend(self.gone_below()?.into_iter().map(|path| Finding::Missing { path }));
        let paths = self.list()?;
        let next = AtomicUsize::new(0);
        let total_bytes = self.total_size()?;
        let (objects, bytes) = (AtomicUsize::new(0), AtomicU64::new(0));
        let found = Mutex::new(Vec::new());
        let work = || {
            while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
                let (own, size) = self.verify_object(path, options)?;
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.extend(own.into_iter().map(|finding| (path, finding)));
                drop(found);
                bytes.fetch_add(size, Ordering::Relaxed);
                // Whoever counts the last object sees the bytes of all others.
                let objects = objects.fetch_add(1, Ordering::AcqRel) + 1;
                progress(VerifyProgress {
                    objects,
                    total_objects: paths.len(),
                    bytes: bytes.load(Ordering::Relaxed),
                    total_bytes,
                });
            }
            Ok(())
        };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
        thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
            let own: Result<()> = work();
            others.into_iter().fold(own, |outcome, other| match other.join() {
                Ok(theirs) => outcome.and(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
        found.sort_by_key(|(path, _)| *path);
        findings.extend(found.into_iter().map(|(_, finding)| finding));
        Ok(findings)
    }

    fn verify_database(&self) -> Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for database in self.databases() {
            let details = check(database)?;
            findings.extend(details.into_iter().map(|detail| Finding::Database { detail }));
        }
        Ok(findings)
    }

    fn verify_strays(&self) -> Result<Vec<Finding>> {
        let known: FxHashSet<_> = own_names(&self.inner.database)?.into_iter().collect();
        let mut strays = self.strays(|name| known.contains(name))?;
        if !strays.is_empty() && self.writer().is_ok() {
            // Under the write lock nobody is between renaming and registering.
            strays = self.inner.database.write(|transaction| {
                let mut still = Vec::new();
                for name in strays {
                    if !is_registered(transaction, &name)? {
                        still.push(name);
                    }
                }
                Ok(still)
            })?;
        }
        Ok(strays.into_iter().map(|name| Finding::Stray { name }).collect())
    }

    /// The findings on one object, and its size.
    fn verify_object(
        &self,
        path: &StorePath,
        options: VerifyOptions,
    ) -> Result<(Vec<Finding>, u64)> {
        let Some(info) = self.info(path)? else { return Ok((Vec::new(), 0)) };
        let mut findings = Vec::new();
        findings.extend(self.verify_path(&info)?);
        if options.contents {
            if let Err(error) = self.verify_contents(&info, &mut findings) {
                findings.push(Finding::Unreadable { path: path.clone(), error });
            }
        } else if self.physical(path).symlink_metadata().is_err() {
            findings.push(Finding::Missing { path: path.clone() });
        }
        // What gc took meanwhile was not wrong.
        if !findings.is_empty() && !self.contains(path)? {
            findings.clear();
        }
        Ok((findings, info.size))
    }

    /// Whether the path follows from the rest, where that can be told without reading: not
    /// with a self-reference.
    fn verify_path(&self, info: &ObjectInfo) -> Result<Option<Finding>> {
        let name = info.path.name().clone();
        let expected = match &info.fixed {
            Some(fixed) => StorePath::of_fixed(name, fixed.method, &fixed.hash),
            None if info.self_reference => return Ok(None),
            None => StorePath::of_content(name, info.digest, &info.references, false),
        };
        // Earlier formats did not keep the hash that was declared.
        let may_be_fixed = || -> Result<bool> {
            Ok(info.references.is_empty() && !self.realisations_of(&info.path)?.is_empty())
        };
        if info.path == expected || info.fixed.is_none() && may_be_fixed()? {
            return Ok(None);
        }
        let path = info.path.clone();
        Ok(Some(Finding::WrongPath { path, expected }))
    }

    fn verify_contents(&self, info: &ObjectInfo, findings: &mut Vec<Finding>) -> Result<()> {
        let place = Place::of(&self.physical(&info.path))?;
        let (mut modes, mut times) = (Vec::new(), Vec::new());
        let mut index = 0;
        let mut visit = |node: &Node, stat: &Stat| {
            let mode = stat.st_mode & 0o7777;
            let is_right = match node.kind {
                Kind::File { executable, .. } => mode == if executable { 0o555 } else { 0o444 },
                Kind::Directory { .. } => mode == 0o555,
                Kind::Symlink { .. } => true,
            };
            if !is_right {
                modes.push((index, mode));
            }
            if (stat.st_mtime, stat.st_mtime_nsec) != (STORE_MTIME, 0) {
                times.push((index, stat.st_mtime));
            }
            index += 1;
        };
        let reading = Reading { filter: None, visit: &mut visit, ours: false };
        let Some(tree) = Tree::read(&place, reading)? else {
            findings.push(Finding::Missing { path: info.path.clone() });
            return Ok(());
        };
        findings.extend(modes.into_iter().map(|(index, mode)| {
            let (path, entry) = (info.path.clone(), tree.path(index));
            Finding::WrongMode { path, entry, mode }
        }));
        findings.extend(times.into_iter().map(|(index, time)| {
            let (path, entry) = (info.path.clone(), tree.path(index));
            Finding::WrongTime { path, entry, time }
        }));
        let contents = copy(&tree, &place, None, &Scanner::default())?;
        let got = tree.digest(&digests(&contents));
        if got != info.digest {
            let (path, expected) = (info.path.clone(), info.digest);
            findings.push(Finding::Changed { path, expected, got });
        }
        Ok(())
    }
}

/// What is wrong with a database in itself.
fn check(database: &Database) -> Result<Vec<String>> {
    database.read(|connection| {
        let mut check = connection.prepare("PRAGMA quick_check")?;
        let mut details: Vec<String> =
            check.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        details.retain(|detail| detail != "ok");
        let mut check = connection.prepare("PRAGMA foreign_key_check")?;
        let mut rows = check.query([])?;
        while let Some(row) = rows.next()? {
            let (from, to): (String, String) = (row.get(0)?, row.get(2)?);
            details.push(format!("a row of {from} names a row of {to} that is not there"));
        }
        Ok(details)
    })
}
