//! Finding out what objects consist of, and what they refer to.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use hb_model::StorePath;
use hb_store::Store;

use crate::{
    Cache, Caches, Watch,
    caches::first,
    entry::Entry,
    fault::{Error, Fault, wrong},
    manifest::Manifest,
    parallel::Ordered,
    watch::Report,
};

/// An object that some cache has.
pub(super) type Source = (Arc<Cache>, Arc<Manifest>);

/// What can be brought.
pub(super) struct Found {
    /// Each after those that it refers to and that are not in the store.
    pub(super) objects: Vec<Source>,
    /// The objects that were asked for and cannot be brought, with what is missing.
    pub(super) nowhere: BTreeMap<StorePath, Error>,
}

impl Caches {
    /// Where to get objects, and all that they refer to that is not in the store.
    pub(super) fn find(
        &self,
        store: &Store,
        roots: &[StorePath],
        watch: Watch,
    ) -> Result<Found, Error> {
        let mut sources: HashMap<StorePath, Option<Source>> = HashMap::new();
        let mut next: Vec<_> = roots.to_vec();
        while !next.is_empty() {
            let list = self.list.clone();
            let look = move |path: StorePath| {
                let manifest = |cache: &Arc<Cache>| {
                    let found = cache.manifest(&path)?;
                    Ok(found.map(|manifest| (Arc::clone(cache), Arc::new(manifest))))
                };
                let (source, errors) = first(&list, manifest);
                (path.clone(), source, errors)
            };
            let mut looking = Ordered::new(next.drain(..), look);
            let mut references = HashSet::new();
            while let Some((path, source, errors)) =
                looking.next(watch.cancelled).map_err(cancelled)?
            {
                errors.into_iter().for_each(|error| (watch.report)(Report::LeftOut(error)));
                let below = source.iter().flat_map(|(_, manifest)| &manifest.facts.references);
                references.extend(below.cloned());
                sources.insert(path, source);
            }
            drop(looking);
            references.retain(|path| !sources.contains_key(path));
            next = store.hold_and_find_missing(&Vec::from_iter(references))?;
        }
        Ok(in_order(&sources, roots, watch))
    }
}

/// Stopped before any cache was at fault.
fn cancelled(fault: Fault) -> Error {
    crate::fault::CacheError { cache: "all".to_owned(), fault }.into()
}

/// What a visit to an object came to.
enum Visit {
    /// It is being visited: what comes back to it goes in a circle.
    Open,
    /// It can be brought, or is in the store.
    Fine,
    /// Not, because of this one.
    Lacks(StorePath),
}

/// The objects that can be brought with all that they refer to, in the order in which they
/// can be registered.
fn in_order(
    sources: &HashMap<StorePath, Option<Source>>,
    roots: &[StorePath],
    watch: Watch,
) -> Found {
    let mut visits: HashMap<&StorePath, Visit> = HashMap::new();
    let mut found = Found { objects: Vec::new(), nowhere: BTreeMap::new() };
    for root in roots {
        let mut stack = vec![(root, false)];
        while let Some((path, below_is_done)) = stack.pop() {
            // What was never looked for is in the store.
            let Some(source) = sources.get(path) else { continue };
            let Some((cache, manifest)) = source else {
                visits.insert(path, Visit::Lacks(path.clone()));
                continue;
            };
            let references = &manifest.facts.references;
            match visits.get(path) {
                Some(Visit::Open) if below_is_done => {
                    let lacks = references.iter().find_map(|below| match visits.get(below) {
                        Some(Visit::Lacks(what)) => Some(what.clone()),
                        _ => None,
                    });
                    let visit = lacks.map_or(Visit::Fine, Visit::Lacks);
                    if matches!(visit, Visit::Fine) {
                        found.objects.push((Arc::clone(cache), Arc::clone(manifest)));
                    }
                    visits.insert(path, visit);
                }
                Some(Visit::Open) => {
                    // Paths follow from content, so no honest one does this.
                    let entry = Entry::Object(path.clone());
                    let fault = wrong(&entry, "refers to itself by way of others");
                    if cache.leave_out() {
                        (watch.report)(Report::LeftOut(cache.error(fault)));
                    }
                    visits.insert(path, Visit::Lacks(path.clone()));
                }
                Some(_) => {}
                None => {
                    visits.insert(path, Visit::Open);
                    stack.push((path, true));
                    stack.extend(references.iter().map(|below| (below, false)));
                }
            }
        }
        if let Some(Visit::Lacks(what)) = visits.get(root) {
            found.nowhere.insert(root.clone(), Error::Nowhere(what.clone()));
        }
    }
    found
}
