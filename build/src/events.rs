//! What happens while building, for whoever shows it.
//!
//! Nothing in this crate prints. Events come in the order in which things happen;
//! after [`Event::Started`] each step ends with exactly one of [`Event::Finished`],
//! [`Event::Failed`] and [`Event::Stopped`].

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use hb_cache::CacheError;
use hb_model::{Derivation, DerivationId, OutputName, StoreName, StorePath};
use tokio::sync::mpsc;

use crate::{Failure, Forecast};

/// One derivation that is being worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Which derivation.
    pub derivation: DerivationId,
    /// What it is called.
    pub name: StoreName,
}

/// How a step comes to its outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// From outside.
    Fetch,
    /// By a builder of hb's own.
    Builtin,
    /// By a program in a sandbox.
    Build,
}

impl Work {
    pub(crate) fn of(derivation: &Derivation) -> Self {
        match derivation {
            fetch if fetch.is_fetch() => Self::Fetch,
            builtin if builtin.is_builtin() => Self::Builtin,
            _ => Self::Build,
        }
    }
}

/// What a step is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The builder runs.
    Running,
    /// The outputs are read, checked and moved into the store.
    Publishing,
}

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// What is expected to happen, before anything does.
    Planned(Arc<Forecast>),
    /// Work on a step began.
    Started {
        /// Which step.
        step: Step,
        /// What is done.
        work: Work,
        /// Where its log is written.
        log: PathBuf,
    },
    /// Another process builds the same; its result will be used.
    Waiting {
        /// Which step.
        step: Step,
        /// The number of the process, if it is known.
        process: Option<u32>,
    },
    /// A round of an audit begins.
    Round {
        /// Which step is audited.
        derivation: DerivationId,
        /// The round, from 1 on.
        number: usize,
        /// How many there will be.
        total: usize,
    },
    /// A step went on to another phase.
    Entered {
        /// Which step.
        derivation: DerivationId,
        /// What it is at now.
        phase: Phase,
    },
    /// A builder wrote something; the bytes need not end with a line.
    Log {
        /// Which step.
        derivation: DerivationId,
        /// What it wrote.
        bytes: Vec<u8>,
    },
    /// A fetch got further.
    Progress {
        /// Which step.
        derivation: DerivationId,
        /// The bytes that are here.
        received: u64,
        /// The bytes in all, where the origin says so.
        total: Option<u64>,
    },
    /// Caches bring something.
    Pulling {
        /// The bytes that are here, of what is pulled at once.
        done: u64,
        /// The bytes in all.
        total: u64,
    },
    /// A step's outputs came from a cache. It need not have been started.
    Pulled {
        /// Which step.
        step: Step,
        /// Where its outputs lie.
        outputs: BTreeMap<OutputName, StorePath>,
        /// How long it took.
        duration: Duration,
    },
    /// A step's outputs did not come from a cache, although one had offered them. They are
    /// made.
    NotPulled {
        /// Which step.
        step: Step,
        /// Why, unless that was told as the fault of a cache.
        reason: Option<String>,
    },
    /// A cache failed or lied, and is not asked again.
    CacheLeftOut(Arc<CacheError>),
    /// A step's outputs are in the store.
    Finished {
        /// Which step.
        step: Step,
        /// Where its outputs lie.
        outputs: BTreeMap<OutputName, StorePath>,
        /// How long it took.
        duration: Duration,
        /// Whether nothing had to be done, since the same had been built already.
        reused: bool,
    },
    /// A step failed.
    Failed(Arc<Failure>),
    /// A step was stopped, because it was asked to or because nothing needs it any
    /// more.
    Stopped {
        /// Which step.
        derivation: DerivationId,
    },
}

/// Where events go. Nobody needs to listen.
#[derive(Clone, Debug)]
pub struct Events(Option<mpsc::UnboundedSender<Event>>);

impl Events {
    /// To this channel.
    pub fn new(sender: mpsc::UnboundedSender<Event>) -> Self {
        Self(Some(sender))
    }

    /// To nobody.
    pub fn ignored() -> Self {
        Self(None)
    }

    pub(crate) fn emit(&self, event: Event) {
        if let Some(sender) = &self.0 {
            // Nobody listening any more is as good as nobody listening.
            let _ = sender.send(event);
        }
    }
}
