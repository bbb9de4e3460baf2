//! `hb.unpack`: an archive's tree.

use hb_model::StoreName;
use serde_json::json;

use super::schema::Arguments;
use crate::builtins::{Builtin, forced};
use crate::context::ContextParts;
use crate::error::Eval;
use crate::machine::Machine;
use crate::value::Value;

const NAME: &str = "hb.unpack";

const KEYS: &[&str] = &["name", "archive", "strip", "subdir", "exclude"];

pub(super) const ENTRY: Builtin = Builtin {
    name: NAME,
    params: &[forced("step", "a set: see its keys")],
    doc: "The tree in an archive.\n\n\
          - `name`: what the tree is called in the store\n\
          - `archive`: a file: a tar archive in any usual compression, a zip archive or wheel, or a Debian \
          package\n\
          - `strip ? 0`: how many leading folders to drop from every name\n\
          - `subdir ? null`: the folder, after that, whose contents are the tree\n\
          - `exclude ? [ ]`: patterns of names, within that, to leave out.",
    run: unpack,
};

fn unpack(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let given = Arguments::of(m, NAME, KEYS, args[0])?;
    let mut context = ContextParts::default();
    let name: StoreName = given.required(m, "name", |m, key, value| key.parsed(m, value))?;
    let archive = given.required(m, "archive", |m, key, value| key.text(m, value, &mut context))?;
    let strip = given.optional(m, "strip", |m, key, value| key.natural(m, value))?;
    let subdir = given.optional(m, "subdir", |m, key, value| key.plain(m, value))?;
    let exclude = given.optional(m, "exclude", |m, key, value| {
        key.list(m, value, |m, key, item| key.plain(m, item))
    })?;
    let attrs = json!({
        "archive": archive,
        "strip": strip.unwrap_or(0),
        "subdir": subdir,
        "exclude": exclude.unwrap_or_default(),
    });
    super::builtin_step(m, name, "builtin:unpack-1", attrs, &context)
}
