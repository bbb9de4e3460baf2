//! Putting the pieces of objects into chunks: what a cache keeps, is asked for and is sent as
//! one entry.
//!
//! Pieces are small, so that little comes along with a change; chunks are large, since each
//! costs a request. A chunk ends with a piece whose digest says so. So whoever knows nothing of
//! what a cache has makes the same chunks of the same bytes again, and finds those there. What
//! is known of an earlier version is used piece by piece, and what is new fills chunks of its
//! own.

use std::collections::{HashMap, HashSet};

use hb_model::ContentDigest;

use crate::{
    manifest::{Chunk, Manifest, Piece, Place},
    pieces::LARGEST,
};

/// The longest chunk that is read.
pub(crate) const MAX_CHUNK: usize = 2 << 20;

/// A chunk with less than this goes on, whatever its pieces say.
const SMALLEST_CHUNK: usize = 1 << 20;

/// One in so many pieces ends a chunk that is long enough: after half a megabyte on average.
const ENDING: u8 = 8;

/// The chunks that are known to be in a cache, or on their way there.
#[derive(Default)]
pub(crate) struct Chunks {
    chunks: Vec<Chunk>,
    numbers: HashMap<ContentDigest, usize>,
    /// Where pieces of which lengths lie; the places are in `chunks`.
    known: HashMap<ContentDigest, (u32, Place)>,
}

impl Chunks {
    /// Take note of an object in the cache, and of its chunks that are there.
    pub(crate) fn learn(&mut self, manifest: &Manifest, are_there: &[bool]) {
        let chunks = manifest.chunks.iter().zip(are_there);
        let number = |(chunk, there): (&Chunk, &bool)| there.then(|| self.number(*chunk));
        let numbers: Vec<_> = chunks.map(number).collect();
        for &Piece { digest, length, place: Place { chunk, offset } } in &manifest.pieces {
            if let Some(chunk) = numbers[chunk] {
                self.known.entry(digest).or_insert((length, Place { chunk, offset }));
            }
        }
    }

    fn number(&mut self, chunk: Chunk) -> usize {
        *self.numbers.entry(chunk.digest).or_insert_with(|| {
            self.chunks.push(chunk);
            self.chunks.len() - 1
        })
    }

    /// Begin with an object of about so many bytes. `hand_on` is given each new chunk.
    pub(crate) fn pack<F: FnMut(ContentDigest, Vec<u8>)>(
        &mut self,
        size: u64,
        hand_on: F,
    ) -> Packing<'_, F> {
        Packing {
            all: self,
            hand_on,
            filling: None,
            needed: HashSet::new(),
            pieces: Vec::new(),
            allowance: size + size / 2,
        }
    }
}

/// An object whose pieces are put into chunks.
pub(crate) struct Packing<'a, F> {
    all: &'a mut Chunks,
    hand_on: F,
    /// The number of the chunk that is being filled, and what is in it.
    filling: Option<(usize, Vec<u8>)>,
    /// The chunks that it needs.
    needed: HashSet<usize>,
    /// Their places, as the needed chunks, are in `all`.
    pieces: Vec<Piece>,
    /// How many bytes of chunks of others it may need still: whoever brings the object brings
    /// those whole.
    allowance: u64,
}

impl<F: FnMut(ContentDigest, Vec<u8>)> Packing<'_, F> {
    /// Take the next piece of the stream.
    pub(crate) fn add(&mut self, bytes: &[u8]) {
        let (digest, length) = (ContentDigest::of(bytes), bytes.len() as u32);
        let known = self.all.known.get(&digest).filter(|(known, _)| *known == length);
        let known = known.map(|(_, place)| *place).filter(|place| self.may_need(place.chunk));
        let place = known.unwrap_or_else(|| self.fill(digest, bytes));
        self.needed.insert(place.chunk);
        self.pieces.push(Piece { digest, length, place });
        let is_full = |filling: &Vec<u8>| {
            let ends =
                digest.as_bytes()[0].is_multiple_of(ENDING) && filling.len() >= SMALLEST_CHUNK;
            ends || filling.len() > MAX_CHUNK - LARGEST
        };
        if known.is_none() && self.filling.as_ref().is_some_and(|(_, filling)| is_full(filling)) {
            self.close();
        }
    }

    /// What the object consists of.
    pub(crate) fn finish(mut self) -> (Vec<Chunk>, Vec<Piece>) {
        self.close();
        let (mut chunks, mut numbers) = (Vec::new(), HashMap::new());
        for piece in &mut self.pieces {
            let chunk = self.all.chunks[piece.place.chunk];
            // By digest: one that was filled may have been there, without its pieces being known.
            piece.place.chunk = *numbers.entry(chunk.digest).or_insert_with(|| {
                chunks.push(chunk);
                chunks.len() - 1
            });
        }
        (chunks, self.pieces)
    }

    /// Whether the object needs a chunk anyway, or the allowance, of which it is taken, is
    /// enough for it.
    fn may_need(&mut self, chunk: usize) -> bool {
        if self.needed.contains(&chunk) {
            return true;
        }
        let left = self.allowance.checked_sub(u64::from(self.all.chunks[chunk].length));
        self.allowance = left.unwrap_or(self.allowance);
        left.is_some()
    }

    /// Put a piece into the chunk that is being filled.
    fn fill(&mut self, digest: ContentDigest, bytes: &[u8]) -> Place {
        let all = &mut *self.all;
        let (chunk, filling) = self.filling.get_or_insert_with(|| {
            // What it is called is known when it is full.
            all.chunks.push(Chunk { digest, length: 0 });
            (all.chunks.len() - 1, Vec::new())
        });
        let place = Place { chunk: *chunk, offset: filling.len() as u32 };
        filling.extend_from_slice(bytes);
        all.known.insert(digest, (bytes.len() as u32, place));
        place
    }

    fn close(&mut self) {
        if let Some((number, bytes)) = self.filling.take() {
            let digest = ContentDigest::of(&bytes);
            self.all.chunks[number] = Chunk { digest, length: bytes.len() as u32 };
            self.all.numbers.entry(digest).or_insert(number);
            (self.hand_on)(digest, bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use hb_model::StorePath;
    use hb_store::Facts;

    use super::*;
    use crate::{pieces::Cutter, random::random};

    /// What a cache has.
    #[derive(Default)]
    struct Kept(HashMap<ContentDigest, Vec<u8>>);

    impl Kept {
        /// Put an object there, and check what its manifest says of it.
        fn put(&mut self, chunks: &mut Chunks, bytes: &[u8]) -> Manifest {
            let mut packing = chunks.pack(bytes.len() as u64, |digest, chunk| {
                assert_eq!(digest, ContentDigest::of(&chunk));
                assert!(chunk.len() <= MAX_CHUNK);
                self.0.insert(digest, chunk);
            });
            let mut cutter = Cutter::new(|piece: &[u8]| {
                packing.add(piece);
                Ok(())
            });
            cutter.write_all(bytes).unwrap();
            cutter.finish().unwrap();
            let (chunks, pieces) = packing.finish();
            let path = StorePath::from_base_name(&format!("{}-x", "0".repeat(32))).unwrap();
            let (facts, holes) = (Facts::default(), Vec::new());
            let manifest = Manifest { path, facts, holes, chunks, pieces };
            assert_eq!(Manifest::parse(&manifest.to_text()).as_ref(), Ok(&manifest));
            assert!(self.read(&manifest) == bytes);
            manifest
        }

        /// The object of a manifest.
        fn read(&self, manifest: &Manifest) -> Vec<u8> {
            let piece = |(chunk, run): (Chunk, &[Piece])| {
                let bytes = &self.0[&chunk.digest];
                assert_eq!(bytes.len(), chunk.length as usize);
                let cut = |piece: &Piece| {
                    let start = piece.place.offset as usize;
                    bytes[start..start + piece.length as usize].to_vec()
                };
                run.iter().flat_map(cut).collect::<Vec<_>>()
            };
            manifest.runs().flat_map(piece).collect()
        }

        /// The chunks that are not in another.
        fn new_since(&self, other: &Self) -> Vec<usize> {
            let new = self.0.iter().filter(|(digest, _)| !other.0.contains_key(digest));
            new.map(|(_, chunk)| chunk.len()).collect()
        }
    }

    /// What a cache has of an object that was put there without knowing of others.
    fn alone(bytes: &[u8]) -> (Kept, Manifest) {
        let mut kept = Kept::default();
        let manifest = kept.put(&mut Chunks::default(), bytes);
        (kept, manifest)
    }

    /// Those who know of an object that is there.
    fn knowing(manifest: &Manifest) -> Chunks {
        let mut chunks = Chunks::default();
        chunks.learn(manifest, &vec![true; manifest.chunks.len()]);
        chunks
    }

    #[test]
    fn chunks_are_long_and_have_every_byte_once() {
        let bytes = random(8_000_000, 1);
        let (kept, manifest) = alone(&bytes);
        assert_eq!(kept.0.values().map(Vec::len).sum::<usize>(), bytes.len());
        let (_, most) = manifest.chunks.split_last().unwrap();
        assert!(most.iter().all(|chunk| chunk.length as usize >= SMALLEST_CHUNK));
    }

    #[test]
    fn whoever_knows_nothing_makes_most_chunks_again() {
        let bytes = random(14_000_000, 1);
        let mut changed = bytes.clone();
        changed.splice(1_500_000..1_500_000, random(700_000, 2));
        let new = alone(&changed).0.new_since(&alone(&bytes).0);
        assert!(new.len() <= 4, "{new:?}");
    }

    #[test]
    fn of_what_is_known_only_the_change_is_put_there() {
        let mut bytes = random(8_000_000, 1);
        let (old, manifest) = alone(&bytes);
        bytes[3_000_000..4_000_000].copy_from_slice(&random(1_000_000, 2));
        let mut new = Kept(old.0.clone());
        new.put(&mut knowing(&manifest), &bytes);
        let new = new.new_since(&old);
        assert!(new.len() <= 2 && new.iter().sum::<usize>() < 1_500_000, "{new:?}");
    }

    #[test]
    fn chunks_that_are_gone_are_put_there_again() {
        let bytes = random(5_000_000, 1);
        let (mut kept, manifest) = alone(&bytes);
        let mut chunks = Chunks::default();
        let mut are_there = vec![true; manifest.chunks.len()];
        are_there[1] = false;
        kept.0.remove(&manifest.chunks[1].digest);
        chunks.learn(&manifest, &are_there);
        // Reads what it has put there.
        assert_eq!(kept.put(&mut chunks, &bytes), manifest);
    }

    #[test]
    fn a_chunk_of_two_versions_is_one() {
        let bytes = random(5_000_000, 1);
        let (mut kept, first) = alone(&bytes);
        // Has a part of the first chunk.
        let mut chunks = knowing(&first);
        let second = kept.put(&mut chunks, &bytes[500_000..]);
        let mut chunks = knowing(&second);
        chunks.learn(&first, &vec![true; first.chunks.len()]);
        let third = kept.put(&mut chunks, &bytes);
        let distinct: HashSet<_> = third.needs().collect();
        assert_eq!(distinct.len(), third.chunks.len());
    }

    #[test]
    fn nobody_must_bring_much_more_than_the_object() {
        // Something out of each chunk of something long.
        let bytes = random(16_000_000, 1);
        let (mut kept, manifest) = alone(&bytes);
        let parts = bytes.chunks(1_000_000).map(|part| &part[..300_000]);
        let some = Vec::from_iter(parts).concat();
        let new = kept.put(&mut knowing(&manifest), &some);
        let brought: u64 = new.chunks.iter().map(|chunk| u64::from(chunk.length)).sum();
        assert!(brought < some.len() as u64 * 5 / 2, "{brought}");
        assert!(new.chunks.iter().any(|chunk| manifest.chunks.contains(chunk)));
    }
}
