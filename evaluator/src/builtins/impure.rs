//! What a pure evaluation does not give: it exists, and says why it is refused.
//!
//! Whether the environment, the time and the platform are given is the world's decision.

use hb_model::nix::Method;
use hb_model::{DeclaredHash, FixedMethod, FixedOutput, Outputs, StoreName};

use super::{Builtin, Param, forced, hb, instantiate, lazy, nix};
use crate::error::{Error, Eval, Fault};
use crate::machine::Machine;
use crate::value::Value;

/// The newest Nix whose language this is.
const NIX_VERSION: &str = "2.34.8";

/// Nix's number for the language.
const LANGUAGE_VERSION: i64 = 6;

const SOURCE: &[Param] = &[lazy("source", "what to fetch")];

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "currentSystem",
        params: &[],
        doc: "The platform that evaluates, such as `x86_64-linux`.",
        run: |m, _| {
            let system = m.world.current_system()?;
            Ok(m.string(system))
        },
    },
    Builtin {
        name: "currentTime",
        params: &[],
        doc: "Seconds since 1970. Pure evaluation refuses it.",
        run: |m, _| {
            let time = m.world.current_time()?;
            Ok(m.int(time))
        },
    },
    Builtin {
        name: "getEnv",
        params: &[forced("name", "a variable's name")],
        doc: "A variable of the environment. Pure evaluation refuses it.",
        run: |m, args| {
            let name = m.expect_text(args[0], "the name of a variable")?;
            let value = m.world.env(&name)?;
            Ok(m.string(value))
        },
    },
    Builtin {
        name: "nixVersion",
        params: &[],
        doc: "The version of Nix whose language this is.",
        run: |m, _| Ok(m.string(NIX_VERSION)),
    },
    Builtin {
        name: "langVersion",
        params: &[],
        doc: "The number of the language's version.",
        run: |m, _| Ok(m.int(LANGUAGE_VERSION)),
    },
    Builtin {
        name: "fetchurl",
        params: &[forced("source", "a set of `url`, `sha256` or `hash`, and perhaps `name`")],
        doc: "A file from elsewhere, known by its hash, which must be given: as `hb.fetch`.",
        run: fetch_url,
    },
    refused("fetchTarball", "Not available: use `hb.fetch` and `hb.unpack`.", |m, args| {
        if m.nix.is_some() {
            return nix::fetch::fetch(m, "fetchTarball", args[0], Method::Archive);
        }
        let reason = "its hash is that of Nix's archive format; use hb.fetch and hb.unpack";
        Err(Fault::Refused { builtin: "fetchTarball", reason }.into())
    }),
    refused("fetchMercurial", "Not available: it has no hash of what it gives.", |_, _| {
        Err(Fault::Refused { builtin: "fetchMercurial", reason: NO_HASH }.into())
    }),
    refused("fetchTree", "Not available: it fetches while evaluating.", |_, _| {
        Err(Fault::Refused { builtin: "fetchTree", reason: NO_HASH }.into())
    }),
    refused("getFlake", "Not available: flakes are no part of hb.", |_, _| {
        Err(Fault::Refused { builtin: "getFlake", reason: NO_FLAKES }.into())
    }),
];

pub(super) const NO_HASH: &str =
    "it fetches while evaluating, without a hash of the bytes; use hb.fetch with one";

const NO_FLAKES: &str = "flakes are no part of hb; pins are in hb.toml and hb.lock";

const fn refused(name: &'static str, doc: &'static str, run: super::Native) -> Builtin {
    Builtin { name, params: SOURCE, doc, run }
}

fn fetch_url(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    if m.nix.is_some() {
        return nix::fetch::fetch(m, "fetchurl", args[0], Method::Flat);
    }
    let no_hash = || Error::from(Fault::Refused { builtin: "fetchurl", reason: NO_HASH });
    let bad = |reason: String| Error::from(Fault::Argument { builtin: "fetchurl", reason });
    let Some(attrs) = args[0].as_attrs() else { return Err(no_hash()) };
    let text = |m: &mut Machine, name: &str| match attrs.get(m.intern(name.as_bytes())) {
        Some(value) => m.expect_text(value, "a source").map(Some),
        None => Ok(None),
    };
    let url = text(m, "url")?.ok_or_else(|| bad("'url' is missing".to_owned()))?;
    let hash = match (text(m, "sha256")?, text(m, "hash")?) {
        (Some(sha256), _) => DeclaredHash::parse(hb_model::Algorithm::Sha256, &sha256),
        (None, Some(hash)) => hash.parse(),
        (None, None) => return Err(no_hash()),
    };
    let hash = hash.map_err(|error| bad(error.to_string()))?;
    let name = match text(m, "name")? {
        Some(name) => name,
        None => url.rsplit('/').next().unwrap_or_default().to_owned(),
    };
    let name = StoreName::new(&name).map_err(|error| bad(error.to_string()))?;
    let outputs = Outputs::Fixed(FixedOutput { method: FixedMethod::Flat, hash });
    let derivation =
        hb::fetch_derivation(name, outputs, vec![serde_json::json!({ "url": url })], None);
    let recorded = instantiate::record(m, derivation)?;
    match recorded.outputs.first() {
        Some((_, path)) => Ok(*path),
        None => unreachable!("a fixed derivation has one output"),
    }
}
