//! Another order of listing: copies of the inputs whose entries were created in
//! another order, and a build folder on another kind of file system. Each file of the copies
//! has another number of names than in the store.
//!
//! Whether that changed anything is not assumed but looked at: some file systems list
//! by name.

use std::{
    ffi::OsString,
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt as _, symlink},
    path::{Path, PathBuf},
};

use rustix::fs::statfs;
use walkdir::WalkDir;

use super::conditions::Reason;
use crate::realise::Visible;

/// A folder in memory that all users have.
const MEMORY_FOLDER: &str = "/dev/shm";
/// `TMPFS_MAGIC` of the kernel's headers.
const TMPFS_MAGIC: u64 = 0x0102_1994;
/// More than this is not copied into memory.
const MAX_COPIED: u64 = 512 << 20;

/// The folder for what should list otherwise than in `usual`, if there is one on
/// another kind of file system.
pub(crate) fn other_file_system(usual: &Path) -> Option<PathBuf> {
    let memory = Path::new(MEMORY_FOLDER);
    (is_memory(memory) && !is_memory(usual)).then(|| memory.to_owned())
}

fn is_memory(path: &Path) -> bool {
    statfs(path).is_ok_and(|found| found.f_type as u64 == TMPFS_MAGIC)
}

/// Copies of the inputs, and whether that made a difference.
pub(crate) struct Relisted {
    pub(crate) inputs: Visible,
    /// Whether their folders list in another order.
    pub(crate) listing: Result<(), Reason>,
    /// Whether their files have other numbers of names.
    pub(crate) links: Result<(), Reason>,
}

/// Copies of the inputs in `folder`, made so that their folders list in another order.
pub(crate) fn relisted(visible: &Visible, folder: &Path) -> io::Result<Result<Relisted, Reason>> {
    let size = size_to_copy(visible, folder)?;
    if size > MAX_COPIED {
        return Ok(Err(Reason::TooLarge { limit: MAX_COPIED }));
    }
    // Beside the copies: no store object is called so.
    let names = folder.join("names");
    fs::create_dir(&names)?;
    let newest_first = lists_newest_first(folder)?;
    let mut copier = Copier { newest_first, names, files: 0, several: 0, changed: 0 };
    let mut copies = Visible::new();
    for (path, physical) in visible {
        let copy = folder.join(path.base_name());
        copier.copy(physical, &copy)?;
        copies.insert(path.clone(), copy);
    }
    let listing = match (copier.several, copier.changed) {
        (0, _) => Err(Reason::NothingToList),
        (_, 0) => Err(Reason::ListsByName),
        _ => Ok(()),
    };
    let links = if copier.files == 0 { Err(Reason::NothingToLink) } else { Ok(()) };
    Ok(Ok(Relisted { inputs: copies, listing, links }))
}

/// Nothing within one file system, where links do.
fn size_to_copy(visible: &Visible, folder: &Path) -> io::Result<u64> {
    let device = fs::metadata(folder)?.dev();
    let mut size = 0;
    for physical in visible.values() {
        for entry in WalkDir::new(physical) {
            let found = entry?.metadata()?;
            if found.is_file() && found.dev() != device {
                size += found.len();
            }
        }
    }
    Ok(size)
}

/// Whether a folder here lists what was created last at first.
fn lists_newest_first(folder: &Path) -> io::Result<bool> {
    let probe = tempfile::tempdir_in(folder)?;
    for name in ["1", "2"] {
        File::create(probe.path().join(name))?;
    }
    Ok(listing(probe.path())?.first().is_some_and(|first| first == "2"))
}

struct Copier {
    newest_first: bool,
    /// A folder for further names of files.
    names: PathBuf,
    files: usize,
    /// Folders with several entries.
    several: usize,
    /// Those among them whose copies list otherwise.
    changed: usize,
}

impl Copier {
    fn copy(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let found = fs::symlink_metadata(from)?;
        if found.is_symlink() {
            return symlink(fs::read_link(from)?, to);
        }
        if !found.is_dir() {
            return self.copy_file(from, to, found.nlink());
        }
        fs::create_dir(to)?;
        let usual = listing(from)?;
        let mut order = usual.clone();
        if !self.newest_first {
            order.reverse();
        }
        for name in order {
            self.copy(&from.join(&name), &to.join(&name))?;
        }
        if usual.len() > 1 {
            self.several += 1;
            self.changed += usize::from(listing(to)? != usual);
        }
        File::open(to)?.set_modified(found.modified()?)?;
        fs::set_permissions(to, found.permissions())
    }

    /// A link has one name more than in the store; so must a copy of what has one there.
    fn copy_file(&mut self, from: &Path, to: &Path, links: u64) -> io::Result<()> {
        self.files += 1;
        if fs::hard_link(from, to).is_ok() {
            return Ok(());
        }
        fs::copy(from, to)?;
        File::open(to)?.set_modified(fs::metadata(from)?.modified()?)?;
        match links {
            1 => fs::hard_link(to, self.names.join(self.files.to_string())),
            _ => Ok(()),
        }
    }
}

fn listing(folder: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

#[cfg(test)]
mod tests {
    use hb_model::{ContentDigest, NodeDigest, StoreName, StorePath};

    use super::*;

    #[test]
    fn copies_hold_the_same_and_list_otherwise_or_say_that_they_cannot() {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("tree");
        fs::create_dir(&tree).unwrap();
        for name in ["a", "b", "c"] {
            fs::write(tree.join(name), name).unwrap();
        }
        let node = NodeDigest::of_file(false, &ContentDigest::of(b""));
        let path = StorePath::of_content(
            StoreName::new("tree").unwrap(),
            node,
            &Default::default(),
            false,
        );
        let copies = folder.path().join("copies");
        fs::create_dir(&copies).unwrap();
        let inputs = Visible::from([(path.clone(), tree.clone())]);
        let Relisted { inputs, listing: listed, links } =
            relisted(&inputs, &copies).unwrap().unwrap_or_else(|reason| panic!("{reason}"));
        let copy = &inputs[&path];
        match listed {
            Ok(()) => assert_ne!(listing(copy).unwrap(), listing(&tree).unwrap()),
            Err(reason) => assert_eq!(reason, Reason::ListsByName),
        }
        assert_eq!(fs::read(copy.join("b")).unwrap(), b"b");
        assert_eq!(links, Ok(()));
        assert_ne!(fs::metadata(copy.join("b")).unwrap().nlink(), 1);
    }
}
