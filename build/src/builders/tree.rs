//! Writes a new tree from names and contents that others made.
//!
//! Nothing is ever written through a symbolic link or outside the tree: the writer
//! knows every node that it made, opens folders beneath its own handle without
//! following links, and creates, never overwrites. Modes come down to whether a file
//! is executable.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read, Write as _},
    os::fd::{AsFd as _, OwnedFd},
    path::Path,
};

use rustix::fs::{Mode, OFlags, ResolveFlags};

use super::{Watch, name::EntryName};

/// More than any source tree known; a name costs memory here.
pub(crate) const MAX_NODES: usize = 4_000_000;

/// Why a node could not be added to a tree.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "`name` is the entry's name throughout")]
pub enum TreeError {
    /// A name that begins with `/`.
    #[error("the name '{name}' is absolute")]
    Absolute { name: String },
    /// A name with `..` in it.
    #[error("the name '{name}' leads upwards")]
    Parent { name: String },
    /// A zero byte.
    #[error("the name '{name}' has a zero byte")]
    Nul { name: String },
    /// A component of more than 255 bytes.
    #[error("the name '{name}' has a part of more than 255 bytes")]
    NameTooLong { name: String },
    /// More than 256 components.
    #[error("the name '{name}' is nested more than 256 deep")]
    TooDeep { name: String },
    /// More nodes than any source tree has.
    #[error("there are more than {MAX_NODES} entries")]
    TooMany,
    /// A file or link in the place of the tree itself.
    #[error("the tree itself would not be a folder")]
    NoFolder,
    /// The name is taken.
    #[error("'{name}' occurs twice")]
    Duplicate { name: String },
    /// A folder of the name is a file or a symbolic link.
    #[error("'{name}' lies below '{above}', which is not a folder")]
    Through {
        name: String,
        /// What is in the way.
        above: String,
    },
    /// A hard link to something that is not a file of the tree.
    #[error("'{name}' is a hard link to '{target}', which is not an earlier file of the tree")]
    LinkTarget {
        name: String,
        /// What it names.
        target: String,
    },
    /// The content of a file could not be read.
    #[error("the content of '{name}' could not be read")]
    Read {
        name: String,
        #[source]
        error: io::Error,
    },
    /// The tree could not be written.
    #[error("'{name}' could not be written")]
    Write {
        name: String,
        #[source]
        error: io::Error,
    },
    /// Not wanted any longer.
    #[error("stopped")]
    Cancelled,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Symlink,
    Folder,
}

#[derive(Clone, Copy)]
struct Node {
    kind: Kind,
    owner: u32,
}

/// A tree being written.
pub(crate) struct TreeWriter<'a> {
    root: OwnedFd,
    nodes: HashMap<Box<[u8]>, Node>,
    /// The folder that was used last: archives list neighbours together.
    folder: Option<(Box<[u8]>, OwnedFd)>,
    buffer: Box<[u8]>,
    watch: Watch<'a>,
    /// Recorded for each new node, for whoever has several sources.
    pub(crate) owner: u32,
}

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

impl<'a> TreeWriter<'a> {
    /// Create the folder `out` and write into it.
    pub(crate) fn create(out: &Path, watch: Watch<'a>) -> Result<Self, TreeError> {
        let failed = |error: rustix::io::Errno| TreeError::Write {
            name: out.display().to_string(),
            error: error.into(),
        };
        rustix::fs::mkdir(out, Mode::from(0o755)).map_err(failed)?;
        let root = rustix::fs::open(out, FOLDER | OFlags::NOFOLLOW, Mode::empty());
        Ok(Self {
            root: root.map_err(failed)?,
            nodes: HashMap::new(),
            folder: None,
            buffer: vec![0; 256 * 1024].into(),
            watch,
            owner: 0,
        })
    }

    /// What was made under a name, and by which owner.
    pub(crate) fn get(&self, name: &EntryName) -> Option<(Kind, u32)> {
        self.nodes.get(name.as_bytes()).map(|node| (node.kind, node.owner))
    }

    /// Whether nothing was made.
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Add a folder; that it is there already is fine.
    pub(crate) fn folder(&mut self, name: &EntryName) -> Result<(), TreeError> {
        match self.get(name) {
            _ if name.is_root() => Ok(()),
            Some((Kind::Folder, _)) => Ok(()),
            Some(_) => Err(TreeError::Duplicate { name: name.display() }),
            None => {
                self.parents(name)?;
                self.make_folder(name.as_bytes(), name)
            }
        }
    }

    /// Add a file.
    pub(crate) fn file(
        &mut self,
        name: &EntryName,
        executable: bool,
        content: &mut dyn Read,
    ) -> Result<(), TreeError> {
        self.claim(name, Kind::File)?;
        let mut file = self.create_file(name, executable)?;
        loop {
            if (self.watch.cancelled)() {
                return Err(TreeError::Cancelled);
            }
            let length = match content.read(&mut self.buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(TreeError::Read { name: name.display(), error }),
            };
            file.write_all(&self.buffer[..length]).map_err(|error| write_error(name, error))?;
        }
    }

    /// Add a file as a copy of an open one, which the kernel makes.
    pub(crate) fn copy(
        &mut self,
        name: &EntryName,
        executable: bool,
        content: &mut File,
    ) -> Result<(), TreeError> {
        if (self.watch.cancelled)() {
            return Err(TreeError::Cancelled);
        }
        self.claim(name, Kind::File)?;
        let mut file = self.create_file(name, executable)?;
        io::copy(content, &mut file).map_err(|error| write_error(name, error))?;
        Ok(())
    }

    /// Add a symbolic link.
    pub(crate) fn symlink(&mut self, name: &EntryName, target: &[u8]) -> Result<(), TreeError> {
        self.claim(name, Kind::Symlink)?;
        let folder = self.open_folder(name)?;
        rustix::fs::symlinkat(target, folder, name.split().1)
            .map_err(|error| write_error(name, error.into()))
    }

    /// Add a copy of an earlier file under another name.
    pub(crate) fn hard_link(
        &mut self,
        name: &EntryName,
        target: &EntryName,
    ) -> Result<(), TreeError> {
        let missing = || TreeError::LinkTarget { name: name.display(), target: target.display() };
        if self.get(target).is_none_or(|(kind, _)| kind != Kind::File) {
            return Err(missing());
        }
        let folder = self.open_folder(target)?;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let source = rustix::fs::openat(folder, target.split().1, flags, Mode::empty())
            .and_then(|file| Ok((rustix::fs::fstat(&file)?.st_mode & 0o100 != 0, file)));
        let (executable, file) = source.map_err(|_| missing())?;
        self.copy(name, executable, &mut file.into())
    }

    /// Take a name that is free, and make the folders above it.
    fn claim(&mut self, name: &EntryName, kind: Kind) -> Result<(), TreeError> {
        if name.is_root() {
            return Err(TreeError::NoFolder);
        }
        if self.get(name).is_some() {
            return Err(TreeError::Duplicate { name: name.display() });
        }
        self.parents(name)?;
        self.insert(name.as_bytes(), kind)
    }

    fn insert(&mut self, name: &[u8], kind: Kind) -> Result<(), TreeError> {
        if self.nodes.len() >= MAX_NODES {
            return Err(TreeError::TooMany);
        }
        self.nodes.insert(name.into(), Node { kind, owner: self.owner });
        Ok(())
    }

    /// Make the folders above a name that are missing.
    fn parents(&mut self, name: &EntryName) -> Result<(), TreeError> {
        let bytes = name.as_bytes();
        let parent = name.split().0;
        if parent.is_empty() || self.is_folder(parent) {
            return Ok(());
        }
        let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        for end in ends {
            let above = &bytes[..end];
            match self.nodes.get(above) {
                Some(Node { kind: Kind::Folder, .. }) => {}
                Some(_) => {
                    let above = super::name::text(above);
                    return Err(TreeError::Through { name: name.display(), above });
                }
                None => self.make_folder(above, name)?,
            }
        }
        Ok(())
    }

    fn is_folder(&self, name: &[u8]) -> bool {
        self.nodes.get(name).is_some_and(|node| node.kind == Kind::Folder)
    }

    fn make_folder(&mut self, folder: &[u8], name: &EntryName) -> Result<(), TreeError> {
        self.insert(folder, Kind::Folder)?;
        // Everything above was made by this writer and is a folder.
        rustix::fs::mkdirat(&self.root, folder, Mode::from(0o755))
            .map_err(|error| write_error(name, error.into()))
    }

    /// The folder that holds a name, opened without following a link.
    fn open_folder(&mut self, name: &EntryName) -> Result<&OwnedFd, TreeError> {
        let folder = name.split().0;
        if folder.is_empty() {
            return Ok(&self.root);
        }
        if self.folder.as_ref().is_none_or(|(cached, _)| **cached != *folder) {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
            let opened = rustix::fs::openat2(&self.root, folder, FOLDER, Mode::empty(), resolve)
                .map_err(|error| write_error(name, error.into()))?;
            self.folder = Some((folder.into(), opened));
        }
        match &self.folder {
            Some((_, folder)) => Ok(folder),
            None => Ok(&self.root),
        }
    }

    fn create_file(&mut self, name: &EntryName, executable: bool) -> Result<File, TreeError> {
        let folder = self.open_folder(name)?.as_fd();
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from(if executable { 0o755 } else { 0o644 });
        rustix::fs::openat(folder, name.split().1, flags, mode)
            .map(File::from)
            .map_err(|error| write_error(name, error.into()))
    }
}

fn write_error(name: &EntryName, error: io::Error) -> TreeError {
    TreeError::Write { name: name.display(), error }
}
