//! What an object consists of, as text.

use std::{collections::HashSet, fmt::Write as _};

use hb_model::{ContentDigest, StorePath};
use hb_store::{Facts, Hole};

use crate::chunks::MAX_CHUNK;

/// The first line.
const HEAD: &str = "hb-object-1";

/// A piece of an object's stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) digest: ContentDigest,
    pub(crate) length: u32,
}

/// The manifest of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) path: StorePath,
    pub(crate) facts: Facts,
    pub(crate) holes: Vec<Hole>,
    /// In the order of the stream; one may come again.
    pub(crate) pieces: Vec<Piece>,
}

impl Manifest {
    /// The bytes of the stream.
    pub(crate) fn length(&self) -> u64 {
        self.pieces.iter().map(|piece| u64::from(piece.length)).sum()
    }

    /// The chunks, each once, in the order in which they come first.
    pub(crate) fn distinct(&self) -> impl Iterator<Item = ContentDigest> {
        let mut seen = HashSet::new();
        self.pieces.iter().map(|piece| piece.digest).filter(move |digest| seen.insert(*digest))
    }

    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\npath {}\n", self.path.base_name());
        text.push_str(&self.facts.to_text());
        for Hole { offset, number } in &self.holes {
            let _ = writeln!(text, "hole {offset} {number}");
        }
        for Piece { digest, length } in &self.pieces {
            let _ = writeln!(text, "chunk {digest} {length}");
        }
        text
    }

    /// `None` for a text that nobody would have written.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (path, rest) = text.strip_prefix(HEAD)?.strip_prefix("\npath ")?.split_once('\n')?;
        let start = |word: &str| match rest.starts_with(word) {
            true => Some(0),
            false => rest.find(&format!("\n{word}")).map(|before| before + 1),
        };
        let pieces = start("chunk ")?;
        let holes = start("hole ").filter(|&start| start < pieces).unwrap_or(pieces);
        let manifest = Self {
            path: StorePath::from_base_name(path).ok()?,
            facts: Facts::parse(&rest[..holes])?,
            holes: rest[holes..pieces].lines().map(hole).collect::<Option<_>>()?,
            pieces: rest[pieces..].lines().map(piece).collect::<Option<_>>()?,
        };
        (manifest.to_text() == text).then_some(manifest)
    }
}

fn hole(line: &str) -> Option<Hole> {
    let (offset, number) = line.strip_prefix("hole ")?.split_once(' ')?;
    Some(Hole { offset: offset.parse().ok()?, number: number.parse().ok()? })
}

fn piece(line: &str) -> Option<Piece> {
    let (digest, length) = line.strip_prefix("chunk ")?.split_once(' ')?;
    let length = length.parse().ok().filter(|&length| length > 0 && length as usize <= MAX_CHUNK);
    Some(Piece { digest: digest.parse().ok()?, length: length? })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            pieces: vec![Piece { digest: ContentDigest::of(b"a"), length: 9 }; 2],
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let plain = Manifest { facts: Facts::default(), holes: Vec::new(), ..manifest() };
        for manifest in [manifest(), plain] {
            assert_eq!(Manifest::parse(&manifest.to_text()), Some(manifest));
        }
    }

    #[test]
    fn the_text_is_as_specified() {
        let digest = ContentDigest::of(b"a");
        let expected = format!(
            "hb-object-1\npath zyxwvsrqpnmlkjihgfdcba9876543210-x\n\
             reference 0123456789abcdfghijklmnpqrsvwxyz-hole\nself\nhole 7 0\nhole 40 1\n\
             chunk {digest} 9\nchunk {digest} 9\n"
        );
        assert_eq!(manifest().to_text(), expected);
    }

    #[test]
    fn what_nobody_would_have_written_is_refused() {
        let text = manifest().to_text();
        for (from, to) in [
            ("hb-object-1", "hb-object-2"),
            ("self\n", "self\nself\n"),
            ("hole 7 0\n", "hole 07 0\n"),
            ("9\n", "0\n"),
            ("9\n", "1048577\n"),
            ("chunk ", "chunk  "),
            ("-x\n", "-x/../y\n"),
        ] {
            assert!(text.contains(from));
            assert_eq!(Manifest::parse(&text.replacen(from, to, 1)), None, "{from} → {to}");
        }
        assert_eq!(Manifest::parse(&text[..text.len() - 1]), None);
        assert_eq!(Manifest::parse(""), None);
    }
}
