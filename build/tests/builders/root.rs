//! `builtin:root-1`: roots of packages.

use hb_build::builders::{BuiltinError, RootError};
use serde_json::json;
use tar::EntryType::{Directory, Link, Regular, Symlink};

use crate::{Fixture, said, tar_of, tree};

type Entries<'a> = &'a [(&'a str, tar::EntryType, u32, &'a str)];

fn compose(
    fixture: &Fixture,
    packages: &[Entries],
    links: serde_json::Value,
) -> Result<(), BuiltinError> {
    let packages: Vec<String> = (0..)
        .zip(packages)
        .map(|(index, entries)| {
            let mut archive = ar::Builder::new(Vec::new());
            let data = tar_of(entries);
            let header = ar::Header::new(b"data.tar".to_vec(), data.len() as u64);
            archive.append(&header, &data[..]).unwrap();
            fixture.input(&format!("{index}.deb"), &archive.into_inner().unwrap())
        })
        .collect();
    let attrs = json!({"packages": packages, "links": links});
    fixture.run("builtin:root-1", &attrs, None)
}

#[test]
fn packages_join_in_a_merged_layout_without_special_bits() {
    let fixture = Fixture::new();
    let first: Entries = &[
        ("./", Directory, 0o755, ""),
        ("./bin/", Directory, 0o755, ""),
        ("./bin/su", Regular, 0o4755, "su"),
        ("./bin/again", Link, 0o755, "./bin/su"),
        ("./lib64/", Directory, 0o755, ""),
        ("./lib64/ld.so", Symlink, 0o777, "/lib/x/ld.so"),
    ];
    let second: Entries = &[
        ("./usr/bin/", Directory, 0o755, ""),
        ("./usr/bin/awk", Regular, 0o755, "awk"),
        ("./lib/x/ld.so", Regular, 0o755, "ld"),
        ("./etc/conf", Regular, 0o644, "conf"),
    ];
    let links = json!({"bin/sh": "su", "/usr/share/doc/x": "../y"});
    compose(&fixture, &[first, second], links).unwrap();
    let expected = tree(&[
        ("bin", "l usr/bin"),
        ("etc", "d"),
        ("etc/conf", "f conf"),
        ("lib", "l usr/lib"),
        ("lib64", "l usr/lib64"),
        ("usr", "d"),
        ("usr/bin", "d"),
        ("usr/bin/again", "x su"),
        ("usr/bin/awk", "x awk"),
        ("usr/bin/sh", "l su"),
        ("usr/bin/su", "x su"),
        ("usr/lib", "d"),
        ("usr/lib/x", "d"),
        ("usr/lib/x/ld.so", "x ld"),
        ("usr/lib64", "d"),
        ("usr/lib64/ld.so", "l /lib/x/ld.so"),
        ("usr/share", "d"),
        ("usr/share/doc", "d"),
        ("usr/share/doc/x", "l ../y"),
    ]);
    assert_eq!(fixture.out(), expected);
}

#[test]
fn two_packages_with_one_file_are_both_named() {
    let fixture = Fixture::new();
    let first: Entries = &[("bin/x", Regular, 0o755, "")];
    let second: Entries = &[("usr/bin/x", Regular, 0o755, "")];
    let error = compose(&fixture, &[first, second], json!({})).unwrap_err();
    let BuiltinError::Root(RootError::Conflict { name, first, second }) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(name, "usr/bin/x");
    assert_eq!((first.as_str(), second.as_str()), ("/hb/store/0.deb", "/hb/store/1.deb"));
    assert!(!fixture.path("out").exists());
}

#[test]
fn one_packages_file_in_place_of_anothers_folder_is_a_conflict() {
    let first: Entries = &[("etc/x", Regular, 0o644, "")];
    let second: Entries = &[("etc/x/y", Regular, 0o644, "")];
    let error = said(&compose(&Fixture::new(), &[first, second], json!({})).unwrap_err());
    assert!(error.contains("0.deb and /hb/store/1.deb have 'etc/x'"), "{error}");
}

#[test]
fn a_package_that_brings_the_merged_links_itself_is_fine() {
    let fixture = Fixture::new();
    let first: Entries = &[("bin", Symlink, 0o777, "usr/bin"), ("usr/bin/x", Regular, 0o755, "")];
    compose(&fixture, &[first], json!({})).unwrap();
    assert_eq!(fixture.out()["bin"], "l usr/bin");
}

#[test]
fn a_link_in_a_taken_place_names_the_package() {
    let first: Entries = &[("usr/bin/sh", Regular, 0o755, "")];
    for (link, words) in [
        ("bin/sh", "'bin/sh' cannot be made: /hb/store/0.deb has that name"),
        ("usr/bin", "a folder of /hb/store/0.deb has that name"),
        ("bin/sh/x", "'usr/bin/sh' cannot be made: /hb/store/0.deb has that name"),
    ] {
        let error = compose(&Fixture::new(), &[first], json!({ link: "x" })).unwrap_err();
        assert!(said(&error).contains(words), "{}", said(&error));
    }
}
