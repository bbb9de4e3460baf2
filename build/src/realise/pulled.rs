//! Outputs that come from caches.

use std::{collections::BTreeMap, time::Instant};

use hb_model::{OutputName, RealisationKey, StorePath};

use super::{Halt, How, Order, Realised, Realiser, StepError};
use crate::{
    Cancel, Event,
    pull::{NotPulled, Offered},
};

impl Realiser {
    /// Pull what a cache offers.
    pub(super) async fn pull(
        &self,
        order: &Order,
        offered: &Offered,
        cancel: &Cancel,
    ) -> Result<Realised, StepError> {
        let Some(pulling) = &self.pulling else { return Err(StepError::NotPulled) };
        let begun = Instant::now();
        match pulling.pull(offered.values().cloned().collect(), cancel).await {
            Ok(()) => {}
            Err(NotPulled::Made(reason)) => {
                self.events.emit(Event::NotPulled { step: order.step.clone(), reason });
                return Err(StepError::NotPulled);
            }
            Err(NotPulled::Stopped) => return Err(StepError::Stopped),
            Err(NotPulled::Store(error)) => return Err(StepError::Store(error)),
        }
        let resolved = order.resolved.id();
        let keys = offered.keys().map(|output| RealisationKey { resolved, output: output.clone() });
        let derivation = self.derivations.get(&order.step.derivation);
        pulling.record(keys, derivation).map_err(StepError::Store)?;
        let (step, outputs, duration) = (order.step.clone(), offered.clone(), begun.elapsed());
        self.events.emit(Event::Pulled { step, outputs: outputs.clone(), duration });
        Ok(Realised { outputs, how: How::Pulled })
    }

    /// Pull the output that has a declared hash, if a cache has it.
    pub(super) async fn pull_fixed(
        &self,
        order: &Order,
        cancel: &Cancel,
    ) -> Result<Option<BTreeMap<OutputName, StorePath>>, Halt> {
        let path: Option<StorePath> = order.resolved.derivation().fixed_path();
        let (Some(pulling), Some(path), false) = (&self.pulling, path, order.forced) else {
            return Ok(None);
        };
        if !pulling.asks() || !pulling.have(vec![path.clone()], cancel).await.contains(&true) {
            return Ok(None);
        }
        match pulling.pull(vec![path.clone()], cancel).await {
            Ok(()) => Ok(Some(BTreeMap::from([(OutputName::out(), path)]))),
            Err(NotPulled::Made(reason)) => {
                self.events.emit(Event::NotPulled { step: order.step.clone(), reason });
                Ok(None)
            }
            Err(NotPulled::Stopped) => Err(Halt::Stopped),
            Err(NotPulled::Store(error)) => Err(Halt::Store(error)),
        }
    }
}
