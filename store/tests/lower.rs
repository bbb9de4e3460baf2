//! Stores below another: read where they lie, and never written.

mod support;

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use hb_model::{Input, OutputName, RealisationKey, StorePath};
use hb_store::{
    Durability, ExportOptions, Finding, GcOptions, OpenMode, Store, StoreError, StoreOptions,
    VerifyOptions,
};
use walkdir::WalkDir;

use support::{
    Fixture, Folder, derivation, name, output_of, resolved, run_as_other_user, run_with_mount,
    store_in_environment,
};

/// A store with a file, what refers to it, and something built.
struct Below {
    folder: Folder,
    file: StorePath,
    user: StorePath,
    built: StorePath,
}

impl Below {
    fn new() -> Self {
        let fixture = Fixture::new();
        let file = fixture.add("file", "text");
        let user = fixture.add_with("user", "uses", &[&file]);
        let built = fixture.publish_text("built", "made").path;
        Self { folder: fixture.close(), file, user, built }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("hb")
    }

    /// A new store above it.
    fn above(&self) -> Fixture {
        above(Folder::new(), &[self.root()]).unwrap()
    }
}

fn above(folder: Folder, lower: &[PathBuf]) -> Result<Fixture, StoreError> {
    let options = StoreOptions { lower: lower.to_vec(), ..StoreOptions::default() };
    let store = Store::open_with(&folder.path().join("hb"), OpenMode::Write, options)?;
    Ok(Fixture { store, folder })
}

/// Every entry below a folder, with what changes if it is written or linked.
fn state(root: &Path) -> BTreeMap<PathBuf, (u64, u64, i64, i64, u32)> {
    let entries = WalkDir::new(root).into_iter().map(|entry| {
        let entry = entry.unwrap();
        let found = entry.metadata().unwrap();
        let times = (found.ctime(), found.ctime_nsec());
        (entry.into_path(), (found.ino(), found.nlink(), times.0, times.1, found.mode()))
    });
    entries.collect()
}

fn objects(fixture: &Fixture) -> Vec<String> {
    let entries = fs::read_dir(fixture.path("hb/store")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn verify(store: &Store) -> Vec<Finding> {
    store.verify(VerifyOptions { contents: true }, &|_| {}).unwrap()
}

fn key(label: &str) -> RealisationKey {
    RealisationKey { resolved: resolved(label), output: OutputName::out() }
}

/// All that a store above offers of `below`, and building on it.
fn use_it(fixture: &Fixture, below: &Below, root: &Path) {
    let store = &fixture.store;
    for path in [&below.file, &below.user, &below.built] {
        assert!(store.contains(path).unwrap());
        assert_eq!(store.physical(path), root.join("store").join(path.base_name()));
        assert_eq!(store.lies_below(path).unwrap(), Some(root));
    }
    assert_eq!(fs::read_to_string(store.physical(&below.file)).unwrap(), "text");
    assert_eq!(store.closure(std::slice::from_ref(&below.user)).unwrap().len(), 2);
    assert_eq!(store.realisation(&key("built")).unwrap().unwrap().realisation.path, below.built);
    assert_eq!(store.outcome(&key("built")).unwrap(), Some(below.built.clone()));
    assert_eq!(store.list().unwrap().len(), 3);

    // What is there already is not stored again, and what refers to it can be.
    assert_eq!(fixture.add("file", "text"), below.file);
    assert_eq!(objects(fixture), [""; 0]);
    let mine = fixture.add_with("mine", "mine", &[&below.user]);
    assert_eq!(objects(fixture), [mine.base_name()]);
    let closure = store.closure(std::slice::from_ref(&mine)).unwrap();
    assert_eq!(closure, [below.file.clone(), below.user.clone(), mine.clone()]);
    let referrers = store.referrers(&below.user).unwrap();
    assert_eq!(Vec::from_iter(referrers), std::slice::from_ref(&mine));
    assert_eq!(store.list().unwrap().len(), 4);
    // What came in last is first, this store's before those of the store below.
    let large = [(mine.clone(), 4), (below.built.clone(), 4), (below.user.clone(), 4)];
    assert_eq!(store.large_objects(4).unwrap()[..3], large);
    assert_eq!(store.large_objects(5).unwrap(), []);

    // A build that gives what lies below.
    let again = fixture.publish_text("again", "made");
    assert_ne!(again.path, below.built, "another name");
    let built = fixture.build("built", &["out"], &[], |at, _, _| fs::write(at, "made").unwrap());
    let same = hb_store::Built { resolved: resolved("other recipe"), ..built };
    assert_eq!(fixture.publish(&same).unwrap()["out"].path, below.built);
    let known = store.realisation(&key("other recipe")).unwrap().unwrap();
    assert_eq!(known.realisation.path, below.built);
    assert_eq!(objects(fixture).len(), 2);

    let mut stream = Vec::new();
    let options = ExportOptions::default();
    let report =
        store.export(std::slice::from_ref(&mine), options, &mut stream, Path::new("x")).unwrap();
    assert_eq!(report.objects, 3);
    assert!(verify(store).is_empty(), "{:?}", verify(store));
    assert!(store.hold(std::slice::from_ref(&below.user)).unwrap().is_empty());
}

#[test]
fn what_lies_below_is_used_in_its_place_and_never_written() {
    let below = Below::new();
    let before = state(&below.root());
    let fixture = below.above();
    use_it(&fixture, &below, &below.root());
    fixture.store.add_root(&name("low"), &below.user).unwrap();
    let link = fixture.path("result");
    fixture.store.link_result(&link, &below.file).unwrap();
    assert_eq!(fs::read_to_string(&link).unwrap(), "text");
    assert_eq!(fixture.store.roots().unwrap().len(), 2);
    let fixture = above(fixture.close(), &[below.root()]).unwrap();
    let report = fixture.store.gc(&GcOptions::default(), &|_, _| {}).unwrap();
    assert_eq!(report.freed.len(), 2, "its own objects, and nothing of what lies below");
    assert_eq!(objects(&fixture), [""; 0]);
    assert!(fixture.store.contains(&below.file).unwrap());
    assert!(fixture.store.realisation(&key("other recipe")).unwrap().is_some());
    assert!(verify(&fixture.store).is_empty());
    assert_eq!(state(&below.root()), before);
}

#[test]
fn derivations_that_lie_below_are_found_and_built_on() {
    let fixture = Fixture::new();
    let source = fixture.add("source", "text");
    let step = derivation("step", [Input::Path(source.clone())]);
    let object = fixture.add_derivations(&[&step]).unwrap()[&step.id()].clone();
    let below = fixture.close();
    let fixture = above(Folder::new(), &[below.path().join("hb")]).unwrap();
    let next = derivation("next", [output_of(&step)]);
    let added = fixture.add_derivations(&[&step, &next]).unwrap();
    assert_eq!(added[&step.id()], object);
    assert_eq!(objects(&fixture), [added[&next.id()].base_name()]);
    let needed = fixture.store.needed_derivations(&added[&next.id()]).unwrap();
    assert_eq!(needed[&step.id()], object);
    // Built here by a derivation that lies below.
    let built = fixture.build("step", &["out"], &[], |at, _, _| fs::write(at, "x").unwrap());
    let built = hb_store::Built { derivation: Some(object.clone()), ..built };
    let path = fixture.publish(&built).unwrap()["out"].path.clone();
    assert_eq!(fixture.store.derivations_of(&path).unwrap(), [object]);
    assert_eq!(fixture.store.closure(&[path]).unwrap().len(), 1);
}

#[test]
fn a_lower_store_of_another_user_needs_the_right_to_read_only() {
    let below = Below::new();
    let before = state(&below.root());
    let home = Folder::new();
    let path = home.path().to_str().unwrap();
    run_as_other_user(&[&below.folder, &home], &below.root(), "use_a_lower_store", path);
    assert_eq!(state(&below.root()), before);
}

#[test]
fn a_lower_store_may_be_mounted_read_only() {
    let below = Below::new();
    let home = Folder::new();
    let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\"";
    let path = home.path().to_str().unwrap();
    run_with_mount(mount, &below.root(), "use_a_lower_store", path);
}

#[test]
#[ignore = "run by the tests above as another user, or on a read-only file system"]
fn use_a_lower_store() {
    let root = store_in_environment();
    fs::write(root.join("x"), "").unwrap_err();
    let home = PathBuf::from(std::env::var_os("HB_TEST_PATH").unwrap());
    let folder = Folder::at(&home);
    let fixture = above(folder, std::slice::from_ref(&root)).unwrap();
    let all = fixture.store.list().unwrap();
    let [file, user, built] = ["file", "user", "built"]
        .map(|label| all.iter().find(|path| path.name().as_str() == label).unwrap().clone());
    use_it(&fixture, &Below { folder: Folder::at(&root), file, user, built }, &root);
    fixture.store.gc(&GcOptions::default(), &|_, _| {}).unwrap();
    drop(fixture.close());
}

#[test]
fn a_lower_store_that_somebody_works_on_is_refused_and_not_written() {
    let below = Fixture::new();
    below.add("file", "text");
    let before = state(&below.path("hb"));
    let error = above(Folder::new(), &[below.path("hb")]).map(|it| it.store).unwrap_err();
    let StoreError::Lower { source, .. } = &error else { panic!("{error}") };
    assert!(matches!(**source, StoreError::UnfinishedLog { .. }), "{source}");
    assert_eq!(state(&below.path("hb")), before);
    let below = below.close();
    above(Folder::new(), &[below.path().join("hb")]).unwrap();
}

#[test]
fn several_stores_lie_below_each_other() {
    let bottom = Below::new();
    let middle = bottom.above();
    let between = middle.add_with("between", "1", &[&bottom.user]);
    let middle = middle.close();
    let roots = [middle.path().join("hb"), bottom.root()];
    let fixture = above(Folder::new(), &roots).unwrap();
    let top = fixture.add_with("top", "2", &[&between]);
    let expected = [&bottom.file, &bottom.user, &between, &top].map(Clone::clone);
    assert_eq!(fixture.store.closure(std::slice::from_ref(&top)).unwrap(), expected);
    assert!(verify(&fixture.store).is_empty());
    // Without the lowest of them, what it had is missing.
    let fixture = above(fixture.close(), &roots[..1]).unwrap();
    let store = &fixture.store;
    let error = store.closure(&[between]).unwrap_err();
    assert!(matches!(&error, StoreError::GoneBelow { path } if *path == bottom.file), "{error}");
    let error = store.closure(std::slice::from_ref(&bottom.user)).unwrap_err();
    assert!(matches!(&error, StoreError::GoneBelow { path } if *path == bottom.file), "{error}");
}

#[test]
fn what_lay_in_a_lower_store_that_is_gone_is_missing_until_it_is_made_again() {
    let below = Below::new();
    let fixture = below.above();
    let mine = fixture.add_with("mine", "mine", &[&below.user]);
    let fixture = above(fixture.close(), &[]).unwrap();
    let store = &fixture.store;
    assert!(store.contains(&mine).unwrap() && !store.contains(&below.file).unwrap());
    let error = store.closure(std::slice::from_ref(&mine)).unwrap_err();
    assert!(matches!(error, StoreError::GoneBelow { .. }), "{error}");
    assert!(store.realisation(&key("built")).unwrap().is_none());
    let missing: Vec<_> = verify(store)
        .into_iter()
        .map(|finding| match finding {
            Finding::Missing { path } => path,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(missing, [below.file.clone(), below.user.clone()]);
    fixture.add("file", "text");
    fixture.add_with("user", "uses", &[&below.file]);
    assert_eq!(store.closure(std::slice::from_ref(&mine)).unwrap().len(), 3);
    assert!(verify(store).is_empty());
    assert_eq!(objects(&fixture).len(), 3);
}

#[test]
fn gc_drops_its_own_copy_of_what_lies_below_and_keeps_what_is_known_of_it() {
    let below = Below::new();
    let fixture = Fixture::new();
    fixture.add("file", "text");
    let user = fixture.add_with("user", "uses", &[&below.file]);
    assert_eq!(user, below.user);
    fixture.publish_text("built", "made");
    let fixture = above(fixture.close(), &[below.root()]).unwrap();
    assert_eq!(fixture.store.lies_below(&user).unwrap(), None, "its own copy counts");
    let report = fixture.store.gc(&GcOptions::default(), &|_, _| {}).unwrap();
    assert_eq!(report.freed.len(), 3);
    assert_eq!(objects(&fixture), [""; 0]);
    assert_eq!(fixture.store.closure(&[user]).unwrap().len(), 2);
    assert!(fixture.store.realisation(&key("built")).unwrap().is_some());
    assert!(verify(&fixture.store).is_empty());
    let report = fixture.store.gc(&GcOptions::default(), &|_, _| {}).unwrap();
    assert_eq!(report, Default::default());
}

#[test]
fn damage_below_is_found_and_left_to_whoever_owns_it() {
    let below = Below::new();
    let fixture = below.above();
    let place = below.root().join("store").join(below.file.base_name());
    fs::set_permissions(&place, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&place, "tex!").unwrap();
    let found = verify(&fixture.store);
    assert!(
        found.iter().any(|it| matches!(it, Finding::Changed { path, .. } if *path == below.file))
    );
    for refused in
        [fixture.store.set_aside(&below.file).map(|_| ()), fixture.store.mend_metadata(&below.file)]
    {
        assert!(matches!(refused, Err(StoreError::InLower { .. })));
    }
    // An object that is not there at all is stored here.
    fs::remove_file(&place).unwrap();
    assert_eq!(fixture.add("file", "text"), below.file);
    assert_eq!(objects(&fixture), [below.file.base_name()]);
    assert_eq!(fixture.store.lies_below(&below.file).unwrap(), None);
    assert!(verify(&fixture.store).is_empty(), "{:?}", verify(&fixture.store));
}

#[test]
fn what_cannot_be_a_lower_store_is_named_with_the_reason() {
    let cause = |root: &Path| match above(Folder::new(), &[root.to_owned()]) {
        Err(StoreError::Lower { root: named, source }) => {
            assert_eq!(named, root);
            *source
        }
        other => panic!("{:?}", other.map(|fixture| fixture.store)),
    };
    let sql = |root: &Path, statement: &str| {
        let database = rusqlite::Connection::open(root.join("db.sqlite")).unwrap();
        database.execute_batch(statement).unwrap();
    };
    let empty = Folder::new();
    assert!(matches!(cause(empty.path()), StoreError::NoStore { .. }));
    assert!(matches!(cause(&empty.path().join("none")), StoreError::NoStore { .. }));
    fs::write(empty.path().join("db.sqlite"), "this is no database").unwrap();
    assert!(matches!(cause(empty.path()), StoreError::DamagedDatabase { .. }));
    let below = Below::new();
    sql(&below.root(), "PRAGMA user_version = 7");
    assert!(matches!(cause(&below.root()), StoreError::NewerFormat { found: 7, .. }));
    sql(&below.root(), "PRAGMA user_version = 3");
    assert!(matches!(cause(&below.root()), StoreError::OlderFormat { found: 3, .. }));
    sql(&below.root(), "PRAGMA application_id = 1");
    assert!(matches!(cause(&below.root()), StoreError::ForeignDatabase { .. }));
    let fixture = Fixture::open(Folder::new(), Durability::Full);
    let itself = fixture.path("hb");
    let error = above(fixture.close(), &[itself]).map(|fixture| fixture.store).unwrap_err();
    assert!(matches!(error, StoreError::BelowItself { .. }), "{error}");
}
