//! How a sandbox ends, and that nothing outlives it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use hb_sandbox::{Exit, RunError, StageError, StoreEntry};

use crate::harness::{block_on, build, runner};

fn exit_of(script: &str) -> Exit {
    build(script).run().expect("the sandbox starts").ended.exit
}

/// A time to sleep, in seconds, by which nobody else knows a process: other copies of
/// these tests may run at the same time.
fn mark(number: u32, owner: u32) -> String {
    format!("{}", number * 10_000_000 + owner)
}

fn own_mark(number: u32) -> String {
    mark(number, std::process::id())
}

/// Whether a process runs with this mark in its command line.
fn is_running(mark: &str) -> bool {
    fs::read_dir("/proc").expect("processes").flatten().any(|process| {
        fs::read(process.path().join("cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
    })
}

#[test]
fn a_status_is_reported_as_it_is() {
    assert_eq!(exit_of("exit 0"), Exit::Code(0));
    assert_eq!(exit_of("exit 1"), Exit::Code(1));
    assert_eq!(exit_of("exit 77"), Exit::Code(77));
}

#[test]
fn a_signal_is_reported_as_one() {
    assert_eq!(exit_of("kill -SEGV $$"), Exit::Signal(11));
    assert_eq!(exit_of("kill -KILL $$"), Exit::Signal(9));
}

#[test]
fn a_missing_program_is_told_from_one_that_fails() {
    let mut build = build("");
    build.spec.argv = vec!["/bin/missing".into()];
    let error = build.run().expect_err("no such program");
    let RunError::Program { program, reason } = error else { panic!("{error:?}") };
    assert_eq!(program, Path::new("/bin/missing"));
    assert_eq!(reason, "No such file or directory");
}

#[test]
fn a_program_cannot_pass_its_failure_off_as_bubblewraps() {
    let ran = build("echo 'bwrap: execvp /bin/sh: No such file or directory'; exit 1").run();
    assert_eq!(ran.expect("it ran").ended.exit, Exit::Code(1));
}

#[test]
fn a_failed_setup_is_told_from_a_program_that_fails() {
    let mut build = build("");
    // Nothing can be mounted below a file of a read-only root.
    build.spec.cwd = "/nowhere".into();
    let error = build.run().expect_err("no such folder");
    assert!(matches!(&error, RunError::Setup { said } if said.contains("/nowhere")), "{error:?}");
}

#[test]
fn a_missing_input_is_named() {
    let mut build = build("");
    let physical = build.path("missing");
    build
        .spec
        .store
        .closure
        .push(StoreEntry { path: "/hb/store/x".to_owned(), physical: physical.clone() });
    let error = build.run().expect_err("no such input");
    assert!(
        matches!(&error, RunError::Stage(StageError::Look { path, .. }) if *path == physical),
        "{error:?}"
    );
}

#[test]
fn names_that_leave_their_folder_are_refused() {
    for name in ["../x", "/x", "a/../../x", ""] {
        let mut build = build("");
        build.spec.files.insert(name.to_owned(), Vec::new());
        let error = build.run().expect_err("a bad file name");
        assert!(matches!(error, RunError::Stage(StageError::FileName(_))), "{error:?}");
    }
    for path in ["/hb/store/", "/hb/store/..", "/hb/store/a/b", "/etc/x"] {
        let mut build = build("");
        let physical = build.path("work");
        build.spec.store.closure.push(StoreEntry { path: path.to_owned(), physical });
        let error = build.run().expect_err("a bad store path");
        assert!(matches!(error, RunError::Stage(StageError::StorePath(_))), "{error:?}");
    }
}

#[test]
fn files_are_not_placed_through_a_link() {
    let mut build = build("");
    std::os::unix::fs::symlink(build.folder.path(), build.path("work/out")).expect("a link");
    build.spec.files.insert("out/file".to_owned(), Vec::new());
    assert!(matches!(build.run(), Err(RunError::Stage(StageError::Write { .. }))));
    assert!(!build.path("file").exists());
}

#[test]
fn a_build_ends_with_its_first_process_and_leaves_none() {
    // Another session, a double fork, and no open stream to hb.
    let mark = own_mark(1);
    let script = format!(
        "(setsid sh -c 'sleep {mark} </dev/null >/dev/null 2>&1 &') ; sleep 0.05; echo done"
    );
    let begun = Instant::now();
    assert_eq!(build(&script).succeed(), "done\n");
    assert!(begun.elapsed() < Duration::from_secs(30));
    assert!(!is_running(&mark));
}

#[test]
fn too_long_a_time_ends_it() {
    let mut build = build("echo begun; while :; do echo; sleep 0.02; done");
    let limit = Duration::from_millis(300);
    build.spec.limits.time = Some(limit);
    let ran = build.run().expect("the sandbox starts");
    assert_eq!(ran.ended.exit, Exit::TimedOut(limit));
    assert!(ran.output.starts_with("begun\n"));
}

#[test]
fn too_long_a_silence_ends_it() {
    let mark = own_mark(2);
    let mut build =
        build(&format!("for i in 1 2 3 4; do echo $i; sleep 0.1; done; exec sleep {mark}"));
    let limit = Duration::from_millis(300);
    build.spec.limits.silence = Some(limit);
    let ran = build.run().expect("the sandbox starts");
    assert_eq!(ran.ended.exit, Exit::Silent(limit));
    assert_eq!(ran.output, "1\n2\n3\n4\n");
    assert!(!is_running(&mark));
}

#[test]
fn cancelling_ends_every_process() {
    let mark = own_mark(3);
    let build = build(&format!("sleep {mark} & setsid sleep {mark} & sleep {mark}"));
    let ran = build.run_until(async { tokio::time::sleep(Duration::from_millis(150)).await });
    assert_eq!(ran.expect("the sandbox starts").ended.exit, Exit::Cancelled);
    assert!(!is_running(&mark));
}

#[test]
fn dropping_the_run_ends_every_process() {
    let mark = own_mark(4);
    let build = build(&format!("sleep {mark} & sleep {mark}"));
    block_on(async {
        let run = runner().run(build.spec.clone(), std::future::pending(), |_| {});
        let ended = tokio::time::timeout(Duration::from_millis(150), run).await;
        assert!(ended.is_err(), "it ran to its end");
    });
    assert!(!is_running(&mark));
}

#[test]
fn two_runs_at_once_do_not_mix() {
    let builds: Vec<_> = (0..8).map(|n| build(&format!("sleep 0.0{n}; echo {n}"))).collect();
    let outputs = block_on(async {
        let mut tasks = Vec::new();
        for build in &builds {
            let spec = build.spec.clone();
            tasks.push(tokio::spawn(async move {
                let mut output = Vec::new();
                let write = |bytes: &[u8]| output.extend_from_slice(bytes);
                let ended = runner().run(spec, std::future::pending(), write).await;
                (ended.expect("the sandbox starts").exit, output)
            }));
        }
        let mut outputs = Vec::new();
        for task in tasks {
            outputs.push(task.await.expect("a run"));
        }
        outputs
    });
    for (n, (exit, output)) in outputs.into_iter().enumerate() {
        assert_eq!((exit, output), (Exit::Code(0), format!("{n}\n").into_bytes()));
    }
}

/// Not a test of its own: a process to be killed in the middle of a build.
#[test]
#[ignore = "run by hb_killed_at_any_moment_leaves_no_process"]
fn victim() {
    let mark = own_mark(5);
    build(&format!("sleep {mark} & exec sleep {mark}")).run().expect("never: it is killed");
}

#[test]
fn hb_killed_at_any_moment_leaves_no_process() {
    let this = std::env::current_exe().expect("this test program");
    for delay in [0, 2, 4, 6, 8, 10, 12, 15, 20, 50, 100] {
        let mut victim = Command::new(&this)
            .args(["--exact", "ends::victim", "--ignored"])
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("a process to kill");
        sleep(Duration::from_millis(delay));
        victim.kill().expect("it runs");
        victim.wait().expect("it is dead");
        let given_up = Instant::now() + Duration::from_secs(5);
        while is_running(&mark(5, victim.id())) {
            assert!(Instant::now() < given_up, "killed after {delay} ms, it left a process");
            sleep(Duration::from_millis(2));
        }
    }
}
