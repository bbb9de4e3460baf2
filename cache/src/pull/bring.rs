//! Bringing the chunks of objects, and putting the pieces in them together.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Read},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hb_model::{ContentDigest, StorePath};
use hb_store::{Intake, Store, StoreError, Taken};

use super::find::Source;
use crate::{
    Cache, Caches, Watch,
    entry::Entry,
    fault::{Error, Fault, wrong},
    manifest::{Chunk, Manifest, Piece},
    parallel::Ordered,
    spool::Spool,
    versions::Versions,
    watch::Report,
};

/// Objects are registered when so many bytes have come, or so many objects: flushing costs
/// the same for one as for many.
const BATCH_BYTES: u64 = 256 << 20;
const BATCH_OBJECTS: usize = 256;

/// How long an object that somebody waits for may wait for others.
const PATIENCE: Duration = Duration::from_millis(500);

/// The chunks of objects with less than this are not kept for another try.
const WORTH_KEEPING: u64 = 8 << 20;

/// Why bringing stopped.
pub(super) enum Stop {
    /// A cache failed or lied.
    Fault(Arc<Cache>, Fault),
    /// Nothing can go on.
    Error(Error),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Error(error.into())
    }
}

/// Objects on their way into the store.
pub(super) struct Bringing<'a> {
    spool: Arc<Spool>,
    store: &'a Store,
    watch: Watch<'a>,
    roots: HashSet<&'a StorePath>,
    intake: Intake,
    /// Taken, but not registered.
    waiting: Vec<Taken>,
    /// Chunks and pieces that were kept for those.
    kept: Vec<ContentDigest>,
    bytes: u64,
    registered: Instant,
}

impl<'a> Bringing<'a> {
    pub(super) fn new(
        caches: &Caches,
        store: &'a Store,
        roots: &'a [StorePath],
        watch: Watch<'a>,
    ) -> Result<Self, Error> {
        Ok(Self {
            spool: Arc::clone(&caches.spool),
            store,
            watch,
            roots: roots.iter().collect(),
            intake: store.intake()?,
            waiting: Vec::new(),
            kept: Vec::new(),
            bytes: 0,
            registered: Instant::now(),
        })
    }

    pub(super) fn run(
        mut self,
        objects: &[Source],
        arrived: &mut dyn FnMut(&StorePath),
    ) -> Result<(), Stop> {
        let mut uses: HashMap<ContentDigest, u32> = HashMap::new();
        for digest in objects.iter().flat_map(|(_, manifest)| used_by(manifest)) {
            *uses.entry(digest).or_default() += 1;
        }
        let total = objects.iter().map(|(_, manifest)| manifest.length()).sum();
        let turns = turns(objects);
        let (spool, store) = (Arc::clone(&self.spool), self.store);
        let versions = Versions::of(store);
        let orders = objects.iter().flat_map(|source| {
            spool.search(store, &versions, &source.1);
            orders(source, &turns)
        });
        let spool = Arc::clone(&self.spool);
        let mut stream = Stream {
            runs: Ordered::new(orders, move |order: Order| order.carry_out(&spool)),
            left: 0,
            current: io::Cursor::default(),
            fault: None,
            done: 0,
            total,
            watch: self.watch,
        };
        let outcome = objects.iter().try_for_each(|(cache, manifest)| {
            stream.left = manifest.runs().count();
            let taken = self.take(manifest, &mut stream);
            let taken = taken.map_err(|error| explain(cache, manifest, error, &mut stream))?;
            self.bytes += taken.size();
            self.waiting.push(taken);
            self.forget(manifest, &mut uses);
            let is_awaited = self.roots.contains(&manifest.path);
            if self.bytes >= BATCH_BYTES
                || self.waiting.len() >= BATCH_OBJECTS
                || (is_awaited && self.registered.elapsed() > PATIENCE)
            {
                self.register(arrived)?;
            }
            Ok(())
        });
        // What came before a fault stays.
        self.register(arrived)?;
        outcome
    }

    fn take(
        &self,
        manifest: &Manifest,
        stream: &mut Stream<'_, impl Iterator<Item = Order>>,
    ) -> Result<Taken, StoreError> {
        let Manifest { path, facts, holes, .. } = manifest;
        let taken = self.intake.take(path, facts, holes, &mut *stream)?;
        // The archive may end before its stream does.
        io::copy(stream, &mut io::sink()).map_err(|_| hb_store::ArchiveError::Cut)?;
        Ok(taken)
    }

    /// What nothing needs any more goes when what is made of it is registered.
    fn forget(&mut self, manifest: &Manifest, uses: &mut HashMap<ContentDigest, u32>) {
        for digest in used_by(manifest) {
            let left = uses.entry(digest).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.kept.push(digest);
            }
        }
    }

    fn register(&mut self, arrived: &mut dyn FnMut(&StorePath)) -> Result<(), Stop> {
        let objects = std::mem::take(&mut self.waiting);
        let paths: Vec<_> = objects.iter().map(|object| object.path().clone()).collect();
        if !objects.is_empty() {
            self.intake.register(objects)?;
        }
        self.kept.drain(..).for_each(|digest| self.spool.remove(&digest));
        paths.iter().filter(|path| self.roots.contains(path)).for_each(arrived);
        self.bytes = 0;
        self.registered = Instant::now();
        Ok(())
    }
}

/// The chunks and pieces that an object is made of, as often as it uses them.
fn used_by(manifest: &Manifest) -> impl Iterator<Item = ContentDigest> {
    let chunks = manifest.runs().map(|(chunk, _)| chunk.digest);
    chunks.chain(manifest.pieces.iter().map(|piece| piece.digest))
}

/// Whoever holds it brings a chunk that others wait for, as they need it as well.
type Turn = Arc<Mutex<()>>;

/// The turns of the chunks that more than one run needs.
fn turns(objects: &[Source]) -> HashMap<ContentDigest, Turn> {
    let (mut once, mut turns) = (HashSet::new(), HashMap::new());
    for (chunk, _) in objects.iter().flat_map(|(_, manifest)| manifest.runs()) {
        if !once.insert(chunk.digest) {
            turns.entry(chunk.digest).or_default();
        }
    }
    turns
}

/// What has to be brought for an object. Chunks that are needed again have turns.
fn orders(
    (cache, manifest): &Source,
    turns: &HashMap<ContentDigest, Turn>,
) -> impl Iterator<Item = Order> {
    let is_large = manifest.length() >= WORTH_KEEPING;
    manifest.runs().map(move |(chunk, run)| {
        let turn = turns.get(&chunk.digest).cloned();
        let keep = is_large || turn.is_some();
        Order { cache: Arc::clone(cache), chunk, run: run.to_vec(), turn, keep }
    })
}

/// Pieces to bring, and the chunk that has them.
struct Order {
    cache: Arc<Cache>,
    chunk: Chunk,
    run: Vec<Piece>,
    turn: Option<Turn>,
    /// The chunk is needed again, or has to outlive an interruption.
    keep: bool,
}

impl Order {
    /// The bytes of the pieces.
    fn carry_out(self, spool: &Spool) -> Result<Vec<u8>, Fault> {
        let Chunk { digest, length } = self.chunk;
        let _turn =
            self.turn.as_ref().map(|turn| turn.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(chunk) = spool.get(digest, length) {
            return Ok(self.cut(&chunk));
        }
        let here: Option<Vec<_>> =
            self.run.iter().map(|piece| spool.get(piece.digest, piece.length)).collect();
        if let Some(pieces) = here {
            return Ok(pieces.concat());
        }
        let (chunk, frame) = self.cache.chunk(&self.chunk)?;
        if self.keep {
            spool.put(&digest, &frame);
        }
        Ok(self.cut(&chunk))
    }

    /// The pieces, of the whole chunk.
    fn cut(&self, chunk: &[u8]) -> Vec<u8> {
        let piece = |piece: &Piece| {
            let start = piece.place.offset as usize;
            &chunk[start..start + piece.length as usize]
        };
        self.run.iter().map(piece).collect::<Vec<_>>().concat()
    }
}

/// The stream of one object after the other, as runs of its pieces come.
struct Stream<'a, I: Iterator<Item = Order>> {
    runs: Ordered<I, Result<Vec<u8>, Fault>>,
    /// How many runs of the object have not come.
    left: usize,
    current: io::Cursor<Vec<u8>>,
    fault: Option<Fault>,
    done: u64,
    total: u64,
    watch: Watch<'a>,
}

impl<I: Iterator<Item = Order>> Stream<'_, I> {
    fn next_run(&mut self) -> Result<Vec<u8>, Fault> {
        if (self.watch.cancelled)() {
            return Err(Fault::Cancelled);
        }
        self.runs.next(self.watch.cancelled)?.unwrap_or(Err(Fault::Cancelled))
    }
}

impl<I: Iterator<Item = Order>> Read for Stream<'_, I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.current.read(buffer)?;
            if length > 0 || buffer.is_empty() || self.left == 0 {
                return Ok(length);
            }
            let run = self.next_run().map_err(|fault| {
                self.fault = Some(fault);
                io::Error::other("a chunk did not come")
            })?;
            self.left -= 1;
            self.done += run.len() as u64;
            (self.watch.report)(Report::Progress { done: self.done, total: self.total });
            self.current = io::Cursor::new(run);
        }
    }
}

/// Whose fault it is that an object was not taken.
fn explain(
    cache: &Arc<Cache>,
    manifest: &Manifest,
    error: StoreError,
    stream: &mut Stream<'_, impl Iterator<Item = Order>>,
) -> Stop {
    let fault = stream.fault.take().or_else(|| match error {
        StoreError::Archive(_)
        | StoreError::PathTooLong { .. }
        | StoreError::TooManyEntries { .. }
        | StoreError::NotAFile { .. }
        | StoreError::TreeAlgorithm { .. } => {
            let entry = Entry::Object(manifest.path.clone());
            Some(wrong(&entry, format!("does not lead to what its path says: {error}")))
        }
        _ => None,
    });
    match fault {
        Some(fault) => Stop::Fault(Arc::clone(cache), fault),
        None => Stop::Error(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;
    use crate::{Manner, Network, frame, manifest::Place};

    #[test]
    fn a_chunk_that_somebody_brings_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let manner = Manner {
            patience: Duration::from_secs(2),
            network: Network::default(),
            credential: None,
        };
        // It has nothing.
        let cache = Cache::open(folder.path().to_str().unwrap().parse().unwrap(), &manner);
        let spool = Spool::new(folder.path().join("spool"));
        let bytes = b"some pieces";
        let digest = ContentDigest::of(bytes);
        let piece = Piece {
            digest: ContentDigest::of(b"pieces"),
            length: 6,
            place: Place { chunk: 0, offset: 5 },
        };
        let turn = Turn::default();
        let order = Order {
            cache,
            chunk: Chunk { digest, length: bytes.len() as u32 },
            run: vec![piece],
            turn: Some(Arc::clone(&turn)),
            keep: true,
        };
        thread::scope(|scope| {
            let held = turn.lock().unwrap();
            let waiting = scope.spawn(|| order.carry_out(&spool));
            thread::sleep(Duration::from_millis(50));
            spool.put(&digest, &frame::compress(bytes));
            drop(held);
            assert_eq!(waiting.join().unwrap().unwrap(), b"pieces");
        });
    }
}
