//! A tree read from the disk: its entries, sorted, without the files' contents.

use std::{
    ffi::OsStr,
    fmt,
    ops::Range,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use hb_model::{ContentDigest, DirectoryHasher, NodeDigest};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, Stat},
    io::Errno,
};

use crate::{
    disk::{Folder, make_accessible},
    error::{Context as _, Result, StoreError},
};

/// The longest path of an entry below the root of its tree: with what is in front of
/// it in the store it must stay within the 4,096 bytes that the system opens. It
/// bounds the depth as well.
pub(crate) const MAX_RELATIVE_PATH: usize = 3_500;

/// The most entries of one tree: each costs about 100 bytes of memory while it is read.
pub(crate) const MAX_ENTRIES: usize = 20_000_000;

/// What an entry is, for filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A directory.
    Directory,
    /// What the store cannot hold.
    Special(SpecialKind),
}

/// What a special file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpecialKind {
    /// A socket.
    Socket,
    /// A named pipe.
    Pipe,
    /// A block or character device.
    Device,
    /// Something that the system has no name for.
    Unknown,
}

impl fmt::Display for SpecialKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "socket",
            Self::Pipe => "named pipe",
            Self::Device => "device",
            Self::Unknown => "file of unknown kind",
        })
    }
}

/// A filter gave up; whoever made it knows why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterStop;

/// Which entries to take: called with the source's path joined with the entry's, for
/// everything below the root of the tree.
pub type Filter<'a> = &'a mut dyn FnMut(&Path, EntryKind) -> std::result::Result<bool, FilterStop>;

/// An entry. The children of a directory stand next to each other, after it.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: Box<[u8]>,
    pub(crate) parent: usize,
    pub(crate) kind: Kind,
}

#[derive(Debug)]
pub(crate) enum Kind {
    File { executable: bool, size: u64 },
    Symlink { target: Box<[u8]> },
    Directory { children: Range<usize> },
}

/// The entries of a tree; the first is its root.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) nodes: Vec<Node>,
}

/// Where a tree lies: the folder around it, and its name there.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) around: Arc<Folder>,
    pub(crate) name: Vec<u8>,
}

impl Place {
    /// The place of a path. The last component is not followed if it is a link.
    pub(crate) fn of(path: &Path) -> Result<Self> {
        let (around, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => (parent, name.as_bytes()),
            _ => (path, &b"."[..]),
        };
        let around = if around.as_os_str().is_empty() { Path::new(".") } else { around };
        Ok(Self { around: Arc::new(Folder::open(around)?), name: name.to_vec() })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.around.path_of(&self.name)
    }

    /// The path, from the folder around it, of an entry `below` the tree.
    pub(crate) fn relative(&self, below: &Path) -> PathBuf {
        let root = PathBuf::from(OsStr::from_bytes(&self.name));
        if below.as_os_str().is_empty() { root } else { root.join(below) }
    }
}

/// How to read a tree.
pub(crate) struct Reading<'a, 'f> {
    /// Which entries to take.
    pub(crate) filter: Option<Filter<'f>>,
    /// Called for every entry taken, in the order of the nodes.
    pub(crate) visit: &'a mut dyn FnMut(&Node, &Stat),
    /// The tree is ours and nobody works on it: what shuts us out is opened up.
    pub(crate) ours: bool,
}

impl Tree {
    /// Read the tree at `place`; `None` if there is nothing.
    pub(crate) fn read(place: &Place, mut reading: Reading<'_, '_>) -> Result<Option<Self>> {
        let around = &place.around;
        let flags = AtFlags::SYMLINK_NOFOLLOW;
        let stat = match rustix::fs::statat(&around.fd, &place.name[..], flags) {
            Err(Errno::NOENT) => return Ok(None),
            stat => stat.at("look at", place.path())?,
        };
        if reading.ours {
            make_readable(around, &place.name, &stat)?;
        }
        let kind = read_kind(around, &place.name, &stat)?;
        let root = Node { name: Box::default(), parent: 0, kind };
        (reading.visit)(&root, &stat);
        let mut tree = Self { nodes: vec![root] };
        let mut next = 0;
        while next < tree.nodes.len() {
            if matches!(tree.nodes[next].kind, Kind::Directory { .. }) {
                tree.read_directory(place, next, &mut reading)?;
            }
            next += 1;
        }
        Ok(Some(tree))
    }

    fn read_directory(
        &mut self,
        place: &Place,
        index: usize,
        reading: &mut Reading<'_, '_>,
    ) -> Result<()> {
        let relative = place.relative(&self.path(index));
        if reading.ours {
            let above = place.around.open_below(relative.parent().unwrap_or(Path::new("")));
            let above = if self.nodes[index].parent == index { None } else { Some(above?) };
            let fd = above.as_ref().map_or(&place.around.fd, |folder| &folder.fd);
            let name = relative.file_name().map_or(&b"."[..], OsStr::as_bytes);
            make_accessible(fd, name).at("open up", place.around.path.join(&relative))?;
        }
        let folder = place.around.open_below(&relative)?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&folder.fd).at("read the folder", &folder.path)? {
            let entry = entry.at("read the folder", &folder.path)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                entries.push(Box::<[u8]>::from(name));
            }
        }
        entries.sort_unstable();
        let first = self.nodes.len();
        for name in entries {
            let length = relative.as_os_str().len() - place.name.len() + 1 + name.len();
            if length > MAX_RELATIVE_PATH {
                let (root, limit) = (place.path(), MAX_RELATIVE_PATH);
                return Err(StoreError::PathTooLong { root, length, limit });
            }
            self.read_entry(place, &folder, index, name, reading)?;
        }
        if self.nodes.len() > MAX_ENTRIES {
            return Err(StoreError::TooManyEntries { root: place.path(), limit: MAX_ENTRIES });
        }
        self.nodes[index].kind = Kind::Directory { children: first..self.nodes.len() };
        Ok(())
    }

    fn read_entry(
        &mut self,
        place: &Place,
        folder: &Folder,
        parent: usize,
        name: Box<[u8]>,
        reading: &mut Reading<'_, '_>,
    ) -> Result<()> {
        let stat = rustix::fs::statat(&folder.fd, &name[..], AtFlags::SYMLINK_NOFOLLOW)
            .at("look at", folder.path_of(&name))?;
        if let Some(filter) = &mut reading.filter {
            let keep = filter(&folder.path_of(&name), entry_kind(&stat));
            if !keep.map_err(|FilterStop| StoreError::FilterStopped { root: place.path() })? {
                return Ok(());
            }
        }
        if reading.ours {
            make_readable(folder, &name, &stat)?;
        }
        let kind = read_kind(folder, &name, &stat)?;
        let node = Node { name, parent, kind };
        (reading.visit)(&node, &stat);
        self.nodes.push(node);
        Ok(())
    }

    /// The path of a node below the root, which itself has the empty one.
    pub(crate) fn path(&self, mut index: usize) -> PathBuf {
        let mut names = Vec::new();
        while index != 0 {
            names.push(&self.nodes[index].name);
            index = self.nodes[index].parent;
        }
        names.iter().rev().map(|name| OsStr::from_bytes(name)).collect()
    }

    /// The digest of the whole, given those of the files, by node.
    pub(crate) fn digest(&self, contents: &[ContentDigest]) -> NodeDigest {
        let mut digests = vec![NodeDigest::from_bytes([0; 32]); self.nodes.len()];
        // Children stand after their directory.
        for (index, node) in self.nodes.iter().enumerate().rev() {
            digests[index] = match &node.kind {
                Kind::File { executable, .. } => NodeDigest::of_file(*executable, &contents[index]),
                Kind::Symlink { target } => NodeDigest::of_symlink(target),
                Kind::Directory { children } => {
                    let mut hasher = DirectoryHasher::new();
                    for child in children.clone() {
                        hasher.entry(&self.nodes[child].name, &digests[child]);
                    }
                    hasher.finish()
                }
            };
        }
        digests[0]
    }
}

fn entry_kind(stat: &Stat) -> EntryKind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => EntryKind::File,
        FileType::Symlink => EntryKind::Symlink,
        FileType::Directory => EntryKind::Directory,
        FileType::Socket => EntryKind::Special(SpecialKind::Socket),
        FileType::Fifo => EntryKind::Special(SpecialKind::Pipe),
        FileType::BlockDevice | FileType::CharacterDevice => {
            EntryKind::Special(SpecialKind::Device)
        }
        FileType::Unknown => EntryKind::Special(SpecialKind::Unknown),
    }
}

fn make_readable(folder: &Folder, name: &[u8], stat: &Stat) -> Result<()> {
    let shut = !Mode::from_raw_mode(stat.st_mode).contains(Mode::RUSR);
    if shut && entry_kind(stat) == EntryKind::File {
        let mode = Mode::from_raw_mode(stat.st_mode) | Mode::RUSR;
        rustix::fs::chmodat(&folder.fd, name, mode, AtFlags::empty())
            .at("open up", folder.path_of(name))?;
    }
    Ok(())
}

fn read_kind(folder: &Folder, name: &[u8], stat: &Stat) -> Result<Kind> {
    match entry_kind(stat) {
        EntryKind::File => {
            Ok(Kind::File { executable: stat.st_mode & 0o100 != 0, size: stat.st_size as u64 })
        }
        EntryKind::Directory => Ok(Kind::Directory { children: 0..0 }),
        EntryKind::Symlink => {
            let target = rustix::fs::readlinkat(&folder.fd, name, Vec::new())
                .at("read the link", folder.path_of(name))?;
            Ok(Kind::Symlink { target: target.into_bytes().into() })
        }
        EntryKind::Special(kind) => {
            Err(StoreError::SpecialFile { path: folder.path_of(name), kind })
        }
    }
}
