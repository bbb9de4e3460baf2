//! What a plan expects to happen: what `--dry-run` shows.

use std::{collections::BTreeMap, sync::Arc};

use hb_model::{DerivationId, StoreName, StorePath};

use super::{Need, Offer, Phase, Plan, Records};
use crate::graph::{Place, Target};

/// What a build would find, fetch and build.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forecast {
    /// The targets that are in the store.
    pub present: BTreeMap<Target, StorePath>,
    /// What will be pulled from caches.
    pub pull: Vec<Forecasted>,
    /// What will be pulled unless a build turns out to be on record.
    pub may_pull: Vec<Forecasted>,
    /// What will be fetched.
    pub fetch: Vec<Forecasted>,
    /// What will be fetched unless a build turns out to be on record.
    pub may_fetch: Vec<Forecasted>,
    /// What will be built.
    pub build: Vec<Forecasted>,
    /// What will be built unless, once its inputs are known, it turns out to be on
    /// record.
    pub may_build: Vec<Forecasted>,
    /// Sources that are needed and that nothing can bring.
    pub missing_sources: Vec<MissingSource>,
}

/// One derivation of a [`Forecast`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecasted {
    /// Which.
    pub derivation: DerivationId,
    /// What it is called.
    pub name: StoreName,
    /// The path of its output, where that follows from a declared hash.
    pub path: Option<StorePath>,
}

/// A source that is needed and is not in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingSource {
    /// Its path.
    pub path: StorePath,
    /// What needs it.
    pub by: StoreName,
}

impl Plan {
    /// What is expected as of now.
    pub(crate) fn forecast<R: Records>(&mut self, records: &R) -> Result<Forecast, R::Error> {
        let graph = Arc::clone(&self.graph);
        let mut forecast = Forecast::default();
        for (&(place, output), target) in graph.target_places().iter().zip(graph.targets()) {
            if self.is_present(place, output, records)? {
                let path = self.path(place, output).cloned();
                forecast.present.extend(path.map(|path| (target, path)));
            }
        }
        let mut seen = BTreeMap::new();
        for &place in graph.order() {
            let state = self.state(place);
            if state.need == Need::None || state.phase == Phase::Done {
                continue;
            }
            let certain = state.need == Need::Certain;
            if state.offer == Offer::Yes {
                let list = if certain { &mut forecast.pull } else { &mut forecast.may_pull };
                list.push(self.forecasted(place));
                continue;
            }
            let list = match (self.is_fetch(place), certain) {
                (true, true) => &mut forecast.fetch,
                (true, false) => &mut forecast.may_fetch,
                (false, true) if state.resolved.is_some() || self.is_fixed(place) => {
                    &mut forecast.build
                }
                (false, _) => &mut forecast.may_build,
            };
            list.push(self.forecasted(place));
            for source in graph.sources(place) {
                let present = match seen.get(source) {
                    Some(&known) => known,
                    None => records.is_present(source)?,
                };
                if seen.insert(source, present).is_none() && !present {
                    let by = graph.node(place).derivation.name.clone();
                    forecast.missing_sources.push(MissingSource { path: source.clone(), by });
                }
            }
        }
        Ok(forecast)
    }

    fn forecasted(&self, place: Place) -> Forecasted {
        let node = self.graph.node(place);
        Forecasted {
            derivation: node.id,
            name: node.derivation.name.clone(),
            path: node.derivation.fixed_path(),
        }
    }
}
