//! Keys and signatures: who says that a build gave what it gave.
//!
//! Ed25519 (RFC 8032), over a realisation's canonical text. Keys and signatures are
//! written as the key's name, `:` and base 64. Verification is strict: a key of small
//! order and a malleable signature are refused.

use std::{collections::BTreeSet, fmt, str::FromStr};

use data_encoding::BASE64;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};

use crate::{NameError, Realisation, name::KeyName};

/// A text is no key or no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a name, `:` and something.
    #[error("a key is written as its name, ':' and base 64")]
    Form,
    /// A name that is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Not base 64, or not of the right length.
    #[error("what comes after '{0}:' is not base 64 of {1} bytes")]
    Bytes(KeyName, usize),
    /// Bytes that are no public key.
    #[error("what comes after '{0}:' is no public key")]
    NoKey(KeyName),
}

/// `NAME:BASE64`, taken apart.
fn parse<const N: usize>(text: &str) -> Result<(KeyName, [u8; N]), KeyError> {
    let (name, bytes) = text.trim().split_once(':').ok_or(KeyError::Form)?;
    let name = KeyName::new(name)?;
    // The decoder also takes what was put together of several texts.
    let canonical = |decoded: &Vec<u8>| BASE64.encode(decoded) == bytes;
    let decoded = BASE64.decode(bytes.as_bytes()).ok().filter(canonical);
    let bytes = decoded.and_then(|bytes| bytes.try_into().ok());
    let bytes = bytes.ok_or_else(|| KeyError::Bytes(name.clone(), N))?;
    Ok((name, bytes))
}

fn write(f: &mut fmt::Formatter<'_>, name: &KeyName, bytes: &[u8]) -> fmt::Result {
    write!(f, "{name}:{}", BASE64.encode(bytes))
}

/// A key by which signatures are checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    name: KeyName,
    key: VerifyingKey,
}

impl PublicKey {
    /// What signatures call it.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// Whether this key signed the realisation.
    pub fn verifies(&self, realisation: &Realisation, signature: &Signature) -> bool {
        let bytes = ed25519_dalek::Signature::from_bytes(&signature.bytes);
        let text = realisation.canonical_text();
        self.name == signature.key && self.key.verify_strict(text.as_bytes(), &bytes).is_ok()
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, bytes) = parse(text)?;
        match VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(Self { name, key }),
            _ => Err(KeyError::NoKey(name)),
        }
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, &self.name, self.key.as_bytes())
    }
}

/// A key that signs. It is not shown in debug output.
#[derive(Clone)]
pub struct SecretKey {
    name: KeyName,
    key: SigningKey,
}

impl SecretKey {
    /// The key of 32 bytes that nobody else may know or guess.
    pub fn from_seed(name: KeyName, seed: &[u8; 32]) -> Self {
        Self { name, key: SigningKey::from_bytes(seed) }
    }

    /// The key by which its signatures are checked.
    pub fn public(&self) -> PublicKey {
        PublicKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// Sign a realisation.
    pub fn sign(&self, realisation: &Realisation) -> Signature {
        let bytes = self.key.sign(realisation.canonical_text().as_bytes()).to_bytes();
        Signature { key: self.name.clone(), bytes }
    }

    /// The text to keep secret.
    pub fn to_secret_text(&self) -> String {
        format!("{}:{}", self.name, BASE64.encode(self.key.as_bytes()))
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (name, seed) = parse(text)?;
        Ok(Self::from_seed(name, &seed))
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.name)
    }
}

/// A signature of a realisation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    key: KeyName,
    bytes: [u8; 64],
}

impl Signature {
    /// The name of the key that is said to have made it.
    pub fn key(&self) -> &KeyName {
        &self.key
    }
}

impl FromStr for Signature {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let (key, bytes) = parse(text)?;
        Ok(Self { key, bytes })
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write(f, &self.key, &self.bytes)
    }
}

/// A realisation, and who says that it is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// What was built, and what came out.
    pub realisation: Realisation,
    /// Who says so.
    pub signatures: Vec<Signature>,
}

impl Signed {
    /// The canonical text, and a line for each signature.
    pub fn to_text(&self) -> String {
        let lines = self.signatures.iter().map(|signature| format!("signature {signature}\n"));
        self.realisation.canonical_text() + &lines.collect::<String>()
    }

    /// Read what [`Signed::to_text`] gives; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let start = text.find("\nsignature ").map_or(text.len(), |end| end + 1);
        let (canonical, lines) = text.split_at(start);
        let signature = |line: &str| line.strip_prefix("signature ")?.parse().ok();
        let signatures = lines.lines().map(signature).collect::<Option<_>>()?;
        let signed = Self { realisation: Realisation::parse(canonical)?, signatures };
        (signed.to_text() == text).then_some(signed)
    }
}

/// Whom to believe which derivation gave what.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// The keys of builders.
    pub keys: Vec<PublicKey>,
    /// How many of them must have signed that the same came out.
    pub needed: usize,
}

impl Trust {
    /// Whether enough trusted keys signed a realisation. Without keys nobody is believed.
    pub fn believes(&self, realisation: &Realisation, signatures: &[Signature]) -> bool {
        self.believes_any([(realisation, signatures)])
    }

    /// Whether enough trusted keys signed some of these realisations, which give the same:
    /// builders may differ in how they made it.
    pub fn believes_any<'a>(
        &self,
        said: impl IntoIterator<Item = (&'a Realisation, &'a [Signature])>,
    ) -> bool {
        let mut by: BTreeSet<&[u8; 32]> = BTreeSet::new();
        for (realisation, signatures) in said {
            let signed =
                |key: &&PublicKey| signatures.iter().any(|it| key.verifies(realisation, it));
            by.extend(self.keys.iter().filter(signed).map(|key| key.key.as_bytes()));
        }
        by.len() >= self.needed.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Isolation, NodeDigest, OutputName, RealisationKey, ResolvedId, StoreName, StorePath,
    };

    fn realisation() -> Realisation {
        let digest = NodeDigest::from_bytes([2; 32]);
        let name = StoreName::new("x").unwrap();
        Realisation {
            key: RealisationKey {
                resolved: ResolvedId::from_bytes([1; 32]),
                output: OutputName::out(),
            },
            path: StorePath::of_content(name, digest, &[].into(), false),
            digest,
            references: [].into(),
            isolation: Isolation::Filtered,
            builder: "hb test".into(),
        }
    }

    fn secret(name: &str, seed: u8) -> SecretKey {
        SecretKey::from_seed(KeyName::new(name).unwrap(), &[seed; 32])
    }

    #[test]
    fn keys_and_signatures_are_read_as_they_are_written() {
        let secret = secret("builder", 7);
        let public: PublicKey = secret.public().to_string().parse().unwrap();
        assert_eq!(public, secret.public());
        let again: SecretKey = secret.to_secret_text().parse().unwrap();
        assert_eq!(again.public(), public);
        let signature = secret.sign(&realisation());
        assert_eq!(signature.to_string().parse(), Ok(signature.clone()));
        assert!(public.verifies(&realisation(), &signature));
    }

    #[test]
    fn the_key_of_a_known_seed_is_the_one_of_the_standard() {
        // The first test of RFC 8032.
        let seed = data_encoding::HEXLOWER
            .decode(b"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
            .unwrap();
        let key = SecretKey::from_seed(KeyName::new("k").unwrap(), &seed.try_into().unwrap());
        assert_eq!(key.public().to_string(), "k:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    }

    #[test]
    fn another_build_another_key_and_another_name_are_not_verified() {
        let secret = secret("builder", 7);
        let signature = secret.sign(&realisation());
        let other = Realisation { builder: "somebody".into(), ..realisation() };
        assert!(!secret.public().verifies(&other, &signature));
        assert!(!self::secret("builder", 8).public().verifies(&realisation(), &signature));
        assert!(!self::secret("other", 7).public().verifies(&realisation(), &signature));
    }

    #[test]
    fn as_many_keys_as_are_needed_must_have_signed() {
        let secrets = [secret("a", 1), secret("b", 2), secret("c", 3)];
        let keys = secrets.iter().map(SecretKey::public).collect();
        let trust = Trust { keys, needed: 2 };
        let by = |signers: &[&SecretKey]| -> Vec<Signature> {
            signers.iter().map(|signer| signer.sign(&realisation())).collect()
        };
        let [a, b, _] = &secrets;
        assert!(trust.believes(&realisation(), &by(&[a, b])));
        assert!(!trust.believes(&realisation(), &by(&[a])));
        assert!(!trust.believes(&realisation(), &by(&[a, a])), "the same one counts once");
        assert!(!trust.believes(&realisation(), &by(&[a, &secret("d", 4)])));
        assert!(!Trust::default().believes(&realisation(), &by(&[a, b])), "nobody is trusted");
    }

    #[test]
    fn one_key_under_two_names_counts_once() {
        let (a, b) = (secret("a", 1), secret("b", 1));
        let trust = Trust { keys: vec![a.public(), b.public()], needed: 2 };
        assert!(!trust.believes(&realisation(), &[a.sign(&realisation()), b.sign(&realisation())]));
    }

    #[test]
    fn what_is_no_key_is_called_so() {
        assert_eq!("no key".parse::<PublicKey>(), Err(KeyError::Form));
        assert!(matches!("k:AAAA".parse::<PublicKey>(), Err(KeyError::Bytes(_, 32))));
        // Put together of several texts; found by fuzzing.
        let parts = "k:lA56ki04F6g=i0U=F6ggogg=g11111U=F6ggggg=i0U=Fgg=gggr";
        assert!(matches!(parts.parse::<PublicKey>(), Err(KeyError::Bytes(_, 32))));
        let weak = format!("k:{}", BASE64.encode(&[0; 32]));
        assert!(matches!(weak.parse::<PublicKey>(), Err(KeyError::NoKey(_))));
    }
}
