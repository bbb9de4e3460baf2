//! A download on its way: bytes that collect under the hash that they should have.
//!
//! It lies in the cache as `partial/<algorithm>-<hexadecimal>`, locked by whoever
//! writes it, and stays there when a run ends early. Bytes with the wrong hash go to
//! `rejected/`, for someone to look at.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use hb_model::{Algorithm, DeclaredHash, Hasher};
use rustix::{fs::FlockOperation, io::Errno};

use super::{FetchError, Reason, Request};
use crate::builders::{Report, Watch};

/// How often a lock that another process holds is tried.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);
/// How many bytes pass between two reports.
const REPORT_INTERVAL: u64 = 256 * 1024;

/// What the bytes must be, and where others are kept aside.
struct Expected<'a> {
    hash: &'a DeclaredHash,
    rejected: PathBuf,
}

/// Collects the bytes of one file.
pub(super) struct Partial<'a> {
    path: PathBuf,
    file: File,
    expected: Option<Expected<'a>>,
    size: Option<u64>,
    hasher: Hasher,
    length: u64,
    /// What the origin says that there is in all.
    pub(super) total: Option<u64>,
    reported: u64,
    watch: Watch<'a>,
}

impl<'a> Partial<'a> {
    /// Take over what an earlier run left, once no other process writes it.
    pub(super) fn open(
        cache: &'a Path,
        request: &'a Request,
        watch: Watch<'a>,
    ) -> Result<Self, FetchError> {
        let hash = &request.hash;
        let folder = cache.join("partial");
        let path = folder.join(format!("{}-{}", hash.algorithm().as_str(), hash.to_hex()));
        fs::create_dir_all(&folder).map_err(|error| FetchError::Io { path: folder, error })?;
        let failed = |error| FetchError::Io { path: path.clone(), error };
        let file = lock(&path, watch).map_err(failed)?.ok_or(FetchError::Cancelled)?;
        let expected = Some(Expected { hash, rejected: cache.join("rejected") });
        Self::take_over(path.clone(), file, expected, request.size, watch).map_err(failed)
    }

    /// A file of which nothing is known beforehand; what it holds already counts.
    pub(super) fn unknown(path: &Path, watch: Watch<'a>) -> Result<Self, Reason> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options
            .open(path)
            .and_then(|file| Self::take_over(path.to_owned(), file, None, None, watch))
            .map_err(|error| Reason::Io { path: path.to_owned(), error })
    }

    fn take_over(
        path: PathBuf,
        file: File,
        expected: Option<Expected<'a>>,
        size: Option<u64>,
        watch: Watch<'a>,
    ) -> io::Result<Self> {
        let hasher = hasher(expected.as_ref());
        let (length, reported) = (0, 0);
        let mut partial =
            Self { path, file, expected, size, hasher, length, total: size, reported, watch };
        partial.take_in()?;
        Ok(partial)
    }

    /// Hash what is there already.
    fn take_in(&mut self) -> io::Result<()> {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match self.file.read(&mut buffer)? {
                0 => return Ok(()),
                length => {
                    self.hasher.update(&buffer[..length]);
                    self.length += length as u64;
                }
            }
        }
    }

    /// How many bytes there are.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether the run is no longer wanted.
    pub(super) fn cancelled(&self) -> bool {
        (self.watch.cancelled)()
    }

    /// Compare what the origin says that it has with the declared size.
    pub(super) fn expect(&mut self, total: Option<u64>) -> Result<(), Reason> {
        match (self.size, total) {
            (Some(declared), Some(got)) if declared != got => {
                Err(Reason::WrongSize { declared, got })
            }
            _ => {
                self.total = total.or(self.size);
                Ok(())
            }
        }
    }

    /// Add bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        if self.cancelled() {
            return Err(Reason::Cancelled);
        }
        self.file.write_all(bytes).map_err(|error| self.io(error))?;
        self.hasher.update(bytes);
        self.length += bytes.len() as u64;
        if let Some(declared) = self.size.filter(|declared| *declared < self.length) {
            let got = self.length;
            self.reset()?;
            return Err(Reason::WrongSize { declared, got });
        }
        if self.length - self.reported.min(self.length) >= REPORT_INTERVAL
            || Some(self.length) == self.total
        {
            self.reported = self.length;
            (self.watch.report)(Report::Progress { received: self.length, total: self.total });
        }
        Ok(())
    }

    /// Add everything that a reader gives.
    pub(super) fn write_all_of(
        &mut self,
        reader: &mut dyn Read,
        source: &Path,
    ) -> Result<(), Reason> {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => self.write(&buffer[..length])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Reason::File { path: source.to_owned(), error }),
            }
        }
    }

    /// Begin again.
    pub(super) fn reset(&mut self) -> Result<(), Reason> {
        self.file.set_len(0).and_then(|()| self.file.rewind()).map_err(|error| self.io(error))?;
        self.hasher = hasher(self.expected.as_ref());
        self.length = 0;
        self.reported = 0;
        Ok(())
    }

    /// Compare with the declared hash; what differs is kept aside.
    pub(super) fn check(&mut self) -> Result<(), Reason> {
        if let Some(declared) = self.size.filter(|declared| *declared != self.length) {
            return Err(Reason::WrongSize { declared, got: self.length });
        }
        if self.expected.is_none() {
            return Ok(());
        }
        let got = self.take_hash();
        let Some(expected) = &self.expected else { return Ok(()) };
        if got == *expected.hash {
            return Ok(());
        }
        let kept = expected.rejected.join(format!("{}-{}", got.algorithm().as_str(), got.to_hex()));
        // A copy: the file itself stays, with its lock.
        fs::create_dir_all(&expected.rejected)
            .and_then(|()| fs::copy(&self.path, &kept))
            .map_err(|error| Reason::Io { path: kept.clone(), error })?;
        let declared = expected.hash.clone();
        self.reset()?;
        Err(Reason::WrongHash { declared, got, kept })
    }

    /// The hash of the bytes; they cannot be asked for again.
    fn take_hash(&mut self) -> DeclaredHash {
        std::mem::replace(&mut self.hasher, hasher(self.expected.as_ref())).finish()
    }

    /// How many bytes there are, and their hash.
    pub(super) fn measure(mut self) -> (u64, DeclaredHash) {
        (self.length, self.take_hash())
    }

    /// Move the checked file to where it is wanted.
    pub(super) fn finish(self, out: &Path) -> Result<(), FetchError> {
        let moved = match fs::rename(&self.path, out) {
            Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
                fs::copy(&self.path, out).and_then(|_| fs::remove_file(&self.path))
            }
            moved => moved,
        };
        moved.map_err(|error| FetchError::Io { path: out.to_owned(), error })
    }

    fn io(&self, error: io::Error) -> Reason {
        Reason::Io { path: self.path.clone(), error }
    }
}

/// Hashes by the algorithm of what is expected.
fn hasher(expected: Option<&Expected>) -> Hasher {
    Hasher::new(expected.map_or(Algorithm::Sha256, |expected| expected.hash.algorithm()))
}

/// Open and lock a file, also when it is moved away meanwhile; `None` if cancelled.
fn lock(path: &Path, watch: Watch) -> io::Result<Option<File>> {
    loop {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                let there = path.metadata().is_ok_and(|found| {
                    file.metadata()
                        .is_ok_and(|own| (found.dev(), found.ino()) == (own.dev(), own.ino()))
                });
                if there {
                    return Ok(Some(file));
                }
            }
            Err(Errno::WOULDBLOCK) => {
                if (watch.cancelled)() {
                    return Ok(None);
                }
                thread::sleep(LOCK_INTERVAL);
            }
            Err(error) => return Err(error.into()),
        }
    }
}
