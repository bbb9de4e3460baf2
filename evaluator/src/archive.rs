//! The hash of Nix's archive of a file tree, as a world shows it.

use std::path::{Path, PathBuf};

use hb_model::nix::{Archive, Hash};

use crate::machine::bytes_to_path;
use crate::world::{FileType, Filter, ImportError, World, WorldError};

/// The hash of what the filter leaves of a tree, and the paths that it dropped.
pub(crate) fn hash(
    world: &mut dyn World,
    path: &Path,
    filter: Option<Filter<'_>>,
) -> Result<(Hash, Vec<PathBuf>), ImportError> {
    let mut walk = Walk { world, filter, archive: Archive::default(), dropped: Vec::new() };
    walk.node(path)?;
    Ok((walk.archive.finish(), walk.dropped))
}

struct Walk<'w, 'f> {
    world: &'w mut dyn World,
    filter: Option<Filter<'f>>,
    archive: Archive,
    dropped: Vec<PathBuf>,
}

impl Walk<'_, '_> {
    fn node(&mut self, path: &Path) -> Result<(), ImportError> {
        match self.world.file_type(path)? {
            None => Err(WorldError::Missing { path: path.to_owned() }.into()),
            Some(FileType::Regular) => {
                let executable = self.world.is_executable(path)?;
                self.archive.file(executable, &self.world.read_file(path)?);
                Ok(())
            }
            Some(FileType::Symlink) => {
                let target = self.world.read_link(path)?;
                self.archive.symlink(target.as_os_str().as_encoded_bytes());
                Ok(())
            }
            Some(FileType::Directory) => self.directory(path),
            Some(FileType::Unknown) => {
                let name = path.display().to_string();
                let cause = "it is neither a file, a folder, nor a symbolic link".to_owned();
                Err(WorldError::Store { name, cause }.into())
            }
        }
    }

    fn directory(&mut self, path: &Path) -> Result<(), ImportError> {
        let mut entries = self.world.read_dir(path)?;
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        self.archive.open_directory();
        for (name, kind) in entries {
            let entry = path.join(bytes_to_path(&name));
            let keep = match &mut self.filter {
                Some(filter) => filter(&entry, kind)?,
                None => true,
            };
            if keep {
                self.archive.open_entry(&name);
                self.node(&entry)?;
                self.archive.close();
            } else {
                self.dropped.push(entry);
            }
        }
        self.archive.close();
        Ok(())
    }
}
