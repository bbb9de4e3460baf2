//! A sandbox at a real terminal: this test program again, on a pseudo-terminal.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use hb_sandbox::{Exit, SandboxSpec, User};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{getegid, geteuid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::harness::{block_on, build, runner};

/// Waits for a Ctrl-C, and tells it from being killed by its status.
const SCRIPT: &str = "trap 'exit 5' INT; echo ready; while :; do sleep 0.1; done";

/// What `hb run` (or, with a build, `hb shell`) does at a terminal.
fn run_at_terminal(mut spec: SandboxSpec) {
    // SAFETY: ignoring a signal installs no handler.
    unsafe { libc::signal(libc::SIGINT, libc::SIG_IGN) };
    spec.env.insert("PATH".into(), "/usr/bin:/bin".into());
    let ended = block_on(runner().run(spec, std::future::pending(), |_| {}));
    assert_eq!(ended.expect("it starts").exit, Exit::Code(5));
}

#[test]
#[ignore = "run at a terminal by the other tests"]
fn view_at_terminal() {
    let user = User { uid: geteuid().as_raw(), gid: getegid().as_raw() };
    let argv = ["sh", "-c", SCRIPT].map(Into::into).to_vec();
    run_at_terminal(SandboxSpec::host_view(user, PathBuf::from("/"), [].into(), argv));
}

#[test]
#[ignore = "run at a terminal by the other tests"]
fn build_at_terminal() {
    let build = build("");
    let argv = ["/bin/sh", "-c", SCRIPT].map(Into::into).to_vec();
    run_at_terminal(build.spec.clone().interactive(argv));
}

#[test]
#[ignore = "run at a terminal by the other tests"]
fn captured_build_at_terminal() {
    assert!(std::fs::File::open("/dev/tty").is_ok(), "this is at a terminal");
    let build = build("if echo typed > /dev/tty; then exit 1; fi; exit 5");
    assert_eq!(build.run().expect("it starts").ended.exit, Exit::Code(5));
}

#[test]
fn a_build_does_not_reach_the_terminal_of_hb() {
    let (ended, seen) = at_terminal("terminal::captured_build_at_terminal", |_, _| {});
    assert!(ended && !seen.contains("typed"), "{seen}");
}

/// Runs the test of this name at a new terminal, types Ctrl-C once it is ready,
/// and expects it to pass.
fn check_control_c(test: &str) {
    let mut typed = false;
    let (ended, seen) = at_terminal(test, |person, seen| {
        if !typed && seen.contains("ready") {
            person.write_all(b"\x03").expect("typing");
            typed = true;
        }
    });
    assert!(ended && typed, "{seen}");
}

/// Runs the test of this name at a new terminal; `act` does what a person would on what is
/// seen there.
/// Whether the test passed, and all that was seen.
fn at_terminal(test: &str, mut act: impl FnMut(&mut File, &str)) -> (bool, String) {
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&person).expect("a terminal");
    unlockpt(&person).expect("a terminal");
    let name = ptsname(&person, Vec::new()).expect("its name");
    let side = || -> OwnedFd {
        open(&name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other side")
    };
    let mut hb = Command::new(std::env::current_exe().expect("this test program"));
    hb.args(["--exact", test, "--ignored", "--nocapture"]);
    hb.stdin(Stdio::from(side())).stdout(Stdio::from(side())).stderr(Stdio::from(side()));
    // SAFETY: two system calls, which allocate nothing.
    unsafe {
        hb.pre_exec(|| {
            rustix::process::setsid()?;
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
            Ok(())
        });
    }
    let mut started = hb.spawn().expect("a process at the terminal");
    drop(hb);
    let mut person = File::from(person);
    let mut seen = String::new();
    let mut buffer = [0; 1024];
    // Reading fails once nobody has the other side open.
    while let Ok(length @ 1..) = person.read(&mut buffer) {
        seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        act(&mut person, &seen);
    }
    (started.wait().expect("its status").success(), seen)
}

#[test]
fn control_c_reaches_the_program_in_a_view_of_the_host() {
    check_control_c("terminal::view_at_terminal");
}

#[test]
fn control_c_reaches_the_program_in_a_look_inside_a_build() {
    check_control_c("terminal::build_at_terminal");
}
