//! What all tests of the store need: a store in a folder of its own, and builds.
#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use hb_model::{
    Derivation, DerivationId, Input, Isolation, Limits, OutputName, Outputs, Realisation,
    ResolvedId, StoreName, StorePath,
};
use hb_store::{Built, BuiltOutput, Durability, OpenMode, Store, StoreError};
use tempfile::TempDir;

pub struct Fixture {
    pub store: Store,
    pub folder: Folder,
}

/// A folder that is removed although a store shuts its folders.
pub struct Folder {
    path: PathBuf,
    /// Absent where the folder belongs to another process.
    own: Option<TempDir>,
}

impl Folder {
    pub fn new() -> Self {
        let own = tempfile::tempdir().unwrap();
        Self { path: own.path().canonicalize().unwrap(), own: Some(own) }
    }

    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned(), own: None }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Remove all that lies in it.
    pub fn clear(&self) {
        open_up(&self.path);
        for entry in fs::read_dir(&self.path).unwrap() {
            let entry = entry.unwrap();
            let is_folder = entry.file_type().unwrap().is_dir();
            let remove = if is_folder { fs::remove_dir_all } else { fs::remove_file };
            remove(entry.path()).unwrap();
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.own.is_some() {
            open_up(&self.path);
        }
    }
}

fn open_up(folder: &Path) {
    let _ = fs::set_permissions(folder, fs::Permissions::from_mode(0o755));
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

impl Fixture {
    pub fn new() -> Self {
        Self::open(Folder::new(), Durability::Full)
    }

    /// A path beside the store.
    pub fn path(&self, relative: &str) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// A file beside the store.
    pub fn write(&self, relative: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    pub fn add(&self, name_text: &str, text: &str) -> StorePath {
        self.store.add_file(&name(name_text), text.as_bytes(), false, &BTreeSet::new()).unwrap()
    }

    pub fn add_with(&self, name_text: &str, text: &str, refs: &[&StorePath]) -> StorePath {
        let refs = refs.iter().copied().cloned().collect();
        self.store.add_file(&name(name_text), text.as_bytes(), false, &refs).unwrap()
    }

    /// The store in a folder that is there already.
    pub fn open(folder: Folder, durability: Durability) -> Self {
        let root = folder.path().join("hb");
        let store = Store::open_with(&root, OpenMode::Write, durability).unwrap();
        Self { store, folder }
    }

    /// The store as another process would open it, after ours has ended.
    pub fn reopen(self) -> Self {
        Self::open(self.close(), Durability::Full)
    }

    /// The folder, with no store open in it.
    pub fn close(self) -> Folder {
        let Self { store, folder } = self;
        drop(store);
        folder
    }

    /// Carry out a build called `label`: `make` is given each output's place, name and
    /// the scratch paths of all.
    pub fn build(
        &self,
        label: &str,
        outputs: &[&str],
        inputs: &[StorePath],
        make: impl Fn(&Path, &str, &BTreeMap<String, StorePath>),
    ) -> Built {
        let resolved = resolved(label);
        let work = self.path(&format!("work-{label}"));
        let _ = fs::remove_dir_all(&work);
        fs::create_dir_all(&work).unwrap();
        let scratch: BTreeMap<_, _> = outputs
            .iter()
            .map(|output_text| {
                let output = OutputName::new(output_text).unwrap();
                let object = output.object_name(&name(label)).unwrap();
                ((*output_text).to_owned(), StorePath::scratch(&resolved, &output, object, 0))
            })
            .collect();
        let mut built = BTreeMap::new();
        for (output, path) in &scratch {
            let at = work.join(path.base_name());
            make(&at, output, &scratch);
            let from = BuiltOutput { at, scratch: path.clone() };
            built.insert(OutputName::new(output).unwrap(), from);
        }
        Built {
            resolved,
            derivation: None,
            outputs: built,
            fixed: None,
            candidates: inputs.iter().cloned().collect(),
            implied_references: BTreeSet::new(),
            isolation: Isolation::Filtered,
            builder: "hb test".into(),
        }
    }

    /// Build and publish one output, a file.
    pub fn publish_text(&self, label: &str, text: &str) -> Realisation {
        let built = self.build(label, &["out"], &[], |at, _, _| fs::write(at, text).unwrap());
        self.publish(&built).unwrap().remove("out").unwrap()
    }

    /// Add derivations, each after those that it needs.
    pub fn add_derivations(
        &self,
        derivations: &[&Derivation],
    ) -> Result<BTreeMap<DerivationId, StorePath>, StoreError> {
        let ids: Vec<_> = derivations.iter().map(|derivation| derivation.id()).collect();
        self.store.add_derivations(ids.iter().zip(derivations.iter().copied()))
    }

    pub fn publish(&self, built: &Built) -> Result<BTreeMap<String, Realisation>, StoreError> {
        let published = self.store.publish(built)?;
        Ok(published.into_iter().map(|(output, it)| (output.to_string(), it)).collect())
    }
}

/// A step that no test carries out.
pub fn derivation<const N: usize>(label: &str, inputs: [Input; N]) -> Derivation {
    Derivation {
        name: name(label),
        system: "builtin".into(),
        root: None,
        builder: "builtin:root-1".into(),
        args: vec![],
        env: [].into(),
        files: [].into(),
        attrs: None,
        closure_info: [].into(),
        runtime_root: None,
        inputs: Vec::from(inputs).into(),
        outputs: Outputs::Floating(vec![OutputName::out()].into()),
        limits: Limits::default(),
    }
}

pub fn output_of(derivation: &Derivation) -> Input {
    Input::Output { derivation: derivation.id(), output: OutputName::out() }
}

pub fn name(text: &str) -> StoreName {
    StoreName::new(text).unwrap()
}

pub fn resolved(label: &str) -> ResolvedId {
    ResolvedId::from_bytes(*hb_model::ContentDigest::of(label.as_bytes()).as_bytes())
}

/// Run an ignored test of the same file in a mount namespace of its own, after `mount`, a
/// shell command that finds the store's folder in `$0`; skipped without the right to.
pub fn run_with_mount(mount: &str, root: &Path, test: &str, path: &str) {
    let script = format!("{mount} && exec \"$@\"");
    let output = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .arg(root)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored"])
        .env("HB_TEST_STORE", root)
        .env("HB_TEST_PATH", path)
        .output();
    // Without the program or the right there is nothing to test.
    if let Ok(output) = output
        && !String::from_utf8_lossy(&output.stderr).contains("unshare failed")
    {
        assert!(output.status.success(), "{output:?}");
    }
}

pub fn store_in_environment() -> PathBuf {
    std::env::var_os("HB_TEST_STORE").unwrap().into()
}

/// Who runs tests of what another user may do: Debian's `nobody`.
pub const OTHER_USER: u32 = 65_534;

/// Run an ignored test of the same file as another user, who may enter these folders and owns
/// the last of them; skipped where root does not run the tests.
pub fn run_as_other_user(folders: &[&Folder], root: &Path, test: &str, path: &str) {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    for folder in folders {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let home = folders.last().unwrap().path();
    std::os::unix::fs::chown(home, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
    // The program may lie below a folder that others cannot enter. Copied by another process:
    // what is open for writing in one that forks meanwhile cannot be run.
    let program = home.join("test");
    let copy = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status();
    assert!(copy.unwrap().success());
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args(["--exact", test, "--ignored"])
        .env("HB_TEST_STORE", root)
        .env("HB_TEST_PATH", path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}
