//! `hb.root`: a root filesystem of packages.

use std::collections::BTreeMap;

use hb_model::StoreName;
use serde_json::json;

use super::schema::Arguments;
use crate::builtins::{Builtin, forced};
use crate::context::ContextParts;
use crate::error::Eval;
use crate::machine::Machine;
use crate::value::Value;

const NAME: &str = "hb.root";

const KEYS: &[&str] = &["name", "packages", "links"];

pub(super) const ENTRY: Builtin = Builtin {
    name: NAME,
    params: &[forced("step", "a set: see its keys")],
    doc: "A root filesystem that holds what some packages hold.\n\n\
          - `name`: what it is called in the store\n\
          - `packages`: Debian packages; none of their scripts runs, and two that hold the same \
          file are an error\n\
          - `links ? { }`: symbolic links to add, such as `{ \"bin/sh\" = \"bash\"; }`.",
    run: root,
};

fn root(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let given = Arguments::of(m, NAME, KEYS, args[0])?;
    let mut context = ContextParts::default();
    let name: StoreName = given.required(m, "name", |m, key, value| key.parsed(m, value))?;
    let packages = given.required(m, "packages", |m, key, value| {
        key.list(m, value, |m, key, item| key.text(m, item, &mut context))
    })?;
    let links = given.optional(m, "links", |m, key, value| {
        key.attrs(m, value, |m, key, item| key.plain(m, item))
    })?;
    let links = BTreeMap::from_iter(links.unwrap_or_default());
    let attrs = json!({ "packages": packages, "links": links });
    super::builtin_step(m, name, "builtin:root-1", attrs, &context)
}
