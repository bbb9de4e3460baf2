//! Measures what must be small and quick; run by hand:
//! `cargo test --release -p hb-cache --test speed -- --ignored --nocapture`

#![allow(clippy::print_stdout, reason = "it prints what it measured")]

mod support;

use std::{fs, time::Instant};

use support::{Fixture, open, random};

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{what}: {:.2} s", start.elapsed().as_secs_f64());
    result
}

#[test]
#[ignore = "measures; run by hand"]
fn a_second_version_of_100_mb_with_1_mb_changed() {
    let here = Fixture::new();
    let mut bytes = random(100_000_000, 1);
    let old = here.folder("output", &[("file", &bytes)]);
    bytes[50_000_000..51_000_000].copy_from_slice(&random(1_000_000, 2));
    let new = here.folder("output", &[("file", &bytes)]);
    let folder = here.path("cache");
    fs::create_dir(&folder).unwrap();
    let first = timed("push the first version", || here.push(&open(&folder), &[&old]));
    let second = timed("push the second version", || here.push(&open(&folder), &[&new]));
    println!("first: {} chunks, {} bytes sent", first.chunks, first.sent);
    println!("second: {} chunks, {} bytes sent", second.chunks, second.sent);
    let there = Fixture::new();
    let caches = there.caches(&[&open(&folder)]);
    timed("pull the first version, and verify", || there.pull(&caches, &[&old]));
    let (failed, _) =
        timed("pull the second version, and verify both", || there.pull(&caches, &[&new]));
    assert!(failed.is_empty());
    assert!(second.sent < 1_300_000 + 2 * 256 * 1024, "{second:?}");
}
