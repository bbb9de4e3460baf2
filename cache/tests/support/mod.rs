//! Stores with objects in them, and a cache between two of them.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use hb_cache::{Cache, Caches, Error, Manner, Network, PushOptions, PushReport, Report, Watch};
use hb_model::{StoreName, StorePath, Trust};
use hb_store::{Durability, OpenMode, Store, VerifyOptions};
use tempfile::TempDir;

mod random;

pub(crate) use random::random;

pub(crate) struct Fixture {
    pub(crate) store: Store,
    folder: TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("store");
        let store = Store::open_with(&root, OpenMode::Write, Durability::Relaxed).unwrap();
        Self { store, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A file that refers to others.
    pub(crate) fn file(&self, name: &str, bytes: &[u8], references: &[&StorePath]) -> StorePath {
        let references: BTreeSet<_> = references.iter().map(|path| (*path).clone()).collect();
        self.store.add_file(&StoreName::new(name).unwrap(), bytes, false, &references).unwrap()
    }

    /// A folder of files.
    pub(crate) fn folder(&self, name: &str, files: &[(&str, &[u8])]) -> StorePath {
        let source = self.path("source");
        for (file, bytes) in files {
            let path = source.join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let added = self.store.add_tree(&source, &StoreName::new(name).unwrap(), None).unwrap();
        fs::remove_dir_all(source).unwrap();
        added
    }

    /// The caches of a run; what they report is kept.
    pub(crate) fn caches(&self, caches: &[&Arc<Cache>]) -> Caches {
        let list = caches.iter().map(|cache| Arc::clone(cache)).collect();
        Caches::new(list, Trust::default(), self.path("spool"))
    }

    /// Pull, and give the errors of what did not come, and the caches that were left out.
    pub(crate) fn pull(&self, caches: &Caches, roots: &[&StorePath]) -> (Vec<Error>, Vec<String>) {
        let left_out = Mutex::new(Vec::new());
        let report = |report| {
            if let Report::LeftOut(error) = report {
                left_out.lock().unwrap().push(error.to_string());
            }
        };
        let watch = Watch { cancelled: &|| false, report: &report };
        let roots: Vec<_> = roots.iter().map(|path| (*path).clone()).collect();
        let mut arrived = BTreeSet::new();
        let failed = caches
            .pull(&self.store, &roots, watch, &mut |path| assert!(arrived.insert(path.clone())))
            .unwrap();
        let all: BTreeSet<_> = arrived.iter().chain(failed.keys()).cloned().collect();
        assert_eq!(all, roots.into_iter().collect());
        assert!(arrived.iter().all(|path| self.store.contains(path).unwrap()));
        let findings = self.store.verify(VerifyOptions { contents: true }, &|_| {}).unwrap();
        assert!(findings.is_empty(), "{findings:?}");
        (failed.into_values().collect(), left_out.into_inner().unwrap())
    }

    pub(crate) fn push(&self, cache: &Cache, roots: &[&StorePath]) -> PushReport {
        let roots: Vec<_> = roots.iter().map(|path| (*path).clone()).collect();
        cache.push(&self.store, &roots, PushOptions::default(), QUIET).unwrap()
    }
}

/// Nobody follows.
pub(crate) const QUIET: Watch = Watch { cancelled: &|| false, report: &|_| {} };

pub(crate) fn open(folder: &Path) -> Arc<Cache> {
    let network = Network::default();
    let manner = Manner { patience: Duration::from_secs(2), network, credential: None };
    Cache::open(folder.to_str().unwrap().parse().unwrap(), &manner)
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found.sort();
    found
}
