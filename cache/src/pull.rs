//! Bringing objects into the store.
//!
//! First it is found out what the objects consist of and refer to; then all their chunks
//! are asked for, many at once and in the order in which they are used, checked, put
//! together, and the objects are registered. What fails or lies is left out, and what it
//! should have brought is looked for elsewhere.

mod bring;
mod find;

use std::collections::{BTreeMap, HashSet};

use hb_model::StorePath;
use hb_store::Store;

use crate::{
    Caches, Watch,
    fault::{Error, Fault},
    watch::Report,
};
use bring::{Bringing, Stop};
use find::Found;

impl Caches {
    /// Bring objects, with all that they refer to, into the store; they are held. `arrived`
    /// is told of each as soon as it is there. Gives those that did not come, and why.
    pub fn pull(
        &self,
        store: &Store,
        roots: &[StorePath],
        watch: Watch,
        arrived: &mut dyn FnMut(&StorePath),
    ) -> Result<BTreeMap<StorePath, Error>, Error> {
        self.spool.tidy();
        let mut told = HashSet::new();
        loop {
            let missing: HashSet<_> = store.hold_and_find_missing(roots)?.into_iter().collect();
            for root in roots.iter().filter(|root| !missing.contains(root)) {
                if told.insert(root.clone()) {
                    arrived(root);
                }
            }
            let missing: Vec<_> = roots.iter().filter(|it| missing.contains(it)).cloned().collect();
            let Found { objects, nowhere } = self.find(store, &missing, watch)?;
            let bringing = Bringing::new(self, store, &missing, watch)?;
            let outcome = bringing.run(&objects, &mut |path| {
                if told.insert(path.clone()) {
                    arrived(path);
                }
            });
            match outcome {
                Ok(()) => return Ok(nowhere),
                Err(Stop::Error(error)) => return Err(error),
                Err(Stop::Fault(cache, fault)) => {
                    if matches!(fault, Fault::Cancelled) {
                        return Err(cache.error(fault).into());
                    }
                    if cache.leave_out() {
                        (watch.report)(Report::LeftOut(cache.error(fault)));
                    }
                }
            }
        }
    }
}
