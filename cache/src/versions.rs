//! Earlier versions of an object in the store: what it most likely shares bytes with.

use std::{collections::HashMap, sync::OnceLock};

use hb_model::StorePath;
use hb_store::Store;

/// How many of them are looked into.
const VERSIONS: usize = 2;

/// Objects with less than this are moved sooner than a search pays.
const WORTH_SEARCHING: u64 = 1 << 20;

/// One that is this many times as long has other things in it.
const LIKELY: u64 = 4;

/// The objects of a store that may be earlier versions of others: found when they are first asked
/// for, all at once, as finding those of one name takes looking at every object.
pub(crate) struct Versions<'a> {
    store: &'a Store,
    /// With their lengths, by name; the newest first.
    called: OnceLock<HashMap<String, Vec<(StorePath, u64)>>>,
}

impl<'a> Versions<'a> {
    pub(crate) fn of(store: &'a Store) -> Self {
        Self { store, called: OnceLock::new() }
    }

    /// The newest objects of the name of this one, which has `length` bytes.
    pub(crate) fn before(&self, path: &StorePath, length: u64) -> Vec<StorePath> {
        if length < WORTH_SEARCHING {
            return Vec::new();
        }
        let called = self.called.get_or_init(|| self.by_name()).get(path.name().as_str());
        let versions = called.into_iter().flatten();
        let likely = versions.filter(|(version, size)| version != path && *size <= LIKELY * length);
        likely.map(|(version, _)| version.clone()).take(VERSIONS).collect()
    }

    fn by_name(&self) -> HashMap<String, Vec<(StorePath, u64)>> {
        let mut called: HashMap<_, Vec<_>> = HashMap::new();
        // What cannot be found is no help, and what is much shorter than all that is asked for is
        // little.
        for (path, size) in self.store.large_objects(WORTH_SEARCHING / LIKELY).unwrap_or_default() {
            called.entry(path.name().to_string()).or_default().push((path, size));
        }
        called
    }
}
