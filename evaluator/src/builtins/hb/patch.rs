//! `hb.patch`: a tree with patches applied.

use hb_model::StoreName;
use serde_json::json;

use super::schema::Arguments;
use crate::builtins::{Builtin, forced};
use crate::context::ContextParts;
use crate::error::Eval;
use crate::machine::Machine;
use crate::value::Value;

const NAME: &str = "hb.patch";

const KEYS: &[&str] = &["name", "source", "patches", "strip", "series"];

pub(super) const ENTRY: Builtin = Builtin {
    name: NAME,
    params: &[forced("step", "a set: see its keys")],
    doc: "A tree with patches applied, exactly: a hunk that does not fit is an error.\n\n\
          - `name`: what the tree is called in the store\n\
          - `source`: the tree\n\
          - `patches ? [ ]`: patch files, in order\n\
          - `series ? null`: a file that lists patches beside it, or a folder with a file `series` \
          that does, as Debian's `debian/patches`; they come after the others\n\
          - `strip ? 1`: how many leading folders to drop from the names in the patches.",
    run: patch,
};

fn patch(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let given = Arguments::of(m, NAME, KEYS, args[0])?;
    let mut context = ContextParts::default();
    let refers = &mut context;
    let name: StoreName = given.required(m, "name", |m, key, value| key.parsed(m, value))?;
    let source = given.required(m, "source", |m, key, value| key.text(m, value, refers))?;
    let patches = given.optional(m, "patches", |m, key, value| {
        key.list(m, value, |m, key, item| key.text(m, item, refers))
    })?;
    let series = given.optional(m, "series", |m, key, value| key.text(m, value, refers))?;
    let strip = given.optional(m, "strip", |m, key, value| key.natural(m, value))?;
    let attrs = json!({
        "source": source,
        "patches": patches.unwrap_or_default(),
        "series": series,
        "strip": strip.unwrap_or(1),
    });
    super::builtin_step(m, name, "builtin:patch-1", attrs, &context)
}
