//! Putting objects into a cache, with what is known of their builds.
//!
//! Chunks go first, then the manifests that speak of them, then the builds that speak of the
//! objects: whatever interrupts it, what is in the cache speaks of nothing that is not, and
//! a later push goes on from there.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io, iter,
    path::Path,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver},
    },
    thread,
};

use hb_model::{ContentDigest, KeyName, ResolvedId, SecretKey, Signed, StorePath};
use hb_store::Store;

use crate::{
    Cache, Watch,
    builds::to_text,
    chunks::Chunks,
    collect::list_of,
    entry::Entry,
    fault::{Error, Fault},
    history::History,
    manifest::Manifest,
    pieces::Cutter,
    presence::Presence,
    versions::Versions,
    watch::Report,
};

/// How many chunks are compressed and sent at once.
const THREADS: usize = 8;

/// How many chunks wait for that: what bounds the memory.
const WAITING: usize = 2 * THREADS;

/// Manifests are put when so many bytes were cut, or so many objects.
const BATCH_BYTES: u64 = 256 << 20;
const BATCH_OBJECTS: usize = 256;

/// What to put there beside the objects and what they refer to.
#[derive(Clone, Copy, Debug, Default)]
pub struct PushOptions<'a> {
    /// Also everything in the store that they were built from, and what that refers to.
    pub inputs: bool,
    /// Sign what was built in this store.
    pub sign_with: Option<&'a SecretKey>,
}

/// What was put there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PushReport {
    /// How many objects are there now that were asked for, or that those need.
    pub objects: usize,
    /// How many of them are new there.
    pub new: usize,
    /// The bytes of the new ones.
    pub bytes: u64,
    /// How many chunks were sent.
    pub chunks: usize,
    /// How many bytes were sent, compressed.
    pub sent: u64,
    /// How many builds are there, signed.
    pub builds: usize,
    /// How many are not, since nobody has signed them.
    pub unsigned: usize,
}

/// What many threads count.
#[derive(Default)]
struct Counts {
    chunks: AtomicUsize,
    sent: AtomicU64,
    /// Sending failed: what is cut need not be cut any more.
    failed: AtomicBool,
}

impl Cache {
    /// Put objects there, with all that they refer to and what is known of their builds.
    /// They are held.
    pub fn push(
        &self,
        store: &Store,
        roots: &[StorePath],
        options: PushOptions<'_>,
        watch: Watch,
    ) -> Result<PushReport, Error> {
        if !self.is_writable() {
            return Err(self.error(Fault::ReadOnly).into());
        }
        if let Some(path) = store.hold(roots)?.into_iter().next() {
            return Err(hb_store::StoreError::NotInStore { path }.into());
        }
        let presence = Presence::push(self, watch).map_err(self.failed())?;
        let mut histories = Vec::new();
        for root in roots {
            for derivation in store.derivations_of(root)? {
                histories.push(History::of(store, &derivation, options.sign_with)?);
            }
        }
        let mut wanted: BTreeSet<_> = roots.iter().cloned().collect();
        if options.inputs {
            wanted.extend(histories.iter().flat_map(|(_, history)| history.objects.clone()));
        }
        let wanted = Vec::from_iter(wanted);
        store.hold(&wanted)?;
        let pushing = Pushing {
            cache: self,
            store,
            watch,
            presence,
            counts: Counts::default(),
            chunks: Chunks::default(),
            versions: Versions::of(store),
            learned: HashSet::new(),
            report: PushReport::default(),
        };
        pushing.run(wanted, &histories)
    }

    fn failed(&self) -> impl Fn(Fault) -> Error {
        |fault| self.error(fault).into()
    }
}

/// An object that the cache lacks.
struct New {
    path: StorePath,
    /// The bytes of its files.
    size: u64,
}

/// Objects in groups whose manifests are put at once.
fn batches(mut objects: &[New]) -> impl Iterator<Item = &[New]> {
    iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |object: &&New| {
            let fits = bytes < BATCH_BYTES;
            bytes += object.size;
            fits
        };
        let count = objects.iter().take(BATCH_OBJECTS).take_while(fits).count();
        let (batch, others) = objects.split_at(count);
        objects = others;
        (!batch.is_empty()).then_some(batch)
    })
}

struct Pushing<'a> {
    cache: &'a Cache,
    store: &'a Store,
    watch: Watch<'a>,
    /// Keeps everything there, where somebody may remove what is old.
    presence: Option<Presence<'a>>,
    counts: Counts,
    /// What is known of the chunks there.
    chunks: Chunks,
    versions: Versions<'a>,
    /// The objects that this is known from.
    learned: HashSet<StorePath>,
    report: PushReport,
}

impl Pushing<'_> {
    fn run(
        mut self,
        wanted: Vec<StorePath>,
        histories: &[(hb_model::DerivationId, History)],
    ) -> Result<PushReport, Error> {
        let failed = self.cache.failed();
        let closure = &self.store.closure(&wanted)?;
        self.report.objects = closure.len();
        let entries: Vec<_> = closure.iter().cloned().map(Entry::Object).collect();
        let is_there = self.are_there(&entries).map_err(&failed)?;
        let mut new = Vec::new();
        for (path, _) in closure.iter().zip(is_there).filter(|(_, is_there)| !is_there) {
            let size = self.store.info(path)?.map_or(0, |info| info.size);
            new.push(New { path: path.clone(), size });
        }
        self.report.new = new.len();
        let total = new.iter().map(|object| object.size).sum();
        for batch in batches(&new) {
            self.learn(batch).map_err(&failed)?;
            let manifests = self.send_chunks(batch, total)?;
            self.cache.flush().map_err(&failed)?;
            let put = |manifest: &Manifest| {
                let needs: Vec<_> = manifest.needs().map(Entry::Chunk).collect();
                let entry = Entry::Object(manifest.path.clone());
                self.put(&entry, manifest.to_text().as_bytes(), &needs)
            };
            self.at_once(&manifests, put).map_err(&failed)?;
        }
        let mut entries = self.put_builds(histories)?;
        entries.extend(wanted.into_iter().map(Entry::Object));
        if let Some(presence) = &self.presence {
            let text = list_of(&entries);
            let entry = Entry::Push(ContentDigest::of(text.as_bytes()));
            presence.renew().map_err(&failed)?;
            self.cache.put(&entry, text.as_bytes(), &[]).map_err(&failed)?;
        }
        self.cache.flush().map_err(&failed)?;
        self.report.chunks = self.counts.chunks.into_inner();
        self.report.sent = self.counts.sent.into_inner();
        Ok(self.report)
    }

    /// Which of some entries the cache has.
    fn are_there(&self, entries: &[Entry]) -> Result<Vec<bool>, Fault> {
        self.answers(entries, |entry| self.cache.has(entry))
    }

    /// Learn what the cache has of earlier versions of some objects.
    fn learn(&mut self, objects: &[New]) -> Result<(), Fault> {
        let mut versions = Vec::new();
        for object in objects {
            let earlier = self.versions.before(&object.path, object.size).into_iter();
            versions.extend(earlier.filter(|version| self.learned.insert(version.clone())));
        }
        let manifests = self.answers(&versions, |version| match self.cache.manifest(version) {
            // One that is damaged is no help.
            Err(Fault::Entry { .. } | Fault::Missing { .. } | Fault::Protocol(_)) => Ok(None),
            answer => answer,
        })?;
        for manifest in manifests.into_iter().flatten() {
            let chunks: Vec<_> = manifest.needs().map(Entry::Chunk).collect();
            let are_there = self.are_there(&chunks)?;
            self.chunks.learn(&manifest, &are_there);
        }
        self.learned.extend(objects.iter().map(|object| object.path.clone()));
        Ok(())
    }

    /// What is answered for each item, in their order; asked many at once, until one fails.
    fn answers<T: Sync, A: Send + Sync>(
        &self,
        items: &[T],
        ask: impl Fn(&T) -> Result<A, Fault> + Sync,
    ) -> Result<Vec<A>, Fault> {
        let answers: Vec<_> = items.iter().map(|_| OnceLock::new()).collect();
        let questions: Vec<_> = items.iter().zip(&answers).collect();
        self.at_once(&questions, |(item, answer)| {
            // Each is asked about once.
            let _ = answer.set(ask(item)?);
            Ok(())
        })?;
        Ok(answers.into_iter().filter_map(OnceLock::into_inner).collect())
    }

    /// Do something for each item, many at once, until one fails.
    fn at_once<T: Sync>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<(), Fault> + Sync,
    ) -> Result<(), Fault> {
        let next = AtomicUsize::new(0);
        let run = || {
            while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                let done = go_on(self.watch, self.presence.as_ref()).and_then(|()| work(item));
                if done.is_err() {
                    next.store(items.len(), Ordering::Relaxed);
                    return done;
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let others: Vec<_> = (1..THREADS.min(items.len())).map(|_| scope.spawn(run)).collect();
            others.into_iter().fold(run(), |outcome, other| match other.join() {
                Ok(theirs) => outcome.and(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })
    }

    /// Cut objects and send what the cache lacks of them; their manifests.
    fn send_chunks(&mut self, objects: &[New], total: u64) -> Result<Vec<Manifest>, Error> {
        let (sender, receiver) = mpsc::sync_channel::<(ContentDigest, Vec<u8>)>(WAITING);
        let receiver = Mutex::new(receiver);
        let (cache, counts, watch) = (self.cache, &self.counts, self.watch);
        let presence = self.presence.as_ref();
        let work = || send_all(cache, counts, watch, presence, &receiver);
        let (cut, sent) = thread::scope(|scope| {
            let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
            let cut = (|| {
                let mut manifests = Vec::new();
                for New { path, size } in objects {
                    let facts = self.store.facts(path)?;
                    let mut packing = self.chunks.pack(*size, |digest, bytes| {
                        // The workers take all that comes.
                        let _ = sender.send((digest, bytes));
                    });
                    let mut stopped = None;
                    let mut cutter = Cutter::new(|piece: &[u8]| {
                        let may_go_on = match counts.failed.load(Ordering::Relaxed) {
                            true => Err(Fault::Cancelled),
                            false => go_on(watch, presence),
                        };
                        may_go_on.map_err(|fault| {
                            stopped = Some(fault);
                            io::Error::other("no more is to be sent")
                        })?;
                        packing.add(piece);
                        Ok(())
                    });
                    let place = Path::new("the cache");
                    let written = self.store.write_stream(path, &facts, &mut cutter, place);
                    let finished = cutter.finish();
                    if let Some(fault) = stopped {
                        return Err(self.cache.error(fault).into());
                    }
                    let holes = written?;
                    finished.map_err(|_| self.cache.error(Fault::Cancelled))?;
                    let (chunks, pieces) = packing.finish();
                    let manifest = Manifest { path: path.clone(), facts, holes, chunks, pieces };
                    self.report.bytes += manifest.length();
                    (watch.report)(Report::Progress { done: self.report.bytes, total });
                    manifests.push(manifest);
                }
                Ok::<_, Error>(manifests)
            })();
            drop(sender);
            // Those that are not joined after a failure are joined at the scope's end.
            let sent = workers.into_iter().try_for_each(|worker| match worker.join() {
                Ok(theirs) => theirs,
                Err(panic) => std::panic::resume_unwind(panic),
            });
            (cut, sent)
        });
        // Where sending failed, cutting did because of it.
        sent.map_err(self.cache.failed())?;
        cut
    }

    /// Put an entry, and count.
    fn put(&self, entry: &Entry, bytes: &[u8], needs: &[Entry]) -> Result<(), Fault> {
        let sent = self.cache.put(entry, bytes, needs)?;
        self.counts.sent.fetch_add(sent, Ordering::Relaxed);
        Ok(())
    }

    /// Put what is known of builds there, an entry for each key that signed it. Gives those
    /// entries.
    fn put_builds(
        &mut self,
        histories: &[(hb_model::DerivationId, History)],
    ) -> Result<Vec<Entry>, Error> {
        let mut entries: BTreeMap<String, (Entry, String)> = BTreeMap::new();
        let (mut signed, mut unsigned) = (HashSet::new(), HashSet::new());
        for (derivation, history) in histories {
            for build in &history.builds {
                let set = if build.signatures.is_empty() { &mut unsigned } else { &mut signed };
                set.insert(build.realisation.key.clone());
            }
            for (key, builds) in by_key(&history.builds) {
                let mut add = |entry: Entry, builds: &[&Signed]| {
                    entries.insert(entry.name(), (entry, to_text(builds.iter().copied())));
                };
                for (resolved, builds) in by_resolved(&builds) {
                    add(Entry::Builds(resolved, key.clone()), &builds);
                }
                add(Entry::Graph(*derivation, key), &builds);
            }
        }
        (self.report.builds, self.report.unsigned) = (signed.len(), unsigned.len());
        let entries: Vec<_> = entries.into_values().collect();
        let put = |(entry, text): &(Entry, String)| {
            // One that is damaged, or of other builds, is replaced.
            match self.cache.text(entry) {
                Ok(Some(there)) if there == *text => Ok(()),
                Ok(_) | Err(Fault::Entry { .. }) => self.put(entry, text.as_bytes(), &[]),
                Err(fault) => Err(fault),
            }
        };
        self.at_once(&entries, put).map_err(self.cache.failed())?;
        Ok(entries.into_iter().map(|(entry, _)| entry).collect())
    }
}

/// Whether more is to be sent: nobody has cancelled it, and it counts as pushing still.
fn go_on(watch: Watch, presence: Option<&Presence>) -> Result<(), Fault> {
    match (watch.cancelled)() {
        true => Err(Fault::Cancelled),
        false => presence.map_or(Ok(()), Presence::renew),
    }
}

/// Send chunks that the cache lacks until no more come. After a failure they are taken all
/// the same, so that whoever cuts them is not kept waiting.
fn send_all(
    cache: &Cache,
    counts: &Counts,
    watch: Watch,
    presence: Option<&Presence>,
    chunks: &Mutex<Receiver<(ContentDigest, Vec<u8>)>>,
) -> Result<(), Fault> {
    let mut outcome = Ok(());
    loop {
        let next = chunks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((digest, bytes)) = next else { return outcome };
        if outcome.is_ok() {
            outcome = go_on(watch, presence).and_then(|()| send(cache, counts, digest, &bytes));
        }
        if outcome.is_err() {
            counts.failed.store(true, Ordering::Relaxed);
        }
    }
}

fn send(cache: &Cache, counts: &Counts, digest: ContentDigest, bytes: &[u8]) -> Result<(), Fault> {
    let entry = Entry::Chunk(digest);
    if !cache.has(&entry)? {
        let sent = cache.put(&entry, bytes, &[])?;
        counts.chunks.fetch_add(usize::from(sent > 0), Ordering::Relaxed);
        counts.sent.fetch_add(sent, Ordering::Relaxed);
    }
    Ok(())
}

/// Builds by the names of the keys that signed them.
fn by_key(builds: &[Signed]) -> BTreeMap<KeyName, Vec<&Signed>> {
    let mut keys = BTreeMap::<_, Vec<_>>::new();
    for build in builds {
        for signature in &build.signatures {
            keys.entry(signature.key().clone()).or_default().push(build);
        }
    }
    keys
}

fn by_resolved<'a>(builds: &[&'a Signed]) -> BTreeMap<ResolvedId, Vec<&'a Signed>> {
    let mut all = BTreeMap::<_, Vec<_>>::new();
    for build in builds {
        all.entry(build.realisation.key.resolved).or_default().push(*build);
    }
    all
}
