//! Hashes as Nix writes and reads them.

use std::{fmt, str::FromStr};

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::Digest as _;

use crate::base32;

/// A hash algorithm that Nix knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each name says its algorithm")]
pub enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha512,
    Blake3,
}

impl Algorithm {
    const ALL: [Self; 5] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha512, Self::Blake3];

    /// The algorithm's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
        }
    }

    /// The digest's length in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha512 => 64,
        }
    }

    /// The hash of some bytes.
    pub fn hash(self, bytes: &[u8]) -> Hash {
        let digest = match self {
            Self::Md5 => md5::Md5::digest(bytes).to_vec(),
            Self::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
            Self::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
            Self::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
            Self::Blake3 => blake3::hash(bytes).as_bytes().to_vec(),
        };
        Hash { algorithm: self, digest }
    }

    /// The bytes of a digest in base 16, base 32 or base 64: its length says which.
    fn parse_digest(self, text: &str) -> Option<Vec<u8>> {
        let base32 = |text| match self {
            Self::Md5 => base32::decode::<16>(text).map(Vec::from),
            Self::Sha1 => base32::decode::<20>(text).map(Vec::from),
            Self::Sha256 | Self::Blake3 => base32::decode::<32>(text).map(Vec::from),
            Self::Sha512 => base32::decode::<64>(text).map(Vec::from),
        };
        if text.len() == self.length() * 2 {
            return HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        }
        base32(text).or_else(|| self.parse_base64(text))
    }

    fn parse_base64(self, text: &str) -> Option<Vec<u8>> {
        BASE64.decode(text.as_bytes()).ok().filter(|bytes| bytes.len() == self.length())
    }
}

impl FromStr for Algorithm {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| HashError::Algorithm { name: text.to_owned() })
    }
}

/// Why a text is not a hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashError {
    /// No algorithm has this name.
    #[error("'{name}' is not a hash algorithm that is known")]
    Algorithm {
        /// The name.
        name: String,
    },
    /// Neither the text nor anything else names the algorithm.
    #[error("'{text}' does not name its algorithm")]
    Unnamed {
        /// The text.
        text: String,
    },
    /// The text names another algorithm than was asked for.
    #[error("the hash is {}, not {}", found.as_str(), wanted.as_str())]
    Mismatch {
        /// The one that the text names.
        found: Algorithm,
        /// The one that was asked for.
        wanted: Algorithm,
    },
    /// The digest is no such notation, or has the wrong length.
    #[error("'{text}' has the wrong length for {}", algorithm.as_str())]
    Digest {
        /// The algorithm.
        algorithm: Algorithm,
        /// The digest's text.
        text: String,
    },
}

/// An algorithm and a digest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash {
    algorithm: Algorithm,
    digest: Vec<u8>,
}

impl Hash {
    /// A digest of SHA-256.
    pub fn of_sha256_digest(digest: [u8; 32]) -> Self {
        Self { algorithm: Algorithm::Sha256, digest: digest.into() }
    }

    /// Read a hash in any notation. The text (`sha256:…`, `sha256-…`) or `given`, or both,
    /// say which algorithm it is of.
    pub fn parse(text: &str, given: Option<Algorithm>) -> Result<Self, HashError> {
        let named = match text.split_once(':').or_else(|| text.split_once('-')) {
            Some((name, rest)) => Some((name.parse::<Algorithm>()?, rest)),
            None => None,
        };
        let (algorithm, digest) = match (named, given) {
            (Some((found, _)), Some(wanted)) if found != wanted => {
                return Err(HashError::Mismatch { found, wanted });
            }
            (Some((found, rest)), _) => (found, rest),
            (None, Some(given)) => (given, text),
            (None, None) => return Err(HashError::Unnamed { text: text.to_owned() }),
        };
        // A dash promises base 64.
        let bytes = match named.is_some() && !text.contains(':') {
            true => algorithm.parse_base64(digest),
            false => algorithm.parse_digest(digest),
        };
        match bytes {
            Some(digest) => Ok(Self { algorithm, digest }),
            None => Err(HashError::Digest { algorithm, text: digest.to_owned() }),
        }
    }

    /// The digest of zeros that an empty hash stands for.
    pub fn zero(algorithm: Algorithm) -> Self {
        Self { algorithm, digest: vec![0; algorithm.length()] }
    }

    /// Which algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The digest.
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// The digest in base 16.
    pub fn to_base16(&self) -> String {
        HEXLOWER.encode(&self.digest)
    }

    /// The digest in Nix's base 32.
    pub fn to_base32(&self) -> String {
        base32::encode(&self.digest)
    }

    /// The digest in base 64.
    pub fn to_base64(&self) -> String {
        BASE64.encode(&self.digest)
    }

    /// `sha256-<base 64>`.
    pub fn to_sri(&self) -> String {
        format!("{}-{}", self.algorithm.as_str(), self.to_base64())
    }
}

/// `sha256:<base 16>`.
impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.to_base16())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_notation_is_read_and_each_mistake_has_its_error() {
        let hash = Algorithm::Sha1.hash(b"abc");
        assert_eq!(hash.to_base16(), "a9993e364706816aba3e25717850c26c9cd0d89d");
        for text in [hash.to_string(), format!("sha1:{}", hash.to_base32()), hash.to_sri()] {
            assert_eq!(Hash::parse(&text, None), Ok(hash.clone()), "{text}");
        }
        assert_eq!(Hash::parse(&hash.to_base64(), Some(Algorithm::Sha1)), Ok(hash.clone()));
        let failing = |text: &str, given| Hash::parse(text, given).unwrap_err();
        assert!(matches!(failing("abc", None), HashError::Unnamed { .. }));
        assert!(matches!(failing("sha3:abc", None), HashError::Algorithm { .. }));
        assert!(matches!(failing("sha1:abc", None), HashError::Digest { .. }));
        let mismatch = failing(&hash.to_string(), Some(Algorithm::Md5));
        assert!(matches!(mismatch, HashError::Mismatch { .. }));
        let not_base64 = format!("sha1-{}", hash.to_base16());
        assert!(matches!(failing(&not_base64, None), HashError::Digest { .. }));
    }
}
