//! Opening stores: formats, modes, what dead processes left.

mod support;

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt as _, chown},
    path::Path,
};

use hb_model::{OutputName, RealisationKey, ResolvedId};
use hb_store::{Durability, GcOptions, LockAttempt, OpenMode, Store, StoreError, VerifyOptions};

use support::{
    Fixture, Folder, OTHER_USER, resolved, run_as_other_user, run_with_mount, store_in_environment,
};

fn sql(fixture: &Fixture, statement: &str) {
    let database = fixture.path("hb/db.sqlite");
    rusqlite::Connection::open(database).unwrap().execute_batch(statement).unwrap();
}

fn open(fixture: &Fixture, mode: OpenMode) -> Result<Store, StoreError> {
    Store::open(&fixture.path("hb"), mode)
}

#[test]
fn what_was_added_is_there_after_opening_again() {
    let fixture = Fixture::new();
    let path = fixture.add("kept", "text");
    let fixture = fixture.reopen();
    assert!(fixture.store.contains(&path).unwrap());
}

#[test]
fn a_newer_format_is_refused_with_both_numbers() {
    let fixture = Fixture::new();
    sql(&fixture, "PRAGMA user_version = 7");
    for mode in [OpenMode::Read, OpenMode::Write] {
        let error = open(&fixture, mode).unwrap_err();
        assert!(matches!(error, StoreError::NewerFormat { found: 7, known: 5, .. }), "{error}");
    }
}

/// The columns of all tables, what they refer to, and the indices.
fn schema(root: &Path) -> Vec<String> {
    let connection = rusqlite::Connection::open(root.join("db.sqlite")).unwrap();
    let sql = "
        SELECT m.name || ' ' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || c.pk
        FROM sqlite_schema AS m, pragma_table_info(m.name) AS c
        UNION ALL
        SELECT m.name || ' ' || f.\"from\" || ' → ' || f.\"table\" || ' ' || f.on_delete
        FROM sqlite_schema AS m, pragma_foreign_key_list(m.name) AS f
        UNION ALL SELECT sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL
        ORDER BY 1";
    let mut select = connection.prepare(sql).unwrap();
    let rows = select.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn an_older_format_is_brought_up_to_date_when_opened_for_writing() {
    let expected = schema(&Fixture::new().path("hb"));
    let folder = tempfile::tempdir().unwrap();
    let database = rusqlite::Connection::open(folder.path().join("db.sqlite")).unwrap();
    database.execute_batch(include_str!("formats/1.sql")).unwrap();
    drop(database);

    let error = Store::open(folder.path(), OpenMode::Read).unwrap_err();
    assert!(matches!(error, StoreError::OlderFormat { found: 1, known: 5, .. }), "{error}");
    let store = Store::open(folder.path(), OpenMode::Write).unwrap();
    assert_eq!(schema(folder.path()), expected);
    let key =
        RealisationKey { resolved: ResolvedId::from_bytes([0; 32]), output: OutputName::out() };
    let found = store.realisation(&key).unwrap().unwrap();
    assert_eq!(found.derivation, None);
    assert_eq!(store.outcome(&key).unwrap(), Some(found.realisation.path));
    assert!(Store::open(folder.path(), OpenMode::Read).is_ok());
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let fixture = Fixture::new();
    sql(&fixture, "PRAGMA application_id = 1");
    let error = open(&fixture, OpenMode::Write).unwrap_err();
    assert!(matches!(error, StoreError::ForeignDatabase { .. }), "{error}");
}

#[test]
fn a_damaged_database_is_called_so() {
    let folder = tempfile::tempdir().unwrap();
    for bytes in [&b"this is no database, but long enough to be taken for one"[..], &[7; 4096]] {
        fs::write(folder.path().join("db.sqlite"), bytes).unwrap();
        let error = Store::open(folder.path(), OpenMode::Write).unwrap_err();
        assert!(matches!(error, StoreError::DamagedDatabase { .. }), "{error}");
    }
}

#[test]
fn sizes_that_cannot_be_are_damage_and_huge_ones_add_up_to_the_most() {
    let fixture = Fixture::new();
    for label in ["a", "b", "c"] {
        fixture.add(label, label);
    }
    let fixture = fixture.reopen();
    let collect = || {
        let options = GcOptions { keep: Some(0), dry_run: true, ..GcOptions::default() };
        fixture.store.gc(&options, &|_, _| {})
    };
    sql(&fixture, "UPDATE objects SET size = 9223372036854775807");
    assert_eq!(collect().unwrap().bytes, u64::MAX);
    sql(&fixture, "UPDATE objects SET size = -1");
    let error = collect().unwrap_err();
    assert!(matches!(error, StoreError::DamagedDatabase { .. }), "{error}");
}

#[test]
fn reading_where_there_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = Store::open(folder.path(), OpenMode::Read).unwrap_err();
    assert!(matches!(error, StoreError::NoStore { .. }));
}

#[test]
fn a_reader_sees_what_a_writer_adds_and_cannot_write() {
    let fixture = Fixture::new();
    let reader = open(&fixture, OpenMode::Read).unwrap();
    let path = fixture.add("new", "text");
    assert!(reader.contains(&path).unwrap());
    let refused = reader.add_file(&support::name("x"), b"", false, &[].into());
    assert!(matches!(refused, Err(StoreError::OpenedForReading { .. })));
}

#[test]
fn several_processes_may_make_the_store_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let threads: Vec<_> = (0..8)
        .map(|number| {
            let root = folder.path().join("hb");
            std::thread::spawn(move || {
                let store = Store::open(&root, OpenMode::Write).unwrap();
                let label = support::name(&format!("n{number}"));
                store.add_file(&label, b"", false, &[].into()).unwrap()
            })
        })
        .collect();
    let paths: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    let store = Store::open(&folder.path().join("hb"), OpenMode::Read).unwrap();
    assert!(paths.iter().all(|path| store.contains(path).unwrap()));
}

#[test]
fn folders_of_dead_processes_are_removed_and_those_of_living_ones_stay() {
    let fixture = Fixture::new();
    let ours = fixture.store.scratch_dir().unwrap();
    let dead = fixture.path("hb/staging/1.0");
    fs::create_dir_all(dead.join("work-0/deep")).unwrap();
    fs::write(dead.join("work-0/deep/file"), "").unwrap();
    fs::write(dead.join("lock"), "").unwrap();
    let _other = open(&fixture, OpenMode::Write).unwrap();
    assert!(!dead.exists());
    assert!(ours.path().exists());
}

#[test]
fn a_session_that_ends_leaves_nothing() {
    let fixture = Fixture::new();
    let scratch = fixture.store.scratch_dir().unwrap();
    fs::write(scratch.path().join("x"), "").unwrap();
    std::mem::forget(scratch);
    fixture.add("a", "a");
    let second = open(&fixture, OpenMode::Write).unwrap();
    let staging = fixture.path("hb/staging");
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 2);
    drop(second);
    assert_eq!(fs::read_dir(&staging).unwrap().count(), 1);
}

#[test]
fn scratch_folders_can_be_kept() {
    let fixture = Fixture::new();
    let scratch = fixture.store.scratch_dir().unwrap();
    fs::write(scratch.path().join("x"), "why").unwrap();
    let kept = scratch.keep("step").unwrap();
    assert_eq!(fs::read_to_string(kept.join("x")).unwrap(), "why");
    let again = fixture.store.scratch_dir().unwrap().keep("step").unwrap();
    assert_ne!(again, kept);
}

#[test]
fn a_derivation_is_built_by_one_at_a_time_and_the_other_learns_by_whom() {
    let fixture = Fixture::new();
    let other = open(&fixture, OpenMode::Write).unwrap();
    let id = resolved("step");
    let LockAttempt::Acquired(lock) = fixture.store.try_lock_build(&id).unwrap() else {
        panic!("held")
    };
    let LockAttempt::Held { by } = other.try_lock_build(&id).unwrap() else { panic!("not held") };
    assert_eq!(by, Some(std::process::id()));
    assert!(matches!(other.try_lock_build(&resolved("x")).unwrap(), LockAttempt::Acquired(_)));
    drop(lock);
    assert!(matches!(other.try_lock_build(&id).unwrap(), LockAttempt::Acquired(_)));
}

#[test]
fn a_store_on_a_read_only_file_system_can_be_read() {
    let fixture = Fixture::new();
    let path = fixture.add("kept", "text").to_string();
    let Fixture { store, folder } = fixture;
    drop(store);
    let mount = "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\"";
    run_with_mount(mount, &folder.path().join("hb"), "read_the_store", &path);
}

#[test]
#[ignore = "run by a_store_on_a_read_only_file_system_can_be_read"]
fn read_the_store() {
    let root = store_in_environment();
    let path = std::env::var("HB_TEST_PATH").unwrap().parse().unwrap();
    let store = Store::open(&root, OpenMode::Read).unwrap();
    assert!(store.contains(&path).unwrap());
    assert_eq!(fs::read_to_string(store.physical(&path)).unwrap(), "text");
    let error = Store::open(&root, OpenMode::Write).unwrap_err();
    assert!(matches!(error, StoreError::ReadOnlyFileSystem { .. }), "{error}");
}

#[test]
fn a_full_disk_is_called_so_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=16m tmpfs \"$0\"";
    run_with_mount(mount, folder.path(), "fill_the_store", "");
}

#[test]
#[ignore = "run by a_full_disk_is_called_so_and_loses_nothing"]
fn fill_the_store() {
    let store = Store::open(&store_in_environment().join("hb"), OpenMode::Write).unwrap();
    let add = |number: usize, size: usize| {
        let label = support::name(&format!("n{number}"));
        store.add_file(&label, &vec![number as u8; size], false, &[].into())
    };
    let kept = add(0, 100_000).unwrap();
    let mut number = 1;
    for size in [100_000, 1] {
        let error = loop {
            match add(number, size) {
                Ok(_) => number += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
    }
    let options = VerifyOptions { contents: true };
    assert!(store.verify(options, &|_| {}).unwrap().is_empty());
    drop(store);
    let store = Store::open(&store_in_environment().join("hb"), OpenMode::Write).unwrap();
    store.add_root(&support::name("kept"), &kept).unwrap();
    assert!(store.gc(&GcOptions::default(), &|_, _| {}).unwrap().bytes > 0);
    assert!(store.contains(&kept).unwrap());
}

#[test]
fn a_store_of_another_user_is_called_so_and_can_be_read() {
    let fixture = Fixture::new();
    let path = fixture.add("kept", "text").to_string();
    let (folder, home) = (fixture.close(), Folder::new());
    let root = folder.path().join("hb");
    run_as_other_user(&[&folder, &home], &root, "use_the_store_of_another_user", &path);
}

#[test]
#[ignore = "run by a_store_of_another_user_is_called_so_and_can_be_read"]
fn use_the_store_of_another_user() {
    let root = store_in_environment();
    let path = std::env::var("HB_TEST_PATH").unwrap().parse().unwrap();
    let error = Store::open(&root, OpenMode::Write).unwrap_err();
    let (owner, user) = (0, OTHER_USER);
    assert!(
        matches!(error, StoreError::WrongOwner { owner: o, user: u, .. } if (o, u) == (owner, user)),
        "{error}"
    );
    let store = Store::open(&root, OpenMode::Read).unwrap();
    assert_eq!(fs::read_to_string(store.physical(&path)).unwrap(), "text");
}

/// Everything below a folder to another user.
fn give(folder: &Path) {
    chown(folder, Some(OTHER_USER), Some(OTHER_USER)).unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => give(&path),
            false => chown(&path, Some(OTHER_USER), Some(OTHER_USER)).unwrap(),
        }
    }
}

/// What root left in a store of one's own is told from what one's own rights forbid.
#[test]
fn files_of_another_user_in_the_store_are_named_with_whose_they_are() {
    let home = Folder::new();
    let root = home.path().join("hb");
    let fixture = Fixture::open(home, Durability::Full);
    let path = fixture.add("kept", "text").to_string();
    let home = fixture.close();
    give(&root);
    let run = || run_as_other_user(&[&home], &root, "meet_files_of_another_user", &path);
    let database = root.join("db.sqlite");
    for (place, is_new) in
        [(&database, false), (&root.join("locks/gc"), false), (&root.join("staging/1.0"), true)]
    {
        match is_new {
            true => fs::create_dir(place).unwrap(),
            false => chown(place, Some(0), Some(0)).unwrap(),
        }
        fs::write(home.path().join("expected"), place.to_str().unwrap()).unwrap();
        run();
        match is_new {
            true => fs::remove_dir(place).unwrap(),
            false => chown(place, Some(OTHER_USER), Some(OTHER_USER)).unwrap(),
        }
    }
    // One's own, but not to be written.
    fs::set_permissions(&database, Permissions::from_mode(0o444)).unwrap();
    fs::write(home.path().join("expected"), "").unwrap();
    run();
    fs::set_permissions(&database, Permissions::from_mode(0o644)).unwrap();
    let fixture = Fixture::open(home, Durability::Full);
    assert!(fixture.store.contains(&path.parse().unwrap()).unwrap(), "nothing is lost");
    assert!(fixture.store.verify(VerifyOptions { contents: true }, &|_| {}).unwrap().is_empty());
}

#[test]
#[ignore = "run by files_of_another_user_in_the_store_are_named_with_whose_they_are"]
fn meet_files_of_another_user() {
    let root = store_in_environment();
    let expected = fs::read_to_string(root.with_file_name("expected")).unwrap();
    let add = |store: Store| store.add_file(&support::name("new"), b"new", false, &[].into());
    let outcome = Store::open(&root, OpenMode::Write).and_then(add);
    let Err(error) = outcome else { panic!("'{expected}' is in nobody's way") };
    match (&error, expected.as_str()) {
        (StoreError::Denied { path, .. }, "") => assert_eq!(*path, root.join("db.sqlite")),
        (StoreError::OtherUser { path, owner: 0, user: OTHER_USER, .. }, expected) => {
            assert_eq!(path, Path::new(expected));
        }
        _ => panic!("{expected}: {error}: {error:?}"),
    }
}
