//! Measures what must be small and quick; run by hand:
//! `cargo test --release -p hb-cache --test speed -- --ignored --nocapture`

#![allow(clippy::print_stdout, reason = "it prints what it measured")]

mod support;

use std::{
    collections::HashSet,
    fs,
    io::Write as _,
    ops::Range,
    path::Path,
    time::{Duration, Instant, SystemTime},
};

use fastcdc::v2020::FastCDC;
use hb_cache::CollectOptions;
use hb_model::{ContentDigest, StoreName};
use support::{Fixture, QUIET, open, random};

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
    assert!(second.sent <= 1_300_000 && second.chunks <= 2, "{second:?}");
}

/// A second version of a tree: `HB_MEASURE_TREES=OLD:NEW` names the two.
#[test]
#[ignore = "measures; run by hand"]
fn a_second_version_of_a_tree() {
    let Ok(trees) = std::env::var("HB_MEASURE_TREES") else {
        println!("HB_MEASURE_TREES=OLD:NEW names no trees: nothing is measured");
        return;
    };
    let (old, new) = trees.split_once(':').unwrap();
    let here = Fixture::new();
    let name = StoreName::new("tree").unwrap();
    let [old, new] =
        [old, new].map(|tree| here.store.add_tree(Path::new(tree), &name, None).unwrap());
    let folder = here.path("cache");
    fs::create_dir(&folder).unwrap();
    for (what, version) in [("first", &old), ("second", &new)] {
        let report =
            timed(&format!("push the {what} version"), || here.push(&open(&folder), &[version]));
        println!("{what}: {} chunks, {} bytes sent", report.chunks, report.sent);
    }
    let there = Fixture::new();
    let caches = there.caches(&[&open(&folder)]);
    timed("pull the second version alone, and verify", || there.pull(&caches, &[&new]));
}

/// The stream of a tree, as caches cut it.
fn stream(here: &Fixture, tree: &Path) -> Vec<u8> {
    let name = StoreName::new("tree").unwrap();
    let path = here.store.add_tree(tree, &name, None).unwrap();
    let mut bytes = Vec::new();
    let facts = here.store.facts(&path).unwrap();
    here.store.write_stream(&path, &facts, &mut bytes, Path::new("memory")).unwrap();
    bytes
}

/// The pieces of a stream: digest and place.
fn pieces(bytes: &[u8], average: usize) -> Vec<(ContentDigest, Range<usize>)> {
    let cut = FastCDC::new(bytes, average / 4, average, average * 4);
    let range = |chunk: fastcdc::v2020::Chunk| chunk.offset..chunk.offset + chunk.length;
    cut.map(range).map(|range| (ContentDigest::of(&bytes[range.clone()]), range)).collect()
}

/// The bytes of some pieces as a cache has them.
fn compressed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> usize {
    pieces.into_iter().map(|piece| zstd::bulk::compress(piece, 3).unwrap().len()).sum()
}

/// The bytes of what a manifest says of some pieces.
fn manifest(pieces: &[(ContentDigest, Range<usize>)]) -> usize {
    let line = |(digest, range): &(ContentDigest, Range<usize>)| {
        format!("piece {digest} {}\n", range.len())
    };
    compressed([pieces.iter().map(line).collect::<String>().as_bytes()])
}

/// What a second version costs with pieces of each size, manifest included: of 100 MB with
/// 1 MB changed in one place (the mean of 16 places), and of the trees that
/// `HB_MEASURE_TREES=OLD:NEW` names.
#[test]
#[ignore = "measures; run by hand"]
fn what_a_second_version_costs_with_pieces_of_each_size() {
    let here = Fixture::new();
    let bytes = random(100_000_000, 1);
    let changed = |place: usize| {
        let mut bytes = bytes.clone();
        bytes[place..place + 1_000_000].copy_from_slice(&random(1_000_000, place as u64));
        bytes
    };
    let trees = std::env::var("HB_MEASURE_TREES").ok();
    let trees = trees.map(|trees| {
        let (old, new) = trees.split_once(':').unwrap();
        [old, new].map(|tree| stream(&here, Path::new(tree)))
    });
    for average in [16, 32, 64, 128, 256, 512, 1024, 2048, 4096].map(|kib| kib << 10) {
        let known: HashSet<_> = pieces(&bytes, average).into_iter().map(|it| it.0).collect();
        let (mut new_pieces, mut sent) = (0, 0);
        for place in 0..16 {
            let changed = changed(5_000_000 + place * 5_432_100);
            let all = pieces(&changed, average);
            let new: Vec<_> = all.iter().filter(|it| !known.contains(&it.0)).collect();
            new_pieces += new.len();
            sent += compressed(new.iter().map(|it| &changed[it.1.clone()])) + manifest(&all);
        }
        print!(
            "{:5} KiB: 1 MB of 100 MB: {:.1} pieces, {} bytes",
            average >> 10,
            f64::from(u32::try_from(new_pieces).unwrap()) / 16.0,
            sent / 16
        );
        if let Some([old, new]) = &trees {
            let known: HashSet<_> = pieces(old, average).into_iter().map(|it| it.0).collect();
            let mut seen = HashSet::new();
            let mut all = pieces(new, average);
            let said = manifest(&all);
            all.retain(|it| seen.insert(it.0));
            let whole = compressed(all.iter().map(|it| &new[it.1.clone()])) + said;
            let count = all.len();
            all.retain(|it| !known.contains(&it.0));
            let sent = compressed(all.iter().map(|it| &new[it.1.clone()])) + said;
            print!("; trees: {} of {count} pieces, {sent} of {whole} bytes", all.len());
        }
        println!();
    }
}

#[test]
#[ignore = "measures; run by hand"]
fn removing_the_older_half_of_100_000_chunks() {
    let here = Fixture::new();
    let folder = here.path("cache");
    let write = |name: String, bytes: &[u8], is_old: bool| {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = fs::File::create(path).unwrap();
        file.write_all(&zstd::bulk::compress(bytes, 1).unwrap()).unwrap();
        let age = Duration::from_secs(if is_old { 40 * 24 * 3600 } else { 0 });
        file.set_modified(SystemTime::now() - age).unwrap();
    };
    for object in 0..1000 {
        let base = format!("{object:032}-object");
        let (mut chunks, mut pieces) = (String::new(), String::new());
        for chunk in 0..100 {
            let bytes = format!("{object} {chunk}");
            let digest = ContentDigest::of(bytes.as_bytes()).to_string();
            chunks += &format!("chunk {digest} {}\n", bytes.len());
            pieces += &format!("piece {digest} {}\n", bytes.len());
            let name = format!("chunks/{}/{}", &digest[..2], &digest[2..]);
            write(name, bytes.as_bytes(), object % 2 == 0);
        }
        let text = format!("hb-object-2\npath {base}\n{chunks}{pieces}");
        write(format!("objects/{base}"), text.as_bytes(), object % 2 == 0);
    }
    let older_than = Duration::from_secs(24 * 3600);
    let collect = |dry_run| {
        let options = CollectOptions { older_than, keep: &[], dry_run };
        let report = open(&folder).collect(options, QUIET).unwrap();
        assert_eq!((report.objects.len(), report.chunks), (500, 50_000));
    };
    timed("decide", || collect(true));
    timed("decide and remove", || collect(false));
}
