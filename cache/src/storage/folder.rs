//! A folder: an entry is a file by its name.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use super::{Listed, Storage, read_at_most};
use crate::{entry::Entry, fault::Fault};

/// Others may read what is put there.
const MODE: u32 = 0o644;

pub(crate) struct Folder {
    root: PathBuf,
}

impl Folder {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    fn path(&self, entry: &Entry) -> PathBuf {
        self.root.join(entry.name())
    }

    /// A folder that is not there at all holds nothing only if it is to be made.
    fn require(&self) -> Result<(), Fault> {
        self.root.metadata().map(|_| ()).map_err(failed(&self.root))
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Fault {
    let path = path.to_owned();
    move |error| Fault::Io { path, error }
}

impl Storage for Folder {
    fn get(&self, entry: &Entry, limit: usize) -> Result<Option<Vec<u8>>, Fault> {
        let path = self.path(entry);
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return self.require().map(|()| None);
            }
            file => file.map_err(failed(&path))?,
        };
        let bytes = read_at_most(file, limit).map_err(failed(&path))?;
        bytes.map(Some).ok_or(Fault::TooLarge { limit })
    }

    fn has(&self, entry: &Entry) -> Result<bool, Fault> {
        match self.path(entry).metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.require().map(|()| false),
            found => found.map(|_| true).map_err(failed(&self.path(entry))),
        }
    }

    fn put(&self, entry: &Entry, bytes: &[u8], _: &[Entry]) -> Result<u64, Fault> {
        let path = self.path(entry);
        let folder = path.parent().unwrap_or(&self.root);
        self.require()?;
        let write = || {
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(bytes)?;
            file.as_file().set_permissions(Permissions::from_mode(MODE))?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        };
        write().map_err(failed(&path)).map(|()| bytes.len() as u64)
    }

    fn flush(&self) -> Result<(), Fault> {
        let flush = || rustix::fs::syncfs(File::open(&self.root)?).map_err(io::Error::from);
        flush().map_err(failed(&self.root))
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>, Fault> {
        self.require()?;
        let mut listed = Vec::new();
        self.walk(folder.trim_end_matches('/'), &mut listed)?;
        listed.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(listed)
    }

    fn is_collected(&self) -> bool {
        true
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        let path = self.root.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => {
                // Below an area, of which only one process at a time removes anything: a folder
                // with nothing else in it.
                if name.matches('/').count() > 1 {
                    let _ = path.parent().map(fs::remove_dir);
                }
                Ok(())
            }
        }
    }
}

impl Folder {
    /// Everything below a folder; what goes away meanwhile is not there.
    fn walk(&self, folder: &str, listed: &mut Vec<Listed>) -> Result<(), Fault> {
        let path = self.root.join(folder);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries.map_err(failed(&path))?,
        };
        for entry in entries {
            let entry = entry.map_err(failed(&path))?;
            // No entry of a cache has another name.
            let Ok(name) = entry.file_name().into_string() else { continue };
            let name = format!("{folder}/{name}");
            let found = match entry.metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                found => found.map_err(failed(&path))?,
            };
            if found.is_dir() {
                self.walk(&name, listed)?;
            } else {
                let put = found.modified().map_err(failed(&path))?;
                listed.push(Listed { name, put, size: found.len() });
            }
        }
        Ok(())
    }
}
