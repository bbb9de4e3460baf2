//! Hashes that people declare: of downloads, in the algorithms that publishers use.

use std::{fmt, str::FromStr};

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::Digest as _;

use crate::base32;

/// A hash algorithm for fixed outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each name says its algorithm")]
pub enum Algorithm {
    Sha256,
    Sha512,
    Blake3,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sha256, Self::Sha512, Self::Blake3];

    /// The name in recipes, locks and encodings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Blake3 => "blake3",
        }
    }

    /// The digest's length in bytes.
    pub fn length(self) -> usize {
        match self {
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha512 => 64,
        }
    }
}

impl FromStr for Algorithm {
    type Err = DeclaredHashError;

    fn from_str(text: &str) -> Result<Self, DeclaredHashError> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == text)
            .ok_or_else(|| DeclaredHashError::Algorithm { name: text.to_owned() })
    }
}

/// Why a text is not a declared hash.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeclaredHashError {
    /// Not one of [`Algorithm::ALL`].
    #[error("'{name}' is not a hash algorithm; use sha256, sha512 or blake3")]
    Algorithm {
        /// What was asked for.
        name: String,
    },
    /// Neither hexadecimal, base 32 nor base 64 of the right length.
    #[error("'{text}' is not a {} hash: hexadecimal, base 32 or base 64 of {} bytes is expected", .algorithm.as_str(), .algorithm.length())]
    Digest {
        /// The algorithm.
        algorithm: Algorithm,
        /// What stood there.
        text: String,
    },
}

/// An algorithm and the digest that some bytes must have.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeclaredHash {
    algorithm: Algorithm,
    digest: Box<[u8]>,
}

impl DeclaredHash {
    /// Read a digest in hexadecimal, Nix's base 32, base 64, or with a prefix as in
    /// `sha256:…` and `sha256-…`.
    pub fn parse(algorithm: Algorithm, text: &str) -> Result<Self, DeclaredHashError> {
        let name = algorithm.as_str();
        let bare = text
            .strip_prefix(name)
            .and_then(|rest| rest.strip_prefix(':').or_else(|| rest.strip_prefix('-')))
            .unwrap_or(text);
        let length = algorithm.length();
        let base32 = || match length {
            32 => base32::decode::<32>(bare).map(Vec::from),
            _ => base32::decode::<64>(bare).map(Vec::from),
        };
        let digest = HEXLOWER_PERMISSIVE
            .decode(bare.as_bytes())
            .ok()
            .filter(|bytes| bytes.len() == length)
            .or_else(base32)
            .or_else(|| BASE64.decode(bare.as_bytes()).ok().filter(|b| b.len() == length));
        match digest {
            Some(digest) => Ok(Self { algorithm, digest: digest.into() }),
            None => Err(DeclaredHashError::Digest { algorithm, text: text.to_owned() }),
        }
    }

    /// Which algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The digest.
    pub fn digest(&self) -> &[u8] {
        &self.digest
    }

    /// The digest in lower-case hexadecimal.
    pub fn to_hex(&self) -> String {
        HEXLOWER.encode(&self.digest)
    }

    /// `sha256-<base 64>`, as the web's subresource integrity has it.
    pub fn to_sri(&self) -> String {
        format!("{}-{}", self.algorithm.as_str(), BASE64.encode(&self.digest))
    }
}

/// `sha256:<hexadecimal>`, and back.
impl fmt::Display for DeclaredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.as_str(), self.to_hex())
    }
}

impl fmt::Debug for DeclaredHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeclaredHash({self})")
    }
}

impl FromStr for DeclaredHash {
    type Err = DeclaredHashError;

    fn from_str(text: &str) -> Result<Self, DeclaredHashError> {
        let name = text.split([':', '-']).next().unwrap_or(text);
        Self::parse(name.parse()?, text)
    }
}

/// Computes a [`DeclaredHash`] of bytes as they pass.
pub struct Hasher(State);

enum State {
    Sha256(sha2::Sha256),
    Sha512(sha2::Sha512),
    Blake3(Box<blake3::Hasher>),
}

impl Hasher {
    /// Start.
    pub fn new(algorithm: Algorithm) -> Self {
        Self(match algorithm {
            Algorithm::Sha256 => State::Sha256(sha2::Sha256::new()),
            Algorithm::Sha512 => State::Sha512(sha2::Sha512::new()),
            Algorithm::Blake3 => State::Blake3(Box::default()),
        })
    }

    /// Take more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            State::Sha256(state) => state.update(bytes),
            State::Sha512(state) => state.update(bytes),
            State::Blake3(state) => {
                state.update(bytes);
            }
        }
    }

    /// The hash of all bytes taken.
    pub fn finish(self) -> DeclaredHash {
        let (algorithm, digest): (_, Box<[u8]>) = match self.0 {
            State::Sha256(state) => (Algorithm::Sha256, state.finalize().as_slice().into()),
            State::Sha512(state) => (Algorithm::Sha512, state.finalize().as_slice().into()),
            State::Blake3(state) => {
                (Algorithm::Blake3, state.finalize().as_bytes().as_slice().into())
            }
        };
        DeclaredHash { algorithm, digest }
    }
}

impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn every_notation_gives_the_same_hash() {
        let hash = Hasher::new(Algorithm::Sha256).finish();
        assert_eq!(hash.to_hex(), EMPTY);
        for text in [
            format!("sha256:{EMPTY}"),
            hash.to_sri(),
            "sha256:0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73".into(),
        ] {
            assert_eq!(text.parse(), Ok(hash.clone()), "{text}");
        }
        assert_eq!(DeclaredHash::parse(Algorithm::Sha256, EMPTY), Ok(hash));
    }

    #[test]
    fn unknown_algorithms_and_wrong_lengths_are_refused() {
        assert!("md5:d41d8cd98f00b204e9800998ecf8427e".parse::<DeclaredHash>().is_err());
        assert!(DeclaredHash::parse(Algorithm::Sha512, EMPTY).is_err());
    }
}
