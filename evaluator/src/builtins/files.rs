//! Files and what is evaluated from them.

use super::{Builtin, forced};
use crate::error::{Eval, Fault};
use crate::machine::{Machine, Text, bytes_to_path};
use crate::source::Pos;
use crate::value::Value;
use crate::world::{FileType, WorldError};

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "import",
        params: &[forced("path", "a path, or a string or set that stands for one")],
        doc: "The value of a file, or of a folder's `default.nix`. Each file is evaluated once.",
        run: import,
    },
    Builtin {
        name: "scopedImport",
        params: &[
            forced("scope", "a set of variables"),
            forced("path", "a path, or a string or set that stands for one"),
        ],
        doc: "The value of a file that sees more variables. It is evaluated each time.",
        run: scoped_import,
    },
    Builtin {
        name: "readFile",
        params: &[forced("path", "a file")],
        doc: "A file's bytes as a string.",
        run: read_file,
    },
    Builtin {
        name: "readDir",
        params: &[forced("path", "a folder")],
        doc: "A folder's entries, each with its type: `regular`, `directory`, `symlink` or \
              `unknown`.",
        run: read_dir,
    },
    Builtin {
        name: "readFileType",
        params: &[forced("path", "a path")],
        doc: "What is at a path: `regular`, `directory`, `symlink` or `unknown`.",
        run: read_file_type,
    },
    Builtin {
        name: "pathExists",
        params: &[forced("path", "a path")],
        doc: "Whether there is anything at a path; with a slash behind it, a folder.",
        run: path_exists,
    },
    Builtin {
        name: "findFile",
        params: &[
            forced("folders", "a list of sets with `path` and perhaps `prefix`"),
            forced("name", "what `<name>` would have"),
        ],
        doc: "What `<name>` means with this search path.",
        run: find_file,
    },
    Builtin {
        name: "nixPath",
        params: &[],
        doc: "The search path of `<name>`, as `findFile` takes it.",
        run: nix_path,
    },
];

/// The path of an argument, which must not be an output that is still to be built.
pub(super) fn existing_path(m: &mut Machine, value: Value) -> Eval<Vec<u8>> {
    let (path, context) = m.expect_path(value)?;
    m.check_built(&path, context)?;
    Ok(path)
}

fn import(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let path = existing_path(m, args[0])?;
    m.import(bytes_to_path(&path))
}

fn scoped_import(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let path = existing_path(m, args[1])?;
    let scope = m.expect_attrs(args[0])?;
    m.import_with_scope(bytes_to_path(&path), scope)
}

fn read_file(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let path = existing_path(m, args[0])?;
    let content = m.world.read_file(bytes_to_path(&path))?;
    match content.contains(&0) {
        true => {
            let reason = "the file holds a zero byte, which strings cannot".to_owned();
            Err(Fault::Argument { builtin: "readFile", reason }.into())
        }
        false => m.finish_text(Text { bytes: content, ..Text::default() }),
    }
}

fn read_dir(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let path = existing_path(m, args[0])?;
    let entries = m.world.read_dir(bytes_to_path(&path))?;
    let entries = entries.into_iter().map(|(name, kind)| {
        let name = m.intern(&name);
        (name, Pos::NONE, m.string(kind.name()))
    });
    let entries = entries.collect();
    Ok(m.attrs(entries))
}

fn read_file_type(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let path = existing_path(m, args[0])?;
    let path = bytes_to_path(&path);
    match m.world.file_type(path)? {
        Some(kind) => Ok(m.string(kind.name())),
        None => Err(WorldError::Missing { path: path.to_owned() }.into()),
    }
}

fn path_exists(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let ends_in = |end: &[u8]| args[0].as_bytes().is_some_and(|text| text.ends_with(end));
    let wants_folder = ends_in(b"/") || ends_in(b"/.");
    let path = existing_path(m, args[0])?;
    let path = bytes_to_path(&path);
    let kind = match m.world.file_type(path)? {
        // A link is there, wherever it leads.
        Some(FileType::Symlink) if wants_folder => match m.world.resolve(path) {
            Ok(target) => m.world.file_type(&target)?,
            Err(WorldError::Missing { .. }) => None,
            Err(error) => return Err(error.into()),
        },
        other => other,
    };
    Ok(Value::bool(match wants_folder {
        true => kind == Some(FileType::Directory),
        false => kind.is_some(),
    }))
}

fn find_file(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let (prefix_symbol, path_symbol) = (m.intern(b"prefix"), m.intern(b"path"));
    let folders = m.expect_list(args[0])?;
    let name = m.expect_text(args[1], "the name of a file")?;
    let mut found = Vec::new();
    for &entry in folders.as_list().unwrap_or_default() {
        let attrs = m.expect_attrs(entry)?;
        let prefix = match attrs.get(prefix_symbol) {
            Some(prefix) => m.expect_text(prefix, "a prefix")?,
            None => String::new(),
        };
        let folder = m.select(attrs.value(), path_symbol)?;
        let folder = existing_path(m, folder)?;
        found.push((prefix, bytes_to_path(&folder).to_owned()));
    }
    m.find_in(found, name)
}

fn nix_path(m: &mut Machine, _: &[Value]) -> Eval<Value> {
    let (prefix_symbol, path_symbol) = (m.intern(b"prefix"), m.intern(b"path"));
    let entries = m.world.search_path().into_iter().map(|(prefix, folder)| {
        let prefix = m.string(prefix);
        let folder = m.string(folder.as_os_str().as_encoded_bytes());
        m.attrs(vec![(prefix_symbol, Pos::NONE, prefix), (path_symbol, Pos::NONE, folder)])
    });
    let entries: Vec<Value> = entries.collect();
    Ok(m.list(&entries))
}
