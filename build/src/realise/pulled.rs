//! Outputs that come from caches.

use std::{collections::BTreeMap, time::Instant};

use hb_model::{OutputName, RealisationKey, StorePath};

use super::{Halt, How, Order, Realised, Realiser, StepError, Traces};
use crate::{
    Cancel, Event,
    pull::{NotPulled, Offered, Pulling},
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
        match self.bring(order, pulling, offered.values().cloned().collect(), cancel).await {
            Ok(true) => {}
            Ok(false) => return Err(StepError::NotPulled),
            Err(halt) => return Err(self.explain(order, Traces::begin(), halt)),
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
        let has_come = self.bring(order, pulling, vec![path.clone()], cancel).await?;
        Ok(has_come.then(|| BTreeMap::from([(OutputName::out(), path)])))
    }

    /// Bring objects from caches; whether they came. Tells if not.
    async fn bring(
        &self,
        order: &Order,
        pulling: &Pulling,
        paths: Vec<StorePath>,
        cancel: &Cancel,
    ) -> Result<bool, Halt> {
        match pulling.pull(paths, cancel).await {
            Ok(()) => Ok(true),
            Err(NotPulled::Made(reason)) => {
                self.events.emit(Event::NotPulled { step: order.step.clone(), reason });
                Ok(false)
            }
            Err(NotPulled::Stopped) => Err(Halt::Stopped),
            Err(NotPulled::Store(error)) => Err(Halt::Store(error)),
        }
    }
}
