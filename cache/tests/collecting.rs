//! Removing from a cache in a folder what is old.

mod support;

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, SystemTime},
};

use hb_cache::{CollectOptions, CollectReport, Fault, Report, Watch};
use hb_model::StorePath;
use support::{Fixture, QUIET, files, open, random};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A cache in a folder.
fn cache(fixture: &Fixture) -> PathBuf {
    let folder = fixture.path("cache");
    fs::create_dir(&folder).unwrap();
    folder
}

/// Let everything that is there have been put there so long ago. Somebody may remove some of
/// it meanwhile.
fn age(folder: &Path, age: Duration) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            self::age(&path, age);
        } else if let Ok(file) = File::options().write(true).open(path) {
            file.set_modified(SystemTime::now() - age).unwrap();
        }
    }
}

/// Tells another thread to stop, also if the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn collect(folder: &Path, keep: &[&StorePath], dry_run: bool) -> CollectReport {
    let keep: Vec<_> = keep.iter().map(|path| (*path).clone()).collect();
    let options = CollectOptions { older_than: 30 * DAY, keep: &keep, dry_run };
    open(folder).collect(options, QUIET).unwrap()
}

/// Everything can be pulled from there.
fn check_whole(folder: &Path, paths: &[&StorePath]) {
    let there = Fixture::new();
    let (failed, left_out) = there.pull(&there.caches(&[&open(folder)]), paths);
    assert!(failed.is_empty() && left_out.is_empty(), "{failed:?} {left_out:?}");
}

#[test]
fn what_was_pushed_lately_stays_with_all_that_it_needs() {
    let here = Fixture::new();
    let folder = cache(&here);
    let shared = random(400_000, 1);
    let lib = here.file("lib", &shared, &[]);
    let text = |path: &StorePath, more: &str| format!("{path} {more}").into_bytes();
    let old = here.file("app", &[text(&lib, "old"), random(300_000, 2)].concat(), &[&lib]);
    let alone = here.file("alone", &random(100_000, 3), &[]);
    here.push(&open(&folder), &[&old]);
    here.push(&open(&folder), &[&alone]);
    age(&folder, 40 * DAY);
    let new = here.file("app", &[text(&lib, "new"), random(300_000, 2)].concat(), &[&lib]);
    here.push(&open(&folder), &[&new]);
    let before = files(&folder).len();

    let dry = collect(&folder, &[], true);
    assert_eq!(files(&folder).len(), before);
    let report = collect(&folder, &[], false);
    assert_eq!(report, dry);
    assert_eq!(report.objects, [old.clone(), alone.clone()].into());
    assert!(report.chunks > 1 && report.bytes > 100_000, "{report:?}");
    // `lib` was not pushed again, but what refers to it was.
    check_whole(&folder, &[&new]);
    assert_eq!(open(&folder).objects().unwrap().len(), 2);
    assert_eq!(collect(&folder, &[], false), CollectReport::default());
}

#[test]
fn what_is_pushed_again_is_young_again_and_what_is_named_stays() {
    let here = Fixture::new();
    let folder = cache(&here);
    let paths = [1, 2, 3].map(|seed| here.file("it", &random(100_000, seed), &[]));
    here.push(&open(&folder), &[&paths[0]]);
    here.push(&open(&folder), &[&paths[1], &paths[2]]);
    age(&folder, 40 * DAY);
    assert_eq!(here.push(&open(&folder), &[&paths[0]]).sent, 0);
    let report = collect(&folder, &[&paths[1]], false);
    assert_eq!(report.objects, [paths[2].clone()].into());
    check_whole(&folder, &[&paths[0], &paths[1]]);
    age(&folder, 40 * DAY);
    assert_eq!(collect(&folder, &[], false).objects.len(), 2);
    assert!(files(&folder).is_empty(), "{:?}", files(&folder));
}

#[test]
fn what_an_interrupted_push_left_goes_when_it_is_old_and_what_is_not_ours_stays() {
    let here = Fixture::new();
    let folder = cache(&here);
    let path = here.file("it", &random(200_000, 1), &[]);
    here.push(&open(&folder), &[&path]);
    for area in ["objects", "pushes"] {
        fs::remove_dir_all(folder.join(area)).unwrap();
    }
    fs::write(folder.join("chunks/.tmpAbCdEf"), "begun").unwrap();
    fs::write(folder.join("chunks/README"), "not ours").unwrap();
    assert_eq!(collect(&folder, &[], false), CollectReport::default());
    age(&folder, 40 * DAY);
    assert!(collect(&folder, &[], false).chunks > 0);
    assert_eq!(files(&folder), [folder.join("chunks/README")]);
}

#[test]
fn a_manifest_that_cannot_be_read_keeps_everything() {
    let here = Fixture::new();
    let folder = cache(&here);
    let path = here.file("it", &random(200_000, 1), &[]);
    here.push(&open(&folder), &[&path]);
    age(&folder, 40 * DAY);
    let other = here.file("other", b"", &[]);
    here.push(&open(&folder), &[&other]);
    fs::write(folder.join("objects").join(other.base_name()), "damaged").unwrap();
    let before = files(&folder);
    let options = CollectOptions { older_than: DAY, keep: &[], dry_run: false };
    let error = open(&folder).collect(options, QUIET).unwrap_err();
    assert!(error.to_string().contains(&other.base_name()), "{error}");
    assert_eq!(files(&folder), before);
}

/// An entry of somebody who is there, or was.
fn present(folder: &Path, area: &str, age: Duration) -> PathBuf {
    let file = folder.join(area).join("00000000000000ff");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "somebody").unwrap();
    let put = SystemTime::now() - age;
    File::options().write(true).open(&file).unwrap().set_modified(put).unwrap();
    file
}

#[test]
fn nothing_is_removed_while_somebody_pushes_and_the_dead_are_forgotten() {
    let here = Fixture::new();
    let folder = cache(&here);
    let options = CollectOptions { older_than: DAY, keep: &[], dry_run: false };
    for area in ["pushing", "collecting"] {
        let file = present(&folder, area, Duration::from_secs(60));
        let error = open(&folder).collect(options, QUIET).unwrap_err();
        assert!(matches!(error.fault, Fault::Busy(_)), "{error}");
        assert!(file.exists());
        present(&folder, area, Duration::from_secs(7200));
        open(&folder).collect(options, QUIET).unwrap();
        assert!(files(&folder).is_empty());
    }
}

#[test]
fn a_push_waits_until_nobody_removes_anything() {
    let here = Fixture::new();
    let folder = cache(&here);
    let path = here.file("it", b"text", &[]);
    let file = present(&folder, "collecting", Duration::from_secs(60));
    let told = AtomicBool::new(false);
    let report = |report| {
        if matches!(report, Report::Waiting) {
            told.store(true, Ordering::Relaxed);
            fs::remove_file(&file).unwrap();
        }
    };
    let watch = Watch { cancelled: &|| false, report: &report };
    open(&folder)
        .push(&here.store, std::slice::from_ref(&path), Default::default(), watch)
        .unwrap();
    assert!(told.into_inner());
    check_whole(&folder, &[&path]);
}

#[test]
fn a_collection_beside_a_push_takes_nothing_that_it_relies_on() {
    let here = Fixture::new();
    let folder = cache(&here);
    let lib = here.file("lib", &random(200_000, 0), &[]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let collector = scope.spawn(|| {
            let mut gone = 0;
            while !done.load(Ordering::Relaxed) {
                let options = CollectOptions { older_than: 30 * DAY, keep: &[], dry_run: false };
                match open(&folder).collect(options, QUIET) {
                    Ok(report) => gone += report.objects.len(),
                    Err(error) => assert!(matches!(error.fault, Fault::Busy(_)), "{error}"),
                }
                thread::sleep(Duration::from_millis(5));
            }
            gone
        });
        let stop = Stop(&done);
        for number in 0..40 {
            // All that is there is old now, `lib` too: it goes, unless this push comes first.
            for area in ["pushes", "objects", "chunks"] {
                age(&folder.join(area), 40 * DAY);
            }
            let app = here.file("app", format!("{lib} {number}").as_bytes(), &[&lib]);
            here.push(&open(&folder), &[&app]);
            check_whole(&folder, &[&app]);
        }
        drop(stop);
        assert!(collector.join().unwrap() > 0);
    });
}
