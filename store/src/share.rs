//! Equal files, stored once: by clones, where the file system has them, or by hard links,
//! where the caller wants them.
//!
//! Clones are files of their own that share their blocks, so nobody sees them. Hard links are
//! one file under several names; how many shows, so they are only made where that is asked
//! for. A file is compared byte by byte with what takes its place, and of hard links the mode
//! as well. Sharing is a saving and nothing else: where it fails for any reason, a file
//! stays what it is.

use std::{
    collections::{HashMap, hash_map::Entry},
    fs::File,
    io,
    os::{
        fd::AsRawFd as _,
        unix::{
            ffi::OsStrExt as _,
            fs::{FileExt as _, MetadataExt as _},
        },
    },
    path::{Path, PathBuf},
};

use hb_model::{ContentDigest, StorePath};
use rusqlite::{OptionalExtension as _, Transaction, params};
use rustix::fs::{AtFlags, CWD};

use crate::{
    copy::{Contents, PIECE, create, finish_file},
    disk::Folder,
    error::Result,
    session::{HELD, Session},
    store::Store,
    tree::{Kind, Place, Tree},
};

/// What is smaller takes one block at most, and is not worth a row.
const LEAST: u64 = 4096;

/// So many bytes of a digest are enough to find a file that is then compared.
const KEY_LENGTH: usize = 16;

/// How equal files are stored once. The later saves more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharing {
    /// As files of their own that have their blocks in common.
    Clones = 1,
    /// As one file with several names.
    Links = 2,
}

/// By what a file is found that may be equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FileKey {
    digest: [u8; KEY_LENGTH],
    executable: bool,
}

/// A file of an object that others may be equal to.
#[derive(Debug)]
pub(crate) struct Sharable {
    pub(crate) key: FileKey,
    /// Its path below the object.
    pub(crate) place: PathBuf,
    pub(crate) size: u64,
}

/// What may take the place of a file.
#[derive(Debug)]
pub(crate) struct Replacement {
    /// Its name in the session's folder.
    pub(crate) new: String,
    /// Where the file lies.
    pub(crate) at: PathBuf,
    pub(crate) size: u64,
}

/// What an object's files have been looked through for.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) how: Option<Sharing>,
    /// One of each content.
    pub(crate) files: Vec<Sharable>,
}

/// Whether files can be cloned in a session's folder, found out by cloning one.
fn has_clones(session: &Session) -> bool {
    let (folder, name) = (&session.folder, session.fresh_name("clone"));
    let clone = || -> io::Result<()> {
        let from = folder.open_file(Path::new(HELD))?;
        let to = create(folder, name.as_bytes()).map_err(io::Error::other)?;
        Ok(rustix::fs::ioctl_ficlone(&to, &from)?)
    };
    let can = clone().is_ok();
    let _ = rustix::fs::unlinkat(&folder.fd, &name, AtFlags::empty());
    can
}

/// The files of a tree that are worth sharing.
pub(crate) fn sharable(tree: &Tree, contents: &Contents) -> impl Iterator<Item = Sharable> {
    tree.nodes.iter().zip(contents).enumerate().filter_map(|(index, (node, content))| {
        let content = content.as_ref().filter(|content| content.size >= LEAST)?;
        let Kind::File { executable, .. } = node.kind else { return None };
        let key = FileKey::new(&content.digest, executable);
        Some(Sharable { key, place: tree.path(index), size: content.size })
    })
}

impl FileKey {
    fn new(content: &ContentDigest, executable: bool) -> Self {
        let mut digest = [0; KEY_LENGTH];
        digest.copy_from_slice(&content.as_bytes()[..KEY_LENGTH]);
        Self { digest, executable }
    }
}

impl Store {
    /// How equal files are stored once here, if they can be.
    pub fn sharing(&self) -> Result<Option<Sharing>> {
        let writer = self.writer()?;
        Ok(*writer.sharing.get_or_init(|| match self.inner.hard_links {
            true => Some(Sharing::Links),
            false => has_clones(&writer.session).then_some(Sharing::Clones),
        }))
    }

    /// Let the files of a staged tree, which will not be written again, be shared with each
    /// other and with those of the store.
    pub(crate) fn share_staged(
        &self,
        tree: &Tree,
        contents: &Contents,
        place: &Place,
    ) -> Result<Shared> {
        let Some(how) = self.sharing()? else { return Ok(Shared::default()) };
        let files = sharable(tree, contents);
        let (shared, replacements) =
            self.find_equal(how, files, &place.around, |below| place.relative(below))?;
        let session = &self.writer()?.session;
        for Replacement { new, at, .. } in replacements {
            // If it cannot take its place, nothing has changed.
            let _ = rustix::fs::renameat(&session.folder.fd, &new, &place.around.fd, &at);
        }
        Ok(shared)
    }

    /// Make what may take the places of files that are equal to others, of the store or among
    /// themselves. They lie `at` their paths from the folder `around`.
    pub(crate) fn find_equal(
        &self,
        how: Sharing,
        files: impl Iterator<Item = Sharable>,
        around: &Folder,
        at: impl Fn(&Path) -> PathBuf,
    ) -> Result<(Shared, Vec<Replacement>)> {
        // By what is equal: the first one here, if it stays.
        let mut first: HashMap<FileKey, Option<PathBuf>> = HashMap::new();
        let mut shared = Shared { how: Some(how), files: Vec::new() };
        let mut replacements = Vec::new();
        for file in files {
            let at = at(&file.place);
            let equal = match first.get(&file.key) {
                Some(Some(first)) => around.open_file(first).ok(),
                _ => self.stored(how, &file.key)?,
            };
            let new = match equal {
                Some(equal) => self.replacement(how, &equal, around, &at, &file.key)?,
                None => None,
            };
            let (key, size) = (file.key, file.size);
            if let Entry::Vacant(vacant) = first.entry(key) {
                vacant.insert(new.is_none().then(|| at.clone()));
                shared.files.push(file);
            }
            replacements.extend(new.map(|new| Replacement { new, at, size }));
        }
        Ok((shared, replacements))
    }

    /// A stored file that may be equal.
    pub(crate) fn stored(&self, how: Sharing, key: &FileKey) -> Result<Option<File>> {
        let found: Option<(String, Vec<u8>)> = self.inner.database.read(|connection| {
            let sql = "
                SELECT name, place FROM files JOIN objects ON id = object
                WHERE files.digest = ?1 AND (executable = ?2 OR ?3) AND NOT borrowed
                ORDER BY executable <> ?2 LIMIT 1";
            let any_mode = how == Sharing::Clones;
            connection
                .prepare_cached(sql)?
                .query_row(params![key.digest, key.executable, any_mode], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })
                .optional()
        })?;
        let Some((object, place)) = found else { return Ok(None) };
        let place = Path::new(std::ffi::OsStr::from_bytes(&place));
        let file = if place.as_os_str().is_empty() {
            object.into()
        } else {
            Path::new(&object).join(place)
        };
        Ok(self.writer()?.objects.open_file(&file).ok())
    }

    /// Make what may take a file's place, if `equal` is equal to it and another file: its name
    /// in the session's folder.
    fn replacement(
        &self,
        how: Sharing,
        equal: &File,
        around: &Folder,
        relative: &Path,
        key: &FileKey,
    ) -> Result<Option<String>> {
        let session = &self.writer()?.session;
        let name = session.fresh_name("shared");
        let make = || -> io::Result<bool> {
            let file = around.open_file(relative)?;
            if !is_shareable(how, equal, &file)? {
                return Ok(false);
            }
            match how {
                Sharing::Links => {
                    // By the open file, so that it is the one that was compared.
                    let from = format!("/proc/self/fd/{}", equal.as_raw_fd());
                    let to = &session.folder.fd;
                    rustix::fs::linkat(CWD, from, to, &name, AtFlags::SYMLINK_FOLLOW)?;
                }
                Sharing::Clones => {
                    let new = create(&session.folder, name.as_bytes()).map_err(io::Error::other)?;
                    rustix::fs::ioctl_ficlone(&new, equal)?;
                    finish_file(&new, key.executable)?;
                }
            }
            Ok(true)
        };
        if make().unwrap_or(false) {
            return Ok(Some(name));
        }
        let _ = rustix::fs::unlinkat(&session.folder.fd, &name, AtFlags::empty());
        Ok(None)
    }

    /// Record what an object's files have been looked through for.
    pub(crate) fn record_shared(
        &self,
        transaction: &Transaction,
        path: &StorePath,
        shared: &Shared,
    ) -> Result<()> {
        let Some(how) = shared.how else { return Ok(()) };
        let record = || {
            let name = path.base_name();
            let sql = "UPDATE objects SET shared = ?2 WHERE name = ?1";
            transaction.prepare_cached(sql)?.execute(params![name, how as i64])?;
            let sql = "
                INSERT OR REPLACE INTO files (digest, executable, object, place)
                SELECT ?1, ?2, id, ?4 FROM objects WHERE name = ?3";
            let mut add = transaction.prepare_cached(sql)?;
            for Sharable { key, place, .. } in &shared.files {
                let place = place.as_os_str().as_bytes();
                add.execute(params![key.digest, key.executable, name, place])?;
            }
            Ok(())
        };
        record().map_err(|error| self.inner.database.error(error))
    }
}

/// Whether one of two files may take the other's place: another file with the same bytes, and
/// as a link with the same mode as well.
fn is_shareable(how: Sharing, equal: &File, file: &File) -> io::Result<bool> {
    let (theirs, ours) = (equal.metadata()?, file.metadata()?);
    let is_other = (theirs.dev(), theirs.ino()) != (ours.dev(), ours.ino());
    let has_mode = how == Sharing::Clones || theirs.mode() == ours.mode();
    let length = theirs.len();
    Ok(is_other && has_mode && length == ours.len() && is_equal(equal, file, length)?)
}

/// Whether two files of this length have the same bytes.
fn is_equal(a: &File, b: &File, length: u64) -> io::Result<bool> {
    // No more memory than is needed: there may be many small files.
    let piece = usize::try_from(length).map_or(PIECE, |length| length.clamp(1, PIECE));
    let (mut left, mut right) = (vec![0; piece], vec![0; piece]);
    let mut offset = 0;
    loop {
        let length = a.read_at(&mut left, offset)?;
        if length == 0 {
            return Ok(b.read_at(&mut right, offset)? == 0);
        }
        match b.read_exact_at(&mut right[..length], offset) {
            Ok(()) if left[..length] == right[..length] => offset += length as u64,
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}
