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
}

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
        }
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
