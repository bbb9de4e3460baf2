//! Plan, schedule, fetch, realise, audit.
//!
//! Takes the derivations that evaluation yields and brings their outputs into a store:
//! a [`Graph`] says what needs what, [`forecast`] what would have to be done,
//! [`build`] does it, and [`audit`] does it again and compares. Nothing here evaluates,
//! prints, or reads the environment.

pub mod audit;
pub mod builders;
mod cancel;
mod error;
mod events;
pub mod fetch;
mod graph;
mod inside;
mod options;
mod plan;
mod pull;
mod realise;
mod schedule;
mod system;
#[cfg(test)]
mod testing;

use std::{collections::BTreeMap, sync::Arc};

use hb_model::{DerivationId, StorePath};
use hb_store::{Store, StoreError};

pub use cancel::{Cancel, Canceller};
pub use error::{BuildError, Difference, Failure, FailureCause, LogEnd};
pub use events::{Event, Events, Phase, Step, Work};
pub use graph::{Edge, Graph, GraphData, GraphError, NodeData, NodeKey, StoredGraphError, Target};
pub use inside::{Inside, look_inside};
pub use options::BuildOptions;
pub use plan::{Forecast, Forecasted, MissingSource};
pub use schedule::Counts;
pub use system::this_system;

use plan::{Goal, Plan};
use pull::Pulling;
use realise::{Order, Realiser};

/// What realisations say of who built them.
pub(crate) const BUILDER: &str = concat!("hb ", env!("CARGO_PKG_VERSION"));

/// What a build achieved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildReport {
    /// Where each target lies.
    pub outputs: BTreeMap<Target, StorePath>,
    /// What had to be done for it.
    pub counts: Counts,
}

/// What building the graph's targets would find, pull, fetch and build. Does nothing but ask
/// caches.
pub async fn forecast(
    store: &Store,
    graph: &Arc<Graph>,
    options: &BuildOptions,
    events: Events,
    cancel: &Cancel,
) -> Result<Forecast, BuildError> {
    let pulling = pulling(store, options, &events);
    let plan = planned(Goal::Targets, store, graph, pulling.as_ref(), cancel).await;
    Ok(plan?.forecast(store)?)
}

/// The caches of a build, if there are any.
fn pulling(store: &Store, options: &BuildOptions, events: &Events) -> Option<Pulling> {
    let caches = options.caches.clone().filter(|caches| !caches.is_empty())?;
    Some(Pulling::new(caches, store.clone(), events.clone()))
}

/// The plan to reach a goal, as far as the store and caches know.
async fn planned(
    goal: Goal,
    store: &Store,
    graph: &Arc<Graph>,
    pulling: Option<&Pulling>,
    cancel: &Cancel,
) -> Result<Plan, StoreError> {
    let mut plan = Plan::new(Arc::clone(graph), goal, pulling.is_some(), store)?;
    if let Some(pulling) = pulling.filter(|_| !plan.is_reached()) {
        pulling.settle(&mut plan, graph, cancel).await?;
    }
    Ok(plan)
}

/// Bring the graph's targets into the store.
///
/// Must be called in a tokio runtime with time and I/O. Ends early, with
/// [`BuildError::Cancelled`], when `cancel` is asked; no process of a build is left then.
pub async fn build(
    store: &Store,
    graph: &Arc<Graph>,
    options: &BuildOptions,
    events: Events,
    cancel: &Cancel,
) -> Result<BuildReport, BuildError> {
    let goal = if options.rebuild { Goal::Rebuild } else { Goal::Targets };
    let (plan, counts) = reach(goal, store, graph, options, events, cancel).await?;
    let path = |&(place, output)| plan.path(place, output).cloned();
    let paths = graph.target_places().iter().map(path);
    let outputs = graph.targets().zip(paths).filter_map(|(target, path)| Some((target, path?)));
    Ok(BuildReport { outputs: outputs.collect(), counts })
}

/// Bring everything into the store that the graph's targets would fetch, whether or not
/// it is needed now: afterwards the targets can be built offline, from sources on.
pub async fn fetch_all(
    store: &Store,
    graph: &Arc<Graph>,
    options: &BuildOptions,
    events: Events,
    cancel: &Cancel,
) -> Result<Counts, BuildError> {
    let (_, counts) = reach(Goal::Fetches, store, graph, options, events, cancel).await?;
    Ok(counts)
}

/// Bring everything into the store that `target` itself is built from, and give the order
/// to build it, whether or not it has been built.
pub(crate) async fn ready(
    store: &Store,
    graph: &Arc<Graph>,
    target: &Target,
    options: &BuildOptions,
    events: Events,
    cancel: &Cancel,
) -> Result<(Realiser, Order), BuildError> {
    let missing = || BuildError::NoTarget(target.clone());
    let place = graph.place(&target.derivation).ok_or_else(missing)?;
    let (plan, _) =
        reach(Goal::Inputs(place), store, graph, options, events.clone(), cancel).await?;
    let node = graph.node(place);
    let order = Order {
        step: Step { derivation: node.id, name: node.derivation.name.clone() },
        resolved: plan.resolve(place).map_err(|_| missing())?,
        limits: node.derivation.limits,
        work: Work::of(&node.derivation),
        forced: true,
        offered: None,
    };
    // For trials, whose outcome is not recorded.
    let derivations = BTreeMap::new();
    Ok((Realiser::new(store.clone(), derivations, options, None, events), order))
}

/// Plan, refuse what cannot work, then do it.
pub(crate) async fn reach(
    goal: Goal,
    store: &Store,
    graph: &Arc<Graph>,
    options: &BuildOptions,
    events: Events,
    cancel: &Cancel,
) -> Result<(Plan, Counts), BuildError> {
    let pulling = pulling(store, options, &events);
    let mut plan = planned(goal, store, graph, pulling.as_ref(), cancel).await?;
    if plan.is_reached() {
        return Ok((plan, Counts::default()));
    }
    let derivations = add_derivations(store, graph).await?;
    let forecast = plan.forecast(store)?;
    if !forecast.missing_sources.is_empty() {
        return Err(BuildError::MissingSources { missing: forecast.missing_sources });
    }
    if options.fetch.offline {
        let fetches = forecast.fetch.iter().chain(&forecast.may_fetch).cloned().collect();
        let missing = nowhere(fetches, pulling.as_ref(), cancel).await;
        if !missing.is_empty() {
            return Err(BuildError::Offline { missing });
        }
    }
    events.emit(Event::Planned(Arc::new(forecast)));
    let realiser = Arc::new(Realiser::new(store.clone(), derivations, options, pulling, events));
    let result = schedule::run(plan, graph, Arc::clone(&realiser), options, cancel).await;
    realiser.settle().await;
    result
}

/// Those of some fetches that no cache has either.
async fn nowhere(
    fetches: Vec<Forecasted>,
    pulling: Option<&Pulling>,
    cancel: &Cancel,
) -> Vec<Forecasted> {
    let Some(pulling) = pulling.filter(|_| !fetches.is_empty()) else { return fetches };
    // Each has one: that is what a fetch is.
    let paths = fetches.iter().filter_map(|fetch| fetch.path.clone()).collect();
    let there = pulling.have(paths, cancel).await;
    let missing = fetches.into_iter().zip(there).filter(|(_, there)| !there);
    missing.map(|(fetch, _)| fetch).collect()
}

/// Make the graph's derivations objects of the store, so that what they give can say where
/// it is from. Gives their paths.
async fn add_derivations(
    store: &Store,
    graph: &Arc<Graph>,
) -> Result<BTreeMap<DerivationId, StorePath>, StoreError> {
    let (store, graph) = (store.clone(), Arc::clone(graph));
    realise::blocking(move || store.add_derivations(graph.derivations())).await
}
