//! Hashes of texts and files, and their notations.

use hb_model::nix::{Algorithm, Hash, HashError};

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
            let hash = algorithm.hash(text.as_bytes().unwrap_or_default());
            Ok(m.string(hash.to_base16()))
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
            Ok(m.string(algorithm.hash(&content).to_base16()))
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

fn bad(builtin: &'static str, reason: String) -> Error {
    Fault::Argument { builtin, reason }.into()
}

fn algorithm(m: &mut Machine, builtin: &'static str, value: Value) -> Eval<Algorithm> {
    let name = m.expect_text(value, "the name of a hash algorithm")?;
    name.parse().map_err(|error: HashError| bad(builtin, error.to_string()))
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
    let hash = Hash::parse(&hash, given).map_err(|error| bad(NAME, error.to_string()))?;
    let result = match format.as_str() {
        "base16" => hash.to_base16(),
        "nix32" | "base32" => hash.to_base32(),
        "base64" => hash.to_base64(),
        "sri" => hash.to_sri(),
        other => return Err(bad(NAME, format!("'{other}' is not a notation of hashes"))),
    };
    Ok(m.string(result))
}
