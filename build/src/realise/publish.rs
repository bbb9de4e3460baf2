//! From what a builder left to outputs in the store.

use std::collections::BTreeMap;

use hb_model::{NodeDigest, OutputName, Outputs, RealisationKey, ResolvedId, StorePath};
use hb_store::{Built, BuiltOutput, Prepared, Store, StoreError};

use super::{
    Attempt, Halt, How, Order, Realised, Realiser, blocking,
    interpreter::{DynamicProgram, first_dynamic_program},
};
use crate::{BUILDER, Difference, FailureCause, events::Work};

impl Realiser {
    /// Bring what a builder made into the store.
    pub(super) async fn publish(&self, order: &Order, attempt: &Attempt) -> Result<Realised, Halt> {
        let built = self.built(order, attempt);
        let store = self.store.clone();
        let needs_loaders = needs_loaders(order);
        let outputs = blocking(move || {
            let prepared = prepare(&store, &built, needs_loaders)?;
            refuse_difference(&store, &built.resolved, &prepared)?;
            commit(&store, prepared)
        });
        Ok(Realised { outputs: outputs.await?, how: How::Made })
    }

    /// What the outputs' digests would be in the store.
    pub(super) async fn digests(
        &self,
        order: &Order,
        attempt: &Attempt,
    ) -> Result<BTreeMap<OutputName, NodeDigest>, Halt> {
        let built = self.built(order, attempt);
        let store = self.store.clone();
        let needs_loaders = needs_loaders(order);
        blocking(move || {
            let prepared = prepare(&store, &built, needs_loaders)?;
            let outputs = prepared.outputs().iter();
            Ok(outputs.map(|(name, output)| (name.clone(), output.digest)).collect())
        })
        .await
    }

    /// What the store is told of an attempt.
    fn built(&self, order: &Order, attempt: &Attempt) -> Built {
        let derivation = order.resolved.derivation();
        let output = |(name, made): (&OutputName, &super::Made)| {
            (name.clone(), BuiltOutput { at: made.physical.clone(), scratch: made.path.clone() })
        };
        Built {
            resolved: order.resolved.id(),
            derivation: self.derivations.get(&order.step.derivation).cloned(),
            outputs: attempt.outputs.iter().map(output).collect(),
            fixed: match &derivation.outputs {
                Outputs::Fixed(fixed) => Some(fixed.clone()),
                Outputs::Floating(_) => None,
            },
            candidates: attempt.visible.keys().cloned().collect(),
            implied_references: derivation
                .runtime_root
                .iter()
                .filter_map(|root| attempt.visible.keys().find(|path| is_below(root, path)))
                .cloned()
                .collect(),
            isolation: attempt.isolation,
            builder: BUILDER.to_owned(),
        }
    }
}

/// Whether a text is an object's path or a path in it.
fn is_below(text: &str, object: &StorePath) -> bool {
    let rest = text.strip_prefix(&object.to_string());
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether dynamic programs that the order makes must find what loads them in the store.
fn needs_loaders(order: &Order) -> bool {
    order.work == Work::Build && order.resolved.derivation().runtime_root.is_none()
}

/// The outputs as they would be in the store. What is wrong with them is the build's
/// fault, not the store's.
fn prepare(store: &Store, built: &Built, needs_loaders: bool) -> Result<Prepared, Halt> {
    let prepared = store.prepare(built).map_err(|error| match error {
        StoreError::SpecialFile { .. }
        | StoreError::PathTooLong { .. }
        | StoreError::TooManyEntries { .. }
        | StoreError::MissingOutput { .. }
        | StoreError::HashInName { .. }
        | StoreError::OutputCycle { .. }
        | StoreError::HashMismatch { .. }
        | StoreError::NotAFile { .. }
        | StoreError::TreeAlgorithm { .. }
        | StoreError::FixedRefers { .. } => FailureCause::Output(error).into(),
        error => Halt::from(error),
    })?;
    if needs_loaders {
        refuse_unloadable(&prepared)?;
    }
    Ok(prepared)
}

/// Refuse programs that nothing in their closure could load. They are looked at where the
/// store has taken them: what the builder left may be shut, or too deep for paths.
fn refuse_unloadable(prepared: &Prepared) -> Result<(), Halt> {
    for (name, output) in prepared.outputs() {
        // A path in the store is found as a reference, and thereby in the closure.
        let in_store = |interpreter: &str| interpreter.starts_with(hb_model::STORE_DIR);
        let found = first_dynamic_program(&output.staged, in_store)
            .map_err(|error| FailureCause::Folder { path: output.staged.clone(), error })?;
        if let Some(DynamicProgram { file, interpreter }) = found {
            let output = name.clone();
            return Err(FailureCause::Interpreter { output, file, interpreter }.into());
        }
    }
    Ok(())
}

/// Where outputs are on record already, these must be the same.
fn refuse_difference(
    store: &Store,
    resolved: &ResolvedId,
    prepared: &Prepared,
) -> Result<(), Halt> {
    for (output, rebuilt) in prepared.outputs() {
        let key = RealisationKey { resolved: *resolved, output: output.clone() };
        let Some(found) = store.realisation(&key)? else { continue };
        let found = found.realisation;
        if found.digest != rebuilt.digest {
            return Err(FailureCause::Differs(Difference {
                output: output.clone(),
                path: found.path,
                recorded: found.digest,
                rebuilt: rebuilt.digest,
            })
            .into());
        }
    }
    Ok(())
}

fn commit(store: &Store, prepared: Prepared) -> Result<BTreeMap<OutputName, StorePath>, Halt> {
    let realisations = store.commit(prepared)?;
    Ok(realisations.into_iter().map(|(output, found)| (output, found.path)).collect())
}
