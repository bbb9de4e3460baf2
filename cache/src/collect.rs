//! Removing from a cache what nobody needs any more.
//!
//! What was pushed lately stays, with all that it needs: each push leaves a list of what it
//! wanted to be there. Builds and manifests go first, then chunks: whatever interrupts it,
//! what is left speaks of nothing that is not there, and the next collection goes on.

use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
    time::{Duration, SystemTime},
};

use hb_model::{ContentDigest, StorePath};

use crate::{
    Cache, Watch,
    entry::Entry,
    fault::{CacheError, Fault, wrong},
    parallel::Ordered,
    presence::Presence,
    storage::Listed,
    watch::Report,
};

/// The first line of a list of what was pushed.
const HEAD: &str = "hb-push-1\n";

/// How files begin that a push to a folder did not finish.
const UNFINISHED: &str = ".tmp";

/// What should stay.
#[derive(Clone, Copy, Debug)]
pub struct CollectOptions<'a> {
    /// What was pushed less than so long ago, with all that it needs.
    pub older_than: Duration,
    /// These objects, with all that they refer to.
    pub keep: &'a [StorePath],
    /// Only say what would go.
    pub dry_run: bool,
}

/// What went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CollectReport {
    /// The objects.
    pub objects: BTreeSet<StorePath>,
    /// How many entries that say what builds gave.
    pub builds: usize,
    /// How many chunks.
    pub chunks: usize,
    /// The bytes of all of it.
    pub bytes: u64,
}

impl CollectReport {
    /// Sizes are what a server says, so that they may be anything.
    fn count(&mut self, listed: &Listed) {
        self.bytes = self.bytes.saturating_add(listed.size);
        match Entry::parse(&listed.name) {
            Some(Entry::Object(path)) => drop(self.objects.insert(path)),
            Some(Entry::Builds(..) | Entry::Graph(..)) => self.builds += 1,
            Some(Entry::Chunk(_)) => self.chunks += 1,
            _ => {}
        }
    }
}

/// The text of a list of entries that were pushed at once.
pub(crate) fn list_of(entries: &[Entry]) -> String {
    let names: BTreeSet<_> = entries.iter().map(Entry::name).collect();
    names.into_iter().fold(HEAD.to_owned(), |text, name| text + &name + "\n")
}

impl Cache {
    /// Remove what is old and nothing needs. Nobody can push meanwhile.
    pub fn collect(
        self: &Arc<Self>,
        options: CollectOptions<'_>,
        watch: Watch,
    ) -> Result<CollectReport, CacheError> {
        self.collected(options, watch).map_err(|fault| self.error(fault))
    }

    fn collected(
        self: &Arc<Self>,
        options: CollectOptions<'_>,
        watch: Watch,
    ) -> Result<CollectReport, Fault> {
        let presence = Presence::collect(self)?;
        let old = Old { now: presence.now()?, age: options.older_than };
        let mut listed = Vec::new();
        // In the order in which they go.
        for folder in ["pushes/", "graphs/", "builds/", "objects/", "chunks/"] {
            listed.extend(self.list(folder)?);
            presence.renew()?;
        }
        let needed = self.needed(&listed, &old, options.keep, &presence, watch)?;
        let is_needed = |listed: &Listed| match Entry::parse(&listed.name) {
            Some(Entry::Chunk(digest)) => needed.chunks.contains(&digest),
            Some(_) => needed.names.contains(&listed.name),
            // Not ours, but for what a killed process left.
            None => !listed.name.rsplit('/').next().is_some_and(|it| it.starts_with(UNFINISHED)),
        };
        listed.retain(|it| old.is_old(it) && !is_needed(it));
        let mut report = CollectReport::default();
        listed.iter().for_each(|it| report.count(it));
        if !options.dry_run {
            self.remove_all(listed, report.bytes, &presence, watch)?;
        }
        Ok(report)
    }

    /// What must stay.
    fn needed(
        self: &Arc<Self>,
        listed: &[Listed],
        old: &Old,
        keep: &[StorePath],
        presence: &Presence,
        watch: Watch,
    ) -> Result<Needed, Fault> {
        let mut needed = Needed::default();
        let mut next: HashSet<_> = keep.iter().cloned().collect();
        let young = listed.iter().filter(|it| !old.is_old(it));
        let young = young.filter_map(|it| Entry::parse(&it.name)).collect::<Vec<_>>();
        let mut pushes = Vec::new();
        for entry in young {
            match &entry {
                Entry::Push(_) => pushes.push(entry.clone()),
                Entry::Object(path) => drop(next.insert(path.clone())),
                _ => {}
            }
            needed.names.insert(entry.name());
        }
        let cache = Arc::clone(self);
        let read = move |entry: Entry| (cache.text(&entry), entry);
        for (text, push) in Ordered::new(pushes.into_iter(), read).all(watch.cancelled)? {
            let text = text?.unwrap_or_default();
            let lines =
                text.strip_prefix(HEAD).ok_or_else(|| wrong(&push, "is no list of hb's"))?;
            for name in lines.lines() {
                if let Some(Entry::Object(path)) = Entry::parse(name) {
                    next.insert(path);
                }
                needed.names.insert(name.to_owned());
            }
        }
        let mut seen = HashSet::new();
        while !next.is_empty() {
            seen.extend(next.iter().cloned());
            let cache = Arc::clone(self);
            let read = move |path: StorePath| cache.manifest(&path);
            // Taken one by one: all manifests at once may be more than the memory.
            let mut reading = Ordered::new(std::mem::take(&mut next).into_iter(), read);
            while let Some(manifest) = reading.next(watch.cancelled)? {
                presence.renew()?;
                let Some(manifest) = manifest? else { continue };
                needed.names.insert(Entry::Object(manifest.path.clone()).name());
                needed.chunks.extend(manifest.needs());
                let below = manifest.facts.references.into_iter();
                next.extend(below.filter(|path| !seen.contains(path)));
            }
        }
        Ok(needed)
    }

    /// Remove entries in this order, as far as it counts.
    fn remove_all(
        self: &Arc<Self>,
        listed: Vec<Listed>,
        total: u64,
        presence: &Presence,
        watch: Watch,
    ) -> Result<(), Fault> {
        let (chunks, others): (Vec<_>, Vec<_>) =
            listed.into_iter().partition(|it| it.name.starts_with("chunks/"));
        let mut done = 0_u64;
        for part in [others, chunks] {
            let cache = Arc::clone(self);
            let remove = move |it: Listed| cache.remove(&it.name).map(|()| it.size);
            let mut removing = Ordered::new(part.into_iter(), remove);
            while let Some(size) = removing.next(watch.cancelled)? {
                done = done.saturating_add(size?);
                presence.renew()?;
                (watch.report)(Report::Progress { done, total });
            }
        }
        Ok(())
    }
}

/// What counts as old.
struct Old {
    now: SystemTime,
    age: Duration,
}

impl Old {
    fn is_old(&self, listed: &Listed) -> bool {
        self.now.duration_since(listed.put).is_ok_and(|age| age >= self.age)
    }
}

/// What must stay.
#[derive(Default)]
struct Needed {
    names: HashSet<String>,
    chunks: HashSet<ContentDigest>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_that_no_entry_can_have_are_counted() {
        let name = format!("objects/{}-x", "0".repeat(32));
        let listed = Listed { name, put: SystemTime::UNIX_EPOCH, size: u64::MAX };
        let mut report = CollectReport::default();
        report.count(&listed);
        report.count(&listed);
        assert_eq!((report.objects.len(), report.bytes), (1, u64::MAX));
    }
}
