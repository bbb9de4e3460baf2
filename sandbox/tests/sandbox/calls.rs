//! System calls that a build is refused, called directly.
//!
//! The builder is this very test program, with the host's libraries shown to it,
//! running the test named `caller`.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hb_sandbox::{Access, Bind, Isolation, Root, SyscallPolicy};
use libc::{
    AF_ALG, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET, AF_UNIX, AF_VSOCK, EAFNOSUPPORT, ENOSYS,
    EOPNOTSUPP, EPERM, SOCK_DGRAM, SOCK_RAW, SOCK_STREAM, c_long, syscall,
};

use crate::harness::{Build, build};

/// A build that runs `caller` under `policy`.
fn calling(policy: SyscallPolicy) -> Build {
    running(policy, "calls::caller")
}

/// A build that runs a test of this program's under `policy`.
pub(crate) fn running(policy: SyscallPolicy, test: &str) -> Build {
    let mut build = build("");
    let program = std::env::current_exe().expect("this test program");
    let read_only = |source: &Path, target: &str| Bind {
        source: source.to_owned(),
        target: PathBuf::from(target),
        access: Access::ReadOnly,
    };
    build.spec.root = Root::Empty;
    build.spec.limits.time = Some(Duration::from_secs(60));
    build.spec.syscalls = policy;
    build.spec.binds =
        ["/usr", "/lib", "/lib64"].map(|path| read_only(path.as_ref(), path)).to_vec();
    build.spec.binds.push(read_only(&program, "/caller"));
    build.spec.argv =
        ["/caller", "--exact", test, "--ignored", "--nocapture"].map(Into::into).to_vec();
    build
}

/// What each attempt of `caller` gave: 0 or an error number.
fn results(policy: SyscallPolicy) -> BTreeMap<String, i32> {
    let output = calling(policy).succeed();
    output
        .lines()
        .filter_map(|line| line.strip_prefix("attempt ")?.split_once(": "))
        .map(|(name, error)| (name.to_owned(), error.parse().expect("an error number")))
        .collect()
}

fn check_results(results: &BTreeMap<String, i32>, names: &str, expected: i32) {
    for name in names.split_whitespace() {
        assert_eq!(results.get(name), Some(&expected), "{name}");
    }
}

/// Makes every attempt, inside the sandbox, and prints how it ended.
#[test]
#[ignore = "run inside the sandbox by the other tests"]
#[allow(clippy::print_stdout, reason = "the test outside reads what it prints")]
fn caller() {
    let attempt = |name: &str, result: c_long| {
        let error = io::Error::last_os_error().raw_os_error().unwrap_or_default();
        println!("attempt {name}: {}", if result < 0 { error } else { 0 });
    };
    let path = c"/build/file".as_ptr();
    let here = libc::AT_FDCWD;
    let created = libc::O_CREAT | libc::O_WRONLY;
    let temporary = libc::O_TMPFILE | libc::O_WRONLY;
    // SAFETY: each call is refused by the filter, is given arguments that the kernel
    // rejects, or touches only this sandbox's own files.
    unsafe {
        attempt("plain-file", syscall(libc::SYS_openat, here, path, created, 0o644));
        attempt(
            "set-uid-open",
            syscall(libc::SYS_openat, here, c"/build/u".as_ptr(), created, 0o4755),
        );
        attempt(
            "set-gid-open",
            syscall(libc::SYS_openat, here, c"/build/g".as_ptr(), created, 0o2755),
        );
        attempt(
            "set-uid-nameless",
            syscall(libc::SYS_openat, here, c"/build".as_ptr(), temporary, 0o4755),
        );
        attempt("set-uid-fchmodat", syscall(libc::SYS_fchmodat, here, path, 0o4755));
        attempt("set-uid-fchmodat2", syscall(452, here, path, 0o4755, 0));
        attempt(
            "set-uid-mknod",
            syscall(libc::SYS_mknodat, here, c"/build/n".as_ptr(), libc::S_IFREG | 0o4755, 0),
        );
        attempt("set-gid-mkdir", mkdir_with_set_gid());
        attempt(
            "white-out",
            syscall(libc::SYS_mknodat, here, c"/build/w".as_ptr(), libc::S_IFCHR, 0),
        );
        attempt(
            "disk",
            syscall(libc::SYS_mknodat, here, c"/build/b".as_ptr(), libc::S_IFBLK | 0o600, 0x800),
        );
        let xattr = (c"user.hb".as_ptr(), c"v".as_ptr());
        attempt("setxattr", syscall(libc::SYS_setxattr, path, xattr.0, xattr.1, 1, 0));
        attempt("lsetxattr", syscall(libc::SYS_lsetxattr, path, xattr.0, xattr.1, 1, 0));
        attempt("fsetxattr", syscall(libc::SYS_fsetxattr, 1, xattr.0, xattr.1, 1, 0));
        attempt("setxattrat", syscall(463, here, path, 0, xattr.0, 0, 0));
        attempt("clone3", syscall(libc::SYS_clone3, 0, 0));
        attempt("openat2", syscall(libc::SYS_openat2, here, path, 0, 0));
        attempt(
            "clone-newuser",
            syscall(libc::SYS_clone, libc::CLONE_NEWUSER | libc::CLONE_FS, 0, 0, 0, 0),
        );
        attempt("unshare-newuser", syscall(libc::SYS_unshare, libc::CLONE_NEWUSER));
        attempt("unshare-newtime", syscall(libc::SYS_unshare, 0x80));
        attempt("unshare-files", syscall(libc::SYS_unshare, libc::CLONE_FILES));
        attempt("setns", syscall(libc::SYS_setns, -1, 0));
        attempt("mount", syscall(libc::SYS_mount, 0, 0, 0, 0, 0));
        attempt("fsopen", syscall(libc::SYS_fsopen, 0, 0));
        attempt("open-tree", syscall(libc::SYS_open_tree, here, path, 1));
        attempt("move-mount", syscall(libc::SYS_move_mount, here, path, here, path, 0));
        attempt("mount-setattr", syscall(libc::SYS_mount_setattr, here, path, 0, 0, 0));
        attempt("umount", syscall(libc::SYS_umount2, c"/proc".as_ptr(), 0));
        attempt("pivot-root", syscall(libc::SYS_pivot_root, path, path));
        attempt("chroot", syscall(libc::SYS_chroot, c"/build".as_ptr()));
        attempt("open-by-handle", syscall(libc::SYS_open_by_handle_at, here, 0, 0));
        attempt("add-key", syscall(libc::SYS_add_key, 0, 0, 0, 0, 0));
        attempt("request-key", syscall(libc::SYS_request_key, 0, 0, 0, 0));
        attempt("keyctl", syscall(libc::SYS_keyctl, 0, -3, 0));
        attempt("ptrace", syscall(libc::SYS_ptrace, libc::PTRACE_CONT, 0, 0, 0));
        attempt("process-vm-writev", syscall(libc::SYS_process_vm_writev, 1, 0, 0, 0, 0, 0));
        attempt("process-vm-readv", syscall(libc::SYS_process_vm_readv, 1, 0, 0, 0, 0, 0));
        attempt("pidfd-getfd", syscall(libc::SYS_pidfd_getfd, -1, 0, 0));
        attempt("kcmp", syscall(libc::SYS_kcmp, 1, 1, 0, 0, 0));
        attempt("bpf", syscall(libc::SYS_bpf, 99, 0, 0));
        attempt("perf", syscall(libc::SYS_perf_event_open, 0, 0, 0, 0, 0));
        attempt("userfaultfd", syscall(libc::SYS_userfaultfd, 1));
        attempt("io-uring-setup", syscall(libc::SYS_io_uring_setup, 1, 0));
        attempt("io-uring-enter", syscall(libc::SYS_io_uring_enter, -1, 0, 0, 0, 0, 0));
        attempt("io-uring-register", syscall(libc::SYS_io_uring_register, -1, 0, 0, 0));
        attempt("terminal-input", syscall(libc::SYS_ioctl, 0, libc::TIOCSTI, c"x".as_ptr()));
        attempt(
            "terminal-selection",
            syscall(libc::SYS_ioctl, 0, libc::TIOCLINUX, c"\x02".as_ptr()),
        );
        // The upper half of the argument is not read by the kernel.
        attempt(
            "terminal-input-wide",
            syscall(libc::SYS_ioctl, 0, libc::TIOCSTI | 1 << 32, c"x".as_ptr()),
        );
        let socket = |family: i32, kind: i32, protocol: i32| {
            syscall(libc::SYS_socket, family, kind, protocol)
        };
        attempt("unix", socket(AF_UNIX, SOCK_STREAM, 0));
        attempt("inet", socket(AF_INET, SOCK_STREAM, 0));
        attempt("inet6", socket(AF_INET6, SOCK_DGRAM, 0));
        attempt("netlink-route", socket(AF_NETLINK, SOCK_RAW, libc::NETLINK_ROUTE));
        attempt("netlink-audit", socket(AF_NETLINK, SOCK_RAW, libc::NETLINK_AUDIT));
        attempt("netlink-uevent", socket(AF_NETLINK, SOCK_RAW, libc::NETLINK_KOBJECT_UEVENT));
        attempt("vsock", socket(AF_VSOCK, SOCK_STREAM, 0));
        attempt("packet", socket(AF_PACKET, SOCK_RAW, 0));
        attempt("alg", socket(AF_ALG, libc::SOCK_SEQPACKET, 0));
        #[cfg(target_arch = "x86_64")]
        {
            let made =
                |name: &CStr, flags: i32| syscall(libc::SYS_open, name.as_ptr(), flags, 0o4755);
            attempt("set-uid-old-open", made(c"/build/o", created));
            attempt("set-uid-old-nameless", made(c"/build", temporary));
            let kind = libc::S_IFREG | 0o4755;
            attempt("set-uid-old-mknod", syscall(libc::SYS_mknod, c"/build/m".as_ptr(), kind, 0));
            attempt("set-uid-chmod", syscall(libc::SYS_chmod, path, 0o4755));
            attempt("set-uid-creat", syscall(libc::SYS_creat, c"/build/c".as_ptr(), 0o4755));
            attempt("other-numbering", syscall(0x4000_0000 | libc::SYS_getpid));
        }
    }
}

/// 0 where the kernel drops the bit, as it has to: then no rule is needed.
fn mkdir_with_set_gid() -> c_long {
    // SAFETY: the paths are zero-terminated and `found` is as large as the kernel's.
    unsafe {
        let path = c"/build/d".as_ptr();
        syscall(libc::SYS_mkdirat, libc::AT_FDCWD, path, 0o6755);
        let mut found: libc::stat = std::mem::zeroed();
        libc::stat(path, &mut found);
        if found.st_mode & 0o6000 == 0 { 0 } else { -1 }
    }
}

#[test]
fn files_cannot_get_set_id_bits_by_any_call() {
    let results = results(SyscallPolicy::Build);
    check_results(&results, "plain-file set-gid-mkdir", 0);
    let refused = "set-uid-open set-gid-open set-uid-nameless set-uid-fchmodat set-uid-fchmodat2 \
                   set-uid-mknod";
    check_results(&results, refused, EPERM);
    if cfg!(target_arch = "x86_64") {
        let old = "set-uid-chmod set-uid-creat set-uid-old-open set-uid-old-nameless \
                   set-uid-old-mknod";
        check_results(&results, old, EPERM);
    }
}

#[test]
fn nodes_of_devices_cannot_be_made() {
    let results = results(SyscallPolicy::Build);
    check_results(&results, "disk", EPERM);
    // Anyone may make one of these; it is nothing that the store takes.
    check_results(&results, "white-out", 0);
}

#[test]
fn extended_attributes_are_said_to_be_unsupported() {
    let results = results(SyscallPolicy::Build);
    check_results(&results, "setxattr lsetxattr fsetxattr setxattrat", EOPNOTSUPP);
}

#[test]
fn calls_whose_flags_cannot_be_seen_are_said_to_be_missing() {
    check_results(&results(SyscallPolicy::Build), "clone3 openat2", ENOSYS);
}

#[test]
fn namespaces_keyrings_tracing_and_risky_parts_of_the_kernel_are_refused() {
    let results = results(SyscallPolicy::Build);
    check_results(&results, "unshare-files", 0);
    let refused = "clone-newuser unshare-newuser unshare-newtime setns mount fsopen open-tree \
                   move-mount mount-setattr umount pivot-root chroot open-by-handle \
                   add-key request-key keyctl ptrace process-vm-readv process-vm-writev pidfd-getfd kcmp bpf perf \
                   userfaultfd io-uring-setup io-uring-enter io-uring-register";
    check_results(&results, refused, EPERM);
}

#[test]
fn typing_into_the_terminal_is_refused() {
    let results = results(SyscallPolicy::Build);
    check_results(&results, "terminal-input terminal-selection terminal-input-wide", EPERM);
}

#[test]
fn only_usual_sockets_can_be_made() {
    let build = results(SyscallPolicy::Build);
    check_results(&build, "unix inet inet6 netlink-route", 0);
    check_results(&build, "netlink-audit netlink-uevent vsock packet alg", EAFNOSUPPORT);
    let fetch = results(SyscallPolicy::Fetch);
    check_results(&fetch, "inet inet6 netlink-route", 0);
    check_results(&fetch, "unix vsock packet", EAFNOSUPPORT);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn the_other_numbering_of_calls_is_no_way_around() {
    check_results(&results(SyscallPolicy::Build), "other-numbering", ENOSYS);
}

#[test]
fn without_the_filter_the_same_calls_end_otherwise() {
    let open = results(SyscallPolicy::Unfiltered);
    let filtered = results(SyscallPolicy::Build);
    let same: Vec<_> = "set-uid-open set-uid-fchmodat set-uid-nameless setxattr clone3 openat2 \
                        unshare-newuser setns keyctl ptrace terminal-input netlink-uevent"
        .split_whitespace()
        .filter(|name| open.get(*name) == filtered.get(*name))
        .collect();
    assert_eq!(same, Vec::<&str>::new(), "{open:?}");
}

#[test]
fn the_isolation_says_whether_calls_were_filtered() {
    let isolation = |policy| calling(policy).run().expect("it starts").ended.isolation;
    assert_eq!(isolation(SyscallPolicy::Build), Isolation::Filtered);
    assert_eq!(isolation(SyscallPolicy::Unfiltered), Isolation::Namespaces);
}
