//! What builds printed: one plain text file per resolved derivation.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use hb_model::{ResolvedId, StorePath};

use crate::{
    error::{Context as _, Result},
    store::Store,
};

impl Store {
    /// Where the log of a build lies, or would.
    pub fn log_path(&self, resolved: &ResolvedId) -> PathBuf {
        self.inner.layout.log(resolved)
    }

    /// Begin the log of a build anew.
    pub fn create_log(&self, resolved: &ResolvedId) -> Result<File> {
        let path = self.log_path(resolved);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).at("create the folder", folder)?;
        }
        File::create(&path).at("create", &path)
    }

    /// The logs of the builds that made an object or, for the object of a derivation,
    /// carried it out; those that exist.
    pub fn logs_of(&self, path: &StorePath) -> Result<Vec<PathBuf>> {
        let mut recorded = self.realisations_of(path)?;
        recorded.extend(self.realisations_by_derivation(path)?);
        let mut logs: Vec<_> = recorded
            .iter()
            .flat_map(|recorded| {
                let resolved = recorded.realisation.key.resolved;
                self.layouts().map(move |layout| layout.log(&resolved))
            })
            .filter(|log| log.exists())
            .collect();
        logs.dedup();
        Ok(logs)
    }
}
