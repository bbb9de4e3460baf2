//! Store paths and how they follow from content.

use std::{collections::BTreeSet, fmt, str::FromStr};

use crate::{
    DeclaredHash, NodeDigest, ResolvedId,
    base32::{Encoded, decode},
    encode::Encoder,
    name::{NameError, OutputName, StoreName},
};

/// Where the store lies as builds and recipes see it, wherever it physically is.
pub const STORE_DIR: &str = "/hb/store";

/// Why a text is not a store path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Not below `/hb/store`.
    #[error("'{text}' is not a path below {STORE_DIR}")]
    Elsewhere {
        /// The text.
        text: String,
    },
    /// The 32 characters and the dash are missing or wrong.
    #[error("'{text}' does not begin with the 32 characters of a hash and a dash")]
    Hash {
        /// The text.
        text: String,
    },
    /// The name breaks the rule.
    #[error(transparent)]
    Name(#[from] NameError),
}

/// The path of a store object: 160 bits that follow from its content, and a name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorePath {
    hash: [u8; 20],
    name: StoreName,
}

/// How the bytes of a fixed output are hashed for comparison with the declared hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FixedMethod {
    /// The output is one file; the hash is that of its bytes.
    Flat,
    /// The output is any tree; the hash is its [`NodeDigest`].
    Tree,
}

impl FixedMethod {
    /// The word for it in encodings and recipes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Flat => "flat",
            Self::Tree => "tree",
        }
    }
}

impl FromStr for FixedMethod {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "flat" => Ok(Self::Flat),
            "tree" => Ok(Self::Tree),
            _ => Err(()),
        }
    }
}

impl StorePath {
    /// The number of characters of the hash part.
    pub const HASH_LENGTH: usize = 32;

    /// The path of content that is known.
    ///
    /// `modulo_self` is the tree's digest with every occurrence of the object's own
    /// hash part replaced by zeros (`0`, 32 times); where `self_reference` is false
    /// it is the plain digest. `references` are the other objects that it names.
    pub fn of_content(
        name: StoreName,
        modulo_self: NodeDigest,
        references: &BTreeSet<StorePath>,
        self_reference: bool,
    ) -> Self {
        let mut encoder = Encoder::new("hb-path-1");
        encoder.field("tree");
        encoder.field(modulo_self.hex());
        encoder.list(|list| references.iter().for_each(|path| path.encode_base_name(list)));
        encoder.field(if self_reference { "self" } else { "" });
        encoder.field(name.as_str());
        Self::truncate(encoder, name)
    }

    /// The path of an output whose hash was declared beforehand.
    pub fn of_fixed(name: StoreName, method: FixedMethod, hash: &DeclaredHash) -> Self {
        let mut encoder = Encoder::new("hb-fixed-1");
        encoder.field(method.as_str());
        encoder.field(hash.algorithm().as_str());
        encoder.field(hash.to_hex());
        encoder.field(name.as_str());
        Self::truncate(encoder, name)
    }

    /// Where an output lies while it is being built. `variant` is 0 in ordinary
    /// builds; audits use others, to find hashes that rewriting cannot reach.
    pub fn scratch(
        resolved: &ResolvedId,
        output: &OutputName,
        name: StoreName,
        variant: u32,
    ) -> Self {
        let mut encoder = Encoder::new("hb-scratch-1");
        encoder.field(resolved.hex());
        encoder.field(output.as_str());
        encoder.field(variant.to_string());
        Self::truncate(encoder, name)
    }

    fn truncate(encoder: Encoder, name: StoreName) -> Self {
        let mut hash = [0; 20];
        hash.copy_from_slice(&encoder.digest()[..20]);
        Self { hash, name }
    }

    /// The path with these 160 bits: for schemes other than hb's own.
    pub(crate) fn from_parts(hash: [u8; 20], name: StoreName) -> Self {
        Self { hash, name }
    }

    /// The 32 characters that stand for the content.
    pub fn hash_part(&self) -> String {
        self.encoded_hash().as_str().to_owned()
    }

    fn encoded_hash(&self) -> Encoded<{ Self::HASH_LENGTH }> {
        Encoded::of(&self.hash)
    }

    /// The name part.
    pub fn name(&self) -> &StoreName {
        &self.name
    }

    /// `<hash>-<name>`: the file name within the store.
    pub fn base_name(&self) -> String {
        [self.encoded_hash().as_str(), "-", self.name.as_str()].concat()
    }

    /// Its text where the store lies at `store_dir`.
    pub fn text_in(&self, store_dir: &str) -> String {
        [store_dir, "/", self.encoded_hash().as_str(), "-", self.name.as_str()].concat()
    }

    /// The base name as a field.
    pub(crate) fn encode_base_name(&self, encoder: &mut Encoder) {
        let hash = self.encoded_hash();
        let parts = [hash.as_str(), "-", self.name.as_str()];
        encoder.pieces(&parts.map(str::as_bytes));
    }

    /// Read `<hash>-<name>`.
    pub fn from_base_name(text: &str) -> Result<Self, PathError> {
        let parts = text.split_at_checked(Self::HASH_LENGTH);
        let (hash, rest) = parts.ok_or_else(|| PathError::Hash { text: text.to_owned() })?;
        match (decode(hash), rest.strip_prefix('-')) {
            (Some(hash), Some(name)) => Ok(Self { hash, name: StoreName::new(name)? }),
            _ => Err(PathError::Hash { text: text.to_owned() }),
        }
    }
}

impl FromStr for StorePath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        text.strip_prefix(STORE_DIR)
            .and_then(|rest| rest.strip_prefix('/'))
            .ok_or_else(|| PathError::Elsewhere { text: text.to_owned() })
            .and_then(Self::from_base_name)
    }
}

impl fmt::Display for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hash = self.encoded_hash();
        let parts = [STORE_DIR, "/", hash.as_str(), "-", self.name.as_str()];
        parts.iter().try_for_each(|part| f.write_str(part))
    }
}

impl fmt::Debug for StorePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StorePath({self})")
    }
}
