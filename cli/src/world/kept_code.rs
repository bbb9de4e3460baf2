//! The compiled form of texts, kept from one run to the next in the user's cache folder.
//!
//! Each project has two files that only grow: `….code` has the compiled texts, one after
//! the other, and `….places`, the index, has for each the beginning of its key, where it
//! begins and how long it is: little, for each start reads all of it. Code is written before
//! the index tells of it, by one process at a time; whoever reads takes no lock. What is there
//! may still be damaged, be another key's, or be replaced meanwhile: the evaluator notices, and
//! compiles. Nothing that goes wrong here is an error.
//!
//! The size is bounded. A project's files that become too large are written anew, with what
//! the run used that made them so; too many projects lose those that were not used for the
//! longest time.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use hb_model::ContentDigest;
use rustc_hash::{FxBuildHasher, FxHashMap};

/// What may be kept.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// A project's code: some ten times a large library's, and no more than the index can tell.
    project: u32,
    /// The files of all projects.
    all: u64,
}

const LIMITS: Limits = Limits { project: 128 << 20, all: 512 << 20 };

/// The folder is tidied when a project has grown by this much.
const TIDY_BYTES: u64 = 1 << 20;

/// A project's index counts as used today where it was changed within this time.
const USED_LATELY: Duration = Duration::from_secs(24 * 60 * 60);

/// The ends of the files' names.
const CODE: &str = "code";
const INDEX: &str = "places";

/// An entry of the index: the beginning of a key, where its code begins, and how long that is.
const ENTRY: usize = 8 + 4 + 4;

/// What code is kept under: a hash.
type Key = [u8; 32];

/// As much of a key as tells it from others, but for chance.
fn beginning(key: &Key) -> u64 {
    u64::from_le_bytes(key.first_chunk().copied().unwrap_or_default())
}

/// Where code is.
#[derive(Clone, Copy, Debug)]
struct Extent {
    start: u32,
    length: u32,
}

/// What a project's files had when they were first asked.
struct Files {
    code: File,
    /// By the beginnings of the keys.
    index: FxHashMap<u64, Extent>,
}

/// The kept code of one project.
pub(super) struct KeptCode {
    folder: PathBuf,
    project: PathBuf,
    limits: Limits,
    /// Opened when there is a first text; none where there are none.
    files: Option<Option<Files>>,
    used: Vec<Key>,
    new: Vec<(Key, Arc<[u8]>)>,
}

impl KeptCode {
    /// What is kept in a folder of the texts of a project.
    pub(super) fn new(folder: PathBuf, project: &Path) -> Self {
        let project = project.to_owned();
        Self { folder, project, limits: LIMITS, files: None, used: Vec::new(), new: Vec::new() }
    }

    fn path(&self, end: &str) -> PathBuf {
        let name = ContentDigest::of(self.project.as_os_str().as_encoded_bytes());
        self.folder.join(name.to_string()).with_extension(end)
    }

    /// The code of a key.
    pub(super) fn get(&mut self, key: &Key) -> Option<Arc<[u8]>> {
        if self.files.is_none() {
            self.files = Some(self.open().ok());
        }
        let code = self.files.as_ref()?.as_ref()?.read(key)?;
        self.used.push(*key);
        Some(code.into())
    }

    /// Keep the code of a key.
    pub(super) fn keep(&mut self, key: &Key, code: &Arc<[u8]>) {
        self.new.push((*key, Arc::clone(code)));
    }

    fn open(&self) -> io::Result<Files> {
        let index = File::open(self.path(INDEX))?;
        let code = File::open(self.path(CODE))?;
        // Others look at this time to see what is used; a reader need not be able to say so.
        let now = SystemTime::now();
        let age = now.duration_since(index.metadata()?.modified()?).unwrap_or_default();
        if age > USED_LATELY {
            let _ = index.set_modified(now);
        }
        let length = code.metadata()?.len();
        let entries = fs::read(self.path(INDEX))?;
        let (entries, _) = entries.as_chunks::<ENTRY>();
        let known = entries.iter().map(parse);
        // Of a key that occurs twice, the last was written by who could not use the first.
        let mut index = FxHashMap::with_capacity_and_hasher(entries.len(), FxBuildHasher);
        index.extend(known.filter(|(_, extent)| extent.end() <= length));
        Ok(Files { code, index })
    }

    fn write(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        let path = self.path(CODE);
        let mut code = OpenOptions::new().read(true).append(true).create(true).open(&path)?;
        code.try_lock()?;
        // Somebody may have written the files anew in between.
        if fs::metadata(&path)?.ino() != code.metadata()?.ino() {
            return Ok(());
        }
        let start = code.metadata()?.len();
        let (bytes, entries) = laid_out(start, self.new.iter().map(|(key, code)| (key, &**code)));
        if start + bytes.len() as u64 > self.limits.project.into() {
            return self.write_anew();
        }
        code.write_all(&bytes)?;
        let mut index = OpenOptions::new().append(true).create(true).open(self.path(INDEX))?;
        let length = index.metadata()?.len();
        // Half an entry is what somebody left who was stopped.
        index.set_len(length - length % ENTRY as u64)?;
        index.write_all(&entries)?;
        // Listing the folder is not for every change of a line.
        let is_new = start == 0;
        let has_grown = start / TIDY_BYTES < (start + bytes.len() as u64) / TIDY_BYTES;
        if is_new || has_grown { tidy(&self.folder, self.limits.all) } else { Ok(()) }
    }

    /// Write both files anew, with what this run used, as far as there is room.
    fn write_anew(&self) -> io::Result<()> {
        let files = self.files.as_ref().and_then(Option::as_ref);
        let used = self.used.iter().filter_map(|key| Some((key, files?.read(key)?.into())));
        let new = self.new.iter().map(|(key, code)| (key, Arc::clone(code)));
        let mut room = u64::from(self.limits.project);
        let mut all: Vec<(_, Arc<[u8]>)> = new.chain(used).collect();
        all.retain(|(_, code)| {
            let fits = room.checked_sub(code.len() as u64);
            room = fits.unwrap_or(room);
            fits.is_some()
        });
        let (bytes, entries) = laid_out(0, all.iter().map(|(key, code)| (*key, &**code)));
        for (end, content) in [(CODE, bytes), (INDEX, entries)] {
            let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
            file.write_all(&content)?;
            file.persist(self.path(end))?;
        }
        Ok(())
    }
}

impl Drop for KeptCode {
    fn drop(&mut self) {
        if !self.new.is_empty() {
            // A folder that cannot be written to costs the next run its time, and no more.
            let _ = self.write();
        }
    }
}

impl Extent {
    fn end(self) -> u64 {
        u64::from(self.start) + u64::from(self.length)
    }
}

impl Files {
    fn read(&self, key: &Key) -> Option<Vec<u8>> {
        let extent = self.index.get(&beginning(key))?;
        let mut code = vec![0; extent.length as usize];
        self.code.read_exact_at(&mut code, extent.start.into()).ok()?;
        Some(code)
    }
}

fn parse(entry: &[u8; ENTRY]) -> (u64, Extent) {
    let number =
        |from: usize| u32::from_le_bytes(entry[from..].first_chunk().copied().unwrap_or_default());
    let key = u64::from_le_bytes(entry.first_chunk().copied().unwrap_or_default());
    (key, Extent { start: number(8), length: number(12) })
}

/// What to add to the two files, of which that of code has `start` bytes.
fn laid_out<'a>(start: u64, all: impl Iterator<Item = (&'a Key, &'a [u8])>) -> (Vec<u8>, Vec<u8>) {
    let (mut bytes, mut entries) = (Vec::new(), Vec::new());
    for (key, code) in all {
        let here = start + bytes.len() as u64;
        let (Ok(here), Ok(length)) = (u32::try_from(here), u32::try_from(code.len())) else {
            continue;
        };
        entries.extend_from_slice(&beginning(key).to_le_bytes());
        entries.extend_from_slice(&here.to_le_bytes());
        entries.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(code);
    }
    (bytes, entries)
}

/// Keep all projects together within bounds: those go first that were not used for the
/// longest time.
fn tidy(folder: &Path, mut room: u64) -> io::Result<()> {
    let mut projects = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| end == INDEX) {
            let index = fs::metadata(&path)?;
            let code = fs::metadata(path.with_extension(CODE)).map_or(0, |code| code.blocks());
            // Blocks are half a kilobyte, and even an empty file takes some memory.
            let size = (index.blocks() + code) * 512;
            projects.push((index.modified()?, path, size));
        }
    }
    projects.sort();
    for (_, path, size) in projects.iter().rev() {
        match room.checked_sub(*size) {
            Some(rest) => room = rest,
            None => {
                fs::remove_file(path)?;
                fs::remove_file(path.with_extension(CODE))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a run finds of some keys, and keeps of others.
    fn run(
        folder: &Path,
        limits: Limits,
        wanted: &[u8],
        new: &[(u8, &[u8])],
    ) -> Vec<Option<Vec<u8>>> {
        let mut kept = KeptCode::new(folder.to_owned(), Path::new("/p"));
        kept.limits = limits;
        let found = wanted.iter().map(|&key| Some(kept.get(&[key; 32])?.to_vec())).collect();
        for &(key, code) in new {
            kept.keep(&[key; 32], &code.into());
        }
        found
    }

    fn file(folder: &Path, end: &str) -> PathBuf {
        KeptCode::new(folder.to_owned(), Path::new("/p")).path(end)
    }

    #[test]
    fn what_was_kept_is_found_and_a_later_one_of_a_key_counts() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("compiled");
        assert_eq!(run(&folder, LIMITS, &[1], &[(1, b"one"), (2, b"two")]), [None]);
        assert_eq!(
            run(&folder, LIMITS, &[2], &[(3, b"three"), (1, b"ONE")]),
            [Some(b"two".to_vec())]
        );
        let all = run(&folder, LIMITS, &[1, 2, 3, 4], &[]);
        let [one, two, three] = [b"ONE".to_vec(), b"two".to_vec(), b"three".to_vec()];
        assert_eq!(all, [Some(one), Some(two), Some(three), None]);
    }

    #[test]
    fn half_an_entry_and_lost_code_are_passed_over() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        run(folder, LIMITS, &[], &[(1, b"one"), (2, b"two")]);
        let index = file(folder, INDEX);
        let whole = fs::read(&index).unwrap();
        fs::write(&index, &whole[..ENTRY + 7]).unwrap();
        let found = run(folder, LIMITS, &[1, 2], &[(3, b"three")]);
        assert_eq!(found, [Some(b"one".to_vec()), None]);
        assert_eq!(run(folder, LIMITS, &[3], &[]), [Some(b"three".to_vec())]);
        fs::write(file(folder, CODE), b"on").unwrap();
        assert_eq!(run(folder, LIMITS, &[1, 3], &[]), [None, None]);
    }

    #[test]
    fn a_project_that_grows_too_large_keeps_what_was_used_last() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let limits = Limits { project: 10, ..LIMITS };
        run(folder, limits, &[], &[(1, b"1111"), (2, b"2222")]);
        run(folder, limits, &[2], &[(3, b"3333")]);
        let found = run(folder, limits, &[1, 2, 3], &[]);
        assert_eq!(found, [None, Some(b"2222".to_vec()), Some(b"3333".to_vec())]);
        run(folder, limits, &[2], &[(4, b"more than there is room for"), (5, b"5555")]);
        assert_eq!(fs::metadata(file(folder, CODE)).unwrap().len(), 8);
    }

    #[test]
    fn the_project_that_was_not_used_for_the_longest_time_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let limits = Limits { all: 40 << 10, ..LIMITS };
        let keep = |project: &str| {
            let project = Path::new(project);
            let mut kept = KeptCode::new(folder.to_owned(), project);
            kept.limits = limits;
            kept.keep(&[1; 32], &vec![1; 10_000].into());
            kept.path(INDEX)
        };
        let old = keep("/old");
        let long_ago = SystemTime::now() - 100 * USED_LATELY;
        File::open(&old).unwrap().set_modified(long_ago).unwrap();
        let other = keep("/other");
        let new = keep("/new");
        assert_eq!([old.exists(), other.exists(), new.exists()], [false, true, true]);
        // Reading is using.
        File::open(&other).unwrap().set_modified(long_ago).unwrap();
        KeptCode::new(folder.to_owned(), Path::new("/other")).get(&[1; 32]).unwrap();
        assert!(fs::metadata(&other).unwrap().modified().unwrap() > long_ago + USED_LATELY);
    }

    #[test]
    fn who_writes_alone_is_waited_for_by_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        run(folder, LIMITS, &[], &[(1, b"one")]);
        let writer = File::open(file(folder, CODE)).unwrap();
        writer.lock().unwrap();
        assert_eq!(run(folder, LIMITS, &[1], &[(2, b"two")]), [Some(b"one".to_vec())]);
        drop(writer);
        assert_eq!(run(folder, LIMITS, &[2], &[]), [None]);
    }
}
