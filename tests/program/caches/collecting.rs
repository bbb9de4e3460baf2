//! `hb cache gc`: caches that stay small.

use std::{fs, path::Path};

use super::{Builder, check_pulled, credentials, s3};
use crate::support::Project;

/// Removes nothing that is young, leaves what is named, and then everything goes.
fn check_collected(builder: &Builder, address: &str, other: &Project) {
    let gc = |arguments: &[&str]| {
        let arguments = [&["cache", "gc", "--from", address], arguments].concat();
        let output = builder.project.hb_with(&arguments).output().unwrap();
        assert!(output.status.success(), "{}", crate::support::explain(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(gc(&["--older-than", "1h"]).starts_with("freed 0 objects, 0 chunks"));
    check_pulled(builder, other, &[]);
    let would = gc(&["--older-than", "0s", "--dry-run"]);
    assert!(would.contains("-upper\n") && would.contains("would free 2 objects"), "{would}");
    let freed = gc(&["--older-than", "0s", &builder.built]);
    assert!(freed.starts_with("freed 0 objects, 0 chunks and "), "{freed}");
    assert!(!freed.contains(" 0 builds"), "{freed}");
    let listed = other.succeeds(["cache", "ls", "--from", address]);
    assert_eq!(listed.lines().count(), 2, "{listed}");
    let freed = gc(&["--older-than", "0s"]);
    assert!(freed.contains("freed 2 objects, "), "{freed}");
    assert_eq!(other.succeeds(["cache", "ls", "--from", address]), "");
}

#[test]
fn what_is_old_goes_from_a_folder() {
    let builder = Builder::pushed();
    let cache = builder.cache();
    let address = cache.to_str().unwrap();
    check_collected(&builder, address, &builder.other(&[address]));
    let is_empty = |area: &Path| fs::read_dir(area).unwrap().next().is_none();
    for area in fs::read_dir(&cache).unwrap() {
        let area = area.unwrap().path();
        assert!(is_empty(&area), "{}", area.display());
    }
    // What is pushed after that is whole.
    builder.push(&["--sign", "builder"]);
    check_pulled(&builder, &builder.other(&[address]), &[]);
}

#[test]
fn what_is_old_goes_from_an_s3_server() {
    let builder = Builder::new();
    let (_server, address) = s3::server(&builder.project);
    credentials(&builder.project, "s3://bucket", "secret");
    let push = ["cache", "push", &builder.built, "--to", &address, "--sign", "builder"];
    builder.project.succeeds(push);
    let other = builder.other(&[&address]);
    credentials(&other, "s3://bucket", "secret");
    check_collected(&builder, &address, &other);
}

#[test]
fn hb_says_where_it_removes_nothing() {
    let project = Project::new();
    let gc = ["cache", "gc", "--older-than", "1d", "--from", "oci://127.0.0.1:9/x"];
    let said = project.fails(4, gc);
    assert!(said.contains("garbage collection of its own"), "{said}");
    project.fails(2, ["cache", "gc", "--from", "/nowhere"]);
}
