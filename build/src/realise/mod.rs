//! Carries one resolved derivation out: from its inputs in the store to its outputs in
//! the store.
//!
//! Whoever builds holds the lock of the resolved derivation; once it is had, the record
//! is looked at again, since another process may have built the same meanwhile. A
//! builder works in a scratch folder that goes away with the attempt. Its outputs enter
//! the store all at once, after every process of the build is dead.

mod attempt;
mod interpreter;
mod log;
mod publish;
mod pulled;
mod spec;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hb_model::{DerivationId, Limits, NodeDigest, OutputName, RealisationKey, Resolved, StorePath};
use hb_store::{BuildLock, LockAttempt, ScratchDir, Store, StoreError};
use tokio::{sync::OwnedSemaphorePermit, task::JoinSet};

pub(crate) use attempt::{Attempt, Made, Setting};
pub(crate) use spec::Visible;

use crate::{
    BuildOptions, Cancel, Event, Events, Failure, FailureCause,
    events::{Phase, Step, Work},
    fetch::FetchSettings,
    pull::{Offered, Pulling},
};

/// How often a lock that another process holds is tried again.
const LOCK_INTERVAL: Duration = Duration::from_millis(100);

/// Something to carry out.
pub(crate) struct Order {
    pub(crate) step: Step,
    pub(crate) resolved: Resolved,
    /// Bounds, which a resolved derivation has lost.
    pub(crate) limits: Limits,
    pub(crate) work: Work,
    /// To be built and compared with what is on record.
    pub(crate) forced: bool,
    /// What a cache offers: to be pulled, and not to be made.
    pub(crate) offered: Option<Offered>,
}

/// What came of an order.
pub(crate) struct Realised {
    pub(crate) outputs: BTreeMap<OutputName, StorePath>,
    pub(crate) how: How,
}

/// How outputs came about.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// They were made.
    Made,
    /// They had been made already.
    Reused,
    /// They came from a cache.
    Pulled,
}

/// Why an order was not carried out.
pub(crate) enum StepError {
    /// The step failed; others may do better.
    Failed(Box<Failure>),
    /// What a cache had offered did not come: it has to be made.
    NotPulled,
    /// It was asked to stop.
    Stopped,
    /// The store failed; nothing can go on.
    Store(StoreError),
}

/// What a builder made on trial. Dropping it removes it.
pub(crate) struct Trial {
    pub(crate) attempt: Attempt,
    /// What the outputs' digests would be in the store.
    pub(crate) digests: BTreeMap<OutputName, NodeDigest>,
    _scratch: Option<ScratchDir>,
}

/// Why a step did not go on, before it is known what it left behind.
enum Halt {
    Failed(FailureCause),
    Stopped,
    Store(StoreError),
}

impl From<FailureCause> for Halt {
    fn from(cause: FailureCause) -> Self {
        Self::Failed(cause)
    }
}

impl From<StoreError> for Halt {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a step leaves behind as it goes. The scratch folder goes away with it.
struct Traces {
    begun: Instant,
    log: Option<log::Log>,
    scratch: Option<ScratchDir>,
}

impl Traces {
    fn begin() -> Self {
        Self { begun: Instant::now(), log: None, scratch: None }
    }
}

/// Carries orders out. One serves a whole build, so that what all steps need is made
/// once, and not at all if nothing is to be built.
pub(crate) struct Realiser {
    store: Store,
    /// The objects of the derivations that orders may be for.
    derivations: BTreeMap<DerivationId, StorePath>,
    events: Events,
    keep_failed: bool,
    /// Bounds on every build, beside those of recipes.
    limits: Limits,
    isolation_needed: hb_sandbox::Isolation,
    fetch: Arc<FetchSettings>,
    runner: attempt::LazyRunner,
    pulling: Option<Pulling>,
    /// The removal of scratch folders.
    removals: Mutex<JoinSet<()>>,
}

impl Realiser {
    pub(crate) fn new(
        store: Store,
        derivations: BTreeMap<DerivationId, StorePath>,
        options: &BuildOptions,
        pulling: Option<Pulling>,
        events: Events,
    ) -> Self {
        Self {
            store,
            derivations,
            pulling,
            events,
            keep_failed: options.keep_failed,
            limits: options.limits,
            isolation_needed: options.isolation_needed,
            fetch: Arc::new(options.fetch.clone()),
            runner: attempt::LazyRunner::new(options.sandbox),
            removals: Mutex::default(),
        }
    }

    /// Removes a scratch folder, which may hold a whole compiler's files, while the build
    /// goes on. A killed process leaves it to the next one.
    fn discard(&self, scratch: Option<ScratchDir>) {
        self.removals().spawn_blocking(move || drop(scratch));
    }

    /// Waits until every scratch folder is gone.
    pub(crate) async fn settle(&self) {
        let removals = std::mem::take(&mut *self.removals());
        removals.join_all().await;
    }

    fn removals(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.removals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn events(&self) -> &Events {
        &self.events
    }

    pub(crate) fn pulling(&self) -> Option<&Pulling> {
        self.pulling.as_ref()
    }

    /// Bring the outputs into the store. The slot is free as soon as the builder has ended.
    pub(crate) async fn realise(
        &self,
        order: Order,
        slot: Option<OwnedSemaphorePermit>,
        cancel: &Cancel,
    ) -> Result<Realised, StepError> {
        if let Some(offered) = &order.offered {
            return self.pull(&order, offered, cancel).await;
        }
        let mut traces = Traces::begin();
        let result = self.under_lock(&order, slot, cancel, &mut traces).await;
        let duration = traces.begun.elapsed();
        let result = match result {
            Ok(realised) => {
                self.discard(traces.scratch);
                Ok(realised)
            }
            Err(halt) => Err(self.explain(&order, traces, halt)),
        };
        let derivation = order.step.derivation;
        match &result {
            Ok(Realised { outputs, how: How::Pulled }) => self.events.emit(Event::Pulled {
                step: order.step,
                outputs: outputs.clone(),
                duration,
            }),
            Ok(Realised { outputs, how }) => self.events.emit(Event::Finished {
                step: order.step,
                outputs: outputs.clone(),
                duration,
                reused: *how == How::Reused,
            }),
            // The scheduler tells of failures, as not all of them matter.
            Err(StepError::Failed(_) | StepError::NotPulled) => {}
            Err(StepError::Stopped | StepError::Store(_)) => {
                self.events.emit(Event::Stopped { derivation });
            }
        }
        result
    }

    /// Run the builder without looking at any record. Nothing enters the store.
    pub(crate) async fn try_out(
        &self,
        order: &Order,
        setting: &Setting,
        cancel: &Cancel,
    ) -> Result<Trial, StepError> {
        let mut traces = Traces::begin();
        let tried = async {
            let attempt = self.run_builder(order, setting, cancel, &mut traces).await?;
            let digests = self.digests(order, &attempt).await?;
            Ok((attempt, digests))
        };
        match tried.await {
            Ok((attempt, digests)) => Ok(Trial { attempt, digests, _scratch: traces.scratch }),
            Err(halt) => Err(self.explain(order, traces, halt)),
        }
    }

    async fn under_lock(
        &self,
        order: &Order,
        slot: Option<OwnedSemaphorePermit>,
        cancel: &Cancel,
        traces: &mut Traces,
    ) -> Result<Realised, Halt> {
        let _lock = self.lock(order, cancel).await?;
        let recorded = self.recorded(order)?;
        match recorded {
            Some(outputs) if !order.forced => return Ok(Realised { outputs, how: How::Reused }),
            _ => {}
        }
        if let Some(outputs) = self.pull_fixed(order, cancel).await? {
            return Ok(Realised { outputs, how: How::Pulled });
        }
        self.events.emit(Event::Started {
            step: order.step.clone(),
            work: order.work,
            log: self.store.log_path(&order.resolved.id()),
        });
        let attempt = self.run_builder(order, &Setting::default(), cancel, traces).await?;
        if cancel.is_cancelled() {
            return Err(Halt::Stopped);
        }
        let derivation = order.step.derivation;
        self.events.emit(Event::Entered { derivation, phase: Phase::Publishing });
        drop(slot);
        self.publish(order, &attempt).await
    }

    /// The right to build the order; waits while another process has it.
    async fn lock(&self, order: &Order, cancel: &Cancel) -> Result<BuildLock, Halt> {
        let mut told = false;
        loop {
            let by = match self.store.try_lock_build(&order.resolved.id())? {
                LockAttempt::Acquired(lock) => return Ok(lock),
                LockAttempt::Held { by } => by,
            };
            if !told {
                told = true;
                self.events.emit(Event::Waiting { step: order.step.clone(), process: by });
            }
            tokio::select! {
                () = tokio::time::sleep(LOCK_INTERVAL) => {}
                () = cancel.cancelled() => return Err(Halt::Stopped),
            }
        }
    }

    /// The outputs' paths, if all are on record and in the store.
    fn recorded(&self, order: &Order) -> Result<Option<BTreeMap<OutputName, StorePath>>, Halt> {
        let mut outputs = BTreeMap::new();
        for output in order.resolved.derivation().output_names() {
            let key = RealisationKey { resolved: order.resolved.id(), output: output.clone() };
            let Some(path) = self.store.outcome(&key)? else { return Ok(None) };
            outputs.insert(output, path);
        }
        let paths: Vec<_> = outputs.values().cloned().collect();
        // Held, so that nothing takes them away from those who build on them.
        let missing = self.store.hold_and_find_missing(&paths)?;
        Ok(missing.is_empty().then_some(outputs))
    }

    /// What the order may see of the store: the closure of its inputs.
    pub(crate) fn visible(&self, order: &Order) -> Result<Visible, StoreError> {
        let inputs: Vec<_> = order.resolved.input_paths().cloned().collect();
        let closure = self.store.closure(&inputs)?;
        let physical = |path: StorePath| (path.clone(), self.store.physical(&path));
        Ok(closure.into_iter().map(physical).collect())
    }

    fn open_log(&self, order: &Order) -> Result<log::Log, Halt> {
        let path = self.store.log_path(&order.resolved.id());
        let file = self.store.create_log(&order.resolved.id())?;
        Ok(log::Log::new(order.step.derivation, self.events.clone(), path, file))
    }

    /// Put the facts of a failure together.
    fn explain(&self, order: &Order, traces: Traces, halt: Halt) -> StepError {
        let cause = match halt {
            Halt::Failed(cause) => cause,
            Halt::Stopped => return StepError::Stopped,
            Halt::Store(error) => return StepError::Store(error),
        };
        let kept = match traces.scratch {
            Some(scratch) if self.keep_failed => scratch.keep(order.step.name.as_str()).map(Some),
            _ => Ok(None),
        };
        match kept {
            Ok(kept) => StepError::Failed(Box::new(Failure {
                derivation: order.step.derivation,
                name: order.step.name.clone(),
                resolved: order.resolved.id(),
                cause,
                duration: traces.begun.elapsed(),
                log: traces.log.map(log::Log::end),
                kept,
            })),
            Err(error) => StepError::Store(error),
        }
    }
}

/// Run what may block on a thread where it may. A panic goes on here.
pub(crate) async fn blocking<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(run).await {
        Ok(value) => value,
        // Such tasks are never aborted.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
