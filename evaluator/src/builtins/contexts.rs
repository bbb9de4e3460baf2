//! String contexts as values.

use std::collections::{BTreeMap, BTreeSet};

use hb_model::{DerivationId, OutputName, StorePath};

use super::{Builtin, forced, instantiate, nix};
use crate::context::{ContextElement, ContextId};
use crate::error::{Error, Eval, Fault};
use crate::machine::{Coercion, Machine, Text};
use crate::source::Pos;
use crate::value::Value;

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "hasContext",
        params: &[forced("text", "a string")],
        doc: "Whether a string refers to anything in the store.",
        run: |m, args| {
            let text = m.expect_string(args[0])?;
            Ok(Value::bool(!m.context_of(text).is_empty()))
        },
    },
    Builtin {
        name: "getContext",
        params: &[forced("text", "a string")],
        doc: "What a string refers to: by store path, whether the path itself is meant (`path`), \
              which outputs, and whether all that is needed to build it (`allOutputs`).",
        run: get_context,
    },
    Builtin {
        name: "appendContext",
        params: &[forced("text", "a string"), forced("context", "as `getContext` gives it")],
        doc: "The string, referring to more.",
        run: append_context,
    },
    Builtin {
        name: "unsafeDiscardStringContext",
        params: &[forced("text", "a string")],
        doc: "The string, referring to nothing: what it names may not be there when it is used.",
        run: |m, args| {
            let text = m.coerce_to_string(args[0], Coercion::PLAIN)?;
            match m.context_of(text).is_empty() {
                true => Ok(text),
                false => Ok(m.string(text.as_bytes().unwrap_or_default())),
            }
        },
    },
    Builtin {
        name: "unsafeDiscardOutputDependency",
        params: &[forced("text", "a string")],
        doc: "The string, with references to derivations and their closures made references to \
              the derivations alone.",
        run: |m, args| with_depth(m, args[0], false),
    },
    Builtin {
        name: "addDrvOutputDependencies",
        params: &[forced("text", "a string that refers to one derivation")],
        doc: "The string, with the reference to a derivation made one to its closure too.",
        run: |m, args| {
            let text = m.coerce_to_string(args[0], Coercion::PLAIN)?;
            let is_derivation = |element: &_| matches!(element, ContextElement::Derivation { .. });
            let context = m.contexts.get(m.context_of(text));
            let reason = match context.len() {
                1 if context.into_iter().all(is_derivation) => {
                    return with_depth(m, text, true);
                }
                1 => "the string does not refer to a derivation".to_owned(),
                count => format!("the string refers to {count} things, not one"),
            };
            Err(Fault::Argument { builtin: "addDrvOutputDependencies", reason }.into())
        },
    },
];

fn with_depth(m: &mut Machine, value: Value, depth: bool) -> Eval<Value> {
    let mut text = Text::default();
    m.coerce(value, Coercion::PLAIN, &mut text)?;
    let context = m.contexts.union_of(&text.context);
    let changed = m.contexts.get(context).map(|element| match element {
        ContextElement::Derivation { id, .. } => {
            ContextElement::Derivation { id: *id, deep: depth }
        }
        other => other.clone(),
    });
    let changed: Vec<_> = changed.collect();
    text.context = m.contexts.intern(changed).into();
    m.finish_text(text)
}

/// What a string says of one store path.
#[derive(Default)]
struct Mention {
    path: bool,
    all_outputs: bool,
    outputs: BTreeSet<OutputName>,
}

fn get_context(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let text = m.expect_string(args[0])?;
    let mut mentions: BTreeMap<StorePath, Mention> = BTreeMap::new();
    for element in m.contexts.get(m.context_of(text)) {
        match element {
            ContextElement::Source(path) => mentions.entry(path.clone()).or_default().path = true,
            ContextElement::Output { derivation, output } => {
                let path = instantiate::derivation_path(m, derivation);
                mentions.entry(path).or_default().outputs.insert(output.clone());
            }
            ContextElement::Derivation { id, deep } => {
                let mention = mentions.entry(instantiate::derivation_path(m, id)).or_default();
                match deep {
                    true => mention.all_outputs = true,
                    false => mention.path = true,
                }
            }
        }
    }
    let (path_symbol, all_symbol, outputs_symbol) =
        (m.intern(b"path"), m.intern(b"allOutputs"), m.intern(b"outputs"));
    let mut all = Vec::new();
    for (path, mention) in mentions {
        let mut attrs = Vec::new();
        if mention.path {
            attrs.push((path_symbol, Pos::NONE, Value::TRUE));
        }
        if mention.all_outputs {
            attrs.push((all_symbol, Pos::NONE, Value::TRUE));
        }
        if !mention.outputs.is_empty() {
            let outputs: Vec<Value> =
                mention.outputs.iter().map(|output| m.string(output.as_str())).collect();
            attrs.push((outputs_symbol, Pos::NONE, m.list(&outputs)));
        }
        let name = m.intern(path.text_in(m.world.store_dir()).as_bytes());
        all.push((name, Pos::NONE, m.attrs(attrs)));
    }
    Ok(m.attrs(all))
}

fn append_context(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let bad = |reason: String| Error::from(Fault::Argument { builtin: "appendContext", reason });
    let text = m.expect_string(args[0])?;
    let attrs = m.expect_attrs(args[1])?;
    let (path_symbol, all_symbol, outputs_symbol) =
        (m.intern(b"path"), m.intern(b"allOutputs"), m.intern(b"outputs"));
    let mut added = Vec::new();
    for (name, _, item) in m.sorted_attrs(attrs) {
        let name = m.symbols.text(name).into_owned();
        let base = name.strip_prefix(m.world.store_dir()).and_then(|rest| rest.strip_prefix('/'));
        let path = base.and_then(|base| StorePath::from_base_name(base).ok());
        let path = path.ok_or_else(|| bad(format!("'{name}' is not a store path")))?;
        let mention = m.expect_attrs(item)?;
        let derivation = derivation_at(m, &path);
        let needed = || derivation.ok_or_else(|| bad(format!("'{name}' is not a derivation")));
        if let Some(value) = mention.get(path_symbol)
            && m.expect_bool(value)?
        {
            added.push(match derivation {
                Some(id) => ContextElement::Derivation { id, deep: false },
                None => ContextElement::Source(path),
            });
        }
        if let Some(value) = mention.get(all_symbol)
            && m.expect_bool(value)?
        {
            added.push(ContextElement::Derivation { id: needed()?, deep: true });
        }
        if let Some(value) = mention.get(outputs_symbol) {
            let outputs = m.expect_list(value)?;
            for &output in outputs.as_list().unwrap_or_default() {
                let output = m.expect_text(output, "the name of an output")?;
                let output = OutputName::new(&output).map_err(|error| bad(error.to_string()))?;
                added.push(ContextElement::Output { derivation: needed()?, output });
            }
        }
    }
    let added: ContextId = m.contexts.intern(added);
    let context = m.contexts.union(m.context_of(text), added);
    Ok(m.string_with_context(text.as_bytes().unwrap_or_default(), context))
}

fn derivation_at(m: &mut Machine, path: &StorePath) -> Option<DerivationId> {
    if let Some(scheme) = &mut m.nix {
        let is_derivation = path.name().as_str().ends_with(nix::DERIVATION_SUFFIX);
        return is_derivation.then(|| nix::id_of(scheme, path));
    }
    m.derivations.iter().find(|(_, made)| made.path == *path).map(|(id, _)| *id)
}
