//! Finding what is wrong with a store.

mod support;

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use hb_model::StorePath;
use hb_store::{Finding, OpenMode, STORE_MTIME, Store, VerifyOptions};

use support::{Fixture, name};

/// A store with a folder, a file and a reference.
fn filled() -> (Fixture, StorePath) {
    let fixture = Fixture::new();
    fixture.write("src/a", b"hello");
    let path = fixture.store.add_tree(&fixture.path("src"), &name("source"), None).unwrap();
    fixture.add_with("user", "text", &[&path]);
    (fixture, path)
}

fn verify(fixture: &Fixture, contents: bool) -> Vec<Finding> {
    fixture.store.verify(VerifyOptions { contents }, &|_| {}).unwrap()
}

/// Change an entry as a careless administrator would, times put back.
fn tamper(path: &Path, change: impl FnOnce(&Path)) {
    let folder = path.parent().unwrap();
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    let mode = fs::metadata(path).unwrap().permissions();
    fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
    change(path);
    if path.exists() {
        fs::set_permissions(path, mode).unwrap();
        set_time(path, STORE_MTIME);
    }
    fs::set_permissions(folder, Permissions::from_mode(0o555)).unwrap();
    set_time(folder, STORE_MTIME);
}

fn set_time(path: &Path, seconds: i64) {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds as u64);
    File::open(path).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_sound_store_has_no_findings_and_progress_is_told() {
    let (fixture, _) = filled();
    fixture.publish_text("built", "text");
    let told = AtomicUsize::new(0);
    let progress = |progress: hb_store::VerifyProgress| {
        assert_eq!(progress.total_objects, 3);
        if progress.objects == progress.total_objects {
            assert_eq!(progress.bytes, progress.total_bytes);
        }
        told.fetch_add(1, Ordering::Relaxed);
    };
    let options = VerifyOptions { contents: true };
    assert!(fixture.store.verify(options, &progress).unwrap().is_empty());
    assert_eq!(told.into_inner(), 3);
    let reader = Store::open(fixture.store.root(), OpenMode::Read).unwrap();
    assert!(reader.verify(options, &|_| {}).unwrap().is_empty());
}

#[test]
fn a_flipped_bit_is_found() {
    let (fixture, path) = filled();
    tamper(&fixture.store.physical(&path).join("a"), |file| fs::write(file, "hellO").unwrap());
    assert!(verify(&fixture, false).is_empty(), "contents are not read");
    let findings = verify(&fixture, true);
    assert!(
        matches!(&findings[..], [Finding::Changed { path: at, .. }] if *at == path),
        "{findings:?}"
    );
}

#[test]
fn a_missing_object_is_found() {
    let (fixture, path) = filled();
    let object = fixture.store.physical(&path);
    fs::set_permissions(&object, Permissions::from_mode(0o755)).unwrap();
    fs::remove_dir_all(object).unwrap();
    for contents in [false, true] {
        let findings = verify(&fixture, contents);
        assert!(
            matches!(&findings[..], [Finding::Missing { path: at }] if *at == path),
            "{findings:?}"
        );
    }
}

#[test]
fn a_stray_object_is_found() {
    let (fixture, _) = filled();
    fs::write(fixture.path("hb/store/notes"), "").unwrap();
    let findings = verify(&fixture, false);
    assert!(matches!(&findings[..], [Finding::Stray { name }] if name == "notes"), "{findings:?}");
}

#[test]
fn a_wrong_mode_and_a_wrong_time_are_found_and_named() {
    let (fixture, path) = filled();
    let file = fixture.store.physical(&path).join("a");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
    set_time(&file, 1);
    let findings = verify(&fixture, true);
    let [Finding::WrongMode { entry, mode, .. }, Finding::WrongTime { time, .. }] = &findings[..]
    else {
        panic!("{findings:?}")
    };
    assert_eq!((entry, *mode, *time), (&PathBuf::from("a"), 0o644, 1));
}

#[test]
fn a_changed_row_is_found() {
    let (fixture, path) = filled();
    let database = rusqlite::Connection::open(fixture.path("hb/db.sqlite")).unwrap();
    database
        .execute("UPDATE objects SET digest = zeroblob(32) WHERE name = ?1", [path.base_name()])
        .unwrap();
    let findings = verify(&fixture, false);
    assert!(matches!(&findings[..], [Finding::WrongPath { .. }]), "{findings:?}");
    database
        .execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM objects WHERE name LIKE '%source'")
        .unwrap();
    let findings = verify(&fixture, false);
    assert!(findings.iter().any(|it| matches!(it, Finding::Database { .. })), "{findings:?}");
}
