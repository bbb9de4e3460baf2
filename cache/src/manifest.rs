//! What an object consists of, as text.

use std::{collections::HashSet, fmt::Write as _};

use hb_model::{ContentDigest, StorePath};
use hb_store::{Facts, Hole};

use crate::chunks::MAX_CHUNK;

/// The first line, and how that of any version begins.
const HEAD: &str = "hb-object-2\n";
const ANY_HEAD: &str = "hb-object-";

/// How many times the bytes of an object may have to be read, in chunks, for the runs of its
/// pieces. Pieces of 16 KiB, each in another chunk than the one before it, come to 128.
const MAX_READ: u64 = 256;

/// Pieces of objects that a cache keeps in one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) digest: ContentDigest,
    pub(crate) length: u32,
}

/// A piece of an object's stream, as its content cuts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) digest: ContentDigest,
    pub(crate) length: u32,
    /// Where it lies.
    pub(crate) place: Place,
}

/// A place in the chunks of a manifest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the chunk.
    pub(crate) chunk: usize,
    /// Bytes from its beginning.
    pub(crate) offset: u32,
}

/// The manifest of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) path: StorePath,
    pub(crate) facts: Facts,
    pub(crate) holes: Vec<Hole>,
    /// What its pieces lie in: each once, in the order in which pieces need them first.
    pub(crate) chunks: Vec<Chunk>,
    /// In the order of the stream; one may come again.
    pub(crate) pieces: Vec<Piece>,
}

/// Why a text is no manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoManifest {
    /// Its first line is that of another version of hb.
    OtherVersion,
    /// Nobody would have written it.
    Wrong,
}

impl Manifest {
    /// The bytes of the stream.
    pub(crate) fn length(&self) -> u64 {
        self.pieces.iter().map(|piece| u64::from(piece.length)).sum()
    }

    /// The digests of the chunks.
    pub(crate) fn needs(&self) -> impl Iterator<Item = ContentDigest> {
        self.chunks.iter().map(|chunk| chunk.digest)
    }

    /// The pieces in runs that one chunk has whole, of no more bytes than a chunk may have.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (Chunk, &[Piece])> {
        let mut rest = &self.pieces[..];
        std::iter::from_fn(move || {
            let number = rest.first()?.place.chunk;
            let mut room = MAX_CHUNK;
            let fits = |piece: &&Piece| {
                let left = room.checked_sub(piece.length as usize);
                room = left.unwrap_or_default();
                piece.place.chunk == number && left.is_some()
            };
            let (run, others) = rest.split_at(rest.iter().take_while(fits).count());
            rest = others;
            Some((self.chunks[number], run))
        })
    }

    /// What lies behind a piece.
    fn behind(&self, piece: &Piece) -> Place {
        let Place { chunk, offset } = piece.place;
        match offset + piece.length {
            end if end == self.chunks[chunk].length => Place { chunk: chunk + 1, offset: 0 },
            offset => Place { chunk, offset },
        }
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{HEAD}path {}\n", self.path.base_name());
        text.push_str(&self.facts.to_text());
        for Hole { offset, number } in &self.holes {
            let _ = writeln!(text, "hole {offset} {number}");
        }
        for Chunk { digest, length } in &self.chunks {
            let _ = writeln!(text, "chunk {digest} {length}");
        }
        let mut next = Place::default();
        for piece in &self.pieces {
            if piece.place != next {
                let _ = writeln!(text, "from {} {}", piece.place.chunk, piece.place.offset);
            }
            let _ = writeln!(text, "piece {} {}", piece.digest, piece.length);
            next = self.behind(piece);
        }
        text
    }

    pub(crate) fn parse(text: &str) -> Result<Self, NoManifest> {
        match text.strip_prefix(HEAD) {
            Some(rest) => {
                let manifest = Self::parse_rest(rest).ok_or(NoManifest::Wrong)?;
                (manifest.to_text() == text).then_some(manifest).ok_or(NoManifest::Wrong)
            }
            None if text.starts_with(ANY_HEAD) => Err(NoManifest::OtherVersion),
            None => Err(NoManifest::Wrong),
        }
    }

    /// What stands behind the head, as far as it can be read: it may be written otherwise.
    fn parse_rest(text: &str) -> Option<Self> {
        let (path, rest) = text.strip_prefix("path ")?.split_once('\n')?;
        let start = |word: &str| match rest.starts_with(word) {
            true => Some(0),
            false => rest.find(&format!("\n{word}")).map(|before| before + 1),
        };
        let chunks = start("chunk ")?;
        let holes = start("hole ").filter(|&start| start < chunks).unwrap_or(chunks);
        let mut manifest = Self {
            path: StorePath::from_base_name(path).ok()?,
            facts: Facts::parse(&rest[..holes])?,
            holes: rest[holes..chunks].lines().map(hole).collect::<Option<_>>()?,
            chunks: Vec::new(),
            pieces: Vec::new(),
        };
        let mut lines = rest[chunks..].lines().peekable();
        let mut distinct = HashSet::new();
        while let Some(line) = lines.next_if(|line| line.starts_with("chunk ")) {
            let (digest, length) = sized(line.strip_prefix("chunk ")?)?;
            if !distinct.insert(digest) {
                return None;
            }
            manifest.chunks.push(Chunk { digest, length });
        }
        manifest.parse_pieces(lines)?;
        let read: u64 = manifest.runs().map(|(chunk, _)| u64::from(chunk.length)).sum();
        (read <= MAX_READ * manifest.length() + MAX_CHUNK as u64).then_some(manifest)
    }

    fn parse_pieces<'a>(&mut self, lines: impl Iterator<Item = &'a str>) -> Option<()> {
        let (mut place, mut needed) = (Place::default(), 0);
        for line in lines {
            if let Some(from) = line.strip_prefix("from ") {
                let (chunk, offset) = from.split_once(' ')?;
                place = Place { chunk: chunk.parse().ok()?, offset: offset.parse().ok()? };
                continue;
            }
            let (digest, length) = sized(line.strip_prefix("piece ")?)?;
            let chunk = self.chunks.get(place.chunk)?;
            // Chunks are needed in their order.
            if place.chunk > needed || place.offset.checked_add(length)? > chunk.length {
                return None;
            }
            needed = needed.max(place.chunk + 1);
            let piece = Piece { digest, length, place };
            place = self.behind(&piece);
            self.pieces.push(piece);
        }
        (needed == self.chunks.len()).then_some(())
    }
}

fn hole(line: &str) -> Option<Hole> {
    let (offset, number) = line.strip_prefix("hole ")?.split_once(' ')?;
    Some(Hole { offset: offset.parse().ok()?, number: number.parse().ok()? })
}

/// A digest, and the length of what has it: some bytes, and not more than a chunk may have.
fn sized(text: &str) -> Option<(ContentDigest, u32)> {
    let (digest, length) = text.split_once(' ')?;
    let length = length.parse().ok().filter(|&length| length > 0 && length as usize <= MAX_CHUNK);
    Some((digest.parse().ok()?, length?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn piece(bytes: &[u8], length: u32, chunk: usize, offset: u32) -> Piece {
        Piece { digest: ContentDigest::of(bytes), length, place: Place { chunk, offset } }
    }

    fn chunk(bytes: &[u8], length: u32) -> Chunk {
        Chunk { digest: ContentDigest::of(bytes), length }
    }

    fn manifest() -> Manifest {
        let path = |name: &str| StorePath::from_base_name(name).unwrap();
        let facts = Facts {
            references: [path("0123456789abcdfghijklmnpqrsvwxyz-hole")].into(),
            self_reference: true,
            fixed: None,
        };
        Manifest {
            path: path("zyxwvsrqpnmlkjihgfdcba9876543210-x"),
            facts,
            holes: vec![Hole { offset: 7, number: 0 }, Hole { offset: 40, number: 1 }],
            chunks: vec![chunk(b"A", 9), chunk(b"B", 5)],
            pieces: vec![
                piece(b"a", 4, 0, 0),
                piece(b"b", 5, 0, 4),
                piece(b"c", 2, 1, 0),
                piece(b"c", 2, 1, 0),
                piece(b"b", 5, 0, 4),
                piece(b"d", 3, 1, 2),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let plain = Manifest { facts: Facts::default(), holes: Vec::new(), ..manifest() };
        for manifest in [manifest(), plain] {
            assert_eq!(Manifest::parse(&manifest.to_text()), Ok(manifest));
        }
    }

    #[test]
    fn the_text_is_as_specified() {
        let [upper_a, upper_b, a, b, c, d] =
            ["A", "B", "a", "b", "c", "d"].map(|it| ContentDigest::of(it.as_bytes()));
        let expected = format!(
            "hb-object-2\npath zyxwvsrqpnmlkjihgfdcba9876543210-x\n\
             reference 0123456789abcdfghijklmnpqrsvwxyz-hole\nself\nhole 7 0\nhole 40 1\n\
             chunk {upper_a} 9\nchunk {upper_b} 5\n\
             piece {a} 4\npiece {b} 5\npiece {c} 2\nfrom 1 0\npiece {c} 2\n\
             from 0 4\npiece {b} 5\nfrom 1 2\npiece {d} 3\n"
        );
        assert_eq!(manifest().to_text(), expected);
    }

    #[test]
    fn runs_are_what_one_chunk_has() {
        let runs = |manifest: &Manifest| {
            let run = |(chunk, run): (Chunk, &[Piece])| (chunk.length, run.len());
            manifest.runs().map(run).collect::<Vec<_>>()
        };
        assert_eq!(runs(&manifest()), [(9, 2), (5, 2), (9, 1), (5, 1)]);
        let length = MAX_CHUNK as u32 / 2;
        let again = Manifest {
            chunks: vec![chunk(b"A", length)],
            pieces: vec![piece(b"a", length, 0, 0); 5],
            ..manifest()
        };
        assert_eq!(runs(&again), [(length, 2), (length, 2), (length, 1)]);
    }

    #[test]
    fn what_nobody_would_have_written_is_refused() {
        let text = manifest().to_text();
        for (from, to) in [
            ("hb-object-2", "hb-objects"),
            ("self\n", "self\nself\n"),
            ("hole 7 0\n", "hole 07 0\n"),
            // Too short for its pieces, of no length, and longer than any.
            (" 9\n", " 8\n"),
            (" 5\npiece", " 0\npiece"),
            (" 5\npiece", " 2097153\npiece"),
            ("chunk ", "chunk  "),
            ("-x\n", "-x/../y\n"),
            // Where the piece lies anyway, outside of the chunk, and in none.
            ("from 1 0\npiece", "from 1 2\npiece"),
            ("from 1 2\n", "from 1 3\n"),
            ("from 1 2\n", "from 1 4294967295\n"),
            ("from 1 2\n", "from 2 2\n"),
            ("from 1 0\n", "from 0 9\n"),
        ] {
            assert!(text.contains(from));
            let refused = Manifest::parse(&text.replacen(from, to, 1));
            assert_eq!(refused, Err(NoManifest::Wrong), "{from} → {to}");
        }
        let lines: Vec<_> = text.lines().collect();
        let with = |at: usize, line| [&lines[..at], &[line], &lines[at..]].concat();
        for wrong in
            [with(6, lines[6]), with(8, lines[7]), with(12, "from 1 0"), with(9, "from 1 0")]
        {
            assert_eq!(Manifest::parse(&(wrong.join("\n") + "\n")), Err(NoManifest::Wrong));
        }
        assert_eq!(Manifest::parse(&text[..text.len() - 1]), Err(NoManifest::Wrong));
        assert_eq!(Manifest::parse(""), Err(NoManifest::Wrong));
    }

    #[test]
    fn chunks_that_nothing_needs_or_that_come_out_of_order_are_refused() {
        let mut idle = manifest();
        idle.chunks.push(chunk(b"C", 1));
        assert_eq!(Manifest::parse(&idle.to_text()), Err(NoManifest::Wrong));
        let mut swapped = manifest();
        swapped.pieces.reverse();
        assert_eq!(Manifest::parse(&swapped.to_text()), Err(NoManifest::Wrong));
    }

    #[test]
    fn bytes_of_large_chunks_that_come_one_by_one_are_refused() {
        let length = MAX_CHUNK as u32;
        let by_turns = |times: usize, bytes: u32| Manifest {
            chunks: vec![chunk(b"A", length), chunk(b"B", length)],
            pieces: (0..times).map(|number| piece(b"a", bytes, number % 2, 0)).collect(),
            ..manifest()
        };
        let honest = by_turns(1000, 16 << 10);
        assert_eq!(Manifest::parse(&honest.to_text()), Ok(honest));
        let slow = by_turns(1000, 1);
        assert_eq!(Manifest::parse(&slow.to_text()), Err(NoManifest::Wrong));
    }

    #[test]
    fn another_version_is_told_apart() {
        let text = manifest().to_text().replacen("hb-object-2", "hb-object-3", 1);
        assert_eq!(Manifest::parse(&text), Err(NoManifest::OtherVersion));
    }
}
