//! A clock that is set back, or was wrong and is right again.

use std::{path::Path, process::Command};

use crate::support::{Project, explain};

const RECIPE: &str = r#"rec {
    early = run "early" "echo early > $out";
    late = run "late" "cat ${early} > $out";
    default = run "other" "echo other > $out";
}"#;

/// Where Debian's libfaketime puts its library.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// `hb` as it is run, but for what its clock says.
fn at(mut hb: Command, offset: &str) -> String {
    assert!(Path::new(LIBRARY).exists(), "this test needs Debian's libfaketime");
    let output = hb
        .env("LD_PRELOAD", LIBRARY)
        .env("FAKETIME", offset)
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .output()
        .unwrap();
    assert!(output.status.success(), "{offset}: {}", explain(&output));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
#[cfg(target_arch = "x86_64")]
fn a_clock_that_goes_backwards_loses_nothing() {
    let project = Project::with_recipe(RECIPE);
    let build = |attribute: &str, offset: &str| {
        at(project.hb(["build", "--no-link", &format!("recipe.hb#{attribute}")]), offset)
    };
    let early = build("early", "+3650d");
    let late = build("late", "-3650d");
    let other = build("default", "+0");
    let all = project.succeeds(["store", "ls"]).lines().count();
    for offset in ["-3650d", "+0"] {
        let young = ["store", "gc", "--older-than", "1d"];
        assert!(at(project.hb(young), offset).contains("freed 0 objects"), "{offset}");
        at(project.hb(["store", "verify", "--contents"]), offset);
        at(project.hb(["store", "root", "kept", &late]), offset);
        for (attribute, path) in [("early", &early), ("late", &late), ("default", &other)] {
            assert_eq!(build(attribute, offset), *path, "{offset}");
        }
    }
    assert_eq!(project.succeeds(["store", "ls"]).lines().count(), all);
    // What nothing needs goes, whatever its time is.
    at(project.hb(["store", "gc"]), "-3650d");
    assert!(Path::new(&late).exists() && !Path::new(&other).exists());
}
