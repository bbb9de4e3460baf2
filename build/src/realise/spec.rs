//! From a derivation to the sandbox that it is built in: plain data, nothing runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::Duration,
};

use hb_model::{Derivation, FileContent, Limits, OutputName, StorePath};
use hb_sandbox::{Root, SandboxSpec, StoreEntry};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2};

use crate::FailureCause;

/// The name of the file that holds a derivation's `attrs`.
const ATTRS_FILE: &str = "attrs.json";

/// What a build may see of the store: each path with where it physically lies.
pub(crate) type Visible = BTreeMap<StorePath, PathBuf>;

/// The folders of one build on the host.
pub(crate) struct Folders {
    /// Shown as `/build`.
    pub(crate) work: PathBuf,
    /// Shown as the store; the outputs come to lie here.
    pub(crate) outputs: PathBuf,
}

/// The sandbox for `derivation`, whose texts hold nothing but real and scratch paths.
///
/// `closure_of` gives what a set of paths refers to, themselves included.
pub(crate) fn specification<E: From<FailureCause>>(
    derivation: &Derivation,
    scratch: &BTreeMap<OutputName, StorePath>,
    limits: Limits,
    visible: &Visible,
    folders: Folders,
    closure_of: impl Fn(&[StorePath]) -> Result<Vec<StorePath>, E>,
) -> Result<SandboxSpec, E> {
    let root = match &derivation.root {
        Some(text) => {
            let place = locate(text, visible).ok_or_else(|| not_an_input("/", text))?;
            Root::Tree(place.physical())
        }
        None => Root::Empty,
    };
    let argv = std::iter::once(&derivation.builder).chain(&derivation.args);
    let argv = argv.map(OsString::from).collect();
    let mut spec = SandboxSpec::build(root, folders.work, folders.outputs, argv);
    spec.store.closure = visible
        .iter()
        .map(|(path, physical)| StoreEntry { path: path.to_string(), physical: physical.clone() })
        .collect();
    spec.env.extend(derivation.env.iter().map(|(name, value)| (name.into(), value.into())));
    let outputs = scratch.iter();
    spec.env.extend(outputs.map(|(name, path)| (name.as_str().into(), path.to_string().into())));

    for (name, content) in &derivation.files {
        let bytes = match content {
            FileContent::Text(text) => text.clone().into_bytes(),
            FileContent::Path(text) => {
                let place = locate(text, visible).ok_or_else(|| not_an_input(name, text))?;
                place.read().map_err(|error| FailureCause::Folder { path: text.into(), error })?
            }
        };
        spec.files.insert(name.clone(), bytes);
    }
    if let Some(attrs) = &derivation.attrs {
        spec.files.insert(ATTRS_FILE.into(), attrs.clone().into_bytes());
    }
    for (name, texts) in &derivation.closure_info {
        let mut roots = Vec::new();
        for text in texts {
            let place = locate(text, visible).ok_or_else(|| not_an_input(name, text))?;
            roots.push(place.object.clone());
        }
        let closure: BTreeSet<_> = closure_of(&roots)?.into_iter().collect();
        let lines: String = closure.iter().map(|path| format!("{path}\n")).collect();
        spec.files.insert(name.clone(), lines.into_bytes());
    }
    let seconds = |count| (count > 0).then(|| Duration::from_secs(count));
    spec.limits.time = seconds(limits.timeout);
    spec.limits.silence = seconds(limits.silence);
    let bound = |count| (count > 0).then_some(count);
    spec.limits.memory = bound(limits.memory);
    spec.limits.processes = bound(limits.processes);
    spec.limits.disk = bound(limits.disk);
    Ok(spec)
}

fn not_an_input(file: &str, path: &str) -> FailureCause {
    FailureCause::NotAnInput { file: file.to_owned(), path: path.to_owned() }
}

/// A path in a store object that the build may see.
struct Located<'a> {
    object: &'a StorePath,
    physical_object: &'a Path,
    within: &'a str,
}

fn locate<'a>(text: &'a str, visible: &'a Visible) -> Option<Located<'a>> {
    let beginning = hb_model::STORE_DIR.len() + 1;
    let end = text.get(beginning..)?.find('/').map_or(text.len(), |slash| beginning + slash);
    let path: StorePath = text[..end].parse().ok()?;
    let (object, physical_object) = visible.get_key_value(&path)?;
    Some(Located { object, physical_object, within: text[end..].trim_matches('/') })
}

impl Located<'_> {
    fn physical(&self) -> PathBuf {
        self.physical_object.join(self.within)
    }

    /// The file's bytes. A link that leads out of the object is not followed: on the
    /// host it leads elsewhere than in a build.
    fn read(&self) -> io::Result<Vec<u8>> {
        let object = self.physical_object;
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let file = if self.within.is_empty() {
            openat(CWD, object, flags | OFlags::NOFOLLOW, Mode::empty())?
        } else {
            let folder = openat(CWD, object, flags | OFlags::DIRECTORY, Mode::empty())?;
            openat2(folder, self.within, flags, Mode::empty(), ResolveFlags::BENEATH)?
        };
        let mut bytes = Vec::new();
        File::from(file).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}
