//! Fetchers with a hash: the path follows from the hash, and nothing is fetched.

use hb_model::StoreName;
use hb_model::nix::{Algorithm, Hash, Method};

use super::{hash_or_zero, scheme};
use crate::context::ContextElement;
use crate::error::{Error, Eval, Fault};
use crate::machine::Machine;
use crate::value::Value;

/// `fetchurl` (the bytes of a file) and `fetchTarball` (what an archive holds).
pub(in crate::builtins) fn fetch(
    m: &mut Machine,
    builtin: &'static str,
    argument: Value,
    method: Method,
) -> Eval<Value> {
    let bad = |reason: String| Error::from(Fault::Argument { builtin, reason });
    let no_hash = || {
        let reason = "it would fetch while evaluating, without a hash of what must come";
        Error::from(Fault::Refused { builtin, reason })
    };
    let argument = m.force(argument)?;
    if argument.as_attrs().is_none() {
        m.expect_string(argument)?;
        return Err(no_hash());
    }
    let attrs = m.expect_attrs(argument)?;
    let (mut url, mut hash, mut name) = (None, None, None);
    for (symbol, pos, value) in m.sorted_attrs(attrs) {
        let key = m.symbols.text(symbol).into_owned();
        let to = match key.as_str() {
            "url" => &mut url,
            "sha256" => &mut hash,
            "name" => &mut name,
            _ => return Err(Fault::UnknownKey { primitive: builtin, name: key }.into()),
        };
        let text = m.expect_text(value, "a source");
        *to = Some(text.map_err(|error| m.in_attribute(error, symbol, pos))?);
    }
    let url = url.ok_or(Fault::MissingKey { primitive: builtin, name: "url" })?;
    let hash = hash.ok_or_else(no_hash)?;
    let hash: Hash =
        hash_or_zero(&hash, Some(Algorithm::Sha256)).map_err(|error| bad(error.to_string()))?;
    let name = name.unwrap_or_else(|| match method {
        Method::Archive => "source".to_owned(),
        _ => url.trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned(),
    });
    let name = StoreName::new(&name).map_err(|error| bad(error.to_string()))?;
    let scheme = scheme(m)?;
    let path = scheme.store.of_content(name, method, &hash, []);
    let text = scheme.store.print(&path);
    let context = m.contexts.single(ContextElement::Source(path));
    Ok(m.string_with_context(text.as_bytes(), context))
}
