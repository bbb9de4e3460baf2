//! Where evaluation's derivations are handed to the builder, and its events to a person.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use hb_build::{
    BuildError, BuildOptions, Cancel, Canceller, Events, Forecast, Graph, Inside, Target,
    audit::{Against, AuditOptions, AuditReport, audit},
    builders::Watch,
    fetch::{FetchSettings, Fetcher, Mirror, Origin, Query},
    look_inside,
};
use hb_cache::{Address, Cache, Caches, Manner};
use hb_evaluator::Derivations;
use hb_model::{Derivation, DerivationId, Input, Outputs, StorePath};
use hb_sandbox::ClientHost;
use hb_store::Store;
use tokio::sync::mpsc;

use crate::{
    args::{Global, RecipeArgs},
    commands::build::HowArgs,
    config::{Layer, Settings},
    credentials,
    error::{CliError, DOCTOR, Failure},
    exit::Exit,
    output::{self, Progress},
    project::{LOCK_FILE, Lock, WantedSource},
    recipe::{Evaluated, Recipe, open_store},
};

/// Work that can be done on a store: what some targets rest on.
pub(crate) struct Work {
    pub(crate) store: Store,
    pub(crate) graph: Arc<Graph>,
    targets: Vec<Target>,
    /// The graph's derivations as evaluation has them, to say where one was made.
    derivations: Arc<Derivations>,
    pub(crate) settings: Settings,
}

/// What was built.
pub(crate) struct BuildOutcome {
    /// Each target and its path, in the order in which they were asked for.
    pub(crate) outputs: Vec<(Target, StorePath)>,
}

impl Work {
    /// Find a recipe, evaluate it, and take what that yields. `options` are the settings
    /// given on the command line.
    pub(crate) fn of_recipe(args: &RecipeArgs, options: Layer) -> Result<Self, Failure> {
        let recipe = Recipe::find(&args.recipe, options)?;
        let store = open_store(&recipe.settings)?;
        let evaluated = recipe.evaluate(args, &store)?;
        let work = Self::new(&recipe.settings, store, evaluated)?;
        work.keep_until_the_end();
        Ok(work)
    }

    /// Leave it to the end of the process to free the graph, in one that has no other: to free
    /// each of its parts takes a tenth of the time of planning.
    pub(crate) fn keep_until_the_end(&self) {
        std::mem::forget((Arc::clone(&self.graph), Arc::clone(&self.derivations)));
    }

    /// Take what evaluation yielded.
    pub(crate) fn new(
        settings: &Settings,
        store: Store,
        mut evaluated: Evaluated,
    ) -> Result<Self, Failure> {
        let targets: Vec<_> = evaluated
            .targets
            .into_iter()
            .map(|(derivation, output)| Target { derivation, output })
            .collect();
        let graph = Graph::new(|id| evaluated.derivations.get(id).cloned(), &targets)
            .map_err(|error| Failure::plain(Exit::Build, "build.derivation", &error, None))?;
        if let Some(lock) = &evaluated.lock {
            require_listed(&graph, lock)?;
        }
        evaluated.derivations.retain(|id| graph.derivation(id).is_some());
        let (graph, derivations) = (Arc::new(graph), Arc::new(evaluated.derivations));
        Ok(Self { store, graph, targets, derivations, settings: settings.clone() })
    }

    /// Take what is in a graph already.
    pub(crate) fn of_graph(settings: &Settings, store: Store, graph: Graph) -> Self {
        Self {
            store,
            targets: graph.targets().collect(),
            graph: Arc::new(graph),
            derivations: Arc::default(),
            settings: settings.clone(),
        }
    }

    /// What would be done.
    pub(crate) fn forecast(&self, global: &Global) -> Result<Forecast, Failure> {
        let options = self.options(&HowArgs::default())?;
        self.attended(global, false, async |events, cancel| {
            hb_build::forecast(&self.store, &self.graph, &options, events, cancel).await
        })
    }

    /// Bring the targets into the store.
    pub(crate) fn build(
        &self,
        global: &Global,
        how: &HowArgs,
        rebuild: bool,
    ) -> Result<BuildOutcome, Failure> {
        let options = BuildOptions { rebuild, ..self.options(how)? };
        let report = self.attended(global, how.log, async |events, cancel| {
            hb_build::build(&self.store, &self.graph, &options, events, cancel).await
        })?;
        let outputs = self
            .targets
            .iter()
            .filter_map(|target| Some((target.clone(), report.outputs.get(target)?.clone())));
        Ok(BuildOutcome { outputs: outputs.collect() })
    }

    /// Bring as many targets into the store as can be; for each, what failed on its way.
    pub(crate) fn build_each(
        &self,
        global: &Global,
        how: &HowArgs,
    ) -> Result<Vec<Option<Failure>>, Failure> {
        let options = BuildOptions { keep_going: true, ..self.options(how)? };
        let result = self.watched(global, how.log, async |events, cancel| {
            hb_build::build(&self.store, &self.graph, &options, events, cancel).await
        })?;
        let failures = match result {
            Ok(_) => Vec::new(),
            Err(BuildError::Failed { failures, .. }) => failures,
            Err(error) => return Err(self.failure(&error)),
        };
        let of_target = |target: &Target| {
            let needed = self.needed_by(target.derivation);
            let failures = failures.iter().filter(|failure| needed.contains(&failure.derivation));
            let failures: Vec<_> = failures.cloned().collect();
            (!failures.is_empty())
                .then(|| self.failure(&BuildError::Failed { failures, blocked: Vec::new() }))
        };
        Ok(self.targets.iter().map(of_target).collect())
    }

    /// A derivation and all that it needs.
    fn needed_by(&self, target: DerivationId) -> BTreeSet<DerivationId> {
        let derivations: BTreeMap<_, _> = self.graph.derivations().collect();
        let mut needed = BTreeSet::new();
        let mut waiting = vec![target];
        while let Some(id) = waiting.pop() {
            if needed.insert(id)
                && let Some(derivation) = derivations.get(&id)
            {
                waiting.extend(derivation.inputs.iter().filter_map(|input| match input {
                    Input::Output { derivation, .. } => Some(*derivation),
                    Input::Path(_) => None,
                }));
            }
        }
        needed
    }

    /// Bring everything that is fetched into the store; gives the paths.
    pub(crate) fn fetch_all(&self, global: &Global) -> Result<Vec<StorePath>, Failure> {
        let options = self.options(&HowArgs::default())?;
        self.attended(global, false, async |events, cancel| {
            hb_build::fetch_all(&self.store, &self.graph, &options, events, cancel).await
        })?;
        let fixed = self.graph.derivations().filter_map(|(_, derivation)| derivation.fixed_path());
        Ok(fixed.collect())
    }

    /// Build each target again and again, and compare.
    pub(crate) fn audit(
        &self,
        global: &Global,
        how: &HowArgs,
        rounds: NonZeroUsize,
        against: &[Against],
    ) -> Result<Vec<AuditReport>, Failure> {
        let options = AuditOptions { rounds, against: against.to_vec(), build: self.options(how)? };
        self.targets
            .iter()
            .map(|target| {
                self.attended(global, how.log, async |events, cancel| {
                    audit(&self.store, &self.graph, target, &options, events, cancel).await
                })
            })
            .collect()
    }

    /// The sandbox of the first target, for a person to look into.
    pub(crate) fn look_inside(
        &self,
        global: &Global,
        kept: Option<&Path>,
    ) -> Result<Option<Inside>, Failure> {
        let Some(target) = self.targets.first() else { return Ok(None) };
        let options = self.options(&HowArgs::default())?;
        self.attended(global, false, async |events, cancel| {
            look_inside(&self.store, &self.graph, target, kept, &options, events, cancel).await
        })
    }

    fn options(&self, how: &HowArgs) -> Result<BuildOptions, CliError> {
        let defaults = BuildOptions::new(self.settings.sandbox);
        Ok(BuildOptions {
            jobs: self.settings.jobs.unwrap_or(defaults.jobs),
            keep_going: how.keep_going,
            keep_failed: self.settings.keep_failed,
            limits: self.settings.limits,
            isolation_needed: self.settings.isolation_needed,
            fetch: fetch_settings(&self.settings),
            caches: Some(Arc::new(caches(&self.settings, &self.settings.caches)?)),
            ..defaults
        })
    }

    /// Do something that takes a while: show its events, and stop it on Ctrl-C.
    fn attended<T>(
        &self,
        global: &Global,
        show_log: bool,
        work: impl AsyncFnOnce(Events, &Cancel) -> Result<T, BuildError>,
    ) -> Result<T, Failure> {
        self.watched(global, show_log, work)?.map_err(|error| self.failure(&error))
    }

    fn watched<T>(
        &self,
        global: &Global,
        show_log: bool,
        work: impl AsyncFnOnce(Events, &Cancel) -> Result<T, BuildError>,
    ) -> Result<Result<T, BuildError>, Failure> {
        let runtime = runtime()?;
        runtime.block_on(async {
            let (sender, mut events) = mpsc::unbounded_channel();
            let (canceller, cancel) = Canceller::new();
            tokio::spawn(cancel_on_signal(canceller));
            let mut progress = Progress::new(global.quiet, show_log);
            let watch = async {
                while let Some(event) = events.recv().await {
                    progress.show(event);
                }
            };
            let (result, ()) = tokio::join!(work(Events::new(sender), &cancel), watch);
            Ok(result)
        })
    }

    /// A build's error in words.
    fn failure(&self, error: &BuildError) -> Failure {
        crate::error::build_failure(error, |id| self.derivations.place(id))
    }
}

/// Refuse fetches that the lock file does not list.
fn require_listed(graph: &Graph, lock: &Lock) -> Result<(), Failure> {
    let is_unlisted = |derivation: &Derivation| match &derivation.outputs {
        Outputs::Fixed(fixed) if derivation.is_fetch() => {
            let hex = fixed.hash.to_hex();
            !lock.sources.iter().any(|source| source.sha256 == hex)
        }
        _ => false,
    };
    let unlisted: String = graph
        .derivations()
        .filter(|(_, derivation)| is_unlisted(derivation))
        .map(|(_, derivation)| format!("\n  {}", derivation.name))
        .collect();
    if unlisted.is_empty() {
        return Ok(());
    }
    let message = format!("{LOCK_FILE} does not list what this recipe fetches:{unlisted}");
    let help = "`hb update` locks the tools' sources; other fetches are refused with --locked";
    Err(CliError::LockMismatch { message, help }.into())
}

/// How fetches are done under these settings.
pub(crate) fn fetch_settings(settings: &Settings) -> FetchSettings {
    let mirror = |(prefix, places): (&String, &Vec<String>)| {
        let prefix = prefix.clone();
        places
            .iter()
            .map(|place| Mirror { prefix: prefix.clone(), replacement: place.clone() })
            .collect::<Vec<_>>()
    };
    FetchSettings {
        offline: settings.offline,
        mirrors: settings.mirrors.iter().flat_map(mirror).collect(),
        by_hash: settings.by_hash.clone(),
        cache: settings.store.join("cache"),
        clients: hb_build::fetch::clients(&settings.network),
        host: ClientHost { home: etcetera::home_dir().ok(), env: std::env::vars_os().collect() },
    }
}

/// The caches at some addresses; offline, those that need no network.
pub(crate) fn caches(settings: &Settings, addresses: &[Address]) -> Result<Caches, CliError> {
    let usable = addresses.iter().filter(|address| !settings.offline || address.is_local());
    let list = usable.map(|address| open_cache(settings, address)).collect::<Result<_, _>>()?;
    Ok(Caches::new(list, settings.trust.clone(), settings.store.join("cache/chunks")))
}

/// The cache at an address.
pub(crate) fn open_cache(settings: &Settings, address: &Address) -> Result<Arc<Cache>, CliError> {
    let credential = credentials::of(address)?;
    let (patience, network) = (settings.cache_timeout, settings.network.clone());
    let manner = Manner { patience, network, credential };
    Ok(Cache::open(address.clone(), &manner))
}

/// Fetch a source that a tool's recipe names, to learn its size and SHA-256. The file is
/// dropped: a build fetches it again, and then by its hash.
pub(crate) fn resolve_source(
    settings: &Settings,
    source: &WantedSource,
) -> Result<(u64, String), Failure> {
    let fetch = fetch_settings(settings);
    std::fs::create_dir_all(&fetch.cache)
        .map_err(|source| CliError::Io { path: fetch.cache.clone(), source })?;
    let sandbox = hb_sandbox::Runner::new(settings.sandbox)
        .map_err(|error| Failure::plain(Exit::Host, "build.sandbox", &error, Some(DOCTOR)))?;
    let watch = Watch { cancelled: &|| false, report: &|_| {} };
    let fetcher = Fetcher { settings: &fetch, sandbox: Some(&sandbox), watch };
    let mut last = None;
    for origin in &source.origins {
        let origin: Origin = serde_json::from_value(origin.clone()).map_err(|error| {
            CliError::usage(format!("'{}' has no usable origin: {error}", source.name))
        })?;
        match fetcher.resolve(&Query::Exact(origin)) {
            Ok(found) => return Ok((found.size, found.hash.to_hex())),
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(error) => Failure::plain(Exit::Fetch, "build.fetch", &error, None),
        None => CliError::usage(format!("'{}' has no origin", source.name)).into(),
    })
}

/// The runtime in which processes are waited for.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|source| CliError::Io { path: Path::new("/proc/self/task").into(), source }.into())
}

/// Set `stop` when Ctrl-C or SIGTERM asks for it, as long as what this gives lives.
pub(crate) fn until_signal(stop: Arc<AtomicBool>) -> Result<tokio::runtime::Runtime, Failure> {
    let runtime = runtime()?;
    let (canceller, cancel) = Canceller::new();
    runtime.spawn(cancel_on_signal(canceller));
    runtime.spawn(async move {
        cancel.cancelled().await;
        stop.store(true, Ordering::Relaxed);
    });
    Ok(runtime)
}

/// Ctrl-C and SIGTERM ask for a clean stop; a second one ends hb at once, and the kernel
/// then ends the sandboxes.
async fn cancel_on_signal(canceller: Canceller) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let mut asked = false;
    loop {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        if asked {
            std::process::exit(Exit::Interrupted as i32);
        }
        asked = true;
        output::note("stopping; once more to end at once");
        canceller.cancel();
    }
}
