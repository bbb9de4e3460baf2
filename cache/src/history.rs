//! How objects came about: the builds of a derivation and of all below it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use hb_model::{DerivationId, OutputName, Outputs, RealisationKey, SecretKey, Signed, StorePath};
use hb_store::{Store, StoreError};

/// What is known of one derivation's outputs.
struct Known {
    id: DerivationId,
    outputs: BTreeMap<OutputName, StorePath>,
}

/// The builds that some derivations rest on.
#[derive(Default)]
pub(crate) struct History {
    /// By the object of the derivation.
    known: HashMap<StorePath, Known>,
    /// Every build that this store knows, each after those that it rests on.
    pub(crate) builds: Vec<Signed>,
    /// Everything that was built or fetched on the way and is in the store.
    pub(crate) objects: BTreeSet<StorePath>,
}

impl History {
    /// The history of the derivation in `object`, and its id.
    pub(crate) fn of(
        store: &Store,
        object: &StorePath,
        key: Option<&SecretKey>,
    ) -> Result<(DerivationId, Self), StoreError> {
        let mut history = Self::default();
        let mut stack = vec![(object.clone(), false)];
        while let Some((object, below_is_known)) = stack.pop() {
            if history.known.contains_key(&object) {
                continue;
            }
            if below_is_known {
                history.take(store, &object, key)?;
                continue;
            }
            let needed = store.needed_derivations(&object)?;
            stack.push((object, true));
            stack.extend(needed.into_values().map(|needed| (needed, false)));
        }
        let id = history.known.get(object).map(|known| known.id);
        let missing = || StoreError::NotInStore { path: object.clone() };
        Ok((id.ok_or_else(missing)?, history))
    }

    /// Take one whose inputs are known, as far as they can be.
    fn take(
        &mut self,
        store: &Store,
        object: &StorePath,
        key: Option<&SecretKey>,
    ) -> Result<(), StoreError> {
        let derivation = store.derivation(object)?;
        let id = derivation.id();
        let mut outputs = BTreeMap::new();
        if let Some(path) = derivation.fixed_path() {
            outputs.insert(OutputName::out(), path);
        } else {
            let needed = store.needed_derivations(object)?;
            let path_of = |id: &DerivationId, output: &OutputName| {
                self.known.get(needed.get(id)?)?.outputs.get(output).cloned()
            };
            if let (Ok(resolved), Outputs::Floating(names)) =
                (derivation.resolve(path_of), &derivation.outputs)
            {
                for output in names {
                    let key_of = RealisationKey { resolved: resolved.id(), output: output.clone() };
                    if let Some(path) = store.outcome(&key_of)? {
                        outputs.insert(output.clone(), path);
                    }
                    let recorded = store.realisation(&key_of)?;
                    self.builds.extend(recorded.map(|recorded| recorded.signed(key)));
                }
            }
        }
        for path in outputs.values() {
            if store.contains(path)? {
                self.objects.insert(path.clone());
            }
        }
        self.known.insert(object.clone(), Known { id, outputs });
        Ok(())
    }
}
