//! Directory handles: opening below a folder without following links, and removing
//! trees of any depth and any mode.

use std::{
    ffi::{CString, OsStr},
    fs::File,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags},
    io::Errno,
};

use crate::error::{Context as _, Result};

/// A folder's handle and its path, for messages.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) fd: OwnedFd,
    pub(crate) path: PathBuf,
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

impl Folder {
    /// Open a folder by its path, links in it followed.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty()).at("open the folder", path)?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Open a folder below this one; no link on the way is followed.
    pub(crate) fn open_below(&self, relative: &Path) -> Result<Self> {
        let path = self.path.join(relative);
        let fd = beneath(&self.fd, relative, DIRECTORY).at("open the folder", &path)?;
        Ok(Self { fd, path })
    }

    /// Open a file below this folder for reading; no link on the way is followed.
    pub(crate) fn open_file(&self, relative: &Path) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        Ok(beneath(&self.fd, relative, flags)?.into())
    }

    /// The path of an entry, for messages.
    pub(crate) fn path_of(&self, name: &[u8]) -> PathBuf {
        self.path.join(OsStr::from_bytes(name))
    }

    /// Flush the file system that it is on.
    pub(crate) fn sync_file_system(&self) -> Result<()> {
        rustix::fs::syncfs(&self.fd).at("flush the file system of", &self.path)
    }

    /// Flush the folder's entries to the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        rustix::fs::fsync(&self.fd).at("flush the folder", &self.path)
    }
}

fn beneath(fd: &OwnedFd, relative: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
    rustix::fs::openat2(fd, relative, flags, Mode::empty(), resolve)
}

/// Remove whatever lies at `name` in `folder`; nothing there is fine.
///
/// Works upwards from the deepest folder with one handle at a time, because a builder
/// may leave trees deeper than handles, the stack, or a path can be long. Must only be
/// used on what belongs to this process alone.
pub(crate) fn remove_tree(folder: &Folder, name: &[u8]) -> Result<()> {
    let place = folder.path_of(name);
    remove(&folder.fd, name).at("remove", &place)
}

fn remove(folder: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error),
    }
    let mut here = enter(folder, name)?;
    let mut entered: Vec<Vec<u8>> = vec![name.to_vec()];
    loop {
        if let Some(child) = remove_files(&here)? {
            here = enter(&here, &child)?;
            entered.push(child);
            continue;
        }
        let Some(empty) = entered.pop() else { return Ok(()) };
        let above = if entered.is_empty() {
            None
        } else {
            Some(rustix::fs::openat(&here, "..", DIRECTORY, Mode::empty())?)
        };
        rustix::fs::unlinkat(above.as_ref().unwrap_or(folder), &empty, AtFlags::REMOVEDIR)?;
        match above {
            Some(above) => here = above,
            None => return Ok(()),
        }
    }
}

/// Open a subfolder in such a way that its entries can be removed.
fn enter(folder: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    make_accessible(folder, name)?;
    rustix::fs::openat(folder, name, DIRECTORY, Mode::empty())
}

/// Give the owner all rights on a folder that is not a link.
pub(crate) fn make_accessible(folder: &OwnedFd, name: &[u8]) -> rustix::io::Result<()> {
    let stat = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    let mode = Mode::from_raw_mode(stat.st_mode);
    if FileType::from_raw_mode(stat.st_mode).is_dir() && !mode.contains(Mode::RWXU) {
        rustix::fs::chmodat(folder, name, Mode::RWXU, AtFlags::empty())?;
    }
    Ok(())
}

/// Remove the entries that are not folders; the name of a folder if one remains.
fn remove_files(folder: &OwnedFd) -> rustix::io::Result<Option<Vec<u8>>> {
    let mut subfolder: Option<CString> = None;
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        match rustix::fs::unlinkat(folder, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR | Errno::PERM) => subfolder = Some(name.to_owned()),
            Err(error) => return Err(error),
        }
    }
    Ok(subfolder.map(CString::into_bytes))
}
