//! Builds a derivation several times under different conditions and compares what
//! came out, file by file.
//!
//! The inputs are realised as usual; only the target itself is built again, and nothing
//! of it goes into the store. The first round is like any build. Each round after it
//! varies whatever can be varied at once, and says what it could not.

mod against;
mod cause;
mod compare;
mod conditions;
mod listing;
mod load;
mod report;
mod vary;

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use hb_model::{OutputName, RealisationKey};
use hb_store::Store;

pub use against::{Against, AgainstError, AgainstReport};
pub use cause::Cause;
pub use compare::{
    ContentDifference, DifferenceKind, EXCERPT_ALIGNMENT, EntryType, Excerpt, PathDifference,
};
pub use conditions::{Conditions, Factor, NotVaried, Reason};
pub use report::{AuditReport, Found, RoundReport};

use self::{
    cause::guess,
    compare::{Aliases, Contents, compare},
    load::Load,
};
use crate::{
    BuildError, BuildOptions, Cancel, Event, Events, Graph, Target, ready,
    realise::{Order, Realiser, StepError, Trial, blocking},
};

/// The least time between the end of a round and the start of the next: enough for
/// every clock that a build may write down to show another second.
pub const MIN_PAUSE: Duration = Duration::from_secs(2);

/// How an audit is done.
#[derive(Clone, Debug)]
pub struct AuditOptions {
    /// How many times the target is built.
    pub rounds: NonZeroUsize,
    /// Hashes that others published.
    pub against: Vec<Against>,
    /// How the inputs are built.
    pub build: BuildOptions,
}

/// Build `target` again and again, and compare.
pub async fn audit(
    store: &Store,
    graph: &Arc<Graph>,
    target: &Target,
    options: &AuditOptions,
    events: Events,
    cancel: &Cancel,
) -> Result<AuditReport, BuildError> {
    let (realiser, order) =
        ready(store, graph, target, &options.build, events.clone(), cancel).await?;
    let output = target.output.clone();
    let auditor = Auditor { realiser, order, output, events, cancel };
    auditor.run(options).await
}

struct Auditor<'a> {
    realiser: Realiser,
    order: Order,
    /// The output that published hashes are of.
    output: OutputName,
    events: Events,
    cancel: &'a Cancel,
}

/// A round that is over, its outputs still in their scratch folder.
struct Round {
    trial: Trial,
    conditions: Conditions,
}

impl Auditor<'_> {
    async fn run(&self, options: &AuditOptions) -> Result<AuditReport, BuildError> {
        let total = options.rounds.get();
        let first = Arc::new(self.round(0, total).await?);
        let mut rounds = vec![first.report(Vec::new())];
        for number in 1..total {
            self.pause().await?;
            let round = self.round(number, total).await?;
            let first = Arc::clone(&first);
            let compared =
                blocking(move || differences(&first, &round).map(|found| round.report(found)));
            rounds.push(compared.await?);
        }
        let against = options.against.clone();
        let output = self.output.clone();
        let compared = Arc::clone(&first);
        Ok(AuditReport {
            derivation: self.order.step.derivation,
            name: self.order.step.name.clone(),
            resolved: self.order.resolved.id(),
            rounds,
            recorded: self.recorded(&first)?,
            against: blocking(move || compare_published(&against, &output, &compared)).await?,
        })
    }

    async fn pause(&self) -> Result<(), BuildError> {
        tokio::select! {
            () = tokio::time::sleep(MIN_PAUSE) => Ok(()),
            () = self.cancel.cancelled() => Err(BuildError::Cancelled),
        }
    }

    /// Build once; all rounds but the first under other conditions.
    async fn round(&self, number: usize, total: usize) -> Result<Round, BuildError> {
        let derivation = self.order.step.derivation;
        self.events.emit(Event::Round { derivation, number: number + 1, total });
        let prepared = vary::prepare(&self.realiser, &self.order, number).await?;
        let load = prepared.load.then(Load::start);
        let started = SystemTime::now();
        let trial = self.realiser.try_out(&self.order, &prepared.setting, self.cancel).await;
        let ended = SystemTime::now();
        drop(load);
        let trial = trial.map_err(|error| self.stopped(error))?;
        let conditions = prepared.conditions(&trial.attempt, started, ended);
        Ok(Round { trial, conditions })
    }

    /// Why the audit ends with a round that did.
    fn stopped(&self, error: StepError) -> BuildError {
        match error {
            StepError::Failed(failure) => {
                let failure = Arc::new(*failure);
                self.events.emit(Event::Failed(Arc::clone(&failure)));
                BuildError::Failed { failures: vec![failure], blocked: Vec::new() }
            }
            StepError::Stopped | StepError::NotPulled => BuildError::Cancelled,
            StepError::Store(error) => error.into(),
        }
    }

    /// Whether the outputs that are on record are the same.
    fn recorded(&self, round: &Round) -> Result<BTreeMap<OutputName, bool>, BuildError> {
        let mut recorded = BTreeMap::new();
        for (output, digest) in &round.trial.digests {
            let key = RealisationKey { resolved: self.order.resolved.id(), output: output.clone() };
            if let Some(realisation) = self.realiser.store().realisation(&key)? {
                recorded.insert(output.clone(), realisation.realisation.digest == *digest);
            }
        }
        Ok(recorded)
    }
}

impl Round {
    fn report(&self, found: Vec<Found>) -> RoundReport {
        RoundReport {
            conditions: self.conditions.clone(),
            digests: self.trial.digests.clone(),
            found,
        }
    }
}

/// Every path that a round made otherwise than the first.
fn differences(first: &Round, round: &Round) -> Result<Vec<Found>, BuildError> {
    let (ours, theirs) = (&first.trial.attempt.outputs, &round.trial.attempt.outputs);
    let pairs = || ours.iter().filter_map(|(name, made)| Some((name, made, theirs.get(name)?)));
    let aliases: Aliases = pairs()
        .map(|(_, ours, theirs)| (theirs.path.hash_part().into(), ours.path.hash_part().into()))
        .collect();
    let mut found = Vec::new();
    for (output, ours, theirs) in pairs() {
        let mut causes = BTreeMap::new();
        let mut look = |path: &Path, contents: Contents<'_>| {
            causes.insert(path.to_owned(), guess(&contents, &first.conditions, &round.conditions));
        };
        let differences = compare(&ours.physical, &theirs.physical, &aliases, &mut look)
            .map_err(|error| BuildError::Folder { path: theirs.physical.clone(), error })?;
        found.extend(differences.into_iter().map(|difference| Found {
            output: output.clone(),
            causes: causes.remove(&difference.path).unwrap_or_default(),
            difference,
        }));
    }
    Ok(found)
}

fn compare_published(
    against: &[Against],
    output: &OutputName,
    round: &Round,
) -> Result<Vec<AgainstReport>, BuildError> {
    let (Some(made), Some(digest)) =
        (round.trial.attempt.outputs.get(output), round.trial.digests.get(output))
    else {
        return Ok(Vec::new());
    };
    let compare = |against: &Against| {
        let path = made.physical.clone();
        against.compare(&path, digest).map_err(|error| BuildError::Folder { path, error })
    };
    against.iter().map(compare).collect()
}
