//! Builders that leave what is meant to harm whoever takes it.

use std::{
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
};

use crate::support::{Project, as_ordinary_user, explain};

/// A project with one recipe, of this script.
fn project(script: &str) -> Project {
    Project::with_recipe(&format!("{{ default = run \"hostile\" ''{script}''; }}"))
}

/// The script leaves something that no store takes: the build fails, saying so, and leaves
/// nothing.
fn check_refused(script: &str, said: &str) {
    let project = project(script);
    let error = project.fails(3, ["build", "--no-link", "recipe.hb"]);
    assert!(error.contains(said), "{error}");
    let left = fs::read_dir(project.store.join("staging")).unwrap().count();
    assert_eq!(left, 0, "something is left of it");
    project.succeeds(["store", "verify", "--contents"]);
}

#[test]
fn pipes_sockets_and_devices_are_no_outputs() {
    check_refused("mkfifo $out", "named pipe");
    check_refused("mkdir $out; mkfifo $out/pipe", "named pipe");
    // Anyone may make this one.
    check_refused("mkdir $out; mknod $out/white-out c 0 0", "device");
    check_refused("mkdir $out; syslogd -n -O $out/log & sleep 0.1; mknod $out/s p", "pipe");
}

/// Makes `tree`, 4,500 folders deep, of trees that paths can name.
const DEEP: &str = "long=$(printf 'd/%.0s' $(seq 500)); mkdir -p tree/$long
    for i in $(seq 8); do mkdir -p next/$long; mv tree next/$long; mv next tree; done\n";

#[test]
fn a_tree_deeper_than_paths_can_be_is_refused_and_removed() {
    check_refused(&format!("cd /hb/store; {DEEP} mv tree $out"), "too long: 3500 are allowed");
}

#[test]
fn a_deep_tree_that_is_no_output_is_removed_as_well() {
    let project = project(&format!("{DEEP} echo > $out"));
    assert_eq!(project.build_and_read("default"), "\n");
    assert_eq!(fs::read_dir(project.store.join("staging")).unwrap().count(), 0);
}

#[test]
fn names_that_are_not_text_are_taken_as_they_are() {
    let project = project(r#"mkdir $out; printf x > "$out/$(printf 'a\377\nb\\')""#);
    let out = project.build("default");
    let names: Vec<_> = fs::read_dir(&out).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert_eq!(names.len(), 1);
    assert_eq!(names[0].as_bytes(), b"a\xff\nb\\");
    project.succeeds(["store", "verify", "--contents"]);
}

#[test]
fn modes_that_lock_hb_out_do_not() {
    let script = "mkdir -p $out/d; echo text > $out/d/f
        chmod 0 $out/d/f; chmod 0 $out/d; chmod 0 $out; mkdir w; echo > w/f; chmod 0 w/f w";
    let project = project(script);
    let out = project.build("default");
    assert_eq!(fs::read_to_string(out.join("d/f")).unwrap(), "text\n");
    assert_eq!(fs::read_dir(project.store.join("staging")).unwrap().count(), 0);
}

#[test]
fn modes_that_lock_an_ordinary_user_out_do_not() {
    let project = project("mkdir -p $out/d; echo text > $out/d/f; chmod 0 $out/d/f $out/d $out");
    let build = ["build", "--no-link", "recipe.hb"];
    if let Some(mut hb) = as_ordinary_user(&project, build) {
        let output = hb.output().unwrap();
        assert!(output.status.success(), "{}", explain(&output));
    }
}

#[test]
fn an_output_that_is_a_link_to_the_host_is_a_link_and_no_copy() {
    let project = project("ln -s /etc/passwd $out");
    project.build("default");
    let stored = project.succeeds(["build", "--no-link", "recipe.hb"]);
    assert_eq!(fs::read_link(stored).unwrap().to_str(), Some("/etc/passwd"));
}

#[test]
fn a_link_in_the_place_of_the_outputs_folder_changes_nothing() {
    // The folder itself is a mount; only what lies in it can be replaced.
    let script = "mv /hb/store /hb/other 2>/dev/null && ln -s /etc /hb/store
        rm -rf /hb/store 2>/dev/null || true; echo kept > $out";
    assert_eq!(project(script).build_and_read("default"), "kept\n");
}

/// Processes that go on, in sessions of their own, writing to the output and exchanging
/// what lies in it.
#[test]
fn outputs_are_taken_when_every_process_of_the_build_is_dead() {
    let script = "mkdir $out; echo one > $out/a
        for i in 1 2 3 4; do
          (setsid sh -c 'while :; do echo more >> $out/a; ln -sf /etc/passwd $out/b; done' &)
        done
        sleep 0.1";
    let project = project(script);
    let out = project.build("default");
    let size = fs::metadata(out.join("a")).unwrap().size();
    project.succeeds(["store", "verify", "--contents"]);
    assert_eq!(fs::metadata(out.join("a")).unwrap().size(), size);
}

#[test]
fn names_of_one_file_become_files_of_their_own() {
    let project = project(
        "mkdir $out; echo text > f; ln f $out/a 2>/dev/null || echo text > $out/a
        ln $out/a $out/b; ln $out/a c 2>/dev/null || true",
    );
    let out = project.build("default");
    for name in ["a", "b"] {
        assert_eq!(fs::metadata(out.join(name)).unwrap().nlink(), 1, "{name}");
    }
}

/// How many files the next test makes; ten million with `HB_TEST_FILES=10000000`.
const FILES: &str = "20000";

#[test]
fn outputs_of_very_many_files_are_taken() {
    let files = std::env::var("HB_TEST_FILES").unwrap_or_else(|_| FILES.to_owned());
    // As fast as a shell can: names of a hundred files a command.
    let project = project(&format!(
        "mkdir $out; cd $out
         for d in $(seq 0 $((({files} + 999) / 1000 - 1))); do
           mkdir $d; (cd $d; seq 1000 | xargs touch)
         done"
    ));
    let out = project.build("default");
    let folders = fs::read_dir(&out).unwrap().count();
    assert_eq!(folders, files.parse::<usize>().unwrap().div_ceil(1000));
    assert_eq!(fs::read_dir(out.join("0")).unwrap().count(), 1000);
}
