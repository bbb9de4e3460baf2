//! Bringing the pieces of objects, and putting them together.

use std::{
    collections::{HashMap, HashSet},
    io::{self, Read},
    sync::Arc,
    time::{Duration, Instant},
};

use hb_model::{ContentDigest, StorePath};
use hb_store::{Intake, Store, StoreError, Taken};

use super::find::Source;
use crate::{
    Cache, Caches, Watch,
    entry::Entry,
    fault::{Error, Fault, wrong},
    manifest::{Manifest, Piece},
    parallel::Ordered,
    spool::Spool,
    watch::Report,
};

/// Objects are registered when so many bytes have come, or so many objects: flushing costs
/// the same for one as for many.
const BATCH_BYTES: u64 = 256 << 20;
const BATCH_OBJECTS: usize = 256;

/// How long an object that somebody waits for may wait for others.
const PATIENCE: Duration = Duration::from_millis(500);

/// The pieces of objects with less than this are not kept for another try.
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
    /// Pieces that were kept for those.
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
        for piece in objects.iter().flat_map(|(_, manifest)| &manifest.pieces) {
            *uses.entry(piece.digest).or_default() += 1;
        }
        let total = objects.iter().map(|(_, manifest)| manifest.length()).sum();
        let again: HashSet<_> =
            uses.iter().filter(|(_, uses)| **uses > 1).map(|(digest, _)| *digest).collect();
        let (spool, store) = (Arc::clone(&self.spool), self.store);
        let orders = objects.iter().flat_map(|source| {
            spool.search(store, &source.1);
            orders(source, &again)
        });
        let spool = Arc::clone(&self.spool);
        let mut stream = Stream {
            pieces: Ordered::new(orders, move |order: Order| order.carry_out(&spool)),
            left: 0,
            current: io::Cursor::default(),
            fault: None,
            done: 0,
            total,
            watch: self.watch,
        };
        let outcome = objects.iter().try_for_each(|(cache, manifest)| {
            stream.left = manifest.pieces.len();
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

    /// Pieces that nothing needs any more go when what is made of them is registered.
    fn forget(&mut self, manifest: &Manifest, uses: &mut HashMap<ContentDigest, u32>) {
        for piece in &manifest.pieces {
            let left = uses.entry(piece.digest).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.kept.push(piece.digest);
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

/// What has to be brought for an object; some pieces are needed again.
fn orders(
    (cache, manifest): &Source,
    again: &HashSet<ContentDigest>,
) -> impl Iterator<Item = Order> {
    let is_large = manifest.length() >= WORTH_KEEPING;
    manifest.pieces.iter().map(move |&piece| {
        let keep = is_large || again.contains(&piece.digest);
        Order { cache: Arc::clone(cache), piece, keep }
    })
}

/// A piece to bring.
struct Order {
    cache: Arc<Cache>,
    piece: Piece,
    /// It is needed again, or has to outlive an interruption.
    keep: bool,
}

impl Order {
    fn carry_out(self, spool: &Spool) -> Result<Vec<u8>, Fault> {
        if let Some(bytes) = spool.get(&self.piece) {
            return Ok(bytes);
        }
        let (bytes, frame) = self.cache.piece(&self.piece)?;
        if self.keep {
            spool.put(&self.piece.digest, &frame);
        }
        Ok(bytes)
    }
}

/// The stream of one object after the other, as its pieces come.
struct Stream<'a, I: Iterator<Item = Order>> {
    pieces: Ordered<I, Result<Vec<u8>, Fault>>,
    /// How many pieces of the object have not come.
    left: usize,
    current: io::Cursor<Vec<u8>>,
    fault: Option<Fault>,
    done: u64,
    total: u64,
    watch: Watch<'a>,
}

impl<I: Iterator<Item = Order>> Stream<'_, I> {
    fn next_piece(&mut self) -> Result<Vec<u8>, Fault> {
        if (self.watch.cancelled)() {
            return Err(Fault::Cancelled);
        }
        self.pieces.next(self.watch.cancelled)?.unwrap_or(Err(Fault::Cancelled))
    }
}

impl<I: Iterator<Item = Order>> Read for Stream<'_, I> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let length = self.current.read(buffer)?;
            if length > 0 || buffer.is_empty() || self.left == 0 {
                return Ok(length);
            }
            let piece = self.next_piece().map_err(|fault| {
                self.fault = Some(fault);
                io::Error::other("a piece did not come")
            })?;
            self.left -= 1;
            self.done += piece.len() as u64;
            (self.watch.report)(Report::Progress { done: self.done, total: self.total });
            self.current = io::Cursor::new(piece);
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
