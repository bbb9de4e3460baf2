//! Hashes of texts and files, and their notations.

use data_encoding::{BASE64, HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::Digest as _;

use super::{Builtin, files, forced};
use crate::error::{Error, Eval, Fault};
use crate::machine::{Machine, bytes_to_path};
use crate::value::Value;

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "hashString",
        params: &[
            forced("algorithm", "`md5`, `sha1`, `sha256`, `sha512` or `blake3`"),
            forced("text", "a string"),
        ],
        doc: "The hash of a text, in hexadecimal.",
        run: |m, args| {
            let algorithm = algorithm(m, "hashString", args[0])?;
            let text = m.expect_string(args[1])?;
            let digest = algorithm.digest(text.as_bytes().unwrap_or_default());
            Ok(m.string(HEXLOWER.encode(&digest)))
        },
    },
    Builtin {
        name: "hashFile",
        params: &[
            forced("algorithm", "`md5`, `sha1`, `sha256`, `sha512` or `blake3`"),
            forced("path", "a file"),
        ],
        doc: "The hash of a file's bytes, in hexadecimal.",
        run: |m, args| {
            let algorithm = algorithm(m, "hashFile", args[0])?;
            let path = files::existing_path(m, args[1])?;
            let content = m.world.read_file(bytes_to_path(&path))?;
            Ok(m.string(HEXLOWER.encode(&algorithm.digest(&content))))
        },
    },
    Builtin {
        name: "convertHash",
        params: &[forced("arguments", "a set of `hash`, `hashAlgo` and `toHashFormat`")],
        doc: "A hash in another notation: `base16`, `nix32` (or `base32`), `base64` or `sri`. \
              The algorithm may be left out where the hash names it.",
        run: convert,
    },
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Algorithm {
    Md5,
    Sha1,
    Sha256,
    Sha512,
    Blake3,
}

impl Algorithm {
    const ALL: [(&'static str, Self); 5] = [
        ("md5", Self::Md5),
        ("sha1", Self::Sha1),
        ("sha256", Self::Sha256),
        ("sha512", Self::Sha512),
        ("blake3", Self::Blake3),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|entry| entry.0 == name).map(|entry| entry.1)
    }

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|entry| entry.1 == self).map_or("", |entry| entry.0)
    }

    fn length(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha256 | Self::Blake3 => 32,
            Self::Sha512 => 64,
        }
    }

    fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => md5::Md5::digest(bytes).to_vec(),
            Self::Sha1 => sha1::Sha1::digest(bytes).to_vec(),
            Self::Sha256 => sha2::Sha256::digest(bytes).to_vec(),
            Self::Sha512 => sha2::Sha512::digest(bytes).to_vec(),
            Self::Blake3 => blake3::hash(bytes).as_bytes().to_vec(),
        }
    }

    /// The bytes of a digest in any notation.
    fn parse(self, text: &str) -> Option<Vec<u8>> {
        let base32 = |text| match self {
            Self::Md5 => hb_model::base32_decode::<16>(text).map(Vec::from),
            Self::Sha1 => hb_model::base32_decode::<20>(text).map(Vec::from),
            Self::Sha256 | Self::Blake3 => hb_model::base32_decode::<32>(text).map(Vec::from),
            Self::Sha512 => hb_model::base32_decode::<64>(text).map(Vec::from),
        };
        if text.len() == self.length() * 2 {
            return HEXLOWER_PERMISSIVE.decode(text.as_bytes()).ok();
        }
        base32(text).or_else(|| {
            BASE64.decode(text.as_bytes()).ok().filter(|bytes| bytes.len() == self.length())
        })
    }
}

fn bad(builtin: &'static str, reason: String) -> Error {
    Fault::Argument { builtin, reason }.into()
}

fn algorithm(m: &mut Machine, builtin: &'static str, value: Value) -> Eval<Algorithm> {
    let name = m.expect_text(value, "the name of a hash algorithm")?;
    Algorithm::named(&name)
        .ok_or_else(|| bad(builtin, format!("‘{name}’ is not a hash algorithm that is known")))
}

fn convert(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    const NAME: &str = "convertHash";
    let attrs = m.expect_attrs(args[0])?;
    let (hash, given, format) =
        (m.intern(b"hash"), m.intern(b"hashAlgo"), m.intern(b"toHashFormat"));
    let hash = m.select(attrs.value(), hash)?;
    let hash = m.expect_text(hash, "a hash")?;
    let given = match attrs.get(given) {
        Some(name) => Some(algorithm(m, NAME, name)?),
        None => None,
    };
    let format = m.select(attrs.value(), format)?;
    let format = m.expect_text(format, "a notation")?;
    let named = hash.split_once([':', '-']);
    let (algorithm, text) = match (named, given) {
        (Some((name, text)), given) => match (Algorithm::named(name), given) {
            (Some(named), Some(given)) if named != given => {
                return Err(bad(NAME, format!("the hash is {name}, not {}", given.name())));
            }
            (Some(named), _) => (named, text),
            (None, _) => {
                return Err(bad(NAME, format!("‘{name}’ is not a hash algorithm that is known")));
            }
        },
        (None, Some(given)) => (given, hash.as_str()),
        (None, None) => return Err(bad(NAME, format!("‘{hash}’ does not name its algorithm"))),
    };
    let digest = algorithm.parse(text).ok_or_else(|| {
        bad(NAME, format!("‘{text}’ has the wrong length for {}", algorithm.name()))
    })?;
    let result = match format.as_str() {
        "base16" => HEXLOWER.encode(&digest),
        "nix32" | "base32" => hb_model::base32_encode(&digest),
        "base64" => BASE64.encode(&digest),
        "sri" => format!("{}-{}", algorithm.name(), BASE64.encode(&digest)),
        other => return Err(bad(NAME, format!("‘{other}’ is not a notation of hashes"))),
    };
    Ok(m.string(result))
}
