//! `hb.build`: a step that runs a program in the sandbox.

use std::collections::{BTreeMap, BTreeSet};

use hb_model::{
    BUILTIN_PREFIX, Derivation, FileContent, Limits, OutputName, Outputs, SortedSet, StoreName,
};

use super::schema::{Arguments, Key};
use crate::builtins::{Builtin, forced, instantiate};
use crate::context::ContextParts;
use crate::error::Eval;
use crate::machine::Machine;
use crate::symbol::well_known;
use crate::value::{Type, Value};

const NAME: &str = "hb.build";

const KEYS: &[&str] = &[
    "name",
    "system",
    "root",
    "builder",
    "args",
    "env",
    "files",
    "attrs",
    "inputs",
    "outputs",
    "closureInfo",
    "runtimeRoot",
    "limits",
];

const LIMITS: &[&str] = &["timeout", "silence", "memory", "processes", "disk"];

pub(super) const ENTRY: Builtin = Builtin {
    name: NAME,
    params: &[forced("step", "a set: see its keys")],
    doc: "A derivation that runs a program in the sandbox.\n\n\
          - `name`: what it is called; its outputs carry the name\n\
          - `builder`: the program, in the root or the store\n\
          - `args ? [ ]`: its arguments\n\
          - `root ? null`: the tree that the build sees as `/`; without one the builder must be static\n\
          - `env ? { }`: variables, by name\n\
          - `files ? { }`: files for `/build`, by name: a string is the text, a path or \
          derivation is copied\n\
          - `attrs ? null`: any value, written to `/build/attrs.json`\n\
          - `inputs ? [ ]`: more that the build must see\n\
          - `outputs ? [ \"out\" ]`: the names of what it makes\n\
          - `closureInfo ? { }`: files for `/build`, by name, that list the closures of some paths\n\
          - `runtimeRoot ? null`: the root that a dynamic program among the outputs needs\n\
          - `system ? hb.system`: where it runs\n\
          - `limits ? { }`: `timeout` and `silence`, in seconds; `memory` and `disk`, in bytes; \
          `processes`, at once.",
    run: build,
};

fn build(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let given = Arguments::of(m, NAME, KEYS, args[0])?;
    let mut context = ContextParts::default();
    let refers = &mut context;
    let name: StoreName = given.required(m, "name", |m, key, value| key.parsed(m, value))?;
    let system = given.optional(m, "system", |m, key, value| key.plain(m, value))?;
    let system = match system {
        Some(system) => system,
        None => m.world.current_system()?,
    };
    let root = given.optional(m, "root", |m, key, value| key.text(m, value, refers))?;
    let builder = given.required(m, "builder", |m, key, value| builder(m, key, value, refers))?;
    let args = given.optional(m, "args", |m, key, value| {
        key.list(m, value, |m, key, item| key.text(m, item, refers))
    })?;
    let env = given.optional(m, "env", |m, key, value| {
        key.attrs(m, value, |m, key, item| key.text(m, item, refers))
    })?;
    let files = given.optional(m, "files", |m, key, value| {
        key.attrs(m, value, |m, key, item| file(m, key, item, refers))
    })?;
    let attrs = given.optional(m, "attrs", |m, _, value| super::json(m, value, refers))?;
    given.optional(m, "inputs", |m, key, value| {
        key.list(m, value, |m, key, item| key.text(m, item, refers))
    })?;
    let outputs = given.optional(m, "outputs", outputs)?;
    let closure_info = given.optional(m, "closureInfo", |m, key, value| {
        key.attrs(m, value, |m, key, paths| {
            let paths = key.list(m, paths, |m, key, path| key.text(m, path, refers))?;
            Ok(BTreeSet::from_iter(paths))
        })
    })?;
    let runtime_root =
        given.optional(m, "runtimeRoot", |m, key, value| key.text(m, value, refers))?;
    let limits = given.optional(m, "limits", limits)?;
    let derivation = Derivation {
        name,
        system,
        root,
        builder,
        args: args.unwrap_or_default(),
        env: BTreeMap::from_iter(env.unwrap_or_default()),
        files: BTreeMap::from_iter(files.unwrap_or_default()),
        attrs,
        closure_info: BTreeMap::from_iter(closure_info.unwrap_or_default()),
        runtime_root,
        inputs: instantiate::inputs(m, &context)?,
        outputs: Outputs::Floating(outputs.unwrap_or_else(|| vec![OutputName::out()].into())),
        limits: limits.unwrap_or_default(),
    };
    instantiate::derivation_set(m, derivation)
}

fn builder(m: &mut Machine, key: &Key, value: Value, context: &mut ContextParts) -> Eval<String> {
    let builder = key.text(m, value, context)?;
    match builder.strip_prefix(BUILTIN_PREFIX) {
        Some(_) => Err(key.refuse(m, "hb's own builders have primitives of their own")),
        None if builder.starts_with('/') => Ok(builder),
        None => Err(key.refuse(m, format!("'{builder}' is not an absolute path"))),
    }
}

/// A string is the file's text; a path or a derivation is a file to copy.
fn file(m: &mut Machine, key: &Key, value: Value, context: &mut ContextParts) -> Eval<FileContent> {
    let value = m.force(value)?;
    let is_file = match value.type_of() {
        Some(Type::Path) => true,
        Some(Type::Set) => {
            value.as_attrs().is_some_and(|attrs| attrs.get(well_known::OUT_PATH).is_some())
        }
        _ => false,
    };
    let text = key.text(m, value, context)?;
    Ok(if is_file { FileContent::Path(text) } else { FileContent::Text(text) })
}

fn outputs(m: &mut Machine, key: &Key, value: Value) -> Eval<SortedSet<OutputName>> {
    let names = key.list(m, value, |m, key, item| key.parsed::<OutputName>(m, item))?;
    let mut outputs = SortedSet::new();
    for name in names {
        if instantiate::RESERVED.contains(&name.as_str()) {
            return Err(key.refuse(m, format!("an output cannot be called '{name}'")));
        }
        if let (_, Some(twice)) = outputs.replace(name) {
            return Err(key.refuse(m, format!("'{twice}' stands there twice")));
        }
    }
    match outputs.is_empty() {
        true => Err(key.refuse(m, "there must be at least one output")),
        false => Ok(outputs),
    }
}

fn limits(m: &mut Machine, key: &Key, value: Value) -> Eval<Limits> {
    let record = key.record(m, LIMITS, value)?;
    let mut bounds = [0; LIMITS.len()];
    for (bound, name) in bounds.iter_mut().zip(LIMITS) {
        if let Some((key, value)) = record.get(name) {
            *bound = key.natural(m, value)?;
        }
    }
    let [timeout, silence, memory, processes, disk] = bounds;
    Ok(Limits { timeout, silence, memory, processes, disk })
}
