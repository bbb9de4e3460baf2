//! Texts that evaluation puts into the store, and names for what is there.

use hb_model::{OutputName, StoreName, StorePath, own_output_placeholder};

use super::{Builtin, files, forced, lazy};
use crate::context::ContextElement;
use crate::error::{Error, Eval, Fault};
use crate::machine::{Machine, bytes_to_path};
use crate::value::Value;

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "placeholder",
        params: &[forced("output", "an output's name")],
        doc: "What stands for the path of a derivation's own output in its texts.",
        run: |m, args| {
            let name = m.expect_text(args[0], "the name of an output")?;
            if m.nix.is_some() {
                return Ok(m.string(hb_model::nix::own_output_placeholder(&name)));
            }
            let name = OutputName::new(&name).map_err(|error| bad("placeholder", error))?;
            Ok(m.string(own_output_placeholder(&name)))
        },
    },
    Builtin {
        name: "toFile",
        params: &[forced("name", "the file's name in the store"), forced("text", "a string")],
        doc: "Puts a text into the store, and gives its path. It may refer to sources, but not \
              to what is still to be built.",
        run: to_file,
    },
    Builtin {
        name: "storePath",
        params: &[forced("path", "a path below the store")],
        doc: "The path of what is in the store already, as a string that refers to it.",
        run: store_path,
    },
    Builtin {
        name: "storeDir",
        params: &[],
        doc: "The folder that store paths are below.",
        run: |m, _| {
            let folder = m.world.store_dir().to_owned();
            Ok(m.string(folder))
        },
    },
    Builtin {
        name: "derivation",
        params: &[],
        doc: "A function that makes a derivation as Nix does: of a set with `name`, `system`, \
              `builder` and perhaps `args` and `outputs`; every other attribute becomes a \
              variable of the environment.",
        run: super::derivation::function,
    },
    Builtin {
        name: "derivationStrict",
        params: &[lazy("attributes", "as `derivation` takes them")],
        doc: "Records a derivation at once, and gives its `drvPath` and its outputs' paths.",
        run: super::derivation::strict,
    },
];

pub(super) fn bad(builtin: &'static str, reason: impl ToString) -> Error {
    Fault::Argument { builtin, reason: reason.to_string() }.into()
}

/// A store object as a value.
pub(super) fn stored(m: &mut Machine, path: StorePath) -> Value {
    let text = path.text_in(m.world.store_dir());
    let context = m.contexts.single(ContextElement::Source(path));
    m.string_with_context(text.as_bytes(), context)
}

fn to_file(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let name = m.expect_text(args[0], "the name of a file")?;
    let name = StoreName::new(&name).map_err(|error| bad("toFile", error))?;
    let text = m.expect_string(args[1])?;
    let mut references: Vec<_> = m.contexts.get(m.context_of(text)).cloned().collect();
    references.sort_unstable();
    if references.iter().any(|element| !matches!(element, ContextElement::Source(_))) {
        let reason = "the text refers to a derivation; `files` of hb.build takes such texts";
        return Err(bad("toFile", reason));
    }
    let path = m.world.add_text(&name, text.as_bytes().unwrap_or_default(), &references)?;
    if let Some(nix) = &mut m.nix {
        let references = references.into_iter().filter_map(|element| match element {
            ContextElement::Source(path) => Some(path),
            _ => None,
        });
        nix.add_text(path.clone(), references.collect());
    }
    Ok(stored(m, path))
}

fn store_path(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let path = files::existing_path(m, args[0])?;
    let text = String::from_utf8_lossy(&path).into_owned();
    let inside = text.strip_prefix(m.world.store_dir()).and_then(|rest| rest.strip_prefix('/'));
    let Some(inside) = inside else {
        let folder = m.world.store_dir();
        return Err(bad("storePath", format!("'{text}' is not below {folder}")));
    };
    let base = inside.split('/').next().unwrap_or(inside);
    let object = StorePath::from_base_name(base).map_err(|error| bad("storePath", error))?;
    // Nix's paths are names: that there is such an object here is not asked of them.
    if m.nix.is_none() && m.world.file_type(bytes_to_path(&path))?.is_none() {
        return Err(bad("storePath", format!("'{text}' is not there")));
    }
    let context = m.contexts.single(ContextElement::Source(object));
    Ok(m.string_with_context(&path, context))
}
