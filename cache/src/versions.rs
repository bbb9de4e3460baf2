//! Earlier versions of an object in the store: what it most likely shares bytes with.

use hb_model::StorePath;
use hb_store::Store;

/// How many of them are looked into.
const VERSIONS: usize = 2;

/// Objects with less than this are moved sooner than a search pays.
const WORTH_SEARCHING: u64 = 1 << 20;

/// One that is this many times as long has other things in it.
const LIKELY: u64 = 4;

/// The newest objects in the store of the name of this one, which has `length` bytes.
pub(crate) fn earlier_versions(store: &Store, path: &StorePath, length: u64) -> Vec<StorePath> {
    if length < WORTH_SEARCHING {
        return Vec::new();
    }
    let is_likely = |version: &StorePath| {
        let info = store.info(version).ok().flatten();
        version != path && info.is_some_and(|info| info.size <= LIKELY * length)
    };
    // What cannot be found is no help. It may be among them itself.
    let versions = store.newest_called(path.name(), VERSIONS + 1).unwrap_or_default();
    versions.into_iter().filter(is_likely).take(VERSIONS).collect()
}
