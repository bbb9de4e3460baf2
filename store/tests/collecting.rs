//! Roots and garbage collection.

mod support;

use std::{fs, os::unix::fs::symlink, thread, time::Duration};

use hb_model::{Derivation, Input, StorePath};
use hb_store::{
    Durability, GcOptions, GcReport, OpenMode, RootKind, Store, StoreError, VerifyOptions,
};

use support::{Fixture, Folder, derivation, name, resolved};

fn gc_with(fixture: &Fixture, options: GcOptions) -> GcReport {
    fixture.store.gc(&options, &|_, _| {}).unwrap()
}

fn gc(fixture: &Fixture) -> GcReport {
    gc_with(fixture, GcOptions::default())
}

fn on_disk(fixture: &Fixture, path: &StorePath) -> bool {
    fixture.store.physical(path).exists()
}

#[test]
fn what_a_root_needs_stays_and_the_rest_goes() {
    let fixture = Fixture::new();
    let below = fixture.add("below", "1");
    let top = fixture.add_with("top", "2", &[&below]);
    let loose = fixture.add_with("loose", "3", &[&below]);
    let fixture = fixture.reopen();
    fixture.store.add_root(&name("mine"), &top).unwrap();
    let fixture = fixture.reopen();
    let report = gc(&fixture);
    assert_eq!((report.freed, report.bytes), (vec![loose.clone()], 1));
    assert!(on_disk(&fixture, &top) && on_disk(&fixture, &below));
    assert!(!on_disk(&fixture, &loose) && !fixture.store.contains(&loose).unwrap());
    assert!(fixture.store.remove_root(&name("mine")).unwrap());
    let fixture = fixture.reopen();
    assert_eq!(gc(&fixture).freed, [top, below], "referrers go first");
    assert_eq!(fs::read_dir(fixture.path("hb/store")).unwrap().count(), 0);
}

#[test]
fn a_dry_run_removes_nothing() {
    let fixture = Fixture::new();
    let path = fixture.add("a", "a");
    let fixture = fixture.reopen();
    let options = GcOptions { dry_run: true, ..GcOptions::default() };
    assert_eq!(gc_with(&fixture, options).freed, std::slice::from_ref(&path));
    assert!(on_disk(&fixture, &path) && fixture.store.contains(&path).unwrap());
}

#[test]
fn gc_stops_when_enough_is_freed() {
    let fixture = Fixture::new();
    let first = fixture.add("first", "1234");
    let second = fixture.add_with("second", "1234", &[&first]);
    let fixture = fixture.reopen();
    let options = GcOptions { free: Some(3), ..GcOptions::default() };
    assert_eq!(gc_with(&fixture, options).freed, [second]);
    assert!(fixture.store.contains(&first).unwrap());
}

/// Registers an object so many days ago.
fn age(fixture: &Fixture, path: &StorePath, days: i64) {
    let database = rusqlite::Connection::open(fixture.path("hb/db.sqlite")).unwrap();
    let sql = "UPDATE objects SET registered = registered - ?1 WHERE name = ?2";
    let changed = database.execute(sql, rusqlite::params![days * 86_400, path.base_name()]);
    assert_eq!(changed, Ok(1));
}

#[test]
fn what_is_young_stays_with_all_that_it_refers_to() {
    let fixture = Fixture::new();
    let [old, needed] = ["old", "needed"].map(|name| fixture.add(name, name));
    let young = fixture.add_with("young", "young", &[&needed]);
    age(&fixture, &old, 10);
    age(&fixture, &needed, 10);
    let fixture = fixture.reopen();
    let older_than = Some(Duration::from_secs(7 * 86_400));
    let freed = gc_with(&fixture, GcOptions { older_than, ..GcOptions::default() }).freed;
    assert_eq!(freed, [old]);
    assert!(on_disk(&fixture, &needed) && on_disk(&fixture, &young));
}

#[test]
fn what_was_needed_last_goes_last() {
    let fixture = Fixture::new();
    let [base, other] = ["base", "other"].map(|name| fixture.add(name, "1234"));
    let user = fixture.add_with("user", "1234", &[&base]);
    let newest = fixture.add("newest", "1234");
    age(&fixture, &base, 30);
    age(&fixture, &other, 20);
    age(&fixture, &user, 10);
    let fixture = fixture.reopen();
    // 16 bytes are there.
    let keep = |bytes| GcOptions { keep: Some(bytes), dry_run: true, ..GcOptions::default() };
    assert_eq!(gc_with(&fixture, keep(16)).freed, []);
    assert_eq!(gc_with(&fixture, keep(12)).freed, std::slice::from_ref(&other));
    assert_eq!(gc_with(&fixture, keep(0)).freed, [other, user, base, newest]);
}

#[test]
fn a_clock_that_was_wrong_makes_nothing_older_than_it_is() {
    const YEARS: i64 = 3650;
    let fixture = Fixture::new();
    let [first, ahead, second, behind] =
        ["first", "ahead", "second", "behind"].map(|name| fixture.add(name, name));
    age(&fixture, &first, 10);
    age(&fixture, &ahead, -YEARS);
    age(&fixture, &behind, YEARS);
    let fixture = fixture.reopen();
    let older_than = Some(Duration::from_secs(7 * 86_400));
    let options = GcOptions { older_than, ..GcOptions::default() };
    let dry = GcOptions { dry_run: true, ..options.clone() };
    assert_eq!(gc_with(&fixture, dry).freed, std::slice::from_ref(&first));
    // Nothing says that these two are younger.
    age(&fixture, &second, 10);
    assert_eq!(gc_with(&fixture, options).freed, [first, second, behind]);
    assert!(fixture.store.contains(&ahead).unwrap());
    // Which goes first does not depend on the clock.
    let [next, last] = ["next", "last"].map(|name| fixture.add(name, "1234"));
    age(&fixture, &last, YEARS);
    let fixture = fixture.reopen();
    let options = GcOptions { free: Some(9), ..GcOptions::default() };
    assert_eq!(gc_with(&fixture, options).freed, [ahead, next]);
    assert!(fixture.store.contains(&last).unwrap());
    assert!(verify_is_silent(&fixture));
}

fn verify_is_silent(fixture: &Fixture) -> bool {
    fixture.store.verify(VerifyOptions { contents: true }, &|_| {}).unwrap().is_empty()
}

#[test]
fn what_another_process_holds_stays_until_it_ends() {
    let fixture = Fixture::new();
    let path = fixture.add("a", "a");
    let fixture = fixture.reopen();
    let other = Store::open(fixture.store.root(), OpenMode::Write).unwrap();
    assert_eq!(other.hold(std::slice::from_ref(&path)).unwrap(), []);
    assert_eq!(gc(&fixture).freed, []);
    drop(other);
    assert_eq!(gc(&fixture).freed, std::slice::from_ref(&path));
    assert_eq!(fixture.store.hold(std::slice::from_ref(&path)).unwrap(), [path]);
}

#[test]
fn a_result_link_keeps_its_object_for_as_long_as_it_points_there() {
    let fixture = Fixture::new();
    let path = fixture.add("a", "a");
    let link = fixture.path("result");
    fixture.store.link_result(&link, &path).unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), fixture.store.physical(&path));
    let fixture = fixture.reopen();
    assert_eq!(gc(&fixture).freed, []);
    assert_eq!(fixture.store.roots().unwrap()[0].kind, RootKind::Result(link.clone()));
    fs::remove_file(&link).unwrap();
    symlink("/elsewhere", &link).unwrap();
    assert_eq!(gc(&fixture).freed, [path]);
    assert_eq!(fs::read_dir(fixture.path("hb/roots/results")).unwrap().count(), 0);
}

#[test]
fn a_result_link_replaces_only_its_like() {
    let fixture = Fixture::new();
    let (first, second) = (fixture.add("a", "a"), fixture.add("b", "b"));
    let link = fixture.path("result");
    fixture.store.link_result(&link, &first).unwrap();
    fixture.store.link_result(&link, &second).unwrap();
    assert_eq!(fs::read_link(&link).unwrap(), fixture.store.physical(&second));
    let file = fixture.write("precious", b"mine");
    let refused = fixture.store.link_result(&file, &first);
    assert!(matches!(refused, Err(StoreError::LinkInTheWay { .. })));
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

#[test]
fn only_what_is_in_the_store_can_be_a_root() {
    let fixture = Fixture::new();
    let gone = StorePath::from_base_name(&format!("{}-gone", "0".repeat(32))).unwrap();
    let refused = fixture.store.add_root(&name("r"), &gone);
    assert!(matches!(refused, Err(StoreError::NotInStore { .. })));
}

/// A derivation's object, and the object that it gave: a file with this text.
fn given_by(fixture: &Fixture, derivation: &Derivation, text: &str) -> (StorePath, StorePath) {
    let object = fixture.add_derivations(&[derivation]).unwrap().remove(&derivation.id()).unwrap();
    let label = derivation.name.as_str();
    let mut built = fixture.build(label, &["out"], &[], |at, _, _| fs::write(at, text).unwrap());
    built.resolved = resolved(&derivation.id().to_string());
    built.derivation = Some(object.clone());
    (object, fixture.publish(&built).unwrap().remove("out").unwrap().path)
}

#[test]
fn derivations_stay_with_what_they_gave_and_go_with_it() {
    let fixture = Fixture::new();
    let source = fixture.add("source", "text");
    let (kept, kept_out) =
        given_by(&fixture, &derivation("kept", [Input::Path(source.clone())]), "1");
    let (dead, dead_out) = given_by(&fixture, &derivation("dead", []), "2");
    fixture.store.add_root(&name("r"), &kept_out).unwrap();
    let fixture = fixture.reopen();
    assert_eq!(gc(&fixture).freed, [dead, dead_out]);
    assert_eq!(fixture.store.derivations_of(&kept_out).unwrap(), std::slice::from_ref(&kept));

    let drop = GcOptions { drop_derivations: true, ..GcOptions::default() };
    assert_eq!(gc_with(&fixture, drop).freed, [kept, source]);
    assert_eq!(fixture.store.derivations_of(&kept_out).unwrap(), []);
    let realisations = fixture.store.realisations_of(&kept_out).unwrap();
    assert!(matches!(&realisations[..], [only] if only.derivation.is_none()), "{realisations:?}");
    assert!(fixture.store.verify(VerifyOptions::default(), &|_| {}).unwrap().is_empty());
}

#[test]
fn of_several_derivations_that_gave_the_same_the_newest_stays() {
    let fixture = Fixture::new();
    let step = |text: &str| Derivation { system: text.into(), ..derivation("step", []) };
    let (older, out) = given_by(&fixture, &step("a"), "same");
    let (newer, same) = given_by(&fixture, &step("b"), "same");
    assert_eq!(same, out);
    assert_eq!(fixture.store.derivations_of(&out).unwrap(), [newer.clone(), older.clone()]);
    fixture.store.add_root(&name("r"), &out).unwrap();
    let fixture = fixture.reopen();
    assert_eq!(gc(&fixture).freed, [older]);
    assert_eq!(fixture.store.derivations_of(&out).unwrap(), [newer]);
}

#[test]
fn the_log_of_a_build_is_found_by_what_it_gave_and_by_its_derivation() {
    let fixture = Fixture::new();
    let step = derivation("step", []);
    let (object, out) = given_by(&fixture, &step, "text");
    let id = resolved(&step.id().to_string());
    fixture.store.create_log(&id).unwrap();
    for path in [&out, &object] {
        assert_eq!(fixture.store.logs_of(path).unwrap(), [fixture.store.log_path(&id)]);
    }
}

#[test]
fn realisations_go_with_their_object() {
    let fixture = Fixture::new();
    let out = fixture.publish_text("a", "a");
    let fixture = fixture.reopen();
    gc(&fixture);
    assert!(fixture.store.realisation(&out.key).unwrap().is_none());
    let again = fixture.publish_text("a", "a");
    assert_eq!(again.path, out.path);
    assert!(on_disk(&fixture, &out.path));
}

#[test]
fn what_nobody_registered_is_swept_up() {
    let fixture = Fixture::new();
    let stray = fixture.path("hb/store").join(format!("{}-stray", "0".repeat(32)));
    fs::create_dir(&stray).unwrap();
    let report = gc(&fixture);
    assert_eq!(report.strays, [stray.file_name().unwrap()]);
    assert!(!stray.exists());
}

#[test]
fn gc_beside_builds_takes_nothing_that_they_made() {
    let fixture = Fixture::new();
    let root = fixture.store.root().to_owned();
    let builder = std::thread::spawn(move || {
        let store = Store::open(&root, OpenMode::Write).unwrap();
        let mut last: Option<StorePath> = None;
        for number in 0..60 {
            let refs = last.iter().cloned().collect();
            let text = format!("{number}");
            last = Some(store.add_file(&name("n"), text.as_bytes(), false, &refs).unwrap());
        }
        let closure = store.closure(&[last.unwrap()]).unwrap();
        assert!(closure.iter().all(|path| store.physical(path).exists()));
        closure.len()
    });
    while !builder.is_finished() {
        gc(&fixture);
    }
    assert_eq!(builder.join().unwrap(), 60);
}

#[test]
fn gc_beside_processes_that_end_leaves_what_refers_to_something_whole() {
    let fixture = Fixture::open(Folder::new(), Durability::Relaxed);
    let root = fixture.store.root().to_owned();
    thread::scope(|scope| {
        let makers: Vec<_> = (0..2)
            .map(|maker| {
                let root = &root;
                scope.spawn(move || {
                    for number in 0..200 {
                        let store =
                            Store::open_with(root, OpenMode::Write, Durability::Relaxed).unwrap();
                        let text = format!("{maker} {number}");
                        let add = |refs| store.add_file(&name("a"), text.as_bytes(), false, &refs);
                        let below = add([].into()).unwrap();
                        add([below].into()).unwrap();
                    }
                })
            })
            .collect();
        while !makers.iter().all(|maker| maker.is_finished()) {
            gc(&fixture);
        }
    });
    gc(&fixture);
    assert_eq!(fixture.store.list().unwrap(), []);
}

#[test]
fn a_result_link_is_made_whole_while_others_collect() {
    const LINKS: usize = 300;
    let fixture = Fixture::open(Folder::new(), Durability::Relaxed);
    let root = fixture.store.root().to_owned();
    let link = |number| fixture.path(&format!("result-{number}"));
    thread::scope(|scope| {
        let maker = scope.spawn(|| {
            for number in 0..LINKS {
                let store = Store::open_with(&root, OpenMode::Write, Durability::Relaxed).unwrap();
                let text = number.to_string();
                let path = store.add_file(&name("a"), text.as_bytes(), false, &[].into()).unwrap();
                store.link_result(&link(number), &path).unwrap();
            }
        });
        while !maker.is_finished() {
            gc(&fixture);
        }
    });
    let gone: Vec<_> = (0..LINKS).filter(|&number| fs::read(link(number)).is_err()).collect();
    assert_eq!(gone, Vec::<usize>::new());
    assert_eq!(fixture.store.roots().unwrap().len(), LINKS);
}
