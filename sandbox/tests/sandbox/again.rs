//! The same promises, kept by the other maker of sandboxes and for an ordinary user:
//! this test program again.

use std::fs;
use std::future::pending;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use hb_sandbox::{Maker, RunError, StoreEntry, User};
use rustix::process::geteuid;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};

use crate::harness::{BUBBLEWRAP_VARIABLE, Build, block_on, build, maker, runner_by};

/// The tests to run again.
const MODULES: [&str; 8] =
    ["calls::", "ends::", "limits::", "people::", "reach::", "sees::", "terminal::", "walls::"];
const USER: u32 = 54_321;

/// Runs a copy of this program by this command and these first arguments; all its tests
/// must pass.
fn check_again(command: &str, arguments: &[&str], by_bubblewrap: bool) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let program = folder.path().join("tests");
    fs::copy(std::env::current_exe().expect("this test program"), &program).expect("a copy");
    let temporary = folder.path().join("tmp");
    fs::create_dir(&temporary).expect("a folder");
    for (path, mode) in [(folder.path(), 0o755), (&program, 0o755), (&temporary, 0o777)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
    }
    let mut again = Command::new(command);
    again.args(arguments).arg(&program).args(MODULES).env("TMPDIR", &temporary);
    if by_bubblewrap {
        again.env(BUBBLEWRAP_VARIABLE, "1");
    }
    let ran = again.output().expect("the tests start");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    assert!(said.contains(" 0 failed"), "{said}");
}

/// Whether this is the first round, and of root's: only then are there others.
fn is_first_round() -> bool {
    maker() == Maker::Direct && geteuid().is_root()
}

#[test]
fn bubblewrap_makes_the_same_sandboxes() {
    if maker() == Maker::Direct {
        check_again("/usr/bin/env", &[], true);
    }
}

#[test]
fn an_ordinary_user_gets_the_same_sandboxes() {
    if is_first_round() {
        let ids = [format!("--reuid={USER}"), format!("--regid={USER}"), "--clear-groups".into()];
        check_again("/usr/bin/setpriv", &ids.each_ref().map(String::as_str), false);
    }
}

#[test]
fn an_ordinary_user_gets_the_same_sandboxes_by_bubblewrap() {
    if is_first_round() {
        let ids = [format!("--reuid={USER}"), format!("--regid={USER}"), "--clear-groups".into()];
        check_again("/usr/bin/setpriv", &ids.each_ref().map(String::as_str), true);
    }
}

/// A kernel of before 5.2, for this process and all that it starts.
fn forget_new_mounts() {
    let calls = [(libc::SYS_fsopen, Vec::new())].into();
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let arch = std::env::consts::ARCH.try_into().expect("a known processor");
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, missing, arch).expect("a filter");
    let program: BpfProgram = filter.try_into().expect("a program");
    seccompiler::apply_filter_all_threads(&program).expect("the kernel takes it");
}

#[test]
#[ignore = "run in a process of its own by the next test"]
fn without_new_mounts() {
    forget_new_mounts();
    let build = build("echo built");
    let direct = build.run_by(Maker::Direct);
    assert!(
        matches!(&direct, Err(RunError::Setup { said }) if said.contains("new root")),
        "{direct:?}"
    );
    assert_eq!(build.run_by(Maker::Automatic).expect("bubblewrap can").output, "built\n");
}

#[test]
fn an_old_kernel_leaves_sandboxes_to_bubblewrap() {
    let ran = Command::new(std::env::current_exe().expect("this test program"))
        .args(["--exact", "again::without_new_mounts", "--ignored"])
        .output()
        .expect("the tests start");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains("1 passed"), "{said}");
}

/// What a build can find out about its sandbox, but for what no sandbox hides: times,
/// sizes, the numbers of devices, the owner of `/dev/pts`, and mounts in detail.
const LOOK_AROUND: &str = r#"
    for folder in / /dev /dev/shm /hb /hb/store /build /tmp; do
        echo "$folder: $(cd $folder && ls -A | tr '\n' ' ')"
        stat -c '%n %a %u %g %F' $folder $(ls -A -d $folder/* | grep -v -e ^/proc -e pts)
    done
    ls -A /dev/pts; stat -c '%n %a %F' /dev/pts /dev/pts/*
    readlink /dev/fd /dev/stdin /dev/core /dev/ptmx
    grep -E '^(Uid|Gid|Groups|Cap|NoNewPrivs|Seccomp|Sig|NSpid|TracerPid|Umask|PPid)' \
        /proc/self/status | grep -v -e SigQ -e '^Seccomp_'
    for file in limits; do cat /proc/self/$file | grep -v -i pending; done
    ls /proc/self/fd | wc -l
    cut -d ' ' -f 5- /proc/self/stat | cut -d ' ' -f 1-3
    cat /proc/sys/kernel/hostname /proc/sys/kernel/ostype; grep ^processor /proc/cpuinfo
    cut -d ' ' -f 5 /proc/self/mountinfo | grep -v ^/proc/ | sort -u
    busybox ip -o addr | sed 's/ *valid_lft.*//' | grep -o 'inet.*'
    env | sort
"#;

#[test]
fn both_makers_show_a_build_the_same() {
    if maker() != Maker::Direct {
        return;
    }
    let mut looking = build(LOOK_AROUND);
    looking.spec.env.insert("PATH".into(), "/bin".into());
    let [direct, by_bubblewrap] = [Maker::Direct, Maker::Bubblewrap]
        .map(|maker| looking.run_by(maker).expect("it runs").output);
    let differing: Vec<_> =
        direct.lines().zip(by_bubblewrap.lines()).filter(|(left, right)| left != right).collect();
    assert!(direct == by_bubblewrap, "differing lines: {differing:#?}");
}

#[test]
fn a_sandbox_made_ahead_shows_a_build_the_same() {
    let mut looking = build(LOOK_AROUND);
    looking.spec.env.insert("PATH".into(), "/bin".into());
    // The first is made when it is asked for, and each that is like the last one before that.
    let runner = runner_by(maker());
    let look = |build: &Build| build.run_with(&runner, pending()).expect("it runs").output;
    let first = look(&looking);
    assert_eq!(look(&looking), first);
    let user = looking.spec.user;
    looking.spec.user = User { uid: 4000, gid: 4001 };
    let other = look(&looking);
    assert!(other.contains("4000\t4000\t4000") && other.contains("4001\t4001\t4001"), "{other}");
    assert_eq!(look(&looking), other);
    looking.spec.user = user;
    assert_eq!(look(&looking), first);
    looking.spec.processors = Some(1);
    let one = look(&looking);
    assert_eq!(one.matches("processor\t:").count(), 1, "{one}");
    assert_eq!(look(&looking), one);
}

#[test]
fn mounts_of_the_host_are_seen_until_a_build_begins() {
    if is_first_round() {
        // Where mounts reach the namespaces that were made of it, as they do on most hosts.
        let program = std::env::current_exe().expect("this test program");
        let mut with_mounts = Command::new("/usr/bin/unshare");
        with_mounts.args(["--mount", "--propagation=shared"]).arg(program);
        with_mounts.args(["again::mount_beside_builds", "--exact", "--ignored"]);
        let ran = with_mounts.output().expect("the test starts");
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success() && said.contains(" 1 passed"), "{said}");
    }
}

#[test]
#[ignore = "run by the test above, with mounts of its own"]
fn mount_beside_builds() {
    let mount = |place: &Path, file: &str| {
        fs::create_dir_all(place).expect("a folder");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "late"]).arg(place).status();
        assert!(mounted.expect("mount starts").success());
        fs::write(place.join(file), "").expect("a file");
    };
    let runner = runner_by(maker());
    let first = build("true");
    first.run_with(&runner, pending()).expect("it runs");

    // By now the next sandbox has mounts of its own.
    let script = "ls /hb/store/late; echo ready; until [ -e go ]; do sleep 0.01; done; \
                  ls /hb/store/late/sub";
    let mut looking = build(script);
    let late = looking.path("late");
    mount(&late, "before");
    fs::create_dir(late.join("sub")).expect("a folder");
    let path = "/hb/store/late".to_owned();
    looking.spec.store.closure.push(StoreEntry { path, physical: late.clone() });
    let mut output = Vec::new();
    let running = runner.run(looking.spec.clone(), pending(), |bytes| {
        output.extend_from_slice(bytes);
        if output.ends_with(b"ready\n") {
            mount(&late.join("sub"), "after");
            fs::write(looking.path("work/go"), "").expect("a file");
        }
    });
    block_on(running).expect("it runs");
    assert_eq!(String::from_utf8_lossy(&output), "before\nsub\nready\n");
}
