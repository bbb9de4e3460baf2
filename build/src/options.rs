//! What a build may be asked to do otherwise than usual.

use std::{num::NonZeroUsize, sync::Arc};

use hb_cache::Caches;
use hb_model::Limits;
use hb_sandbox::{Backend, Isolation};

use crate::fetch::FetchSettings;

/// Settings of one build.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// How many steps are built at once.
    pub jobs: NonZeroUsize,
    /// How many fetches run at once, beside what is built.
    pub fetches: NonZeroUsize,
    /// Go on with what does not need a step that failed.
    pub keep_going: bool,
    /// Keep the build folder of a step that failed.
    pub keep_failed: bool,
    /// How to fetch; offline, what is not in the store is an error before anything is
    /// built.
    pub fetch: FetchSettings,
    /// Who is asked before anything is built or fetched. Offline, only those that can be
    /// reached without a network.
    pub caches: Option<Arc<Caches>>,
    /// Build the targets although they are in the store, and compare.
    pub rebuild: bool,
    /// How sandboxes are made.
    pub sandbox: Backend,
    /// Bounds on every build; of these and a recipe's own the tighter counts.
    pub limits: Limits,
    /// What is built with less isolation is not taken.
    pub isolation_needed: Isolation,
}

/// Enough to hide the latency of most origins, and few enough to be a polite client.
const DEFAULT_FETCHES: NonZeroUsize = NonZeroUsize::new(4).unwrap();

impl BuildOptions {
    /// The usual: as many steps at once as there are processors.
    pub fn new(sandbox: Backend) -> Self {
        let processors = std::thread::available_parallelism();
        Self {
            jobs: processors.unwrap_or(NonZeroUsize::MIN),
            fetches: DEFAULT_FETCHES,
            keep_going: false,
            keep_failed: false,
            fetch: FetchSettings::default(),
            caches: None,
            rebuild: false,
            sandbox,
            limits: Limits::default(),
            isolation_needed: Isolation::Namespaces,
        }
    }
}
