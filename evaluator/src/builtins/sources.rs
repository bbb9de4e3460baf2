//! Files and folders that evaluation puts into the store.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use hb_model::StoreName;
use hb_model::nix::{Algorithm, Hash, Method};

use super::store::{bad, stored};
use super::{Builtin, files, forced, nix};
use crate::archive;
use crate::error::{Error, Eval, Fault};
use crate::machine::{Machine, bytes_to_path};
use crate::value::Value;
use crate::world::{FileType, Filter, FilterStop, ImportError};

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "path",
        params: &[forced("arguments", "a set: see its keys")],
        doc: "Puts a file or folder into the store, and gives its path.\n\n\
              - `path`: what to put there\n\
              - `name ? \"source\"`: what it is called there\n\
              - `filter ? (path: type: true)`: which files and folders to take\n\
              - `sha256`: the hash that it must have, of the file's bytes where `recursive` is \
              false, or else of Nix's archive of it\n\
              - `recursive ? true`: whether it may be more than one plain file.",
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
            let filter = Some(args[0]);
            let import = Import { builtin: "filterSource", filter, ..Import::of(path) };
            import.run(m)
        },
    },
];

fn path(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let attrs = m.expect_attrs(args[0])?;
    let mut import = Import::of(Vec::new());
    for (name, pos, value) in m.sorted_attrs(attrs) {
        let key = m.symbols.text(name).into_owned();
        import.read(m, &key, value).map_err(|error| m.in_attribute(error, name, pos))?;
    }
    match import.path.is_empty() {
        true => Err(bad("path", "'path' is missing")),
        false => import.run(m),
    }
}

/// What goes into the store, and how.
struct Import {
    builtin: &'static str,
    path: Vec<u8>,
    name: Option<String>,
    filter: Option<Value>,
    method: Method,
    hash: Option<Hash>,
}

impl Import {
    fn of(path: Vec<u8>) -> Self {
        let (name, filter, hash) = (None, None, None);
        Self { builtin: "path", path, name, filter, method: Method::Archive, hash }
    }

    fn read(&mut self, m: &mut Machine, key: &str, value: Value) -> Eval<()> {
        match key {
            "path" => self.path = files::existing_path(m, value)?,
            "name" => self.name = Some(m.expect_text(value, "the name of a store object")?),
            "filter" => self.filter = Some(m.expect_callable(value)?),
            "recursive" => {
                self.method = if m.expect_bool(value)? { Method::Archive } else { Method::Flat };
            }
            "sha256" => {
                let text = m.expect_text(value, "a hash")?;
                let hash = nix::hash_or_zero(&text, Some(Algorithm::Sha256));
                self.hash = Some(hash.map_err(|error| bad(self.builtin, error))?);
            }
            other => return Err(bad(self.builtin, format!("it takes no '{other}'"))),
        }
        Ok(())
    }

    fn run(self, m: &mut Machine) -> Eval<Value> {
        let name = match (&self.name, m.nix.is_some()) {
            (Some(name), _) => name.clone(),
            (None, true) => nix::base_name(&self.path),
            // Where a project lies does not change what is built from it.
            (None, false) => "source".to_owned(),
        };
        let name = StoreName::new(&name).map_err(|error| bad(self.builtin, error))?;
        let path = m.world.resolve(bytes_to_path(&self.path))?;
        // The filter may itself read files, so it is asked before the world is.
        let mut kept = BTreeMap::new();
        if let (Some(filter), Method::Archive) = (self.filter, self.method)
            && m.world.file_type(&path)? == Some(FileType::Directory)
        {
            ask(m, filter, &path, &mut kept)?;
        }
        let mut known = |path: &Path, _| match kept.get(path) {
            Some(&keep) => Ok(keep),
            // It came into being just now.
            None => Err(FilterStop),
        };
        let failed = |error| import_error(self.builtin, error);
        if let Some(wanted) = &self.hash {
            let found = match self.method {
                Method::Archive => {
                    let filter = self.filter.is_some().then_some(&mut known as Filter<'_>);
                    archive::hash(&mut *m.world, &path, filter).map_err(failed)?.0
                }
                _ => Algorithm::Sha256.hash(&m.world.read_file(&path)?),
            };
            if found != *wanted {
                let path = String::from_utf8_lossy(&self.path).into_owned();
                return Err(Fault::SourceHash {
                    path,
                    wanted: wanted.to_sri(),
                    found: found.to_sri(),
                }
                .into());
            }
        }
        let added = match (self.method, self.filter) {
            (Method::Archive, Some(_)) => m.world.add_chosen(&path, &name, Some(&mut known)),
            (Method::Archive, None) => m.world.add_chosen(&path, &name, None),
            _ => m.world.add_flat(&path, &name),
        };
        added.map(|object| stored(m, object)).map_err(failed)
    }
}

pub(super) fn import_error(builtin: &'static str, error: ImportError) -> Error {
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
