//! The builtin builders and fetching, run as the scheduler runs them.

mod clients;
mod patch;
mod root;
mod server;
mod unpack;
mod url;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use hb_build::{
    builders::{self, BuiltinError, Job, Report, Watch},
    fetch::FetchSettings,
};
use hb_model::{Algorithm, DeclaredHash, Hasher};
use hb_sandbox::{Reentry, Runner};

/// This test program starts sandboxes when it is executed once more.
#[ctor::ctor(unsafe)]
fn reenter() {
    Reentry::point();
}

/// A folder for one test, with inputs, an output and a cache.
struct Fixture {
    folder: tempfile::TempDir,
    settings: FetchSettings,
    sandbox: Option<Runner>,
    cancelled: AtomicBool,
    log: Mutex<Vec<u8>>,
    progress: Mutex<Vec<(u64, Option<u64>)>>,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings =
            FetchSettings { cache: folder.path().join("cache"), ..FetchSettings::default() };
        Self {
            folder,
            settings,
            sandbox: None,
            cancelled: AtomicBool::new(false),
            log: Mutex::default(),
            progress: Mutex::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Make an input of bytes; gives its store path.
    fn input(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.path("inputs").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
        format!("/hb/store/{name}")
    }

    fn watch<T>(&self, use_it: impl FnOnce(Watch) -> T) -> T {
        let report = |report| match report {
            Report::Log(bytes) => self.log.lock().unwrap().extend(bytes),
            Report::Progress { received, total } => {
                self.progress.lock().unwrap().push((received, total));
            }
        };
        let cancelled = || self.cancelled.load(Ordering::Relaxed);
        use_it(Watch { cancelled: &cancelled, report: &report })
    }

    fn run(
        &self,
        builder: &str,
        attrs: &serde_json::Value,
        declared: Option<&DeclaredHash>,
    ) -> Result<(), BuiltinError> {
        let input = |path: &str| {
            let found = self.path("inputs").join(path.strip_prefix("/hb/store/")?);
            found.exists().then_some(found)
        };
        self.watch(|watch| {
            builders::run(&Job {
                builder,
                attrs: &attrs.to_string(),
                input: &input,
                out: &self.path("out"),
                declared,
                fetch: &self.settings,
                sandbox: self.sandbox.as_ref(),
                watch,
            })
        })
    }

    /// What the output holds: for each name `x` or `f` and the content, `l` and the
    /// target, or `d`.
    fn out(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        walk(&self.path("out"), "", &mut found);
        found
    }
}

fn walk(folder: &Path, prefix: &str, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let metadata = entry.metadata().unwrap();
        let text = if metadata.is_symlink() {
            format!("l {}", fs::read_link(entry.path()).unwrap().display())
        } else if metadata.is_dir() {
            walk(&entry.path(), &format!("{name}/"), found);
            "d".to_owned()
        } else {
            let kind = if metadata.permissions().mode() & 0o100 != 0 { "x" } else { "f" };
            assert_eq!(metadata.permissions().mode() & 0o7000, 0, "{name} has special bits");
            let bytes = fs::read(entry.path()).unwrap();
            format!("{kind} {}", String::from_utf8_lossy(&bytes))
        };
        found.insert(name, text);
    }
}

/// A tree as [`Fixture::out`] gives it.
fn tree(nodes: &[(&str, &str)]) -> BTreeMap<String, String> {
    nodes.iter().map(|(name, node)| ((*name).to_owned(), (*node).to_owned())).collect()
}

fn sha256(bytes: &[u8]) -> DeclaredHash {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(bytes);
    hasher.finish()
}

/// An error with its causes, on one line.
fn said(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// A tar archive of entries: a name, a type, a mode, and a content or link target.
fn tar_of(entries: &[(&str, tar::EntryType, u32, &str)]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, kind, mode, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        // Not through `set_path`, which refuses what must be tested.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        let content = match kind {
            tar::EntryType::Symlink | tar::EntryType::Link => {
                header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
                ""
            }
            _ => text,
        };
        header.set_size(content.len() as u64);
        header.set_cksum();
        archive.append(&header, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

#[test]
fn an_unknown_builder_and_wrong_attributes_are_told_apart() {
    let fixture = Fixture::new();
    let unknown = fixture.run("builtin:unpack-2", &serde_json::json!({}), None).unwrap_err();
    assert!(matches!(unknown, BuiltinError::Unknown { .. }));
    let attrs = serde_json::json!({"archive": "/hb/store/a", "stripp": 1});
    let wrong = fixture.run("builtin:unpack-1", &attrs, None).unwrap_err();
    assert!(said(&wrong).contains("stripp"), "{}", said(&wrong));
}

#[test]
fn an_input_that_is_not_there_is_named_and_links_do_not_lead_out_of_one() {
    let fixture = Fixture::new();
    fixture.input("folder/file", b"x");
    fixture.input("secret", b"x");
    std::os::unix::fs::symlink("../secret", fixture.path("inputs/folder/link")).unwrap();
    for archive in ["/hb/store/none", "/etc/passwd", "/hb/store/folder/no"] {
        let attrs = serde_json::json!({ "archive": archive });
        let error = fixture.run("builtin:unpack-1", &attrs, None).unwrap_err();
        assert!(matches!(&error, BuiltinError::Input { path } if path == archive), "{error:?}");
    }
    let attrs = serde_json::json!({"archive": "/hb/store/folder/link"});
    let error = fixture.run("builtin:unpack-1", &attrs, None).unwrap_err();
    assert!(matches!(error, BuiltinError::Io { .. }), "{error:?}");
}
