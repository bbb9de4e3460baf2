//! What a cache holds, and what each entry is called.

use hb_model::{ContentDigest, DerivationId, KeyName, ResolvedId, StorePath};

/// The longest text of a manifest or of builds, decompressed: what is known of an object of
/// a terabyte, or of a hundred thousand builds.
const MAX_TEXT: usize = 256 << 20;

/// One thing in a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Some bytes of objects, by their digest.
    Chunk(ContentDigest),
    /// What an object consists of.
    Object(StorePath),
    /// What a resolved derivation gave, as the owner of a key says.
    Builds(ResolvedId, KeyName),
    /// What a derivation and all below it gave, as the owner of a key says.
    Graph(DerivationId, KeyName),
    /// What was pushed at once, by the digest of that text.
    Push(ContentDigest),
    /// Somebody is pushing.
    Pushing(Visit),
    /// Somebody removes what is old.
    Collecting(Visit),
}

/// Somebody who is at a cache, by a random number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Visit(pub(crate) u64);

impl Entry {
    /// Its name, in which `/` stands between folders.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Chunk(digest) => {
                let digits = digest.to_string();
                format!("chunks/{}/{}", &digits[..2], &digits[2..])
            }
            Self::Object(path) => format!("objects/{}", path.base_name()),
            Self::Builds(resolved, key) => format!("builds/{resolved}/{key}"),
            Self::Graph(derivation, key) => format!("graphs/{derivation}/{key}"),
            Self::Push(digest) => format!("pushes/{digest}"),
            Self::Pushing(Visit(number)) => format!("{PUSHING}{number:016x}"),
            Self::Collecting(Visit(number)) => format!("{COLLECTING}{number:016x}"),
        }
    }

    /// The entry of a name; `None` for a name that no entry has.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (area, rest) = name.split_once('/')?;
        let pair = || rest.split_once('/');
        let visit = || u64::from_str_radix(rest, 16).ok().map(Visit);
        let entry = match area {
            "chunks" => {
                let (start, end) = pair()?;
                Self::Chunk(format!("{start}{end}").parse().ok()?)
            }
            "objects" => Self::Object(StorePath::from_base_name(rest).ok()?),
            "builds" => Self::Builds(pair()?.0.parse().ok()?, KeyName::new(pair()?.1).ok()?),
            "graphs" => Self::Graph(pair()?.0.parse().ok()?, KeyName::new(pair()?.1).ok()?),
            "pushes" => Self::Push(rest.parse().ok()?),
            "pushing" => Self::Pushing(visit()?),
            "collecting" => Self::Collecting(visit()?),
            _ => return None,
        };
        (entry.name() == name).then_some(entry)
    }

    /// The most bytes that it may have, decompressed.
    pub(crate) fn limit(&self) -> usize {
        match self {
            Self::Chunk(_) => crate::chunks::MAX_CHUNK,
            _ => MAX_TEXT,
        }
    }
}

/// The folder of the objects' manifests.
pub(crate) const OBJECTS: &str = "objects/";

/// The folders of those who are there.
pub(crate) const PUSHING: &str = "pushing/";
pub(crate) const COLLECTING: &str = "collecting/";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_found_by_their_names() {
        let digest = ContentDigest::of(b"a");
        let key = KeyName::new("builder-1").unwrap();
        let id = digest.to_string();
        let object = format!("{}-c++?=1", "0".repeat(32));
        for entry in [
            Entry::Chunk(digest),
            Entry::Object(StorePath::from_base_name(&object).unwrap()),
            Entry::Builds(id.parse().unwrap(), key.clone()),
            Entry::Graph(id.parse().unwrap(), key),
            Entry::Push(digest),
            Entry::Pushing(Visit(7)),
            Entry::Collecting(Visit(u64::MAX)),
        ] {
            assert_eq!(Entry::parse(&entry.name()), Some(entry));
        }
        for name in ["", "chunks", "chunks/ab", "objects/.tmpX", "pushing/7", "other/0"] {
            assert_eq!(Entry::parse(name), None, "{name}");
        }
    }
}
