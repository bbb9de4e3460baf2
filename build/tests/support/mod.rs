//! A throw-away store with a static busybox in it, and derivations that run its shell.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use hb_build::{BuildError, BuildOptions, BuildReport, Canceller, Event, Events, Graph, Target};
use hb_model::{
    Algorithm, Derivation, DerivationId, FixedMethod, FixedOutput, Hasher, Input, Limits,
    OutputName, Outputs, StoreName, StorePath,
};
use hb_sandbox::{Backend, Maker, Reentry};
use hb_store::{Durability, OpenMode, Store};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// Installed in every image that runs the tests; static.
const BUSYBOX: &str = "/bin/busybox";

/// This test program starts sandboxes when it is executed once more.
#[ctor::ctor(unsafe)]
fn reenter() {
    Reentry::point();
}

/// How sandboxes are made here.
pub(crate) fn backend() -> Backend {
    Backend { reentry: Reentry::point(), maker: Maker::Automatic }
}

/// The usual options.
pub(crate) fn options() -> BuildOptions {
    BuildOptions::new(backend())
}

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) busybox: StorePath,
    folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let store = Store::open_with(&root, OpenMode::Write, Durability::Relaxed).unwrap();
        // Busybox goes by the name that it is called by, so it lies in a folder.
        let tools = folder.path().join("tools");
        fs::create_dir(&tools).unwrap();
        fs::copy(BUSYBOX, tools.join("busybox")).unwrap();
        let busybox = store.add_tree(&tools, &name("tools"), None).unwrap();
        Self { store, busybox, folder }
    }

    /// The same store, as another process sees it: what this one held is free.
    pub(crate) fn reopened(self) -> Self {
        let Self { store, busybox, folder } = self;
        let root = store.root().to_owned();
        drop(store);
        let store = Store::open_with(&root, OpenMode::Write, Durability::Relaxed).unwrap();
        Self { store, busybox, folder }
    }

    pub(crate) fn root(&self) -> &Path {
        self.folder.path()
    }

    /// A derivation whose builder is busybox's shell; `needs` are derivations whose
    /// `out` the script may name by [`out`].
    pub(crate) fn script(&self, title: &str, script: &str, needs: &[&Derivation]) -> Derivation {
        let inputs = needs
            .iter()
            .map(|need| Input::Output { derivation: need.id(), output: OutputName::out() })
            .chain([Input::Path(self.busybox.clone())])
            .collect();
        Derivation {
            name: name(title),
            system: hb_build::this_system(),
            root: None,
            builder: format!("{}/busybox", self.busybox),
            args: ["sh", "-euc", script].map(str::to_owned).into(),
            env: BTreeMap::new(),
            files: BTreeMap::new(),
            attrs: None,
            closure_info: BTreeMap::new(),
            runtime_root: None,
            inputs,
            outputs: Outputs::Floating(vec![OutputName::out()].into()),
            limits: Limits::default(),
        }
    }

    /// Build the `out` of some derivations.
    pub(crate) async fn build(&self, graph: &Arc<Graph>) -> Result<BuildReport, BuildError> {
        self.build_with(graph, &options()).await.0
    }

    /// The same, with what was told meanwhile.
    pub(crate) async fn build_with(
        &self,
        graph: &Arc<Graph>,
        options: &BuildOptions,
    ) -> (Result<BuildReport, BuildError>, Vec<Event>) {
        let (sender, receiver) = unbounded_channel();
        let (_canceller, cancel) = Canceller::new();
        let events = Events::new(sender);
        let result = hb_build::build(&self.store, graph, options, events, &cancel).await;
        (result, drain(receiver))
    }

    /// The text of a target's only file.
    pub(crate) fn read(&self, report: &BuildReport, derivation: &Derivation) -> String {
        let path = &report.outputs[&target(derivation)];
        fs::read_to_string(self.store.physical(path)).unwrap()
    }
}

/// A file fetched by its hash from nowhere.
pub(crate) fn fetch(title: &str) -> Derivation {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(title.as_bytes());
    Derivation {
        name: name(title),
        system: "builtin".into(),
        root: None,
        builder: "builtin:fetch-1".into(),
        args: vec![],
        env: BTreeMap::new(),
        files: BTreeMap::new(),
        attrs: Some(r#"{"origins":[]}"#.into()),
        closure_info: BTreeMap::new(),
        runtime_root: None,
        inputs: Default::default(),
        outputs: Outputs::Fixed(FixedOutput { method: FixedMethod::Flat, hash: hasher.finish() }),
        limits: Limits::default(),
    }
}

pub(crate) fn name(text: &str) -> StoreName {
    StoreName::new(text).unwrap()
}

/// What a script writes to name the `out` of a derivation.
pub(crate) fn out(derivation: &Derivation) -> String {
    derivation.output_text(&derivation.id(), &OutputName::out())
}

pub(crate) fn target(derivation: &Derivation) -> Target {
    Target { derivation: derivation.id(), output: OutputName::out() }
}

pub(crate) fn graph(derivations: &[&Derivation], targets: &[&Derivation]) -> Arc<Graph> {
    let all = derivations.iter().map(|&it| (it.id(), Arc::new(it.clone())));
    let all: BTreeMap<DerivationId, _> = all.collect();
    let targets: Vec<_> = targets.iter().map(|derivation| target(derivation)).collect();
    Arc::new(Graph::new(|id| all.get(id).cloned(), &targets).unwrap())
}

pub(crate) fn drain(mut receiver: UnboundedReceiver<Event>) -> Vec<Event> {
    std::iter::from_fn(|| receiver.try_recv().ok()).collect()
}
