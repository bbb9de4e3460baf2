//! Closures that leave one store and enter another.

mod support;

use std::{
    fs,
    io::{Cursor, Read as _},
    os::unix::fs::symlink,
    path::Path,
};

use hb_model::{
    Algorithm, FixedMethod, FixedOutput, Hasher, KeyName, OutputName, Outputs, RealisationKey,
    SecretKey, StorePath, Trust,
};
use hb_store::{
    ArchiveError, Believe, ExportOptions, Facts, ImportReport, StoreError, VerifyOptions,
};
use proptest::prelude::*;
use tar::{Archive, Builder, EntryType, Header};

use support::{Fixture, derivation, name, resolved};

/// Believes nobody's builds.
static NOBODY: Trust = Trust { keys: Vec::new(), needed: 1 };

/// A store with objects of every kind, and the one that needs all others.
fn full() -> (Fixture, StorePath) {
    let fixture = Fixture::new();
    fixture.write("src/run.sh", b"#!/bin/sh\n");
    let long = "a-long-name-".repeat(15);
    fixture.write(&format!("src/{long}/{long}/file"), b"deep");
    symlink("odd//target/../x", fixture.path("src/link")).unwrap();
    symlink("y".repeat(300), fixture.path("src/long-link")).unwrap();
    let tree = fixture.store.add_tree(&fixture.path("src"), &name("tree"), None).unwrap();
    let fixed = publish_fixed(&fixture);
    let inputs = [tree.clone(), fixed.clone()];
    let built = fixture.build("app", &["out"], &inputs, |at, _, scratch| {
        fs::create_dir(at).unwrap();
        let own = &scratch["out"];
        fs::write(at.join("text"), format!("{own} {tree} {fixed}")).unwrap();
        symlink(own.to_string(), at.join("own")).unwrap();
    });
    let app = fixture.publish(&built).unwrap().remove("out").unwrap().path;
    assert_eq!(fixture.store.closure(std::slice::from_ref(&app)).unwrap().len(), 3);
    (fixture, app)
}

/// An object whose path follows from a declared hash.
fn publish_fixed(fixture: &Fixture) -> StorePath {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(b"fetched");
    let fixed = FixedOutput { method: FixedMethod::Flat, hash: hasher.finish() };
    let mut fetch = derivation("fetched", []);
    fetch.outputs = Outputs::Fixed(fixed.clone());
    let objects = fixture.add_derivations(&[&fetch]).unwrap();
    let write = |at: &Path, _: &str, _: &_| fs::write(at, "fetched").unwrap();
    let mut built = fixture.build("fetched", &["out"], &[], write);
    built.fixed = Some(fixed);
    built.derivation = objects.get(&fetch.id()).cloned();
    fixture.publish(&built).unwrap().remove("out").unwrap().path
}

fn export(fixture: &Fixture, path: &StorePath) -> Vec<u8> {
    let mut stream = Vec::new();
    let roots = std::slice::from_ref(path);
    let options = ExportOptions::default();
    fixture.store.export(roots, options, &mut stream, Path::new("memory")).unwrap();
    stream
}

fn import(fixture: &Fixture, stream: &[u8]) -> Result<ImportReport, StoreError> {
    fixture.store.import(stream, Believe::Signed(&NOBODY))
}

fn check_whole(fixture: &Fixture) {
    let findings = fixture.store.verify(VerifyOptions { contents: true }, &|_| {}).unwrap();
    assert!(findings.is_empty(), "{findings:?}");
}

#[test]
fn a_closure_arrives_as_it_left() {
    let (from, app) = full();
    let to = Fixture::new();
    let report = import(&to, &export(&from, &app)).unwrap();
    assert_eq!((report.new, report.known), (3, 0));
    assert_eq!(report.roots, std::slice::from_ref(&app));
    for path in from.store.closure(std::slice::from_ref(&app)).unwrap() {
        let [mut left, arrived] =
            [&from, &to].map(|fixture| fixture.store.info(&path).unwrap().unwrap());
        left.registered = arrived.registered;
        assert_eq!(left, arrived);
    }
    check_whole(&to);
}

#[test]
fn the_same_closure_gives_the_same_bytes_from_any_store() {
    let (from, app) = full();
    let (other, _) = full();
    assert!(export(&from, &app) == export(&other, &app));
    let to = Fixture::new();
    to.store.import(&export(&from, &app)[..], Believe::Everything).unwrap();
    assert!(export(&from, &app) == export(&to, &app));
}

#[test]
fn with_derivations_it_can_go_on_to_a_third_store() {
    let (from, app) = full();
    let options = ExportOptions { derivations: true, sign_with: None };
    let mut first = Vec::new();
    let roots = std::slice::from_ref(&app);
    from.store.export(roots, options, &mut first, Path::new("memory")).unwrap();
    let to = Fixture::new();
    to.store.import(&first[..], Believe::Everything).unwrap();
    let mut second = Vec::new();
    to.store.export(roots, options, &mut second, Path::new("memory")).unwrap();
    assert!(first == second);
}

#[test]
fn importing_again_changes_nothing() {
    let (from, app) = full();
    let (to, stream) = (Fixture::new(), export(&from, &app));
    import(&to, &stream).unwrap();
    let report = import(&to, &stream).unwrap();
    assert_eq!((report.new, report.known), (0, 3));
    check_whole(&to);
}

#[test]
fn builds_are_believed_only_where_that_is_said() {
    let (from, app) = full();
    let stream = export(&from, &app);
    let key = RealisationKey { resolved: resolved("app"), output: OutputName::out() };
    let wary = Fixture::new();
    let report = import(&wary, &stream).unwrap();
    assert_eq!((report.builds, report.unbelieved), (0, 2));
    assert_eq!(wary.store.realisation(&key).unwrap(), None);
    let trusting = Fixture::new();
    assert_eq!(trusting.store.import(&stream[..], Believe::Everything).unwrap().builds, 2);
    let recorded = trusting.store.realisation(&key).unwrap().unwrap();
    assert_eq!(recorded.realisation.path, app);
}

#[test]
fn builds_are_believed_where_enough_trusted_keys_signed_them() {
    let key = |name, seed| SecretKey::from_seed(KeyName::new(name).unwrap(), &[seed; 32]);
    let [builder, other] = [key("builder", 1), key("other", 2)];
    let (from, app) = full();
    let mut stream = Vec::new();
    let options = ExportOptions { derivations: true, sign_with: Some(&builder) };
    let roots = std::slice::from_ref(&app);
    from.store.export(roots, options, &mut stream, Path::new("memory")).unwrap();
    let builds = |keys: &[&SecretKey], needed| {
        let to = Fixture::new();
        let keys = keys.iter().map(|key| key.public()).collect();
        let report = to.store.import(&stream[..], Believe::Signed(&Trust { keys, needed }));
        (to, report.unwrap().builds)
    };
    assert_eq!(builds(&[&other], 1).1, 0);
    assert_eq!(builds(&[&builder, &other], 2).1, 0);
    let (to, believed) = builds(&[&builder, &other], 1);
    assert_eq!(believed, 2);
    // What was believed is handed on with the signature of who built it.
    let options = ExportOptions { derivations: true, sign_with: Some(&other) };
    let mut again = Vec::new();
    to.store.export(roots, options, &mut again, Path::new("memory")).unwrap();
    assert!(again == stream);
}

#[test]
fn a_stream_that_is_cut_anywhere_leaves_whole_objects_and_can_be_given_again() {
    let (from, app) = full();
    let stream = export(&from, &app);
    let to = Fixture::new();
    for length in (0..stream.len()).step_by(stream.len() / 40 + 1) {
        let error = import(&to, &stream[..length]).expect_err("it was cut");
        assert!(matches!(error, StoreError::Archive(_)), "{length}: {error:?}");
    }
    check_whole(&to);
    import(&to, &stream).unwrap();
    check_whole(&to);
}

/// The stream's tar archive, and one made of a tar archive.
fn unpacked(stream: &[u8]) -> Vec<u8> {
    zstd::decode_all(stream).unwrap()
}

fn packed(tar: &[u8]) -> Vec<u8> {
    zstd::encode_all(tar, 1).unwrap()
}

#[test]
fn an_object_with_other_content_than_its_path_says_stays_out() {
    let (from, app) = full();
    let mut tar = unpacked(&export(&from, &app));
    let at = tar.windows(4).position(|window| window == b"deep").unwrap();
    tar[at] = b'D';
    let to = Fixture::new();
    let error = import(&to, &packed(&tar)).unwrap_err();
    assert!(
        matches!(&error, StoreError::Archive(ArchiveError::Differs { path })
            if path.name().as_str() == "tree"),
        "{error:?}"
    );
    assert!(to.store.list().unwrap().iter().all(|path| path.name().as_str() != "tree"));
    check_whole(&to);
}

#[test]
fn what_a_declared_hash_does_not_cover_is_not_taken_from_others() {
    let (from, app) = full();
    let closure = from.store.closure(std::slice::from_ref(&app)).unwrap();
    let fetched = closure.iter().find(|path| path.name().as_str() == "fetched").unwrap();
    let facts = from.store.facts(fetched).unwrap();
    let mut stream = Vec::new();
    from.store.write_stream(fetched, &facts, &mut stream, Path::new("memory")).unwrap();
    let to = Fixture::new();
    let take = |facts: &Facts, stream: &[u8]| {
        to.store.intake().unwrap().take(fetched, facts, &[], stream).map(|_| ())
    };
    let differs = |outcome: Result<(), StoreError>| {
        matches!(outcome, Err(StoreError::Archive(ArchiveError::Differs { .. })))
    };
    take(&facts, &stream).unwrap();
    assert!(differs(take(&Facts { references: [app].into(), ..facts.clone() }, &stream)));
    assert!(differs(take(&Facts { self_reference: true, ..facts.clone() }, &stream)));
    let mut header = Header::from_byte_slice(&stream[..512]).clone();
    header.set_mode(0o555);
    header.set_cksum();
    stream[..512].copy_from_slice(header.as_bytes());
    assert!(differs(take(&facts, &stream)));
}

/// What an entry of a forged stream is.
enum Forged<'a> {
    File(&'a str),
    Link(&'a str, &'a str),
    Special(&'a str, EntryType),
}

/// A stream that announces one object and has these entries in the place of its own.
fn forged(entries: &[Forged<'_>]) -> Vec<u8> {
    let mut tar = Builder::new(Vec::new());
    let mut add = |name: &str, kind: EntryType, link: &str, text: &str| {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o444);
        header.set_size(text.len() as u64);
        // To the byte: the library would refuse what we forge.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_link_name_literal(link).unwrap();
        header.set_cksum();
        tar.append(&header, text.as_bytes()).unwrap();
    };
    let object = format!("{}-x", "0".repeat(32));
    add("hb-export-1", EntryType::Regular, "", "");
    add(&format!("facts/{object}"), EntryType::Regular, "", "");
    for entry in entries {
        let named = |name: &str| name.replace("OBJECT", &format!("objects/{object}"));
        match entry {
            Forged::File(name) => add(&named(name), EntryType::Regular, "", "text"),
            Forged::Link(name, to) => add(&named(name), EntryType::Symlink, to, ""),
            Forged::Special(name, kind) => add(&named(name), *kind, "", ""),
        }
    }
    packed(&tar.into_inner().unwrap())
}

#[test]
fn entries_that_no_hb_writes_are_refused_and_touch_nothing_outside() {
    use Forged::{File, Link, Special};
    let folder = |name| Special(name, EntryType::Directory);
    let outside = tempfile::tempdir().unwrap();
    let outside_path = outside.path().to_str().unwrap().to_owned();
    let absolute = format!("{outside_path}/x");
    let cases: [(&str, Vec<Forged<'_>>, &str); 10] = [
        ("absolute", vec![File(&absolute)], "leads away"),
        ("upwards", vec![File("OBJECT/../../x")], "leads away"),
        (
            "through a link",
            vec![folder("OBJECT"), Link("OBJECT/l", &outside_path), File("OBJECT/l/x")],
            "",
        ),
        ("through the root", vec![Link("OBJECT", &outside_path), File("OBJECT/x")], ""),
        ("twice", vec![folder("OBJECT"), File("OBJECT/x"), File("OBJECT/x")], "twice"),
        (
            "over a link",
            vec![folder("OBJECT"), Link("OBJECT/x", &absolute), File("OBJECT/x")],
            "twice",
        ),
        ("a device", vec![Special("OBJECT", EntryType::Block)], "is no file"),
        ("a pipe", vec![Special("OBJECT", EntryType::Fifo)], "is no file"),
        ("a hard link", vec![Special("OBJECT", EntryType::Link)], "is no file"),
        ("another object", vec![File("OBJECT-y")], ""),
    ];
    let to = Fixture::new();
    for (case, entries, fault) in cases {
        let error = import(&to, &forged(&entries)).expect_err(case);
        let said = std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source())
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(": ");
        assert!(said.contains(fault), "{case}: {said}");
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0, "{case}");
    }
    assert_eq!(to.store.list().unwrap(), []);
}

#[test]
fn a_name_without_end_is_refused_before_it_is_read() {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::GNULongName);
    header.set_size(1 << 40);
    header.set_cksum();
    let endless = Cursor::new(header.as_bytes().to_vec()).chain(std::io::repeat(b'x'));
    let stream = packed(&{
        let mut some = Vec::new();
        endless.take(1 << 20).read_to_end(&mut some).unwrap();
        some
    });
    let error = import(&Fixture::new(), &stream).unwrap_err();
    assert!(matches!(error, StoreError::Archive(ArchiveError::Entry { .. })), "{error:?}");
}

#[test]
fn what_is_no_export_is_called_so() {
    let other = {
        let mut tar = Builder::new(Vec::new());
        let mut header = Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        tar.append_data(&mut header, "readme", &b""[..]).unwrap();
        packed(&tar.into_inner().unwrap())
    };
    let error = import(&Fixture::new(), &other).unwrap_err();
    assert!(matches!(error, StoreError::Archive(ArchiveError::Foreign)), "{error:?}");
    let error = import(&Fixture::new(), b"no archive at all").unwrap_err();
    assert!(matches!(error, StoreError::Archive(ArchiveError::Unreadable(_))), "{error:?}");
}

#[test]
fn entries_are_in_a_fixed_order_with_fixed_metadata() {
    let (from, app) = full();
    let tar = unpacked(&export(&from, &app));
    let mut names = Vec::new();
    for entry in Archive::new(&tar[..]).entries().unwrap() {
        let entry = entry.unwrap();
        let header = entry.header();
        assert_eq!((header.uid().unwrap(), header.mtime().unwrap()), (0, 315_619_200));
        names.push(entry.path().unwrap().into_owned());
    }
    let first: Vec<_> = names.iter().filter_map(|name| name.components().next()).collect();
    assert_eq!(first.first().unwrap().as_os_str(), "hb-export-1");
    assert_eq!(first[first.len() - 2].as_os_str(), "builds");
    assert_eq!(first.last().unwrap().as_os_str(), "end");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..Default::default() })]

    /// Bytes changed at random give an error or, where they do not count, the closure; never
    /// a store with something wrong in it.
    #[test]
    fn damage_never_enters_a_store(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let (from, app) = full();
        let mut tar = unpacked(&export(&from, &app));
        for (at, byte) in changes {
            let at = at.index(tar.len());
            tar[at] = byte;
        }
        let to = Fixture::new();
        let _ = import(&to, &packed(&tar));
        check_whole(&to);
    }
}
