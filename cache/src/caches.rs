//! All caches of a run: who is asked, in which order, and who no longer.

use std::{collections::BTreeMap, fmt, path::PathBuf, sync::Arc};

use hb_model::{DerivationId, OutputName, ResolvedId, Signed, StorePath, Trust};

use crate::{
    Cache, Watch,
    builds::{Answer, Builds},
    entry::Entry,
    fault::{CacheError, Fault},
    parallel::Ordered,
    spool::Spool,
    watch::Report,
};

/// Caches, the first of which is asked first. One that fails or lies is left out from then
/// on.
pub struct Caches {
    pub(crate) list: Vec<Arc<Cache>>,
    pub(crate) spool: Arc<Spool>,
    builds: Arc<Builds>,
}

impl fmt::Debug for Caches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.list.iter().map(|cache| cache.address().to_string());
        f.debug_list().entries(addresses).finish()
    }
}

impl Caches {
    /// Ask these caches; believe builds that are signed as `trust` says; keep what an
    /// interrupted pull has brought in the folder `spool`.
    pub fn new(list: Vec<Arc<Cache>>, trust: Trust, spool: PathBuf) -> Self {
        let (spool, builds) = (Arc::new(Spool::new(spool)), Arc::new(Builds::new(trust)));
        Self { list, spool, builds }
    }

    /// Whether there is nobody to ask.
    pub fn is_empty(&self) -> bool {
        !self.list.iter().any(|cache| cache.is_usable())
    }

    /// Learn what derivations and all that is below them gave, where caches say it at once.
    pub fn learn_graphs(
        &self,
        derivations: impl IntoIterator<Item = DerivationId>,
        watch: Watch,
    ) -> Result<(), Fault> {
        if !self.builds.trusts_anybody() || self.is_empty() {
            return Ok(());
        }
        let (builds, list) = (Arc::clone(&self.builds), self.list.clone());
        let learn = move |derivation| builds.learn_graph(&list, derivation);
        let errors = Ordered::new(derivations.into_iter(), learn).all(watch.cancelled)?;
        errors.into_iter().flatten().for_each(|error| (watch.report)(Report::LeftOut(error)));
        Ok(())
    }

    /// What resolved derivations gave, as far as anybody who is trusted says it; of each the
    /// outputs that are asked for.
    pub fn builds(
        &self,
        questions: Vec<(ResolvedId, Vec<OutputName>)>,
        watch: Watch,
    ) -> Result<Vec<Option<BTreeMap<OutputName, Signed>>>, Fault> {
        if !self.builds.trusts_anybody() || self.is_empty() {
            return Ok(vec![None; questions.len()]);
        }
        let (builds, list) = (Arc::clone(&self.builds), self.list.clone());
        let ask = move |(resolved, outputs): (ResolvedId, Vec<OutputName>)| {
            builds.ask(&list, resolved, &outputs)
        };
        let answers = Ordered::new(questions.into_iter(), ask).all(watch.cancelled)?;
        let told = answers.into_iter().map(|Answer { outputs, errors }| {
            errors.into_iter().for_each(|error| (watch.report)(Report::LeftOut(error)));
            outputs
        });
        Ok(told.collect())
    }

    /// Which of some objects a cache says that it has.
    pub fn have(&self, paths: Vec<StorePath>, watch: Watch) -> Result<Vec<bool>, Fault> {
        let list = self.list.clone();
        let look = move |path| {
            let entry = Entry::Object(path);
            first(&list, |cache| cache.has(&entry).map(|there| there.then_some(())))
        };
        let found = Ordered::new(paths.into_iter(), look).all(watch.cancelled)?;
        let told = found.into_iter().map(|(found, errors)| {
            errors.into_iter().for_each(|error| (watch.report)(Report::LeftOut(error)));
            found.is_some()
        });
        Ok(told.collect())
    }
}

/// The first answer; those that fail are left out.
pub(crate) fn first<T>(
    list: &[Arc<Cache>],
    ask: impl Fn(&Arc<Cache>) -> Result<Option<T>, Fault>,
) -> (Option<T>, Vec<CacheError>) {
    let mut errors = Vec::new();
    for cache in list.iter().filter(|cache| cache.is_usable()) {
        match ask(cache) {
            Ok(Some(found)) => return (Some(found), errors),
            Ok(None) => {}
            Err(fault) => {
                if cache.leave_out() {
                    errors.push(cache.error(fault));
                }
            }
        }
    }
    (None, errors)
}
