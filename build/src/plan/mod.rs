//! What is known about a graph so far, what is still needed, and what can start.
//!
//! A derivation is known once the paths of its inputs are: then it resolves, and its
//! own realisations may be on record, whether or not anything below it still exists.
//! Need flows down from the targets and stops at outputs that are in the store. A
//! derivation that must first be known *may* be built; what it would need if it is
//! comes with [`Need::Maybe`]. Each completion makes more known, and what turns out
//! to be realised already is never built (early cutoff).
//!
//! Where caches may know of what this store does not, the plan has questions for them: what
//! something that is needed gave, once it is known what it is, or whether they have what it
//! gave. Until the answer comes, what it needs is needed perhaps; what a cache offers is
//! pulled, and nothing below it is needed.
//!
//! Nothing here waits or runs; the scheduler drives it.

mod forecast;
mod offers;
mod records;
#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use hb_model::{
    DerivationId, OutputName, Outputs, RealisationKey, ResolveError, Resolved, ResolvedId,
    StorePath,
};

use crate::graph::{Graph, Place};
pub use forecast::{Forecast, Forecasted, MissingSource};
use offers::Offer;
pub(crate) use offers::Question;

/// What a plan asks of the store.
pub(crate) trait Records {
    /// Why asking failed.
    type Error;

    /// Let the paths be looked up that resolved derivations' outputs were recorded to have,
    /// present or not: as of one moment, and each at little cost. Nothing else of the
    /// records may be asked meanwhile.
    fn look_up<T>(
        &self,
        work: impl FnOnce(&LookUp<Self::Error>) -> Result<T, Self::Error>,
    ) -> Result<T, Self::Error>;

    /// Whether a path is in the store.
    fn is_present(&self, path: &StorePath) -> Result<bool, Self::Error>;
}

/// Looks up what was recorded.
pub(crate) type LookUp<'a, E> = dyn Fn(&RealisationKey) -> Result<Option<StorePath>, E> + 'a;

/// What a plan is to achieve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// The targets are in the store.
    Targets,
    /// The targets are built again, even if they are in the store.
    Rebuild,
    /// Every fetch below the targets is in the store, whatever else is.
    Fetches,
    /// What this one needs in order to be built is in the store.
    Inputs(Place),
}

/// How surely something must be in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// Nothing asks for it.
    None,
    /// Something asks for it that may turn out to be realised already.
    Maybe,
    /// The goal cannot be reached without it.
    Certain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Waiting,
    Ready,
    Running,
    Done,
    Failed,
}

struct OutputState {
    path: Option<StorePath>,
    /// Looked up when first asked for.
    present: Option<bool>,
    needed: bool,
}

struct State {
    outputs: Vec<OutputState>,
    need: Need,
    phase: Phase,
    /// Known as soon as all paths of the inputs are.
    resolved: Option<ResolvedId>,
    /// What caches say of that.
    offer: Offer,
    /// To be built even though its outputs are present.
    forced: bool,
    /// The number of steps on the longest way up to a target: what has more waiting
    /// for it starts first.
    height: usize,
}

/// Something to start: a derivation and what it resolved to.
pub(crate) struct Job {
    pub(crate) place: Place,
    pub(crate) resolved: Resolved,
    /// Whether its outputs must be made although they are on record.
    pub(crate) forced: bool,
    /// What a cache offers: to be pulled, and not to be made.
    pub(crate) offered: Option<BTreeMap<OutputName, StorePath>>,
}

/// What a completion led to.
#[derive(Default)]
pub(crate) struct Progress {
    /// What is done: the job's own derivation first, then others that resolved to the
    /// same, and those that turned out to be realised already.
    pub(crate) done: Vec<Place>,
    /// What failed earlier, when it was not certain to be needed, and now is.
    pub(crate) surfaced: Vec<Place>,
}

/// What can start, that on which most waits first.
type Queue = BTreeSet<(Reverse<usize>, Place)>;

/// See the module's head.
pub(crate) struct Plan {
    graph: Arc<Graph>,
    /// The outputs that are to be there in the end.
    goals: Vec<(Place, usize)>,
    states: Vec<State>,
    ready: Queue,
    ready_fetches: Queue,
    ready_pulls: Queue,
    /// Whether there are caches to ask.
    asks: bool,
    /// What is to be asked.
    questions: Vec<Place>,
    /// What is being built, and who else waits for the same.
    running: HashMap<ResolvedId, Vec<Place>>,
}

impl Plan {
    /// Find out what is known and what is needed; `asks` if there are caches to ask.
    pub(crate) fn new<R: Records>(
        graph: Arc<Graph>,
        goal: Goal,
        asks: bool,
        records: &R,
    ) -> Result<Self, R::Error> {
        let mut plan = Self {
            states: initial_states(&graph, goal),
            goals: goals(&graph, goal),
            ready: BTreeSet::new(),
            ready_fetches: BTreeSet::new(),
            ready_pulls: BTreeSet::new(),
            asks,
            questions: Vec::new(),
            running: HashMap::new(),
            graph: Arc::clone(&graph),
        };
        records.look_up(|realised| {
            let mut order = graph.order().iter();
            order.try_for_each(|&place| match goal != Goal::Fetches || plan.is_fetch(place) {
                true => plan.know(place, realised).map(drop),
                false => Ok(()),
            })
        })?;
        plan.demand_goals(records)?;
        Ok(plan)
    }

    /// Ask for what makes up the goal.
    fn demand_goals<R: Records>(&mut self, records: &R) -> Result<Progress, R::Error> {
        let mut progress = Progress::default();
        let goals = self.goals.iter().map(|&(place, output)| (place, output, Need::Certain));
        self.demand(goals.collect(), records, &mut progress)?;
        Ok(progress)
    }

    fn is_fetch(&self, place: Place) -> bool {
        self.graph.node(place).derivation.is_fetch()
    }

    fn is_fixed(&self, place: Place) -> bool {
        matches!(self.graph.node(place).derivation.outputs, Outputs::Fixed(_))
    }

    fn state(&self, place: Place) -> &State {
        &self.states[place.index()]
    }

    fn state_mut(&mut self, place: Place) -> &mut State {
        &mut self.states[place.index()]
    }

    /// The path of an output as far as it is known.
    pub(crate) fn path(&self, place: Place, output: usize) -> Option<&StorePath> {
        self.state(place).outputs[output].path.as_ref()
    }

    /// With the paths as far as they are known.
    pub(crate) fn resolve(&self, place: Place) -> Result<Resolved, ResolveError> {
        self.graph.node(place).derivation.resolve(|id, output| self.path_of(id, output))
    }

    fn path_of(&self, id: &DerivationId, output: &OutputName) -> Option<StorePath> {
        let place = self.graph.place(id)?;
        let position = self.graph.node(place).outputs.binary_search(output).ok()?;
        self.path(place, position).cloned()
    }

    /// Take note of what follows from the paths of the inputs. Returns whether that
    /// differs from what was known.
    fn know<E>(&mut self, place: Place, realised: &LookUp<E>) -> Result<bool, E> {
        let graph = Arc::clone(&self.graph);
        let node = graph.node(place);
        let paths = if let Some(fixed) = node.derivation.fixed_path() {
            vec![Some(fixed)]
        } else if let Ok(resolved) =
            node.derivation.resolved_id(|id, output| self.path_of(id, output))
        {
            let state = self.state_mut(place);
            if state.resolved.replace(resolved) != Some(resolved) {
                state.offer = Offer::Unasked;
            } else if state.offer == Offer::Yes {
                return Ok(false);
            }
            let key = |output: &OutputName| RealisationKey { resolved, output: output.clone() };
            let look_up = |output| realised(&key(output));
            node.outputs.iter().map(look_up).collect::<Result<_, _>>()?
        } else {
            self.state_mut(place).resolved = None;
            vec![None; node.outputs.len()]
        };
        let mut changed = false;
        for (output, path) in self.state_mut(place).outputs.iter_mut().zip(paths) {
            if output.path != path {
                changed = true;
                *output = OutputState { path, present: None, ..*output };
            }
        }
        Ok(changed)
    }

    fn is_present<R: Records>(
        &mut self,
        place: Place,
        output: usize,
        records: &R,
    ) -> Result<bool, R::Error> {
        let state = &mut self.state_mut(place).outputs[output];
        let present = match (&state.path, state.present) {
            (None, _) => false,
            (Some(_), Some(known)) => known,
            (Some(path), None) => records.is_present(path)?,
        };
        state.present = Some(present);
        Ok(present)
    }

    /// Ask for outputs, and for what follows from that.
    fn demand<R: Records>(
        &mut self,
        mut demands: Vec<(Place, usize, Need)>,
        records: &R,
        progress: &mut Progress,
    ) -> Result<(), R::Error> {
        let mut raised = Vec::new();
        while let Some((place, output, need)) = demands.pop() {
            if self.is_present(place, output, records)? && !self.state(place).forced {
                continue;
            }
            let state = self.state_mut(place);
            let is_news = !std::mem::replace(&mut state.outputs[output].needed, true);
            if is_news && state.offer == Offer::Yes && state.phase != Phase::Running {
                // This output was not asked for.
                if state.outputs[output].path.is_none() {
                    state.offer = Offer::Unasked;
                }
                if state.phase == Phase::Done {
                    state.phase = Phase::Waiting;
                }
                raised.push(place);
            }
            if need > state.need {
                state.need = need;
                if state.phase == Phase::Failed && need == Need::Certain {
                    progress.surfaced.push(place);
                }
                raised.push(place);
            } else if !is_news {
                continue;
            }
            self.ask(place);
            demands.extend(self.demands_of(place));
        }
        raised.into_iter().try_for_each(|place| self.check_ready(place, records))
    }

    /// Take the paths of outputs; whether one is news.
    fn take_paths(
        &mut self,
        place: Place,
        paths: &BTreeMap<OutputName, StorePath>,
        present: Option<bool>,
    ) -> bool {
        let graph = Arc::clone(&self.graph);
        let mut news = false;
        for (position, name) in graph.node(place).outputs.iter().enumerate() {
            let state = &mut self.state_mut(place).outputs[position];
            let Some(path) = paths.get(name) else { continue };
            news |= state.path.as_ref() != Some(path);
            *state = OutputState { path: Some(path.clone()), present, ..*state };
        }
        news
    }

    /// What `place` needs in order to be built or, where it isn't known yet, in order
    /// to be known.
    fn demands_of(&self, place: Place) -> Vec<(Place, usize, Need)> {
        let state = self.state(place);
        if state.offer == Offer::Yes {
            return Vec::new();
        }
        let known =
            (state.resolved.is_some() || self.is_fixed(place)) && state.offer != Offer::Asked;
        let need_of = |input, output| match known || self.path(input, output).is_none() {
            true => state.need,
            false => state.need.min(Need::Maybe),
        };
        let inputs = self.graph.inputs(place);
        inputs.map(|(input, output)| (input, output, need_of(input, output))).collect()
    }

    /// Line `place` up for its start if nothing stands in the way.
    fn check_ready<R: Records>(&mut self, place: Place, records: &R) -> Result<(), R::Error> {
        let state = self.state(place);
        // Fetches are begun as soon as they may be needed, so that none waits for builds.
        let least = if self.is_fixed(place) { Need::Maybe } else { Need::Certain };
        if state.phase != Phase::Waiting || state.need < least || state.offer == Offer::Asked {
            return Ok(());
        }
        let entry = (Reverse(state.height), place);
        if state.offer == Offer::Yes {
            self.state_mut(place).phase = Phase::Ready;
            self.ready_pulls.insert(entry);
            return Ok(());
        }
        let graph = Arc::clone(&self.graph);
        for (input, output) in graph.inputs(place) {
            if !self.is_present(input, output, records)? {
                return Ok(());
            }
        }
        self.state_mut(place).phase = Phase::Ready;
        match self.is_fetch(place) {
            true => self.ready_fetches.insert(entry),
            false => self.ready.insert(entry),
        };
        Ok(())
    }

    /// The next thing to build, if something can start.
    pub(crate) fn next_build(&mut self) -> Option<Job> {
        self.next_of(|plan| &mut plan.ready)
    }

    /// The next thing to fetch, if something can start.
    pub(crate) fn next_fetch(&mut self) -> Option<Job> {
        self.next_of(|plan| &mut plan.ready_fetches)
    }

    /// The next thing to pull, if something can start.
    pub(crate) fn next_pull(&mut self) -> Option<Job> {
        self.next_of(|plan| &mut plan.ready_pulls)
    }

    fn next_of(&mut self, ready: fn(&mut Self) -> &mut Queue) -> Option<Job> {
        loop {
            let (_, place) = ready(self).pop_first()?;
            if let Some(job) = self.start(place) {
                return Some(job);
            }
        }
    }

    /// Nothing if the same is being built already; then `place` completes with it.
    fn start(&mut self, place: Place) -> Option<Job> {
        // Everything it needs is known.
        let resolved = self.resolve(place).ok()?;
        let forced = self.state(place).forced;
        let offered = (self.state(place).offer == Offer::Yes).then(|| self.missing(place));
        self.state_mut(place).phase = Phase::Running;
        self.state_mut(place).resolved = Some(resolved.id());
        match self.running.get_mut(&resolved.id()) {
            Some(followers) => {
                followers.push(place);
                None
            }
            None => {
                self.running.insert(resolved.id(), vec![place]);
                Some(Job { place, resolved, forced, offered })
            }
        }
    }

    /// A job ended well, with these outputs. Everybody who waited for the same is done.
    pub(crate) fn complete<R: Records>(
        &mut self,
        resolved: &ResolvedId,
        outputs: &BTreeMap<OutputName, StorePath>,
        records: &R,
    ) -> Result<Progress, R::Error> {
        let mut progress = Progress::default();
        let mut affected = Vec::new();
        for place in self.running.remove(resolved).unwrap_or_default() {
            let graph = Arc::clone(&self.graph);
            let news = self.take_paths(place, outputs, Some(true));
            self.state_mut(place).phase = Phase::Done;
            progress.done.push(place);
            affected.extend(graph.consumers(place).map(|consumer| (consumer, news)));
            if self.state(place).offer == Offer::Yes && !self.is_satisfied(place, records)? {
                // What was pulled for another was not all that this one needs.
                self.state_mut(place).phase = Phase::Waiting;
                self.check_ready(place, records)?;
            }
        }
        self.spread(affected, records, &mut progress)?;
        Ok(progress)
    }

    /// Let what became known spread upwards.
    fn spread<R: Records>(
        &mut self,
        mut affected: Vec<(Place, bool)>,
        records: &R,
        progress: &mut Progress,
    ) -> Result<(), R::Error> {
        while let Some((place, news)) = affected.pop() {
            self.reconsider(place, news, records, &mut affected, progress)?;
        }
        Ok(())
    }

    /// An input of `place` completed, `news` saying whether under a path that was not
    /// known: see whether that settles `place`.
    fn reconsider<R: Records>(
        &mut self,
        place: Place,
        news: bool,
        records: &R,
        affected: &mut Vec<(Place, bool)>,
        progress: &mut Progress,
    ) -> Result<(), R::Error> {
        let state = self.state(place);
        if state.phase != Phase::Waiting || state.need == Need::None {
            return Ok(());
        }
        let graph = Arc::clone(&self.graph);
        if news {
            let changed = records.look_up(|realised| self.know(place, realised))?;
            if self.is_satisfied(place, records)? {
                self.state_mut(place).phase = Phase::Done;
                progress.done.push(place);
            }
            if changed {
                affected.extend(graph.consumers(place).map(|consumer| (consumer, true)));
            }
            self.ask(place);
            self.demand(self.demands_of(place), records, progress)?;
        }
        self.check_ready(place, records)
    }

    /// Whether everything that is asked of `place` is in the store.
    fn is_satisfied<R: Records>(&mut self, place: Place, records: &R) -> Result<bool, R::Error> {
        let mut satisfied = !self.state(place).forced;
        for output in 0..self.state(place).outputs.len() {
            let needed = self.state(place).outputs[output].needed;
            satisfied &= !needed || self.is_present(place, output, records)?;
        }
        Ok(satisfied)
    }

    /// Whether the goal is reached, so that what still runs serves nothing.
    pub(crate) fn is_reached(&self) -> bool {
        self.goals.iter().all(|&(place, output)| {
            let state = self.state(place);
            state.phase == Phase::Done
                || (state.outputs[output].present == Some(true) && !state.forced)
        })
    }

    /// A job failed. Returns those who waited for it and certainly need it; if there
    /// are none, the failure matters only once it surfaces.
    pub(crate) fn fail(&mut self, resolved: &ResolvedId) -> Vec<Place> {
        let places = self.running.remove(resolved).unwrap_or_default();
        for &place in &places {
            self.state_mut(place).phase = Phase::Failed;
        }
        places.into_iter().filter(|&place| self.state(place).need == Need::Certain).collect()
    }

    /// What is certainly needed and was neither built nor tried.
    pub(crate) fn unfinished(&self) -> impl Iterator<Item = Place> + '_ {
        self.graph.order().iter().copied().filter(|&place| {
            let state = self.state(place);
            state.need == Need::Certain && !matches!(state.phase, Phase::Done | Phase::Failed)
        })
    }
}

/// The outputs that make up a goal.
fn goals(graph: &Graph, goal: Goal) -> Vec<(Place, usize)> {
    match goal {
        Goal::Targets | Goal::Rebuild => graph.target_places().to_vec(),
        Goal::Fetches => {
            let is_fetch = |place: &Place| graph.node(*place).derivation.is_fetch();
            let fetches = graph.order().iter().copied().filter(is_fetch);
            fetches.map(|place| (place, 0)).collect()
        }
        Goal::Inputs(place) => graph.inputs(place).collect(),
    }
}

/// Nothing known, nothing asked for.
fn initial_states(graph: &Graph, goal: Goal) -> Vec<State> {
    let mut heights = vec![0; graph.len()];
    for &place in graph.order().iter().rev() {
        let height = heights[place.index()] + 1;
        for (needed, _) in graph.inputs(place) {
            heights[needed.index()] = height.max(heights[needed.index()]);
        }
    }
    let mut states: Vec<State> = Vec::with_capacity(graph.len());
    let output = || OutputState { path: None, present: None, needed: false };
    for place in graph.places() {
        states.push(State {
            outputs: graph.node(place).outputs.iter().map(|_| output()).collect(),
            need: Need::None,
            phase: Phase::Waiting,
            resolved: None,
            offer: Offer::Unasked,
            forced: false,
            height: heights[place.index()],
        });
    }
    if goal == Goal::Rebuild {
        for &(place, _) in graph.target_places() {
            states[place.index()].forced = true;
        }
    }
    states
}
