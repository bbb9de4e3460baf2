//! What caches are asked, and what follows from their answers.

use std::{collections::BTreeMap, sync::Arc};

use hb_model::{OutputName, ResolvedId, StorePath};

use super::{Need, Phase, Plan, Progress, Records};
use crate::graph::Place;

/// Whether a cache has what a derivation gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Offer {
    /// Nobody was asked.
    Unasked,
    /// The answer has not come.
    Asked,
    /// No, or it did not come although it was said to be there.
    No,
    Yes,
}

/// What a plan asks of caches; [`Plan::answer`] takes the answer.
pub(crate) struct Question {
    pub(crate) place: Place,
    pub(crate) resolved: ResolvedId,
    /// The outputs that are needed, and their paths where these are known: then it is only
    /// asked whether a cache has them.
    pub(crate) outputs: Vec<(OutputName, Option<StorePath>)>,
}

impl Plan {
    /// Ask caches about `place`, if it is known what it is and they were not asked about that.
    pub(super) fn ask(&mut self, place: Place) {
        let fixed = self.is_fixed(place);
        let asks = self.asks;
        let state = self.state_mut(place);
        let is_asked = state.offer != Offer::Unasked || state.phase != Phase::Waiting;
        // What has a declared hash is asked for when it is to be fetched.
        if asks && !fixed && !state.forced && !is_asked && state.resolved.is_some() {
            state.offer = Offer::Asked;
            self.questions.push(place);
        }
    }

    /// What is to be asked now.
    pub(crate) fn take_questions(&mut self) -> Vec<Question> {
        let places = std::mem::take(&mut self.questions);
        let question = |place: Place| {
            let state = self.state(place);
            let names = &self.graph.node(place).outputs;
            let outputs = names.iter().zip(&state.outputs);
            let needed = outputs.filter(|(_, output)| output.needed);
            Some(Question {
                place,
                resolved: state.resolved?,
                outputs: needed.map(|(name, output)| (name.clone(), output.path.clone())).collect(),
            })
        };
        places.into_iter().filter_map(question).collect()
    }

    /// Caches offer these outputs of what they were asked about, or nothing.
    pub(crate) fn answer<R: Records>(
        &mut self,
        question: &Question,
        offered: Option<&BTreeMap<OutputName, StorePath>>,
        records: &R,
    ) -> Result<Progress, R::Error> {
        let mut progress = Progress::default();
        let place = question.place;
        let state = self.state_mut(place);
        if state.offer != Offer::Asked || state.resolved != Some(question.resolved) {
            return Ok(progress);
        }
        state.offer = if offered.is_some() { Offer::Yes } else { Offer::No };
        let graph = Arc::clone(&self.graph);
        let news = offered.is_some_and(|paths| self.take_paths(place, paths, None));
        if self.state(place).phase == Phase::Waiting {
            if self.is_satisfied(place, records)? {
                self.state_mut(place).phase = Phase::Done;
                progress.done.push(place);
            }
            self.demand(self.demands_of(place), records, &mut progress)?;
            self.check_ready(place, records)?;
        }
        let consumers = graph.consumers(place).map(|consumer| (consumer, news));
        self.spread(consumers.collect(), records, &mut progress)?;
        Ok(progress)
    }

    /// Ask for the goal anew: what was only needed to know what it is need not be there, now
    /// that caches have said it.
    pub(crate) fn reassess<R: Records>(&mut self, records: &R) -> Result<Progress, R::Error> {
        for state in &mut self.states {
            if state.phase == Phase::Ready {
                state.phase = Phase::Waiting;
            }
            state.need = Need::None;
            state.outputs.iter_mut().for_each(|output| output.needed = false);
        }
        for ready in [&mut self.ready, &mut self.ready_fetches, &mut self.ready_pulls] {
            ready.clear();
        }
        self.demand_goals(records)
    }

    /// A pull came to nothing: what was offered has to be made.
    pub(crate) fn refuse<R: Records>(
        &mut self,
        resolved: &ResolvedId,
        records: &R,
    ) -> Result<Progress, R::Error> {
        let mut progress = Progress::default();
        for place in self.running.remove(resolved).unwrap_or_default() {
            let state = self.state_mut(place);
            (state.phase, state.offer) = (Phase::Waiting, Offer::No);
            self.demand(self.demands_of(place), records, &mut progress)?;
            self.check_ready(place, records)?;
        }
        Ok(progress)
    }

    /// The needed outputs that are not there.
    pub(super) fn missing(&self, place: Place) -> BTreeMap<OutputName, StorePath> {
        let outputs = self.graph.node(place).outputs.iter().zip(&self.state(place).outputs);
        let missing = outputs.filter(|(_, output)| output.needed && output.present != Some(true));
        missing.filter_map(|(name, output)| Some((name.clone(), output.path.clone()?))).collect()
    }
}
