//! Killing a process at its system calls, one after the other: whatever it was doing,
//! the store holds the whole of an object or nothing of it, and the next process
//! finishes the work.
//!
//! A child works under `ptrace` and is killed before (or after) its n-th system call. By
//! default every few calls are tried; with `HB_TEST_EVERY_CALL=1` all are.

#![cfg(target_arch = "x86_64")]

mod support;

use std::{
    env, fs,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Command, Stdio},
};

use hb_store::{Believe, ExportOptions, Finding, GcOptions, OpenMode, Store, VerifyOptions};
use support::{Fixture, Folder, derivation, name, output_of};

/// The call by which the child says that its work begins: no such signal is sent.
const BEGIN: libc::c_long = libc::SYS_getpriority;

/// Wait for threads too, but for no child of another test's thread.
const WAIT: libc::c_int = libc::__WALL | libc::__WNOTHREAD;

#[derive(Clone, Copy, Debug)]
enum Work {
    Publish,
    Add,
    Derive,
    Collect,
    Open,
    Import,
}

impl Work {
    const ALL: [Self; 6] =
        [Self::Publish, Self::Add, Self::Derive, Self::Collect, Self::Open, Self::Import];

    /// Do it on an open store; twice is the same as once.
    fn run(self, fixture: &Fixture) {
        match self {
            Self::Publish => {
                let built = fixture.build("step", &["dev", "out"], &[], |at, output, scratch| {
                    fs::create_dir(at).unwrap();
                    fs::write(at.join("own"), scratch[output].to_string()).unwrap();
                    fs::write(at.join("out"), scratch["out"].to_string()).unwrap();
                    std::os::unix::fs::symlink("own", at.join("link")).unwrap();
                });
                fixture.publish(&built).unwrap();
            }
            Self::Add => {
                fixture.write("src/sub/a", b"a");
                fixture.write("src/b", b"b");
                let path = fixture.path("src");
                fixture.store.add_tree(&path, &name("source"), None).unwrap();
            }
            Self::Derive => {
                let below = derivation("below", []);
                let above = derivation("above", [output_of(&below)]);
                fixture.add_derivations(&[&below, &above]).unwrap();
            }
            Self::Collect => {
                fixture.store.gc(&GcOptions::default(), &|_, _| {}).unwrap();
            }
            Self::Import => {
                let stream = fs::File::open(fixture.path("stream")).unwrap();
                fixture.store.import(stream, Believe::Everything).unwrap();
            }
            Self::Open => {
                for root in ["hb", "new"] {
                    drop(Store::open(&fixture.path(root), OpenMode::Write).unwrap());
                }
            }
        }
    }

    /// What is there before: something kept, and something for gc.
    fn prepare(self, fixture: &Fixture) {
        let kept = fixture.add("kept", "kept");
        fixture.store.add_root(&name("kept"), &kept).unwrap();
        fixture.add("loose", "loose");
        fixture.write("junk/sub/a", b"a");
        fixture.store.add_tree(&fixture.path("junk"), &name("junk"), None).unwrap();
        if let Self::Import = self {
            let from = Fixture::new();
            Self::Publish.run(&from);
            let all = from.store.list().unwrap();
            let stream = fs::File::create(fixture.path("stream")).unwrap();
            let place = fixture.path("stream");
            from.store.export(&all, ExportOptions::default(), stream, &place).unwrap();
        }
    }
}

#[test]
fn killed_while_publishing_the_store_is_whole() {
    check(Work::Publish, 19);
}

#[test]
fn killed_while_adding_the_store_is_whole() {
    check(Work::Add, 13);
}

#[test]
fn killed_while_adding_derivations_the_store_is_whole() {
    check(Work::Derive, 7);
}

#[test]
fn killed_while_collecting_the_store_is_whole() {
    check(Work::Collect, 13);
}

#[test]
fn killed_while_opening_the_store_is_whole() {
    check(Work::Open, 37);
}

#[test]
fn killed_while_importing_the_store_is_whole() {
    check(Work::Import, 17);
}

fn check(work: Work, stride: usize) {
    let stride = if env::var_os("HB_TEST_EVERY_CALL").is_some() { 1 } else { stride };
    let mut stop = 0;
    loop {
        let fixture = Fixture::new();
        work.prepare(&fixture);
        let fixture = fixture.reopen();
        let Fixture { store, folder } = fixture;
        drop(store);
        let ended = run_child(work, &folder, stop);
        look(work, folder, stop);
        if ended {
            assert!(stop > 100, "{work:?} made only {stop} stops: nothing was tested");
            return;
        }
        stop += stride;
    }
}

/// What lies there now must be whole, and the work must succeed when done again.
fn look(work: Work, folder: Folder, stop: usize) {
    let store = Store::open(&folder.path().join("hb"), OpenMode::Write).unwrap();
    let fixture = Fixture { store, folder };
    let verify = || fixture.store.verify(VerifyOptions { contents: true }, &|_| {}).unwrap();
    let findings = verify();
    // Whole objects that nobody knows may lie around; nothing else.
    let only_strays = findings.iter().all(Finding::is_leftover);
    assert!(only_strays, "{work:?} killed at {stop}: {findings:?}");
    let staging = fs::read_dir(fixture.path("hb/staging")).unwrap();
    assert_eq!(staging.count(), 1, "{work:?} killed at {stop}: staging is not cleared");
    work.run(&fixture);
    Work::Collect.run(&fixture);
    let findings = verify();
    assert!(findings.is_empty(), "{work:?} killed at {stop}, then done again: {findings:?}");
    assert_eq!(fixture.store.roots().unwrap().len(), 1);
}

#[test]
#[ignore = "run under ptrace by the tests above"]
fn do_the_work_named_in_the_environment() {
    let work = env::var("HB_TEST_WORK").unwrap();
    let work = Work::ALL.into_iter().find(|it| format!("{it:?}") == work).unwrap();
    let folder = Folder::at(Path::new(&env::var_os("HB_TEST_FOLDER").unwrap()));
    let store = Store::open(&folder.path().join("hb"), OpenMode::Write).unwrap();
    let fixture = Fixture { store, folder };
    // SAFETY: asks for a priority; touches no memory.
    unsafe { libc::syscall(BEGIN, libc::PRIO_PROCESS, 0) };
    work.run(&fixture);
    // SAFETY: ends the process at once, so that only the work is counted.
    unsafe { libc::_exit(0) }
}

/// Whether the child came to its end before the stop.
fn run_child(work: Work, folder: &Folder, stop: usize) -> bool {
    let mut command = Command::new(env::current_exe().unwrap());
    command
        .args(["--exact", "do_the_work_named_in_the_environment", "--ignored", "--nocapture"])
        .env("HB_TEST_WORK", format!("{work:?}"))
        .env("HB_TEST_FOLDER", folder.path())
        .stdout(Stdio::null());
    // SAFETY: `ptrace` is a bare system call, allowed between fork and exec.
    unsafe {
        command.pre_exec(|| match libc::ptrace(libc::PTRACE_TRACEME, 0, 0, 0) {
            -1 => Err(std::io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    let child = command.spawn().unwrap();
    let ended = trace(child.id() as libc::pid_t, stop);
    drop(child);
    ended
}

/// Let the child run until the n-th stop at a system call after [`BEGIN`], and kill it.
fn trace(child: libc::pid_t, stop: usize) -> bool {
    let mut begun = false;
    let mut stops = 0;
    loop {
        let mut status = 0;
        // SAFETY: waits for the child and its threads; `status` outlives the call.
        let who = unsafe { libc::waitpid(-1, &raw mut status, WAIT) };
        assert!(who > 0, "no child left: {}", std::io::Error::last_os_error());
        if libc::WIFEXITED(status) || libc::WIFSIGNALED(status) {
            if who == child {
                return libc::WIFEXITED(status);
            }
            continue;
        }
        let signal = libc::WSTOPSIG(status);
        let mut deliver = 0;
        if signal == libc::SIGTRAP | 0x80 {
            if begun {
                stops += 1;
            } else {
                begun = call(who) == BEGIN;
            }
            if begun && stops > stop {
                // SAFETY: kills the process that this test started.
                unsafe { libc::kill(child, libc::SIGKILL) };
                reap(child);
                return false;
            }
        } else if signal == libc::SIGTRAP && status >> 16 == 0 && !begun && stops == 0 {
            let options =
                libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACECLONE | libc::PTRACE_O_EXITKILL;
            // SAFETY: sets options on our stopped child.
            unsafe { libc::ptrace(libc::PTRACE_SETOPTIONS, who, 0, options) };
        } else if signal != libc::SIGTRAP && signal != libc::SIGSTOP {
            deliver = signal;
        }
        // SAFETY: lets our stopped child go on to its next system call.
        unsafe { libc::ptrace(libc::PTRACE_SYSCALL, who, 0, deliver) };
    }
}

/// The number of the system call at which a thread stands.
fn call(thread: libc::pid_t) -> libc::c_long {
    // SAFETY: registers are plain numbers; zero is one.
    let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
    // SAFETY: writes the registers of our stopped child.
    unsafe { libc::ptrace(libc::PTRACE_GETREGS, thread, 0, &raw mut registers) };
    registers.orig_rax as libc::c_long
}

/// Wait until nothing of a killed child is left.
fn reap(child: libc::pid_t) {
    loop {
        let mut status = 0;
        // SAFETY: waits for the child and its threads; `status` outlives the call.
        let who = unsafe { libc::waitpid(-1, &raw mut status, WAIT) };
        let gone = libc::WIFEXITED(status) || libc::WIFSIGNALED(status);
        if who < 0 || (who == child && gone) {
            return;
        }
    }
}
