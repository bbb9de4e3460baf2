//! `hb.fetch`: bytes from elsewhere, known by their hash.

use hb_model::{Algorithm, DeclaredHash, Derivation, FixedMethod, FixedOutput, Outputs, StoreName};
use serde_json::{Map, Value as Json, json};

use super::schema::{Arguments, Key, Record};
use crate::builtins::{Builtin, forced, instantiate};
use crate::error::{Error, Eval, Fault};
use crate::machine::Machine;
use crate::value::Value;

const NAME: &str = "hb.fetch";

const KEYS: &[&str] = &["name", "origins", "hash", "sha256", "sha512", "blake3", "size"];

/// The hash may be under any one of these.
const HASH_KEYS: &[&str] = &["hash", "sha256", "sha512", "blake3"];

const URL: &[&str] = &["url"];
const PYPI: &[&str] = &["project", "version", "file"];
const DEBIAN: &[&str] = &["package", "source", "version", "arch", "file", "suite"];
const DEBIAN_BINARY: &[&str] = &["package", "version", "arch", "suite"];
const DEBIAN_SOURCE: &[&str] = &["source", "version", "file", "suite"];

pub(super) const ENTRY: Builtin = Builtin {
    name: NAME,
    params: &[forced("source", "a set: see its keys")],
    doc: "A file from elsewhere, known by its hash.\n\n\
          - `name`: what the file is called in the store\n\
          - `sha256`, `sha512` or `blake3`: its hash, in hexadecimal, base 32 or base 64; or \
          `hash` with the algorithm before it, as in `sha256:…` and `sha256-…`\n\
          - `origins`: where to get it, each tried in turn: `{ url = \"…\"; }`, \
          `{ pypi = { project; version; file; }; }`, \
          `{ debian = { package; version; arch; suite; }; }`, or \
          `{ debian = { source; version; file; suite; }; }`\n\
          - `size ? null`: how many bytes it has, for messages and plans.\n\n\
          Its store path follows from the name and the hash alone: another origin rebuilds \
          nothing.",
    run: fetch,
};

fn fetch(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let given = Arguments::of(m, NAME, KEYS, args[0])?;
    let name: StoreName = given.required(m, "name", |m, key, value| key.parsed(m, value))?;
    let hash = declared_hash(m, &given)?;
    let origins = given.required(m, "origins", |m, key, value| {
        let origins = key.list(m, value, origin)?;
        match origins.is_empty() {
            true => Err(key.refuse(m, "there must be at least one origin")),
            false => Ok(origins),
        }
    })?;
    let size = given.optional(m, "size", |m, key, value| key.natural(m, value))?;
    let outputs = Outputs::Fixed(FixedOutput { method: FixedMethod::Flat, hash });
    instantiate::derivation_set(m, derivation(name, outputs, origins, size))
}

/// The step that brings a file.
pub(crate) fn derivation(
    name: StoreName,
    outputs: Outputs,
    origins: Vec<Json>,
    size: Option<u64>,
) -> Derivation {
    let attrs = json!({ "origins": origins, "size": size });
    super::builtin_derivation(name, "builtin:fetch-1", outputs, attrs, Default::default())
}

fn declared_hash(m: &mut Machine, given: &Arguments) -> Eval<DeclaredHash> {
    let mut found: Option<(&'static str, DeclaredHash)> = None;
    for &name in HASH_KEYS {
        let hash = given.optional(m, name, |m, key, value| {
            let text = key.plain(m, value)?;
            let hash = match name.parse::<Algorithm>() {
                Ok(algorithm) => DeclaredHash::parse(algorithm, &text),
                Err(_) => text.parse(),
            };
            let hash = hash.map_err(|error| key.refuse(m, error))?;
            match &found {
                Some((other, _)) => Err(key.refuse(m, format!("'{other}' is given as well"))),
                None => Ok(hash),
            }
        })?;
        if let Some(hash) = hash {
            found = Some((name, hash));
        }
    }
    found.map(|(_, hash)| hash).ok_or_else(|| {
        let help = "fetch without a hash is never done; if it is not known, give any and the \
                    error says the right one";
        Error::from(Fault::MissingKey { primitive: NAME, name: "sha256" })
            .with_help(Some(help.to_owned()))
    })
}

/// One origin, as the builder reads it.
fn origin(m: &mut Machine, key: &Key, value: Value) -> Eval<Json> {
    let record = key.record(m, &["url", "pypi", "debian"], value)?;
    let names: Vec<&str> = record.names().collect();
    let [kind] = names[..] else {
        return Err(key.refuse(m, "an origin is one of url, pypi and debian"));
    };
    let Some((key, value)) = record.get(kind) else { unreachable!("its name was listed") };
    let fields = match kind {
        "url" => return texts(m, &record, URL).map(Json::Object),
        "pypi" => {
            let record = key.record(m, PYPI, value)?;
            texts(m, &record, PYPI)?
        }
        _ => {
            let record = key.record(m, DEBIAN, value)?;
            match (record.get("package"), record.get("source")) {
                (Some(_), None) => debian(m, key, &record, DEBIAN_BINARY)?,
                (None, Some(_)) => debian(m, key, &record, DEBIAN_SOURCE)?,
                _ => return Err(key.refuse(m, "either 'package' or 'source' must be given")),
            }
        }
    };
    Ok(json!({ kind: fields }))
}

/// Of the two kinds of packages, each has keys that the other has not.
fn debian(
    m: &mut Machine,
    key: &Key,
    record: &Record,
    fields: &'static [&'static str],
) -> Eval<Map<String, Json>> {
    match record.names().find(|name| !fields.contains(name)) {
        Some(name) => {
            let reason = format!("'{name}' does not go with '{}'", fields[0]);
            Err(key.refuse(m, reason))
        }
        None => texts(m, record, fields),
    }
}

fn texts(
    m: &mut Machine,
    record: &Record,
    fields: &'static [&'static str],
) -> Eval<Map<String, Json>> {
    let text = |&name: &&'static str| Ok((name.to_owned(), Json::String(record.plain(m, name)?)));
    fields.iter().map(text).collect()
}
