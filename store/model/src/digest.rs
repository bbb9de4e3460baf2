//! One newtype per kind of BLAKE3-256 digest, so that none stands in for another.

use std::{
    fmt::{self, Write as _},
    str::FromStr,
};

/// A text that should have been a digest.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {kind}: 64 hexadecimal digits are expected")]
pub struct DigestError {
    /// Which digest was expected.
    pub kind: &'static str,
    /// What stood there.
    pub text: String,
}

macro_rules! digest {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 32]);

        impl $name {
            /// Take 32 bytes as this kind of digest.
            pub const fn from_bytes(bytes: [u8; 32]) -> Self {
                Self(bytes)
            }

            /// The 32 bytes.
            pub const fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Its text's bytes.
            pub(crate) fn hex(&self) -> [u8; 64] {
                let mut text = [0; 64];
                data_encoding::HEXLOWER.encode_mut(&self.0, &mut text);
                text
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.hex().iter().try_for_each(|&digit| f.write_char(char::from(digit)))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(text: &str) -> Result<Self, DigestError> {
                data_encoding::HEXLOWER_PERMISSIVE
                    .decode(text.as_bytes())
                    .ok()
                    .and_then(|bytes| bytes.try_into().ok())
                    .map(Self)
                    .ok_or_else(|| DigestError { kind: $kind, text: text.to_owned() })
            }
        }
    };
}

digest!(
    /// BLAKE3 of a file's bytes: what `b3sum` prints.
    ContentDigest,
    "content digest"
);
digest!(
    /// The Merkle digest of a file, symbolic link or directory; see [`crate::NodeKind`].
    NodeDigest,
    "tree digest"
);
digest!(
    /// The identity of a derivation as evaluated: its inputs are named by derivation.
    DerivationId,
    "derivation id"
);
digest!(
    /// The identity of a derivation whose inputs are all store paths: what is built.
    ResolvedId,
    "resolved derivation id"
);

impl ContentDigest {
    /// The digest of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }
}

impl DerivationId {
    /// The digest of the store object that holds the encoding, a file whose content has the
    /// id as its digest.
    pub fn object_digest(&self) -> NodeDigest {
        NodeDigest::of_file(false, &ContentDigest(self.0))
    }
}
