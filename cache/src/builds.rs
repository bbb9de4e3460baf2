//! What builds gave, as caches know it: believed if enough trusted keys signed it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hb_model::{DerivationId, KeyName, OutputName, ResolvedId, Signed, Trust};

use crate::{
    cache::Cache,
    entry::Entry,
    fault::{CacheError, Fault, wrong},
};

/// What came of a question.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Each output that was asked for, if all are believed.
    pub(crate) outputs: Option<BTreeMap<OutputName, Signed>>,
    /// What was wrong with caches on the way.
    pub(crate) errors: Vec<CacheError>,
}

/// Everything that was learnt.
pub(crate) struct Builds {
    trust: Trust,
    /// What the entries said of each resolved derivation, an item for each entry. One entry's
    /// outputs came from one build, so they are not mixed.
    said: Mutex<HashMap<ResolvedId, Vec<Vec<Signed>>>>,
}

impl Builds {
    pub(crate) fn new(trust: Trust) -> Self {
        Self { trust, said: Mutex::default() }
    }

    fn said(&self) -> MutexGuard<'_, HashMap<ResolvedId, Vec<Vec<Signed>>>> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything could be believed.
    pub(crate) fn trusts_anybody(&self) -> bool {
        !self.trust.keys.is_empty()
    }

    /// The names under which trusted keys sign.
    fn signers(&self) -> BTreeSet<&KeyName> {
        self.trust.keys.iter().map(|key| key.name()).collect()
    }

    /// Learn what a derivation and all below it gave, as far as caches say it at once.
    pub(crate) fn learn_graph(
        &self,
        caches: &[Arc<Cache>],
        derivation: DerivationId,
    ) -> Vec<CacheError> {
        self.learn(caches, |key| Entry::Graph(derivation, key))
    }

    /// What a resolved derivation gave.
    pub(crate) fn ask(
        &self,
        caches: &[Arc<Cache>],
        resolved: ResolvedId,
        outputs: &[OutputName],
    ) -> Answer {
        if let Some(found) = self.believed(resolved, outputs) {
            return Answer { outputs: Some(found), errors: Vec::new() };
        }
        let errors = self.learn(caches, |key| Entry::Builds(resolved, key));
        Answer { outputs: self.believed(resolved, outputs), errors }
    }

    fn learn(&self, caches: &[Arc<Cache>], entry: impl Fn(KeyName) -> Entry) -> Vec<CacheError> {
        let mut errors = Vec::new();
        for cache in caches.iter().filter(|cache| cache.is_usable()) {
            for key in self.signers() {
                match self.read(cache, &entry(key.clone()), key) {
                    Ok(builds) => {
                        let mut said = self.said();
                        for (resolved, set) in builds {
                            said.entry(resolved).or_default().push(set);
                        }
                    }
                    Err(fault) => {
                        if cache.leave_out() {
                            errors.push(cache.error(fault));
                        }
                        break;
                    }
                }
            }
        }
        errors
    }

    /// An entry's builds, each of which must be signed by the key.
    fn read(
        &self,
        cache: &Cache,
        entry: &Entry,
        key: &KeyName,
    ) -> Result<BTreeMap<ResolvedId, Vec<Signed>>, Fault> {
        let mut builds = BTreeMap::<_, Vec<_>>::new();
        let Some(text) = cache.text(entry)? else { return Ok(builds) };
        for signed in parse(&text).ok_or_else(|| wrong(entry, "is not what hb writes"))? {
            let resolved = signed.realisation.key.resolved;
            if !self.is_signed_by(&signed, key) {
                let fault = format!("holds a build that the key '{key}' did not sign");
                return Err(wrong(entry, fault));
            }
            if matches!(entry, Entry::Builds(wanted, _) if *wanted != resolved) {
                return Err(wrong(entry, "holds a build of something else"));
            }
            builds.entry(resolved).or_default().push(signed);
        }
        Ok(builds)
    }

    fn is_signed_by(&self, signed: &Signed, name: &KeyName) -> bool {
        let mut keys = self.trust.keys.iter().filter(|key| key.name() == name);
        keys.any(|key| signed.signatures.iter().any(|it| key.verifies(&signed.realisation, it)))
    }

    fn believed(
        &self,
        resolved: ResolvedId,
        outputs: &[OutputName],
    ) -> Option<BTreeMap<OutputName, Signed>> {
        let said = self.said();
        let sets = said.get(&resolved)?;
        let agreeing = |signed: &Signed| -> Vec<&Signed> {
            let all = sets.iter().flatten();
            all.filter(|it| it.realisation.gives_what(&signed.realisation)).collect()
        };
        sets.iter().find_map(|set| {
            let output = |name: &OutputName| {
                let mut signed = set.iter().find(|it| it.realisation.key.output == *name)?.clone();
                let agreeing = agreeing(&signed);
                let said = agreeing.iter().map(|it| (&it.realisation, &it.signatures[..]));
                if !self.trust.believes_any(said) {
                    return None;
                }
                // Those of the very same text go with it.
                let same = agreeing.iter().filter(|it| it.realisation == signed.realisation);
                signed.signatures = same.flat_map(|it| it.signatures.iter().cloned()).collect();
                Some((name.clone(), signed))
            };
            outputs.iter().map(output).collect()
        })
    }
}

/// Builds as one text.
pub(crate) fn to_text<'a>(builds: impl IntoIterator<Item = &'a Signed>) -> String {
    builds.into_iter().map(|signed| signed.to_text() + "\n").collect()
}

/// `None` for a text that nobody would have written.
pub(crate) fn parse(text: &str) -> Option<Vec<Signed>> {
    text.split_inclusive("\n\n").map(|part| Signed::parse(part.strip_suffix('\n')?)).collect()
}
