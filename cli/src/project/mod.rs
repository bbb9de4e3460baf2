//! A project: the folder with an `hb.toml`, the tools it pins, and its lock file.

mod expression;
mod lock;
mod manifest;
mod tools;

use std::{
    collections::BTreeSet,
    io::Write as _,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

pub(crate) use lock::{LOCK_FILE, Lock, LockedSource};
pub(crate) use manifest::{MANIFEST_FILE, Manifest};
pub(crate) use tools::WantedSource;

use crate::{
    config::Layer,
    error::{CliError, Failure},
};

/// A project on disk.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    /// The folder that holds `hb.toml`.
    pub(crate) folder: PathBuf,
    /// What `hb.toml` says.
    pub(crate) manifest: Manifest,
    /// What `hb.lock` says; empty if there is none yet.
    pub(crate) lock: Lock,
}

impl Project {
    /// The project that a folder belongs to: the nearest `hb.toml` in it or above it.
    pub(crate) fn find(start: &Path) -> Result<Option<Self>, CliError> {
        let start = std::path::absolute(start)
            .map_err(|source| CliError::Io { path: start.to_owned(), source })?;
        start
            .ancestors()
            .find(|folder| folder.join(MANIFEST_FILE).is_file())
            .map(Self::open)
            .transpose()
    }

    /// Like [`Project::find`], for commands that cannot do without one.
    pub(crate) fn require(start: &Path) -> Result<Self, CliError> {
        Self::find(start)?.ok_or_else(|| CliError::NoProject { start: start.to_owned() })
    }

    /// The lock file; an error unless it has what every tool needs on every platform that
    /// its recipe serves.
    pub(crate) fn require_locked(&self) -> Result<&Lock, Failure> {
        let stale: Vec<_> = self
            .manifest
            .tools
            .iter()
            .filter(|(tool, version)| self.lock.of_tool(tool, version).next().is_none())
            .map(|(tool, version)| format!("{tool} {version}"))
            .chain(
                self.lock
                    .sources
                    .iter()
                    .filter(|s| self.manifest.tools.get(&s.tool) != Some(&s.version))
                    .map(|source| {
                        format!("{} {} (not in {MANIFEST_FILE})", source.tool, source.version)
                    }),
            )
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        if stale.is_empty() {
            return Ok(&self.lock);
        }
        let message = format!(
            "{} does not match {MANIFEST_FILE}: {}",
            self.folder.join(LOCK_FILE).display(),
            stale.join(", ")
        );
        Err(CliError::LockMismatch { message, help: "`hb update` mends it" }.into())
    }

    /// A project that is still to be written into a folder.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), manifest: Manifest::default(), lock: Lock::default() }
    }

    fn open(folder: &Path) -> Result<Self, CliError> {
        Ok(Self {
            folder: folder.to_owned(),
            manifest: Manifest::read(&folder.join(MANIFEST_FILE))?,
            lock: Lock::read(&folder.join(LOCK_FILE))?,
        })
    }
}

/// Read a TOML text into `T`; problems are shown in their place.
fn parse_toml<T: serde::de::DeserializeOwned>(path: &Path, text: &str) -> Result<T, CliError> {
    toml::from_str(text).map_err(|error| CliError::toml(path, text, &error))
}

/// Write a file whole beside its place and rename it there.
pub(crate) fn replace_file(path: &Path, text: &str) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(PermissionsExt::from_mode(0o644))?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

/// The settings that a project brings; relative paths are relative to it.
pub(crate) fn settings(project: Option<&Project>) -> Layer {
    let own = |project: &Project| project.manifest.settings.clone().relative_to(&project.folder);
    project.map(own).unwrap_or_default()
}
