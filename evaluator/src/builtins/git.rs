//! `fetchGit` of a repository on this machine: what git follows of its working tree, as it lies
//! there. Only an impure evaluation sees that; a commit from elsewhere is a fetch, with a hash.

use std::path::Path;

use hb_model::StoreName;
use percent_encoding::percent_decode;

use super::sources::import_error;
use super::store::{bad, stored};
use super::{Builtin, files, forced};
use crate::archive;
use crate::error::{Eval, Fault};
use crate::machine::{Machine, bytes_to_path};
use crate::source::Pos;
use crate::value::Value;
use crate::world::{FileType, GitCommit, GitView};

const NAME: &str = "fetchGit";

/// The length of an abbreviated commit.
const SHORT: usize = 7;

/// What stands for the commit of a tree that is none.
const NO_COMMIT: &str = "0000000000000000000000000000000000000000";

pub(super) const TABLE: &[Builtin] = &[Builtin {
    name: NAME,
    params: &[forced("source", "a repository's folder, or a set: see its keys")],
    doc: "What git follows of a working tree on this machine, in the store: a set of its `outPath` \
          and what git says of it. Pure evaluation refuses it, and from elsewhere nothing is \
          fetched: use `hb.fetch`.\n\n\
          - `url`: the repository's folder\n\
          - `name ? \"source\"`: what it is called in the store\n\
          - `submodules ? false`: whether to take the repositories inside of it too\n\
          - `shallow ? false`: whether to leave the commits uncounted\n\
          - `exportIgnore ? !submodules`: whether to leave out what has the attribute \
          `export-ignore`.",
    run: fetch_git,
}];

/// What to take of which repository.
struct Source {
    url: Vec<u8>,
    name: String,
    submodules: bool,
    shallow: bool,
    export_ignore: Option<bool>,
}

impl Source {
    fn of(m: &mut Machine, argument: Value) -> Eval<Self> {
        let mut source = Self {
            url: Vec::new(),
            name: "source".to_owned(),
            submodules: false,
            shallow: false,
            export_ignore: None,
        };
        if argument.as_attrs().is_none() {
            source.url = folder(m, argument)?;
            return Ok(source);
        }
        let attrs = m.expect_attrs(argument)?;
        for (name, pos, value) in m.sorted_attrs(attrs) {
            let key = m.symbols.text(name).into_owned();
            source.read(m, &key, value).map_err(|error| m.in_attribute(error, name, pos))?;
        }
        match source.url.is_empty() {
            true => Err(Fault::MissingKey { primitive: NAME, name: "url" }.into()),
            false => Ok(source),
        }
    }

    fn read(&mut self, m: &mut Machine, key: &str, value: Value) -> Eval<()> {
        match key {
            "url" => self.url = folder(m, value)?,
            "name" => self.name = m.expect_text(value, "the name of a store object")?,
            "submodules" => self.submodules = m.expect_bool(value)?,
            "shallow" => self.shallow = m.expect_bool(value)?,
            "exportIgnore" => self.export_ignore = Some(m.expect_bool(value)?),
            "rev" | "ref" => {
                let reason = "only what lies in the working tree can be had, and no commit";
                let (primitive, key, reason) = (NAME, key.to_owned(), reason.to_owned());
                return Err(Fault::KeyValue { primitive, key, reason }.into());
            }
            _ => return Err(Fault::UnknownKey { primitive: NAME, name: key.to_owned() }.into()),
        }
        Ok(())
    }
}

/// The folder of a repository on this machine, which a path or an address names.
fn folder(m: &mut Machine, value: Value) -> Eval<Vec<u8>> {
    let value = m.force(value)?;
    let text = value.as_bytes().unwrap_or_default();
    let schemes: [&[u8]; 4] = [b"git+file://", b"git+file:", b"file://", b"file:"];
    if let Some(path) = schemes.iter().find_map(|scheme| text.strip_prefix(*scheme)) {
        if !path.starts_with(b"/") || path.contains(&b'?') || path.contains(&b'#') {
            return Err(bad(NAME, "of an address of this machine only a whole path is known"));
        }
        let path: Vec<u8> = percent_decode(path).collect();
        m.check_built(&path, m.context_of(value))?;
        return Ok(path);
    }
    match text.contains(&b':') && !text.starts_with(b"/") {
        true => Err(Fault::Refused { builtin: NAME, reason: super::impure::NO_HASH }.into()),
        false => files::existing_path(m, value),
    }
}

fn fetch_git(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let source = Source::of(m, args[0])?;
    let name = StoreName::new(&source.name).map_err(|error| bad(NAME, error))?;
    let root = m.world.resolve(bytes_to_path(&source.url))?;
    let view = GitView {
        submodules: source.submodules,
        export_ignore: source.export_ignore.unwrap_or(!source.submodules),
        count: !source.shallow,
    };
    let tree = m.world.git_tree(&root, view)?;
    if tree.is_dirty {
        m.world.trace(&format!("warning: Git tree '{}' is dirty", root.display()));
    }
    let mut followed = |path: &Path, _: FileType| {
        Ok(path.strip_prefix(&root).is_ok_and(|below| tree.paths.contains(below)))
    };
    let failed = |error| import_error(NAME, error);
    let hash = archive::hash(&mut *m.world, &root, Some(&mut followed)).map_err(failed)?.0;
    let object = m.world.add_chosen(&root, &name, Some(&mut followed)).map_err(failed)?;

    // From here on nothing is evaluated, so nothing is collected.
    let (time, date) = match &tree.commit {
        Some(commit) => (commit.time, &*commit.date),
        None => (0, "19700101000000"),
    };
    let mut attributes = vec![
        ("outPath", stored(m, object)),
        ("narHash", m.string(hash.to_sri())),
        ("lastModified", m.int(time)),
        ("lastModifiedDate", m.string(date)),
        ("submodules", Value::bool(source.submodules)),
    ];
    let mut text = |name, text: &str| attributes.push((name, m.string(text)));
    let count = match &tree.commit {
        Some(GitCommit { id, count, .. }) if !tree.is_dirty => {
            text("rev", id);
            text("shortRev", &id[..SHORT]);
            *count
        }
        commit => {
            text("rev", NO_COMMIT);
            text("shortRev", &NO_COMMIT[..SHORT]);
            if let Some(GitCommit { id, .. }) = commit {
                text("dirtyRev", &format!("{id}-dirty"));
                text("dirtyShortRev", &format!("{}-dirty", &id[..SHORT]));
            }
            0
        }
    };
    attributes.push(("revCount", m.int(count)));
    let named = |(name, value): (&str, Value)| (m.intern(name.as_bytes()), Pos::NONE, value);
    let attributes = attributes.into_iter().map(named).collect();
    Ok(m.attrs(attributes))
}
