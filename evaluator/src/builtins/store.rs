//! What evaluation itself puts into the store, and names for what is there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hb_model::{OutputName, StoreName, StorePath, own_output_placeholder};

use super::{Builtin, files, forced, lazy};
use crate::context::ContextElement;
use crate::error::{Error, Eval, Fault};
use crate::machine::{Machine, bytes_to_path};
use crate::value::Value;
use crate::world::{FileType, FilterStop, ImportError};

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "placeholder",
        params: &[forced("output", "an output's name")],
        doc: "What stands for the path of a derivation's own output in its texts.",
        run: |m, args| {
            let name = m.expect_text(args[0], "the name of an output")?;
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
        name: "path",
        params: &[forced("arguments", "a set: see its keys")],
        doc: "Puts a file or folder into the store, and gives its path.\n\n\
              - `path`: what to put there\n\
              - `name ? \"source\"`: what it is called there\n\
              - `filter ? (path: type: true)`: which files and folders to take.",
        run: path,
    },
    Builtin {
        name: "filterSource",
        params: &[
            forced("filter", "a function of a path's text and its type"),
            forced("path", "a folder"),
        ],
        doc: "Puts a folder into the store without what the function refuses, and gives its path.",
        run: |m, args| {
            let path = files::existing_path(m, args[1])?;
            add(m, "filterSource", &path, None, Some(args[0]))
        },
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

fn bad(builtin: &'static str, reason: impl ToString) -> Error {
    Fault::Argument { builtin, reason: reason.to_string() }.into()
}

fn stored(m: &mut Machine, path: StorePath) -> Value {
    let text = format!("{}/{}", m.world.store_dir(), path.base_name());
    let context = m.contexts.single(ContextElement::Source(path));
    m.string_with_context(text.as_bytes(), context)
}

fn to_file(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let name = m.expect_text(args[0], "the name of a file")?;
    let name = StoreName::new(&name).map_err(|error| bad("toFile", error))?;
    let text = m.expect_string(args[1])?;
    let context = m.contexts.get(m.context_of(text));
    let references: Vec<ContextElement> = context.iter().cloned().collect();
    if references.iter().any(|element| !matches!(element, ContextElement::Source(_))) {
        let reason = "the text refers to a derivation; `files` of hb.build takes such texts";
        return Err(bad("toFile", reason));
    }
    let path = m.world.add_text(&name, text.as_bytes().unwrap_or_default(), &references)?;
    Ok(stored(m, path))
}

fn path(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let attrs = m.expect_attrs(args[0])?;
    let mut given: BTreeMap<String, Value> = BTreeMap::new();
    for (name, _, value) in m.sorted_attrs(attrs) {
        let name = m.symbols.text(name).into_owned();
        match name.as_str() {
            "path" | "name" | "filter" => {}
            // A file is a file either way.
            "recursive" => {}
            "sha256" => {
                let reason = "‘sha256’ would be that of Nix's archive format, which hb does not \
                              make; a path's content is hashed when it is read";
                return Err(bad("path", reason));
            }
            other => return Err(bad("path", format!("it takes no ‘{other}’"))),
        }
        given.insert(name, value);
    }
    let source = given.get("path").ok_or_else(|| bad("path", "‘path’ is missing"))?;
    let source = files::existing_path(m, *source)?;
    let name = match given.get("name") {
        Some(&name) => Some(m.expect_text(name, "the name of a store object")?),
        None => None,
    };
    add(m, "path", &source, name.as_deref(), given.get("filter").copied())
}

fn add(
    m: &mut Machine,
    builtin: &'static str,
    path: &[u8],
    name: Option<&str>,
    filter: Option<Value>,
) -> Eval<Value> {
    // Not the folder's name: where a project lies does not change what is built from it.
    let name = StoreName::new(name.unwrap_or("source")).map_err(|error| bad(builtin, error))?;
    let path = bytes_to_path(path);
    let Some(filter) = filter else {
        return match m.world.add_path(path, &name, None) {
            Ok(path) => Ok(stored(m, path)),
            Err(error) => Err(import_error(builtin, error)),
        };
    };
    // The filter may itself read files, so it is asked before the world is.
    let mut kept = BTreeMap::new();
    let root = m.world.file_type(path)?;
    if root == Some(FileType::Directory) {
        ask(m, filter, path, &mut kept)?;
    }
    let mut known = |path: &Path, _| match kept.get(path) {
        Some(&keep) => Ok(keep),
        // It came into being just now.
        None => Err(FilterStop),
    };
    match m.world.add_path(path, &name, Some(&mut known)) {
        Ok(path) => Ok(stored(m, path)),
        Err(error) => Err(import_error(builtin, error)),
    }
}

fn import_error(builtin: &'static str, error: ImportError) -> Error {
    match error {
        ImportError::World(error) => error.into(),
        ImportError::Filter(FilterStop) => bad(builtin, "a file appeared while it was read"),
    }
}

/// Ask the filter about everything in a folder, and in the folders that it keeps.
fn ask(
    m: &mut Machine,
    filter: Value,
    folder: &Path,
    kept: &mut BTreeMap<PathBuf, bool>,
) -> Eval<()> {
    let mut entries = m.world.read_dir(folder)?;
    entries.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, kind) in entries {
        let path = folder.join(bytes_to_path(&name));
        let text = m.string(path.as_os_str().as_encoded_bytes());
        let type_name = m.string(kind.name());
        let keep = m.call(filter, &[text, type_name])?;
        let keep = m.expect_bool(keep)?;
        if keep && kind == FileType::Directory {
            m.deeper(|m| ask(m, filter, &path, kept))?;
        }
        kept.insert(path, keep);
    }
    Ok(())
}

fn store_path(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let path = files::existing_path(m, args[0])?;
    let text = String::from_utf8_lossy(&path).into_owned();
    let inside = text.strip_prefix(m.world.store_dir()).and_then(|rest| rest.strip_prefix('/'));
    let Some(inside) = inside else {
        let folder = m.world.store_dir();
        return Err(bad("storePath", format!("‘{text}’ is not below {folder}")));
    };
    let base = inside.split('/').next().unwrap_or(inside);
    let object = StorePath::from_base_name(base).map_err(|error| bad("storePath", error))?;
    if m.world.file_type(bytes_to_path(&path))?.is_none() {
        return Err(bad("storePath", format!("‘{text}’ is not there")));
    }
    let context = m.contexts.single(ContextElement::Source(object));
    Ok(m.string_with_context(&path, context))
}
