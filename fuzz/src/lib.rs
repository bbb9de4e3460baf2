//! What the fuzz targets share: a yard that nothing may leave, builders of hb's own run
//! in it, and tar archives whose check sums are right, so that fuzzing gets past them.

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::Once,
};

use hb_build::{
    builders::{self, BuiltinError, Job, Watch},
    fetch::FetchSettings,
};
use hb_model::{StoreName, StorePath};
use hb_store::{Durability, OpenMode, Store};
use rustix::process::{Resource, Rlimit, setrlimit};
use tempfile::TempDir;

/// As much as a target may write into one file: a few bytes of archive can mean
/// terabytes, and the yard is in memory.
const FILE_SIZE: u64 = 4 << 20;

/// A folder in memory with the inputs of a builder, in which only `out` may appear.
pub struct Yard {
    folder: TempDir,
}

impl Yard {
    /// A yard with these files.
    pub fn new(inputs: &[(&str, &[u8])]) -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let limit = Rlimit { current: Some(FILE_SIZE), maximum: Some(FILE_SIZE) };
            setrlimit(Resource::Fsize, limit).expect("a limit");
            // SAFETY: ignoring a signal installs no handler; writing then fails instead.
            unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
        });
        let folder = TempDir::new_in("/dev/shm").expect("a folder in memory");
        for (name, bytes) in inputs {
            let path = folder.path().join("inputs").join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, bytes).expect("an input");
        }
        Self { folder }
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a builder of hb's own, and checks that it made a plain tree or nothing, and
    /// nothing elsewhere.
    pub fn run(&self, builder: &str, attrs: &str) -> Result<(), BuiltinError> {
        let out = self.path().join("out");
        let input = |path: &str| {
            let name = path.strip_prefix("/hb/store/")?;
            Some(self.path().join("inputs").join(name))
        };
        let before = everything(&self.path().join("inputs"));
        let made = builders::run(&Job {
            builder,
            attrs,
            input: &input,
            out: &out,
            declared: None,
            fetch: &FetchSettings::default(),
            sandbox: None,
            watch: Watch { cancelled: &|| false, report: &|_| {} },
        });
        assert_eq!(out.symlink_metadata().is_ok(), made.is_ok(), "{made:?}");
        let mut there: Vec<_> = names(self.path());
        there.retain(|name| name != "inputs" && name != "out");
        assert!(there.is_empty(), "{there:?}");
        assert_eq!(before, everything(&self.path().join("inputs")));
        everything(&out);
        made
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Every path below a folder, each of a plain kind and mode.
fn everything(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let Ok(metadata) = path.symlink_metadata() else { continue };
        let kind = metadata.file_type();
        let special =
            kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device();
        assert!(!special && metadata.mode() & 0o7000 == 0, "{}", path.display());
        assert!(kind.is_dir() || metadata.nlink() == 1, "{}", path.display());
        if kind.is_dir() {
            waiting.extend(fs::read_dir(&path).into_iter().flatten().flatten().map(|e| e.path()));
        }
        found.insert(path);
    }
    found
}

/// An empty store, alone in a yard.
pub fn store_in_yard() -> (Yard, Store) {
    let yard = Yard::new(&[]);
    let root = yard.path().join("store");
    let store = Store::open_with(&root, OpenMode::Write, Durability::Relaxed).expect("a store");
    (yard, store)
}

/// Puts what seeds refer to into a store.
pub fn below(store: &Store) -> StorePath {
    let name = StoreName::new("below").expect("a name");
    store.add_file(&name, b"text", false, &BTreeSet::new()).expect("a file")
}

/// A tar header's block.
const BLOCK: usize = 512;

/// Gives every header of a tar archive the check sum that it should have.
pub fn mend_checksums(archive: &mut [u8]) {
    let mut at = 0_usize;
    while let Some(header) = archive.get_mut(at..at.saturating_add(BLOCK)) {
        at += BLOCK;
        if header.iter().all(|&byte| byte == 0) {
            continue;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = tar::Header::from_byte_slice(header).entry_size().unwrap_or(0);
        let blocks = usize::try_from(size.div_ceil(BLOCK as u64)).unwrap_or(usize::MAX);
        at = at.saturating_add(blocks.saturating_mul(BLOCK));
    }
}
