//! Derivations as objects: adding those of a graph, finding and reading them again.
//!
//! The object of a derivation is its encoding as evaluated. It refers to the objects of
//! the derivations that it needs and to its sources, and so keeps all that is needed to
//! build it again, but nothing that was built.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use hb_model::{Derivation, DerivationId, Input, StorePath};

use crate::{
    add::NewFile,
    error::{Context as _, Result, StoreError},
    objects::{ObjectInfo, names, parse_all},
    store::Store,
};

impl Store {
    /// Add derivations, each after those that it needs, all in one transaction; they are
    /// held. Gives their objects.
    ///
    /// What rests on a source that is not in the store is left out, since nothing in the
    /// store refers to what is not there. The source may be the object of a derivation that
    /// comes before.
    pub fn add_derivations<'a>(
        &self,
        derivations: impl IntoIterator<Item = (&'a DerivationId, &'a Derivation)>,
    ) -> Result<BTreeMap<DerivationId, StorePath>> {
        let derivations: Vec<_> = derivations.into_iter().collect();
        let sources = derivations.iter().flat_map(|(_, derivation)| derivation.sources());
        let sources: BTreeSet<_> = sources.cloned().collect();
        let mut absent: BTreeSet<_> = self.hold(&Vec::from_iter(sources))?.into_iter().collect();
        let mut objects = BTreeMap::new();
        let mut files = Vec::new();
        for (id, derivation) in derivations {
            let references = derivation.inputs.iter().map(|input| match input {
                Input::Path(source) => (!absent.contains(source)).then(|| source.clone()),
                Input::Output { derivation, .. } => objects.get(derivation).cloned(),
            });
            let Some(references) = references.collect::<Option<BTreeSet<_>>>() else { continue };
            let path = derivation.store_path(id, &references)?;
            let bytes = derivation.encode().into();
            absent.remove(&path);
            objects.insert(*id, path.clone());
            files.push(NewFile { path, bytes, executable: false, references });
        }
        self.add_files(files)?;
        Ok(objects)
    }

    /// Read the object of a derivation.
    pub fn derivation(&self, path: &StorePath) -> Result<Derivation> {
        let registered = self.require_info(path)?.digest;
        let file = self.physical(path);
        let bytes = fs::read(&file).at("read", &file)?;
        let derivation = Derivation::decode(&bytes)
            .map_err(|source| StoreError::NotADerivation { path: path.clone(), source })?;
        match derivation.id().object_digest() == registered {
            true => Ok(derivation),
            false => Err(StoreError::Changed { path: path.clone() }),
        }
    }

    /// The objects of the derivations that gave an object, the newest first; those that
    /// are still in the store.
    pub fn derivations_of(&self, path: &StorePath) -> Result<Vec<StorePath>> {
        let mut all: Vec<StorePath> = Vec::new();
        for database in self.databases() {
            let found = database.read(|connection| {
                let sql = "
                    SELECT DISTINCT givers.name FROM objects AS given
                    JOIN realisations ON object = given.id
                    JOIN objects AS givers ON givers.id = derivation
                    WHERE given.name = ?1 ORDER BY givers.id DESC";
                names(connection, sql, [path.base_name()])
            })?;
            for giver in parse_all::<Vec<_>>(database, found)? {
                if !all.contains(&giver) && self.contains(&giver)? {
                    all.push(giver);
                }
            }
        }
        Ok(all)
    }

    /// The objects of the derivations that the one at `path` needs.
    pub fn needed_derivations(
        &self,
        path: &StorePath,
    ) -> Result<BTreeMap<DerivationId, StorePath>> {
        let inputs = self.derivation(path)?.inputs;
        let ids: BTreeMap<_, _> = inputs
            .iter()
            .filter_map(|input| match input {
                Input::Output { derivation, .. } => Some((derivation.object_digest(), *derivation)),
                Input::Path(_) => None,
            })
            .collect();
        let mut needed = BTreeMap::new();
        for reference in self.require_info(path)?.references {
            if let Some(id) = ids.get(&self.require_info(&reference)?.digest) {
                needed.insert(*id, reference);
            }
        }
        Ok(needed)
    }

    fn require_info(&self, path: &StorePath) -> Result<ObjectInfo> {
        self.info(path)?.ok_or_else(|| StoreError::NotInStore { path: path.clone() })
    }
}
