//! Runs a plan: starts what can start, within bounds, until the goal is reached.
//!
//! Builds and fetches have bounds of their own. A build's bound is on builders that run:
//! what one made is published while the next one runs already. After a failure nothing new starts
//! unless it was asked to keep going; what runs is let run to its end. When asked to
//! stop, everything that runs is stopped and waited for, so that no process is left
//! and every output is either registered as a whole or not at all.

use std::{collections::HashMap, panic, sync::Arc};

use hb_model::ResolvedId;
use hb_store::StoreError;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};

use crate::{
    BuildError, BuildOptions, Cancel, Canceller, Event, Failure, FailureCause,
    events::{Step, Work},
    graph::{Graph, Place},
    plan::{Job, Plan, Progress},
    pull::Answers,
    realise::{How, Order, Realised, Realiser, StepError},
};

/// Builds on their way for each builder that may run: one that runs, and one whose outputs are
/// published.
const ON_THEIR_WAY: usize = 2;

/// How much was done to reach a goal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Steps that were built.
    pub built: usize,
    /// Steps that were fetched.
    pub fetched: usize,
    /// Steps that turned out to be realised already once their inputs were known.
    pub reused: usize,
    /// Steps whose outputs came from a cache.
    pub pulled: usize,
}

/// Run `plan` to its goal.
pub(crate) async fn run(
    plan: Plan,
    graph: &Arc<Graph>,
    realiser: Arc<Realiser>,
    options: &BuildOptions,
    cancel: &Cancel,
) -> Result<(Plan, Counts), BuildError> {
    let (canceller, stop) = Canceller::new();
    let scheduler = Scheduler {
        plan,
        graph: Arc::clone(graph),
        realiser,
        options: options.clone(),
        canceller,
        stop,
        tasks: JoinSet::new(),
        builders: Arc::new(Semaphore::new(options.jobs.get().min(Semaphore::MAX_PERMITS))),
        building: 0,
        fetching: 0,
        counts: Counts::default(),
        failures: Vec::new(),
        held: HashMap::new(),
        broken: None,
    };
    scheduler.run(cancel).await
}

/// Something that was waited for.
enum Happened {
    Ended(Ended),
    Answered(Result<Answers, StoreError>),
}

/// A job's end.
struct Ended {
    place: Place,
    resolved: ResolvedId,
    work: Work,
    is_pull: bool,
    result: Result<Realised, StepError>,
}

struct Scheduler {
    plan: Plan,
    graph: Arc<Graph>,
    realiser: Arc<Realiser>,
    options: BuildOptions,
    /// Stops every job.
    canceller: Canceller,
    stop: Cancel,
    tasks: JoinSet<Happened>,
    /// A permit for each builder that may run.
    builders: Arc<Semaphore>,
    /// Builds that have begun and are not in the store yet.
    building: usize,
    fetching: usize,
    counts: Counts,
    failures: Vec<Arc<Failure>>,
    /// Failures of what is not certainly needed yet.
    held: HashMap<Place, Arc<Failure>>,
    /// The store failed: nothing can go on.
    broken: Option<StoreError>,
}

impl Scheduler {
    async fn run(mut self, cancel: &Cancel) -> Result<(Plan, Counts), BuildError> {
        loop {
            if self.plan.is_reached() || cancel.is_cancelled() || self.broken.is_some() {
                self.canceller.cancel();
            } else if self.failures.is_empty() || self.options.keep_going {
                self.start_what_can();
            }
            let ended = tokio::select! {
                ended = self.tasks.join_next() => ended,
                // A builder has ended, whose outputs are still on their way.
                _ = self.builders.acquire(), if self.builders.available_permits() == 0 => continue,
                () = cancel.cancelled(), if !self.stop.is_cancelled() => continue,
            };
            match ended {
                Some(Ok(Happened::Ended(ended))) => self.settle(ended),
                Some(Ok(Happened::Answered(Ok(answers)))) => self.take_answers(answers),
                Some(Ok(Happened::Answered(Err(error)))) => self.broken = Some(error),
                // Tasks are never aborted, so this is a panic: a bug, to be seen as one.
                Some(Err(error)) => panic::resume_unwind(error.into_panic()),
                None => break,
            }
        }
        self.outcome(cancel)
    }

    fn start_what_can(&mut self) {
        self.ask();
        // They wait for each other in a queue of their own.
        while let Some(job) = self.plan.next_pull() {
            self.start(job, None);
        }
        while self.building < self.options.jobs.get().saturating_mul(ON_THEIR_WAY) {
            let Ok(slot) = Arc::clone(&self.builders).try_acquire_owned() else { break };
            let Some(job) = self.plan.next_build() else { break };
            self.building += 1;
            self.start(job, Some(slot));
        }
        while self.fetching < self.options.fetches.get() {
            let Some(job) = self.plan.next_fetch() else { break };
            self.fetching += 1;
            self.start(job, None);
        }
    }

    /// Ask caches what the plan wants to know of them.
    fn ask(&mut self) {
        let questions = self.plan.take_questions();
        if let Some(pulling) = self.realiser.pulling().filter(|_| !questions.is_empty()).cloned() {
            let stop = self.stop.clone();
            self.tasks
                .spawn(async move { Happened::Answered(pulling.answer(questions, &stop).await) });
        }
    }

    fn take_answers(&mut self, answers: Answers) {
        let mut is_current = true;
        for (question, offered) in answers {
            is_current &= offered.is_none();
            let records = self.realiser.store();
            let progress = self.plan.answer(&question, offered.as_ref(), records);
            self.follow(progress, 0);
        }
        if !is_current {
            let progress = self.plan.reassess(self.realiser.store());
            self.follow(progress, 0);
        }
    }

    /// Start a job; a build gives its slot back when its builder has ended.
    fn start(&mut self, job: Job, slot: Option<OwnedSemaphorePermit>) {
        let Job { place, resolved, forced, offered } = job;
        let node = self.graph.node(place);
        let id = resolved.id();
        let order = Order {
            step: Step { derivation: node.id, name: node.derivation.name.clone() },
            resolved,
            limits: node.derivation.limits,
            work: Work::of(&node.derivation),
            forced,
            offered,
        };
        let (work, is_pull) = (order.work, order.offered.is_some());
        let realiser = Arc::clone(&self.realiser);
        let stop = self.stop.clone();
        self.tasks.spawn(async move {
            let result = realiser.realise(order, slot, &stop).await;
            Happened::Ended(Ended { place, resolved: id, work, is_pull, result })
        });
    }

    /// Take a job's end in.
    fn settle(&mut self, ended: Ended) {
        match ended.work {
            _ if ended.is_pull => {}
            Work::Fetch => self.fetching -= 1,
            Work::Builtin | Work::Build => self.building -= 1,
        }
        match ended.result {
            Ok(realised) => {
                match (realised.how, ended.work) {
                    (How::Reused, _) => self.counts.reused += 1,
                    (How::Pulled, _) => self.counts.pulled += 1,
                    (How::Made, Work::Fetch) => self.counts.fetched += 1,
                    (How::Made, _) => self.counts.built += 1,
                }
                let records = self.realiser.store();
                let progress = self.plan.complete(&ended.resolved, &realised.outputs, records);
                self.follow(progress, 1);
            }
            Err(StepError::NotPulled) => {
                let progress = self.plan.refuse(&ended.resolved, self.realiser.store());
                self.follow(progress, 0);
            }
            Err(StepError::Failed(failure)) => {
                let failure = Arc::new(*failure);
                if self.plan.fail(&ended.resolved).is_empty() {
                    let derivation = failure.derivation;
                    self.realiser.events().emit(Event::Stopped { derivation });
                    self.held.insert(ended.place, failure);
                } else {
                    self.report(failure);
                }
            }
            Err(StepError::Stopped) => {}
            Err(StepError::Store(error)) => self.broken = Some(error),
        }
    }

    /// Take note of what followed; `counted` of what is done was counted.
    fn follow(&mut self, progress: Result<Progress, StoreError>, counted: usize) {
        let progress = match progress {
            Ok(progress) => progress,
            Err(error) => {
                self.broken = Some(error);
                return;
            }
        };
        self.counts.reused += progress.done.len().saturating_sub(counted);
        for place in progress.surfaced {
            if let Some(failure) = self.held.remove(&place) {
                self.report(failure);
            }
        }
    }

    fn report(&mut self, failure: Arc<Failure>) {
        self.realiser.events().emit(Event::Failed(Arc::clone(&failure)));
        self.failures.push(failure);
    }

    fn outcome(self, cancel: &Cancel) -> Result<(Plan, Counts), BuildError> {
        if let Some(error) = self.broken {
            return Err(error.into());
        }
        if self.plan.is_reached() {
            return Ok((self.plan, self.counts));
        }
        let failures = self.failures;
        if failures.is_empty() && cancel.is_cancelled() {
            return Err(BuildError::Cancelled);
        }
        if failures.iter().all(|failure| matches!(failure.cause, FailureCause::Differs(_))) {
            return Err(BuildError::NotReproducible { failures });
        }
        let name = |place| self.graph.node(place).derivation.name.clone();
        let blocked = self.plan.unfinished().map(name).collect();
        Err(BuildError::Failed { failures, blocked })
    }
}
