//! Graphs of the derivations that a store keeps, for building again what came of them.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    sync::Arc,
};

use hb_model::{OutputName, StorePath};
use hb_store::{Store, StoreError};

use super::{Graph, GraphError, Target};

/// A store's derivations make no graph.
#[derive(Debug, thiserror::Error)]
pub enum StoredGraphError {
    /// One of them cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What they say does not fit together.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl Graph {
    /// Outputs of derivations that are objects of a store, and all that these rest on.
    pub fn of_stored(
        store: &Store,
        wanted: &[(StorePath, OutputName)],
    ) -> Result<Self, StoredGraphError> {
        let mut derivations = BTreeMap::new();
        let mut targets = Vec::new();
        for (object, output) in wanted {
            let derivation = store.derivation(object)?.id();
            targets.push(Target { derivation, output: output.clone() });
        }
        let mut waiting: Vec<_> = wanted.iter().map(|(object, _)| object.clone()).collect();
        while let Some(object) = waiting.pop() {
            let derivation = store.derivation(&object)?;
            if let Entry::Vacant(place) = derivations.entry(derivation.id()) {
                place.insert(Arc::new(derivation));
                waiting.extend(store.needed_derivations(&object)?.into_values());
            }
        }
        Ok(Self::new(|id| derivations.get(id).cloned(), &targets)?)
    }
}
