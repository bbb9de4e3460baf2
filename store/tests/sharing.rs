//! Equal files stored once: as clones on file systems that have them, and as hard links.
//!
//! What needs a file system of its own is tried on an image, by root only.

mod support;

use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
};

use hb_model::StorePath;
use hb_store::{
    Believe, Durability, ExportOptions, GcOptions, OpenMode, Sharing, Store, StoreError,
    StoreOptions, VerifyOptions,
};

use support::{Fixture, Folder, name, store_in_environment};

fn open(folder: Folder, hard_links: bool) -> Fixture {
    let options = StoreOptions { hard_links, ..StoreOptions::default() };
    let store = Store::open_with(&folder.path().join("hb"), OpenMode::Write, options).unwrap();
    Fixture { store, folder }
}

fn linking() -> Fixture {
    open(Folder::new(), true)
}

/// Bytes that nothing makes smaller.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(|| random.u8(..)).take(length).collect()
}

/// Add a folder of files, each of which is executable if its name says so.
fn add(fixture: &Fixture, label: &str, files: &[(&str, &[u8])]) -> StorePath {
    let folder = fixture.path("source");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(folder.join("sub")).unwrap();
    for (file, bytes) in files {
        fs::write(folder.join(file), bytes).unwrap();
        let mode = if file.ends_with(".sh") { 0o755 } else { 0o644 };
        fs::set_permissions(folder.join(file), fs::Permissions::from_mode(mode)).unwrap();
    }
    fixture.store.add_tree(&folder, &name(label), None).unwrap()
}

fn inode(fixture: &Fixture, path: &StorePath, file: &str) -> u64 {
    fs::metadata(fixture.store.physical(path).join(file)).unwrap().ino()
}

fn check(fixture: &Fixture) {
    let found = fixture.store.verify(VerifyOptions { contents: true }, &|_| {}).unwrap();
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn without_the_setting_every_file_is_one_of_its_own() {
    let fixture = Fixture::new();
    let big = noise(1, 10_000);
    let one = add(&fixture, "one", &[("a", &big), ("sub/b", &big)]);
    let two = add(&fixture, "two", &[("a", &big)]);
    let inodes =
        [inode(&fixture, &one, "a"), inode(&fixture, &one, "sub/b"), inode(&fixture, &two, "a")];
    assert_eq!(BTreeSet::from(inodes).len(), 3);
}

#[test]
fn equal_files_of_one_mode_become_links() {
    let fixture = linking();
    assert_eq!(fixture.store.sharing().unwrap(), Some(Sharing::Links));
    let (big, other) = (noise(1, 10_000), noise(2, 10_000));
    let files: [(&str, &[u8]); 4] = [("a", &big), ("sub/b", &big), ("c.sh", &big), ("small", b"x")];
    let one = add(&fixture, "one", &files);
    let two = add(&fixture, "two", &[("d", &big), ("e.sh", &big), ("f", &other), ("small", b"x")]);
    let shared = inode(&fixture, &one, "a");
    assert_eq!(inode(&fixture, &one, "sub/b"), shared, "within one object");
    assert_eq!(inode(&fixture, &two, "d"), shared, "with another object");
    assert_ne!(inode(&fixture, &one, "c.sh"), shared, "of another mode");
    assert_eq!(inode(&fixture, &one, "c.sh"), inode(&fixture, &two, "e.sh"));
    assert_ne!(inode(&fixture, &two, "f"), shared);
    assert_ne!(inode(&fixture, &one, "small"), inode(&fixture, &two, "small"));
    check(&fixture);

    // What one object loses, the other keeps.
    fixture.store.add_root(&name("two"), &two).unwrap();
    let fixture = open(fixture.close(), true);
    let report = fixture.store.gc(&GcOptions::default(), &|_, _| {}).unwrap();
    assert_eq!(report.freed, [one]);
    let three = add(&fixture, "three", &[("a", &big)]);
    assert_eq!(inode(&fixture, &three, "a"), shared, "the newest object that has it counts");
    check(&fixture);
}

#[test]
fn what_a_build_rewrites_in_its_outputs_reaches_nothing_else() {
    let fixture = linking();
    let big = noise(1, 10_000);
    let source = add(&fixture, "source", &[("a", &big)]);
    let built = fixture.build("step", &["out"], &[], |at, output, scratch| {
        fs::create_dir(at).unwrap();
        fs::write(at.join("equal"), &big).unwrap();
        fs::write(
            at.join("own"),
            [big.as_slice(), scratch[output].to_string().as_bytes()].concat(),
        )
        .unwrap();
    });
    let path = fixture.publish(&built).unwrap()["out"].path.clone();
    assert_eq!(inode(&fixture, &path, "equal"), inode(&fixture, &source, "a"));
    check(&fixture);
}

#[test]
fn what_is_imported_is_linked_too() {
    let from = Fixture::new();
    let big = noise(1, 10_000);
    let path = add(&from, "far", &[("a", &big)]);
    let mut stream = Vec::new();
    from.store
        .export(std::slice::from_ref(&path), ExportOptions::default(), &mut stream, Path::new("x"))
        .unwrap();
    let fixture = linking();
    let near = add(&fixture, "near", &[("a", &big)]);
    fixture.store.import(stream.as_slice(), Believe::Everything).unwrap();
    assert_eq!(inode(&fixture, &path, "a"), inode(&fixture, &near, "a"));
    check(&fixture);
}

#[test]
fn a_damaged_file_is_linked_to_nothing() {
    let fixture = linking();
    let big = noise(1, 10_000);
    let one = add(&fixture, "one", &[("a", &big)]);
    let file = fixture.store.physical(&one).join("a");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let mut damaged = big.clone();
    damaged[9_999] ^= 1;
    fs::write(&file, &damaged).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
    let two = add(&fixture, "two", &[("a", &big)]);
    assert_ne!(inode(&fixture, &one, "a"), inode(&fixture, &two, "a"));
    assert_eq!(fs::read(fixture.store.physical(&two).join("a")).unwrap(), big);
    let three = add(&fixture, "three", &[("a", &big)]);
    assert_eq!(inode(&fixture, &two, "a"), inode(&fixture, &three, "a"), "the sound one counts");
}

#[test]
fn what_is_there_already_is_linked_by_optimising() {
    let fixture = Fixture::new();
    let big = noise(1, 10_000);
    let one = add(&fixture, "one", &[("a", &big), ("sub/b", &big)]);
    let two = add(&fixture, "two", &[("a", &big)]);
    let lone = fixture.store.add_file(&name("lone"), &big, false, &[].into()).unwrap();
    let refused = fixture.store.optimise(false, &|_, _| {});
    if fixture.store.sharing().unwrap().is_none() {
        assert!(matches!(refused, Err(StoreError::CannotShare { .. })));
    }
    // A process that needs an object keeps it as it is.
    let fixture = open(fixture.close(), true);
    let other = open(Folder::at(fixture.folder.path()), true);
    other.store.hold(std::slice::from_ref(&two)).unwrap();
    let before = inode(&fixture, &two, "a");
    let dry = fixture.store.optimise(true, &|_, _| {}).unwrap();
    assert_eq!((dry.sharing, dry.files, dry.bytes), (Sharing::Links, 3, 30_000));
    assert_ne!(inode(&fixture, &one, "a"), inode(&fixture, &one, "sub/b"), "a dry run");
    let report = fixture.store.optimise(false, &|_, _| {}).unwrap();
    assert_eq!((report.files, report.bytes, report.busy), (2, 20_000, 1));
    assert_eq!(inode(&fixture, &two, "a"), before);
    drop(other);
    let report = fixture.store.optimise(false, &|_, _| {}).unwrap();
    assert_eq!((report.files, report.bytes, report.busy), (1, 10_000, 0));
    let shared = inode(&fixture, &one, "a");
    assert_eq!(inode(&fixture, &one, "sub/b"), shared);
    assert_eq!(inode(&fixture, &two, "a"), shared);
    assert_eq!(fs::metadata(fixture.store.physical(&lone)).unwrap().ino(), shared);
    check(&fixture);
    assert_eq!(fixture.store.optimise(false, &|_, _| {}).unwrap().files, 0, "nothing is left");
}

/// Run an ignored test of this file on a file system of its own, made by `mkfs` in an image;
/// skipped where only root could, or the kernel or the machine lacks it.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
fn run_on_image(kind: &str, mkfs: &[&str], test: &str) {
    let known = fs::read_to_string("/proc/filesystems").unwrap();
    let has = |word: &str| known.split_whitespace().any(|it| it == word);
    let is_root = rustix::process::geteuid().is_root();
    if !is_root || !has(kind) || !Path::new("/dev/loop-control").exists() {
        eprintln!("skipped: this needs root, loop devices, and {kind} in the kernel");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (image, place) = (folder.path().join("image"), folder.path().join("place"));
    fs::File::create(&image).unwrap().set_len(320 << 20).unwrap();
    fs::create_dir(&place).unwrap();
    let made = Command::new(mkfs[0]).args(&mkfs[1..]).arg(&image).output();
    let made = made.unwrap_or_else(|error| panic!("{}: {error}", mkfs[0]));
    assert!(made.status.success(), "{made:?}");
    // In a mount namespace of its own: gone when the test ends, however it ends.
    let script = "mount -o loop \"$0\" \"$1\" && shift && exec \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .args([&image, &place])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored"])
        .env("HB_TEST_STORE", &place)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn equal_files_are_cloned_on_btrfs() {
    run_on_image("btrfs", &["mkfs.btrfs", "-q"], "clone_equal_files");
}

#[test]
fn equal_files_are_cloned_on_xfs() {
    run_on_image("xfs", &["mkfs.xfs", "-q"], "clone_equal_files");
}

/// Bytes in use on the file system of a folder, everything flushed.
fn used(folder: &Path) -> u64 {
    rustix::fs::sync();
    let found = rustix::fs::statvfs(folder).unwrap();
    (found.f_blocks - found.f_bfree) * found.f_frsize
}

/// XFS gives the blocks of removed files back a little later.
fn wait_until(holds: impl Fn() -> bool) {
    for _ in 0..300 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    panic!("it does not come to hold");
}

#[test]
#[ignore = "run by the tests above on a file system with clones"]
fn clone_equal_files() {
    const SIZE: usize = 40 << 20;
    const MUCH: u64 = 16 << 20;
    let place = store_in_environment();
    let fixture = open(Folder::at(&place), false);
    assert_eq!(fixture.store.sharing().unwrap(), Some(Sharing::Clones));
    let (big, small) = (noise(1, SIZE), noise(2, 5000));
    let one = add(&fixture, "one", &[("a", &big), ("sub/b", &small)]);
    fs::remove_dir_all(fixture.path("source")).unwrap();
    let before = used(&place);
    let two = add(&fixture, "two", &[("c", &small), ("d", &big), ("e.sh", &big)]);
    fs::remove_dir_all(fixture.path("source")).unwrap();
    wait_until(|| used(&place) < before + MUCH);
    // Files of their own, but for their blocks.
    assert_eq!(fs::metadata(fixture.store.physical(&two).join("d")).unwrap().nlink(), 1);
    assert_ne!(inode(&fixture, &one, "a"), inode(&fixture, &two, "d"));
    check(&fixture);
    let fixture = open(fixture.close(), false);
    fixture.store.gc(&GcOptions::default(), &|_, _| {}).unwrap();
    wait_until(|| used(&place) + MUCH < before);

    // What was stored before clones were known of.
    let plain = |label: &str| {
        let at: PathBuf = place.join("plain");
        fs::write(&at, &big).unwrap();
        let path = fixture.store.add_tree(&at, &name(label), None).unwrap();
        fs::remove_file(at).unwrap();
        path
    };
    let (first, second) = (plain("first"), plain("second"));
    for path in [&first, &second] {
        let file = fixture.store.physical(path);
        let bytes = fs::read(&file).unwrap();
        let mode = fs::metadata(&file).unwrap().permissions();
        let time = fs::metadata(&file).unwrap().modified().unwrap();
        fs::remove_file(&file).unwrap();
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, mode).unwrap();
        fs::File::open(&file).unwrap().set_modified(time).unwrap();
    }
    let fixture = fixture.close();
    let database = rusqlite::Connection::open(place.join("hb/db.sqlite")).unwrap();
    database.execute_batch("UPDATE objects SET shared = 0; DELETE FROM files").unwrap();
    drop(database);
    let before = used(&place);
    let fixture = open(fixture, false);
    let report = fixture.store.optimise(false, &|_, _| {}).unwrap();
    assert_eq!((report.sharing, report.files, report.bytes), (Sharing::Clones, 1, SIZE as u64));
    wait_until(|| used(&place) + MUCH < before);
    check(&fixture);
    assert_eq!(fixture.store.optimise(true, &|_, _| {}).unwrap().files, 0);
}

#[test]
fn a_file_with_as_many_names_as_it_can_have_is_stored_anew() {
    run_on_image("ext4", &["mkfs.ext4", "-q", "-F"], "use_all_names");
}

#[test]
#[ignore = "run by the test above on a file system with few links"]
fn use_all_names() {
    let place = store_in_environment();
    let fixture = Fixture::open(Folder::at(&place), Durability::Relaxed);
    let options = StoreOptions {
        hard_links: true,
        durability: Durability::Relaxed,
        ..StoreOptions::default()
    };
    let folder = fixture.close();
    let store = Store::open_with(&place.join("hb"), OpenMode::Write, options).unwrap();
    let fixture = Fixture { store, folder };
    let big = noise(1, 10_000);
    let one = add(&fixture, "one", &[("a", &big)]);
    let file = fixture.store.physical(&one).join("a");
    let names = place.join("names");
    fs::create_dir(&names).unwrap();
    let mut number = 0;
    while fs::hard_link(&file, names.join(number.to_string())).is_ok() {
        number += 1;
    }
    assert!(number > 30_000, "{number}");
    let two = add(&fixture, "two", &[("a", &big)]);
    assert_ne!(inode(&fixture, &one, "a"), inode(&fixture, &two, "a"));
    let three = add(&fixture, "three", &[("a", &big)]);
    assert_eq!(inode(&fixture, &two, "a"), inode(&fixture, &three, "a"));
    check(&fixture);
}
