//! A folder as a cache: what goes in comes out, and what was tampered with does not.

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use hb_cache::{Cache, Error, Fault, PushOptions, Watch};
use hb_model::StorePath;
use support::{Fixture, QUIET, files, open, random};

/// A store with a closure of three, its top, and a cache that has it.
fn pushed() -> (Fixture, [StorePath; 3], PathBuf) {
    let here = Fixture::new();
    let large = random(600_000, 1);
    let lib = here.folder("lib", &[("a/text", b"text"), ("large", &large)]);
    let other = here.file("other", b"other", &[]);
    let app = here.file("app", format!("{lib} {other}").as_bytes(), &[&lib, &other]);
    let folder = here.path("cache");
    fs::create_dir(&folder).unwrap();
    let report = here.push(&open(&folder), &[&app]);
    assert_eq!((report.objects, report.new), (3, 3));
    (here, [app, lib, other], folder)
}

#[test]
fn what_is_pushed_can_be_pulled() {
    let (here, [app, lib, other], folder) = pushed();
    let there = Fixture::new();
    let (failed, left_out) = there.pull(&there.caches(&[&open(&folder)]), &[&app]);
    assert!(failed.is_empty() && left_out.is_empty(), "{failed:?} {left_out:?}");
    for path in [&app, &lib, &other] {
        let [mut ours, mut theirs] =
            [&here, &there].map(|it| it.store.info(path).unwrap().unwrap());
        (ours.registered, theirs.registered) = (0, 0);
        assert_eq!(ours, theirs);
    }
    let mut paths = vec![app, lib, other];
    paths.sort();
    assert_eq!(open(&folder).objects().unwrap(), paths);
}

#[test]
fn pushing_again_sends_nothing() {
    let (here, [app, ..], folder) = pushed();
    let report = here.push(&open(&folder), &[&app]);
    assert_eq!((report.objects, report.new, report.chunks, report.sent), (3, 0, 0, 0));
}

#[test]
fn a_push_that_was_interrupted_sends_only_what_was_not_sent() {
    let (here, [app, ..], folder) = pushed();
    // Manifests come last.
    fs::remove_dir_all(folder.join("objects")).unwrap();
    let gone = files(&folder.join("chunks")).remove(0);
    fs::remove_file(gone).unwrap();
    let report = here.push(&open(&folder), &[&app]);
    assert_eq!((report.new, report.chunks), (3, 1));
}

#[test]
fn a_pull_that_was_interrupted_asks_only_for_what_had_not_come() {
    let here = Fixture::new();
    let large = random(9_000_000, 1);
    let path = here.folder("large", &[("file", &large)]);
    let folder = here.path("cache");
    fs::create_dir(&folder).unwrap();
    let total = here.push(&open(&folder), &[&path]).chunks;
    let text = read_manifest(&folder, &path);
    let last = text.lines().rev().find_map(|line| line.strip_prefix("chunk "));
    let (digest, _) = last.unwrap().split_once(' ').unwrap();
    let last = &folder.join("chunks").join(&digest[..2]).join(&digest[2..]);
    let bytes = fs::read(last).unwrap();
    fs::remove_file(last).unwrap();

    let there = Fixture::new();
    let (failed, left_out) = there.pull(&there.caches(&[&open(&folder)]), &[&path]);
    assert!(matches!(failed[..], [Error::Nowhere(_)]));
    assert!(left_out[0].contains("is missing"), "{left_out:?}");
    // What has come is not asked for again: it need not be there any more.
    let kept = files(&there.path("spool"));
    assert_eq!(kept.len(), total - 1);
    for kept in kept {
        let name = kept.file_name().unwrap().to_str().unwrap();
        fs::remove_file(folder.join("chunks").join(&name[..2]).join(&name[2..])).unwrap();
    }
    fs::write(last, bytes).unwrap();
    let (failed, left_out) = there.pull(&there.caches(&[&open(&folder)]), &[&path]);
    assert!(failed.is_empty() && left_out.is_empty(), "{failed:?} {left_out:?}");
    assert!(files(&there.path("spool")).is_empty(), "nothing is kept of what is whole");
}

#[test]
fn what_a_new_version_shares_with_the_old_one_is_not_asked_for() {
    let here = Fixture::new();
    let mut bytes = random(5_000_000, 1);
    let old = here.folder("app", &[("file", &bytes)]);
    bytes.splice(2_000_000..2_000_000, *b"changed");
    let new = here.folder("app", &[("file", &bytes)]);
    let folder = here.path("cache");
    fs::create_dir(&folder).unwrap();
    here.push(&open(&folder), &[&old]);
    let there = Fixture::new();
    there.pull(&there.caches(&[&open(&folder)]), &[&old]);
    let shared = files(&folder.join("chunks"));
    let report = here.push(&open(&folder), &[&new]);
    assert!(report.chunks == 1 && report.sent < 400_000, "{report:?}");

    shared.iter().for_each(|chunk| fs::remove_file(chunk).unwrap());
    let (failed, left_out) = there.pull(&there.caches(&[&open(&folder)]), &[&new]);
    assert!(failed.is_empty() && left_out.is_empty(), "{failed:?} {left_out:?}");
}

#[test]
fn another_hash_of_what_an_object_refers_to_changes_no_chunk_of_it() {
    let here = Fixture::new();
    let text = |lib: &StorePath| {
        let head = format!("{lib}\n").repeat(100).into_bytes();
        [head, random(300_000, 3), lib.to_string().into_bytes()].concat()
    };
    let libs = ["one", "two"].map(|bytes| here.file("lib", bytes.as_bytes(), &[]));
    let apps = [&libs[0], &libs[1]].map(|lib| here.file("app", &text(lib), &[lib]));
    let folder = here.path("cache");
    fs::create_dir(&folder).unwrap();
    here.push(&open(&folder), &[&apps[0], &libs[1]]);
    assert_eq!(here.push(&open(&folder), &[&apps[1]]).chunks, 0);
    let there = Fixture::new();
    let (failed, _) = there.pull(&there.caches(&[&open(&folder)]), &[&apps[0], &apps[1]]);
    assert!(failed.is_empty(), "{failed:?}");
}

/// Pulls from a cache that was tampered with and, after it, from one that was not: the
/// first is left out for this reason, and everything comes all the same.
fn check_liar(reason: &str, tamper: impl FnOnce(&Path, &[StorePath; 3])) {
    let (here, paths, folder) = pushed();
    let honest = here.path("honest");
    fs::create_dir(&honest).unwrap();
    here.push(&open(&honest), &[&paths[0]]);
    tamper(&folder, &paths);
    let alone = Fixture::new();
    let (failed, left_out) = alone.pull(&alone.caches(&[&open(&folder)]), &[&paths[0]]);
    assert!(matches!(failed[..], [Error::Nowhere(_)]), "{failed:?}");
    assert!(left_out.len() == 1 && left_out[0].contains(reason), "{left_out:?}");
    let there = Fixture::new();
    let caches = there.caches(&[&open(&folder), &open(&honest)]);
    let (failed, left_out) = there.pull(&caches, &[&paths[0]]);
    assert!(failed.is_empty() && left_out.len() == 1, "{failed:?} {left_out:?}");
}

fn manifest(folder: &Path, path: &StorePath) -> PathBuf {
    folder.join("objects").join(path.base_name())
}

fn read_manifest(folder: &Path, path: &StorePath) -> String {
    let frame = fs::read(manifest(folder, path)).unwrap();
    String::from_utf8(zstd::decode_all(&frame[..]).unwrap()).unwrap()
}

fn write_manifest(folder: &Path, path: &StorePath, text: &str) {
    let frame = zstd::encode_all(text.as_bytes(), 0).unwrap();
    fs::write(manifest(folder, path), frame).unwrap();
}

#[test]
fn a_flipped_byte_in_a_chunk_is_found_out() {
    check_liar("chunks/", |folder, _| {
        for chunk in files(&folder.join("chunks")) {
            let mut bytes = fs::read(&chunk).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&chunk, bytes).unwrap();
        }
    });
}

#[test]
fn chunks_in_each_others_places_are_found_out() {
    check_liar("chunks/", |folder, _| {
        let chunks = files(&folder.join("chunks"));
        let bytes = fs::read(&chunks[0]).unwrap();
        chunks.iter().for_each(|chunk| fs::write(chunk, &bytes).unwrap());
    });
}

#[test]
fn the_manifest_of_another_object_is_found_out() {
    check_liar("is not what hb writes", |folder, [_, lib, other]| {
        fs::copy(manifest(folder, other), manifest(folder, lib)).unwrap();
    });
}

#[test]
fn other_content_under_an_objects_name_is_found_out() {
    check_liar("does not lead to what its path says", |folder, [_, lib, other]| {
        let text = read_manifest(folder, other).replace(&other.base_name(), &lib.base_name());
        write_manifest(folder, lib, &text);
    });
}

#[test]
fn objects_that_refer_to_each_other_are_found_out() {
    check_liar("by way of others", |folder, [app, lib, _]| {
        let reference = format!("reference {}\nchunk", app.base_name());
        let text = read_manifest(folder, lib).replacen("chunk", &reference, 1);
        write_manifest(folder, lib, &text);
    });
}

#[test]
fn an_entry_that_becomes_endless_is_found_out() {
    check_liar("more than", |folder, _| {
        let bomb = zstd::encode_all(&vec![0; 100 << 20][..], 0).unwrap();
        for chunk in files(&folder.join("chunks")) {
            fs::write(chunk, &bomb).unwrap();
        }
    });
}

#[test]
fn a_folder_that_is_gone_is_left_out() {
    let (_here, paths, folder) = pushed();
    let there = Fixture::new();
    let caches = there.caches(&[&open(&there.path("nowhere")), &open(&folder)]);
    let (failed, left_out) = there.pull(&caches, &[&paths[0]]);
    assert!(failed.is_empty() && left_out[0].contains("nowhere"), "{failed:?} {left_out:?}");
}

#[test]
fn what_no_cache_has_is_said_and_the_rest_comes() {
    let (_here, [app, lib, other], folder) = pushed();
    fs::remove_file(manifest(&folder, &other)).unwrap();
    let there = Fixture::new();
    let (failed, left_out) = there.pull(&there.caches(&[&open(&folder)]), &[&app, &lib]);
    assert!(left_out.is_empty());
    assert!(matches!(&failed[..], [Error::Nowhere(path)] if *path == other), "{failed:?}");
    assert!(there.store.contains(&lib).unwrap() && !there.store.contains(&app).unwrap());
}

#[test]
fn a_cancelled_push_or_pull_registers_nothing() {
    let (here, [app, ..], folder) = pushed();
    let watch = Watch { cancelled: &|| true, ..QUIET };
    let there = Fixture::new();
    let caches = there.caches(&[&open(&folder)]);
    let outcome = caches.pull(&there.store, std::slice::from_ref(&app), watch, &mut |_| {});
    let stopped =
        |error| matches!(error, Error::Cache(error) if matches!(error.fault, Fault::Cancelled));
    assert!(stopped(outcome.unwrap_err()));
    assert!(there.store.list().unwrap().is_empty());
    let empty: &Cache = &open(&here.path("empty"));
    fs::create_dir(here.path("empty")).unwrap();
    let options = PushOptions::default();
    assert!(stopped(empty.push(&here.store, &[app], options, watch).unwrap_err()));
}

#[test]
fn what_is_small_and_needed_once_is_not_kept() {
    let (_here, [app, ..], folder) = pushed();
    let there = Fixture::new();
    let (failed, _) = there.pull(&there.caches(&[&open(&folder)]), &[&app]);
    assert!(failed.is_empty() && !there.path("spool").exists(), "{failed:?}");
}

#[test]
fn a_damaged_earlier_version_is_no_help_and_in_nobodys_way() {
    let here = Fixture::new();
    let mut bytes = random(3_000_000, 1);
    let old = here.folder("app", &[("file", &bytes)]);
    bytes[..7].copy_from_slice(b"changed");
    let new = here.folder("app", &[("file", &bytes)]);
    let folder = here.path("cache");
    fs::create_dir(&folder).unwrap();
    here.push(&open(&folder), &[&old]);
    write_manifest(&folder, &old, "hb-object-2\n");
    let report = here.push(&open(&folder), &[&new]);
    assert!(report.new == 1 && report.chunks >= 1, "{report:?}");
    let there = Fixture::new();
    let (failed, left_out) = there.pull(&there.caches(&[&open(&folder)]), &[&new]);
    assert!(failed.is_empty() && left_out.is_empty(), "{failed:?} {left_out:?}");
}

#[test]
fn cutting_what_is_there_already_can_be_cancelled() {
    let here = Fixture::new();
    let bytes = random(3_000_000, 1);
    let old = here.folder("app", &[("file", &bytes)]);
    let new = here.folder("app", &[("other", &bytes)]);
    let folder = here.path("cache");
    fs::create_dir(&folder).unwrap();
    here.push(&open(&folder), &[&old]);
    // Asked about nine times before anything is cut.
    let asked = AtomicUsize::new(0);
    let watch = Watch { cancelled: &|| asked.fetch_add(1, Ordering::Relaxed) > 12, ..QUIET };
    let outcome = open(&folder).push(&here.store, &[new], PushOptions::default(), watch);
    let Err(Error::Cache(error)) = outcome else { panic!("{outcome:?}") };
    assert!(matches!(error.fault, Fault::Cancelled));
}
