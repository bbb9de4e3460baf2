//! What is compiled is kept for the next run, is never needed, and never changes what is said.

use std::{fs, os::unix::fs::PermissionsExt as _, path::PathBuf};

use crate::support::{Project, explain};

/// A project of two files.
fn project() -> Project {
    let project = Project::new();
    project.write("hb.toml", "");
    project.write(
        "main.hb",
        "{ a = import ./part.hb; at = builtins.unsafeGetAttrPos \"a\" { a = 1; }; }",
    );
    project.write("part.hb", "1");
    project
}

const EVAL: [&str; 3] = ["eval", "--strict", "main.hb"];

/// The files of what is kept: their code and their index.
fn kept(project: &Project) -> [PathBuf; 2] {
    let folder = project.home().join(".cache/hb/compiled");
    let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files.collect();
    files.sort();
    files.try_into().unwrap()
}

/// How many the index has, of sixteen bytes each.
fn entries(project: &Project) -> u64 {
    fs::metadata(&kept(project)[1]).unwrap().len() / 16
}

#[test]
fn a_change_costs_what_changed() {
    let project = project();
    let first = project.succeeds(EVAL);
    assert_eq!(entries(&project), 2);
    let folder = fs::metadata(kept(&project)[0].parent().unwrap()).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    assert_eq!(project.succeeds(EVAL), first);
    assert_eq!(entries(&project), 2, "nothing was compiled again");
    project.write("part.hb", "2");
    assert_eq!(project.succeeds(EVAL), first.replace("a = 1", "a = 2"));
    assert_eq!(entries(&project), 3);
    // Every command finds it.
    project.write("tests.hb", "{ tests.a = { expr = import ./part.hb; expected = 2; }; }");
    project.succeeds(["test", "tests.hb"]);
    assert_eq!(entries(&project), 4);
}

#[test]
fn damage_costs_time_only() {
    let project = project();
    let first = project.succeeds(EVAL);
    let [code, index] = kept(&project);
    let bytes = fs::read(&code).unwrap();
    for damaged in [vec![0; bytes.len()], bytes[..9].to_vec(), Vec::new()] {
        fs::write(&code, damaged).unwrap();
        assert_eq!(project.succeeds(EVAL), first);
    }
    fs::write(&index, vec![0xff; 1000]).unwrap();
    assert_eq!(project.succeeds(EVAL), first);
    fs::remove_file(&index).unwrap();
    assert_eq!(project.succeeds(EVAL), first);
    assert_eq!(project.succeeds(EVAL), first);
    assert_eq!(entries(&project), 2);
}

#[test]
fn where_nothing_can_be_kept_nothing_is_said() {
    let project = project();
    let output = project.hb(EVAL).env("XDG_CACHE_HOME", "/dev/null").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", explain(&output));
    let output = project.hb(EVAL).env("HB_KEEP_COMPILED", "0").output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", explain(&output));
    assert!(!project.home().join(".cache").exists());
}

#[test]
fn several_at_once_are_safe() {
    let project = project();
    let first = project.succeeds(EVAL);
    for round in 0..4 {
        project.write("part.hb", format!("{}", 10 + round));
        let expected = first.replace("a = 1", &format!("a = {}", 10 + round));
        let running: Vec<_> = (0..6)
            .map(|_| project.hb(EVAL).stdout(std::process::Stdio::piped()).spawn().unwrap())
            .collect();
        for child in running {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", explain(&output));
            assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), expected);
        }
    }
    let before = entries(&project);
    project.succeeds(EVAL);
    assert_eq!(entries(&project), before, "what any of them wrote is found");
}

#[test]
fn problems_are_shown_the_same_again() {
    let project = project();
    project
        .write("part.hb", "let f = { name | String, jobs | Int ? 4 }: name; in\nf { name = 1; }");
    project.write("main.hb", "{ a = import ./part.hb; }");
    let first = project.fails(1, EVAL);
    assert!(first.contains("name | String"), "{first}");
    assert_eq!(project.fails(1, EVAL), first);
    let with_trace = ["eval", "--strict", "--show-trace", "main.hb"];
    assert_eq!(project.fails(1, with_trace), project.fails(1, with_trace));
    // What lints and rules for literals say depends on what is asked for.
    project.write("main.nix", "[ https://example.org ]");
    let lint = ["eval", "--lint-url-literals", "warn", "main.nix"];
    let said = || project.hb(lint).output().unwrap().stderr;
    let warned = said();
    assert!(!warned.is_empty());
    assert_eq!(said(), warned);
}
