//! What a build may use: beyond it, the build ends, and how says beyond what.
//!
//! No build here takes much even where no limit ends it: the tests' machine has others on it.

use std::time::Duration;

use hb_sandbox::{Excess, Exit};

use crate::harness::{Build, build};

/// How it ends, and that it does.
fn exit_of(mut build: Build) -> Exit {
    build.spec.limits.time = Some(Duration::from_secs(30));
    build.run().expect("the sandbox starts").ended.exit
}

#[test]
fn a_fork_bomb_ends() {
    // Each waits, so that there are as many as the kernel allows until hb looks.
    let mut build = build("f() { f & f & exec sleep 1000; }; (f) & exec sleep 1000");
    build.spec.limits.processes = Some(60);
    assert_eq!(exit_of(build), Exit::Exceeded(Excess::Processes(60)));
}

#[test]
fn as_many_processes_as_are_allowed_can_run() {
    let mut build = build("for i in $(seq 18); do sleep 0.5 & done; wait; echo all");
    build.spec.limits.processes = Some(20);
    assert_eq!(build.succeed(), "all\n");
}

#[test]
fn all_processes_together_cannot_use_more_memory() {
    // Each doubles a text until it holds 64 MiB, and keeps it.
    let script = "grow() { x=x; while [ ${#x} -lt 67108864 ]; do x=$x$x; done; sleep 1000; }
                  grow & grow & grow & wait";
    let mut build = build(script);
    build.spec.limits.memory = Some(128 << 20);
    assert_eq!(exit_of(build), Exit::Exceeded(Excess::Memory(128 << 20)));
}

#[test]
fn memory_within_the_limit_is_free() {
    let mut build =
        build("x=x; while [ ${#x} -lt 1048576 ]; do x=$x$x; done; sleep 0.3; echo ${#x}");
    build.spec.limits.memory = Some(256 << 20);
    assert_eq!(build.succeed(), "1048576\n");
}

#[test]
fn a_full_disk_is_the_builds_alone() {
    for place in ["/build", "/hb/store"] {
        let fill = "for i in $(seq 60); do head -c 1000000 /dev/zero > f$i; done; sleep 1000";
        let mut build = build(&format!("cd {place}; {fill}"));
        build.spec.limits.disk = Some(20 << 20);
        assert_eq!(exit_of(build), Exit::Exceeded(Excess::Disk(20 << 20)), "{place}");
    }
}

#[test]
fn one_large_file_is_beyond_the_limit_as_well() {
    let mut build = build("head -c 50000000 /dev/zero > f");
    build.spec.limits.disk = Some(10 << 20);
    assert_eq!(exit_of(build), Exit::Exceeded(Excess::Disk(10 << 20)));
}

#[test]
fn files_without_content_fill_no_table_of_inodes() {
    let mut build = build("for i in $(seq 9000); do : > f$i; done; sleep 1000");
    build.spec.limits.disk = Some(8 << 20);
    assert_eq!(exit_of(build), Exit::Exceeded(Excess::Disk(8 << 20)));
}

#[test]
fn files_below_very_many_folders_are_found() {
    let mut build = build(
        "long=$(printf 'd/%.0s' $(seq 300)); mkdir -p $long a/$long
         for i in 1 2 3; do head -c 10000000 /dev/zero > $long/f$i; done; sleep 1000",
    );
    build.spec.limits.disk = Some(20 << 20);
    assert_eq!(exit_of(build), Exit::Exceeded(Excess::Disk(20 << 20)));
}
