//! Adding sources, texts and derivations.

mod support;

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::symlink, net::UnixListener},
    thread,
    time::Duration,
};

use hb_model::{ContentDigest, DirectoryHasher, Input, NodeDigest, StorePath};
use hb_store::{EntryKind, FilterStop, OpenMode, Store, StoreError};

use support::{Fixture, derivation, name, output_of};

fn source(fixture: &Fixture) -> std::path::PathBuf {
    fixture.write("src/a", b"hello\n");
    fixture.write("src/sub/b", b"b");
    symlink("a", fixture.path("src/link")).unwrap();
    fixture.path("src")
}

fn add(fixture: &Fixture, path: &std::path::Path) -> StorePath {
    fixture.store.add_tree(path, &name("source"), None).unwrap()
}

/// Until files are old enough that a change could not hide.
fn let_files_settle() {
    thread::sleep(Duration::from_millis(60));
}

#[test]
fn a_tree_gets_the_path_of_its_content() {
    let fixture = Fixture::new();
    let path = add(&fixture, &source(&fixture));
    let mut sub = DirectoryHasher::new();
    sub.entry(b"b", &NodeDigest::of_file(false, &ContentDigest::of(b"b")));
    let mut root = DirectoryHasher::new();
    root.entry(b"a", &NodeDigest::of_file(false, &ContentDigest::of(b"hello\n")));
    root.entry(b"link", &NodeDigest::of_symlink(b"a"));
    root.entry(b"sub", &sub.finish());
    let digest = root.finish();
    assert_eq!(path, StorePath::of_content(name("source"), digest, &[].into(), false));
    assert_eq!(fixture.store.info(&path).unwrap().unwrap().digest, digest);
    assert_eq!(fs::read(fixture.store.physical(&path).join("sub/b")).unwrap(), b"b");
}

#[test]
fn what_the_filter_refuses_stays_out() {
    let fixture = Fixture::new();
    let folder = source(&fixture);
    let expected = add(&fixture, &folder);
    fixture.write("src/.git/config", b"x");
    let _socket = UnixListener::bind(folder.join("socket")).unwrap();
    let mut seen = Vec::new();
    let mut filter = |path: &std::path::Path, kind: EntryKind| {
        seen.push(path.strip_prefix(&folder).unwrap().to_owned());
        Ok(!path.ends_with(".git") && !matches!(kind, EntryKind::Special(_)))
    };
    let filtered = fixture.store.add_tree(&folder, &name("source"), Some(&mut filter)).unwrap();
    assert_eq!(filtered, expected);
    assert!(!seen.iter().any(|path| path.ends_with("config")), "refused folders are not entered");
    let mut stop = |_: &std::path::Path, _| Err(FilterStop);
    let stopped = fixture.store.add_tree(&folder, &name("source"), Some(&mut stop));
    assert!(matches!(stopped, Err(StoreError::FilterStopped { .. })));
}

#[test]
fn special_files_are_refused_by_name() {
    let fixture = Fixture::new();
    let folder = source(&fixture);
    let _socket = UnixListener::bind(folder.join("socket")).unwrap();
    let error = fixture.store.add_tree(&folder, &name("source"), None).unwrap_err();
    assert!(matches!(&error, StoreError::SpecialFile { path, .. } if path.ends_with("socket")));
    assert!(error.to_string().contains("socket"), "{error}");
}

#[test]
fn names_that_are_not_utf8_are_kept() {
    let fixture = Fixture::new();
    let folder = source(&fixture);
    let odd = OsStr::from_bytes(b"\xff\xfe \n");
    fs::write(folder.join(odd), "odd").unwrap();
    fs::write(folder.join("日本語"), "ja").unwrap();
    let object = fixture.store.physical(&add(&fixture, &folder));
    assert_eq!(fs::read_to_string(object.join(odd)).unwrap(), "odd");
    assert_eq!(fs::read_to_string(object.join("日本語")).unwrap(), "ja");
}

#[test]
fn an_unchanged_tree_is_not_read_again_and_a_changed_one_is() {
    let fixture = Fixture::new();
    let folder = source(&fixture);
    let_files_settle();
    let first = add(&fixture, &folder);
    // Only what was not read can give the old path now.
    let stamp = fs::metadata(folder.join("a")).unwrap().modified().unwrap();
    assert_eq!(add(&fixture, &folder), first);
    fs::write(folder.join("a"), "HELLO\n").unwrap();
    fs::File::options().write(true).open(folder.join("a")).unwrap().set_modified(stamp).unwrap();
    assert_ne!(add(&fixture, &folder), first, "same size, same modification time");
    fs::write(folder.join("a"), "hello\n").unwrap();
    assert_eq!(add(&fixture, &folder), first);
}

#[test]
fn an_unchanged_tree_is_found_without_a_store_to_write_to() {
    let fixture = Fixture::new();
    let folder = source(&fixture);
    let_files_settle();
    let first = add(&fixture, &folder);
    let reader = Store::open(fixture.store.root(), OpenMode::Read).unwrap();
    assert_eq!(reader.add_tree(&folder, &name("source"), None).unwrap(), first);
    fs::write(folder.join("a"), "other").unwrap();
    let refused = reader.add_tree(&folder, &name("source"), None);
    assert!(matches!(refused, Err(StoreError::OpenedForReading { .. })));
}

#[test]
fn many_files_give_the_same_tree_in_any_number_of_threads() {
    let fixture = Fixture::new();
    for number in 0..1000 {
        fixture.write(&format!("big/{}/{number}", number % 7), &vec![number as u8; 3000]);
    }
    let path = add(&fixture, &fixture.path("big"));
    let object = fixture.store.physical(&path);
    for number in 0..1000 {
        let file = object.join(format!("{}/{number}", number % 7));
        assert_eq!(fs::read(file).unwrap(), vec![number as u8; 3000]);
    }
}

#[test]
fn a_path_too_long_to_open_is_refused() {
    let fixture = Fixture::new();
    let mut folder = fixture.path("deep");
    let segment = "d".repeat(200);
    fs::create_dir(&folder).unwrap();
    std::env::set_current_dir(&folder).unwrap();
    for _ in 0..25 {
        fs::create_dir(&segment).unwrap();
        std::env::set_current_dir(&segment).unwrap();
    }
    std::env::set_current_dir("/").unwrap();
    folder = fixture.path("deep");
    let error = fixture.store.add_tree(&folder, &name("source"), None).unwrap_err();
    assert!(matches!(error, StoreError::PathTooLong { .. }), "{error}");
}

#[test]
fn a_text_is_a_file_and_refers_to_what_it_is_said_to() {
    let fixture = Fixture::new();
    let first = fixture.add("first", "1");
    let second = fixture.add_with("second", &first.to_string(), &[&first]);
    let info = fixture.store.info(&second).unwrap().unwrap();
    assert_eq!(info.references, [first].into());
    let gone = StorePath::from_base_name(&format!("{}-gone", "0".repeat(32))).unwrap();
    let error =
        fixture.store.add_file(&name("third"), b"", false, &[gone.clone()].into()).unwrap_err();
    assert!(matches!(error, StoreError::MissingReference { reference, .. } if reference == gone));
}

#[test]
fn derivations_are_objects_that_refer_to_what_they_need() {
    let fixture = Fixture::new();
    let source = fixture.add("source", "text");
    let below = derivation("below", [Input::Path(source.clone())]);
    let above = derivation("above", [output_of(&below), Input::Path(source.clone())]);
    let objects = fixture.add_derivations(&[&below, &above]).unwrap();
    let (lower, upper) = (&objects[&below.id()], &objects[&above.id()]);
    assert_eq!(*lower, below.store_path(&below.id(), &[source.clone()].into()).unwrap());
    let references = |path| fixture.store.info(path).unwrap().unwrap().references;
    assert_eq!(references(lower), [source.clone()].into());
    assert_eq!(references(upper), [source, lower.clone()].into());
    assert_eq!(fs::read(fixture.store.physical(upper)).unwrap(), above.encode());
    assert_eq!(fixture.store.derivation(upper).unwrap(), above);
    let needed = fixture.store.needed_derivations(upper).unwrap();
    assert_eq!(needed, [(below.id(), lower.clone())].into());
    assert_eq!(fixture.add_derivations(&[&below, &above]).unwrap(), objects);
    assert_eq!(fixture.store.list().unwrap().len(), 3, "nothing was added twice");
}

#[test]
fn derivations_that_rest_on_a_missing_source_are_left_out() {
    let fixture = Fixture::new();
    let gone = StorePath::from_base_name(&format!("{}-gone", "0".repeat(32))).unwrap();
    let lost = derivation("lost", [Input::Path(gone)]);
    let above = derivation("above", [output_of(&lost)]);
    let apart = derivation("apart", []);
    let objects = fixture.add_derivations(&[&lost, &above, &apart]).unwrap();
    assert_eq!(Vec::from_iter(objects.into_keys()), [apart.id()]);
}

#[test]
fn what_is_no_derivation_is_not_read_as_one() {
    let fixture = Fixture::new();
    let text = fixture.add("text.drv", "text");
    let error = fixture.store.derivation(&text).unwrap_err();
    assert!(matches!(error, StoreError::NotADerivation { .. }), "{error}");

    let (ours, other) = (derivation("ours", []), derivation("other", []));
    let path = fixture.add_derivations(&[&ours]).unwrap().remove(&ours.id()).unwrap();
    let file = fixture.store.physical(&path);
    fs::remove_file(&file).unwrap();
    fs::write(&file, other.encode()).unwrap();
    let error = fixture.store.derivation(&path).unwrap_err();
    assert!(matches!(error, StoreError::Changed { .. }), "{error}");
}

#[test]
fn a_file_that_says_it_is_empty_is_read_to_its_end() {
    let fixture = Fixture::new();
    let kernels = std::path::Path::new("/proc/sys/kernel/pid_max");
    assert_eq!(fs::metadata(kernels).unwrap().len(), 0);
    let path = add(&fixture, kernels);
    let (stored, there) = (fs::read(fixture.store.physical(&path)), fs::read(kernels));
    assert_eq!(stored.unwrap(), there.unwrap());
}
