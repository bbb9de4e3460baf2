//! What caches have need not be built: asking them, and pulling from them.
//!
//! All of it may take long, and some of it fails: then what was hoped for is built. Nothing
//! that a cache says is believed unless hashes or trusted signatures prove it.

mod batch;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hb_cache::{Caches, Fault, Report, Watch};
use hb_model::{OutputName, RealisationKey, Signed, StorePath};
use hb_store::{Store, StoreError};

use crate::{
    Cancel, Event, Events,
    graph::Graph,
    plan::{Plan, Question},
    realise::blocking,
};
pub(crate) use batch::NotPulled;

/// What caches offer of something, by output.
pub(crate) type Offered = BTreeMap<OutputName, StorePath>;

/// Questions with their answers.
pub(crate) type Answers = Vec<(Question, Option<Offered>)>;

/// The caches of a build. Clones are handles on the same.
#[derive(Clone)]
pub(crate) struct Pulling(Arc<Inner>);

struct Inner {
    caches: Arc<Caches>,
    store: Store,
    events: Events,
    /// What was believed of what is not here yet.
    believed: Mutex<HashMap<RealisationKey, Signed>>,
    queue: batch::Queue,
}

impl Pulling {
    pub(crate) fn new(caches: Arc<Caches>, store: Store, events: Events) -> Self {
        let (believed, queue) = (Mutex::default(), batch::Queue::default());
        Self(Arc::new(Inner { caches, store, events, believed, queue }))
    }

    /// Whether there are caches to ask.
    pub(crate) fn asks(&self) -> bool {
        !self.0.caches.is_empty()
    }

    /// Answer everything that a plan asks, and what it asks because of that.
    pub(crate) async fn settle(
        &self,
        plan: &mut Plan,
        graph: &Graph,
        cancel: &Cancel,
    ) -> Result<(), StoreError> {
        let mut is_first = true;
        let mut is_current = true;
        loop {
            let questions = plan.take_questions();
            if questions.is_empty() {
                if is_current {
                    return Ok(());
                }
                // Once, and not for each layer of the graph: what is asked is what nobody can
                // know yet, and all above that is still to be known, too.
                plan.reassess(&self.0.store)?;
                is_current = true;
                continue;
            }
            if std::mem::take(&mut is_first) {
                self.learn(graph, cancel).await;
            }
            for (question, offered) in self.answer(questions, cancel).await? {
                is_current &= offered.is_none();
                plan.answer(&question, offered.as_ref(), &self.0.store)?;
            }
        }
    }

    /// Learn all that caches say at once of what the targets rest on.
    async fn learn(&self, graph: &Graph, cancel: &Cancel) {
        let targets: Vec<_> = graph.targets().map(|target| target.derivation).collect();
        let learn = move |inner: &Inner, watch: Watch| inner.caches.learn_graphs(targets, watch);
        // One that was stopped is asked nothing more.
        let _ = self.watched(cancel, learn).await;
    }

    /// Answer questions. One that is stopped offers nothing.
    pub(crate) async fn answer(
        &self,
        questions: Vec<Question>,
        cancel: &Cancel,
    ) -> Result<Answers, StoreError> {
        self.watched(cancel, move |inner, watch| inner.answer(questions, watch)).await
    }

    /// Whether caches say that they have these objects.
    pub(crate) async fn have(&self, paths: Vec<StorePath>, cancel: &Cancel) -> Vec<bool> {
        let count = paths.len();
        let have = move |inner: &Inner, watch: Watch| inner.caches.have(paths, watch);
        self.watched(cancel, have).await.unwrap_or_else(|_| vec![false; count])
    }

    /// Do what may block, and tell of what is left out.
    async fn watched<T: Send + 'static>(
        &self,
        cancel: &Cancel,
        work: impl FnOnce(&Inner, Watch) -> T + Send + 'static,
    ) -> T {
        let (inner, cancel) = (Arc::clone(&self.0), cancel.clone());
        blocking(move || {
            let cancelled = || cancel.is_cancelled();
            work(&inner, Watch { cancelled: &cancelled, report: &|report| inner.tell(report) })
        })
        .await
    }

    /// Record who said that a derivation, whose object is this, gave what was pulled.
    pub(crate) fn record(
        &self,
        keys: impl IntoIterator<Item = RealisationKey>,
        derivation: Option<&StorePath>,
    ) -> Result<(), StoreError> {
        let believed = self.0.believed();
        let builds = keys.into_iter().filter_map(|key| believed.get(&key).cloned());
        let builds: Vec<_> = builds.map(|signed| (signed, derivation.cloned())).collect();
        drop(believed);
        if builds.is_empty() { Ok(()) } else { self.0.store.record_foreign(builds) }
    }
}

impl Inner {
    fn believed(&self) -> MutexGuard<'_, HashMap<RealisationKey, Signed>> {
        self.believed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, report: Report) {
        self.events.emit(match report {
            Report::Progress { done, total } => Event::Pulling { done, total },
            Report::LeftOut(error) => Event::CacheLeftOut(Arc::new(error)),
            // Only who pushes waits.
            Report::Waiting => return,
        });
    }

    fn answer(&self, questions: Vec<Question>, watch: Watch) -> Result<Answers, StoreError> {
        let (known, unknown): (Vec<_>, Vec<_>) = questions.into_iter().partition(is_known);
        let mut answers = self.look_for(known, watch);
        let asked = unknown.iter().map(|question| {
            let names = question.outputs.iter().map(|(name, _)| name.clone());
            (question.resolved, names.collect())
        });
        let nothing = |_: Fault| vec![None; unknown.len()];
        let said = self.caches.builds(asked.collect(), watch).unwrap_or_else(nothing);
        let mut outcomes = Vec::new();
        for (question, said) in unknown.into_iter().zip(said) {
            let offered = said.map(|builds| {
                let mut offered = Offered::new();
                for (output, signed) in builds {
                    let (key, path) = (&signed.realisation.key, &signed.realisation.path);
                    outcomes.push((key.clone(), path.clone()));
                    offered.insert(output, path.clone());
                    self.believed().insert(key.clone(), signed);
                }
                offered
            });
            answers.push((question, offered));
        }
        // So that nobody is asked again.
        if !outcomes.is_empty() {
            self.store.remember_outcomes(&outcomes)?;
        }
        Ok(answers)
    }

    /// The answers to questions of which only the content is missing here.
    fn look_for(&self, questions: Vec<Question>, watch: Watch) -> Answers {
        let paths: Vec<StorePath> =
            questions.iter().flat_map(|it| it.outputs.iter().filter_map(|o| o.1.clone())).collect();
        let nothing = |_: Fault| vec![false; paths.len()];
        let found = self.caches.have(paths.clone(), watch).unwrap_or_else(nothing);
        let there: BTreeMap<_, _> = paths.iter().zip(found).collect();
        let answer = |question: Question| {
            let outputs = question.outputs.iter();
            let offered = outputs.map(|(name, path)| {
                let path = path.as_ref().filter(|path| there.get(path) == Some(&true))?;
                Some((name.clone(), path.clone()))
            });
            let offered = offered.collect::<Option<Offered>>();
            (question, offered)
        };
        questions.into_iter().map(answer).collect()
    }
}

/// Whether it is known what came out, so that nobody need be believed.
fn is_known(question: &Question) -> bool {
    question.outputs.iter().all(|(_, path)| path.is_some())
}
