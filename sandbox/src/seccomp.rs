//! The system calls that a sandboxed program is refused, as a table, and the
//! filter made of it.
//!
//! The namespaces are the wall; this is the second one. A call is here because
//! it makes what the store cannot represent (set-uid bits, extended
//! attributes), because it reaches what no namespace covers (keyrings, vsock,
//! the terminal), or because it opens parts of the kernel that no build needs
//! and that broke before (io_uring, userfaultfd, bpf, nested namespaces).
//! `docs/sandbox.md` explains each group; a refused call fails with an error
//! that programs know how to handle, and kills nobody.

use std::collections::BTreeMap;
use std::path::Path;

use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch, sock_filter};
use serde::{Deserialize, Serialize};

use crate::spec::SyscallPolicy;

/// The filter could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The compiler of filters does not know this processor.
    #[error("system calls cannot be filtered on {0}")]
    Processor(&'static str),
    /// The check of the processor could not be made.
    #[error("the filter for this processor does not compile")]
    Check(#[source] seccompiler::BackendError),
}

/// When a call is refused.
enum When {
    Always,
    /// Any of these bits is set in this argument.
    Bits(u32, u32),
    /// This argument has one of these values.
    Is(u32, &'static [u32]),
    /// This argument, a mode, has the set-uid or the set-gid bit.
    SetIdMode(u32),
    /// The flags in the first argument create a file, and the mode in the second
    /// has one of those bits.
    CreatesSetId(u32, u32),
    /// The socket's family, or its netlink protocol, is not one of the usual.
    UnusualSocket {
        unix: bool,
    },
}

/// The calls that are refused with one error.
struct Group {
    error: i32,
    calls: Vec<(i64, When)>,
}

const SET_ID_BITS: u32 = libc::S_ISUID | libc::S_ISGID;
/// `O_CREAT`, and `O_TMPFILE` without the `O_DIRECTORY` that it includes.
const CREATING_FLAGS: u32 = libc::O_CREAT as u32 | (libc::O_TMPFILE & !libc::O_DIRECTORY) as u32;
/// Typing into, and selecting on, the terminal of the person who runs hb.
const TERMINAL_INJECTION: &[u32] = &[libc::TIOCSTI as u32, libc::TIOCLINUX as u32];
/// Kernel interfaces keep one number on every processor since 424.
const SYS_FCHMODAT2: i64 = 452;
const SYS_SETXATTRAT: i64 = 463;
const SYS_FILE_SETATTR: i64 = 469;
const CLONE_NEWTIME: u32 = 0x80;
const NAMESPACE_FLAGS: u32 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u32;

/// "Operation not permitted", with what it is refused for.
fn forbidden() -> Group {
    #[rustfmt::skip]
    let mut calls = vec![
        // Set-uid and set-gid files, and nodes that carry such bits.
        (libc::SYS_fchmod, When::SetIdMode(1)),
        (libc::SYS_fchmodat, When::SetIdMode(2)),
        (SYS_FCHMODAT2, When::SetIdMode(2)),
        (libc::SYS_openat, When::CreatesSetId(2, 3)),
        (libc::SYS_mknodat, When::SetIdMode(2)),
        // Namespaces and mounts of the build's own.
        (libc::SYS_clone, When::Bits(0, NAMESPACE_FLAGS)),
        (libc::SYS_unshare, When::Bits(0, NAMESPACE_FLAGS | CLONE_NEWTIME)),
        (libc::SYS_setns, When::Always),
        (libc::SYS_mount, When::Always),
        (libc::SYS_umount2, When::Always),
        (libc::SYS_pivot_root, When::Always),
        (libc::SYS_chroot, When::Always),
        (libc::SYS_open_tree, When::Always),
        (libc::SYS_move_mount, When::Always),
        (libc::SYS_fsopen, When::Always),
        (libc::SYS_fsconfig, When::Always),
        (libc::SYS_fsmount, When::Always),
        (libc::SYS_fspick, When::Always),
        (libc::SYS_mount_setattr, When::Always),
        (libc::SYS_open_by_handle_at, When::Always),
        // Keyrings: not namespaced, and inherited from the user's session.
        (libc::SYS_add_key, When::Always),
        (libc::SYS_request_key, When::Always),
        (libc::SYS_keyctl, When::Always),
        // Other processes' memory and files.
        (libc::SYS_ptrace, When::Always),
        (libc::SYS_process_vm_readv, When::Always),
        (libc::SYS_process_vm_writev, When::Always),
        (libc::SYS_kcmp, When::Always),
        (libc::SYS_pidfd_getfd, When::Always),
        // Parts of the kernel that no build needs.
        (libc::SYS_bpf, When::Always),
        (libc::SYS_perf_event_open, When::Always),
        (libc::SYS_userfaultfd, When::Always),
        (libc::SYS_io_uring_setup, When::Always),
        (libc::SYS_io_uring_enter, When::Always),
        (libc::SYS_io_uring_register, When::Always),
        (libc::SYS_fanotify_init, When::Always),
        (libc::SYS_kexec_load, When::Always),
        (libc::SYS_init_module, When::Always),
        (libc::SYS_finit_module, When::Always),
        (libc::SYS_delete_module, When::Always),
        (libc::SYS_syslog, When::Always),
        (libc::SYS_acct, When::Always),
        (libc::SYS_quotactl, When::Always),
        (libc::SYS_swapon, When::Always),
        (libc::SYS_swapoff, When::Always),
        (libc::SYS_reboot, When::Always),
        (libc::SYS_settimeofday, When::Always),
        (libc::SYS_clock_settime, When::Always),
        (libc::SYS_clock_adjtime, When::Always),
        (libc::SYS_adjtimex, When::Always),
        (libc::SYS_ioctl, When::Is(1, TERMINAL_INJECTION)),
    ];
    #[cfg(target_arch = "x86_64")]
    calls.extend([
        (libc::SYS_chmod, When::SetIdMode(1)),
        (libc::SYS_open, When::CreatesSetId(1, 2)),
        (libc::SYS_creat, When::SetIdMode(1)),
        (libc::SYS_mknod, When::SetIdMode(1)),
        (libc::SYS_iopl, When::Always),
        (libc::SYS_ioperm, When::Always),
        (libc::SYS_kexec_file_load, When::Always),
    ]);
    Group { error: libc::EPERM, calls }
}

/// "Not supported": what the store does not keep. `cp` and `tar` go on.
fn unsupported() -> Group {
    let calls = vec![
        (libc::SYS_setxattr, When::Always),
        (libc::SYS_lsetxattr, When::Always),
        (libc::SYS_fsetxattr, When::Always),
        (SYS_SETXATTRAT, When::Always),
        (SYS_FILE_SETATTR, When::Always),
    ];
    Group { error: libc::EOPNOTSUPP, calls }
}

/// "No such call": their flags lie in memory, where a filter cannot see them;
/// libraries then use `clone` and `openat`.
fn unseen() -> Group {
    let calls = vec![(libc::SYS_clone3, When::Always), (libc::SYS_openat2, When::Always)];
    Group { error: libc::ENOSYS, calls }
}

/// "Address family not supported": vsock and others reach beyond the network
/// namespace or are rarely needed parts of the kernel.
fn unusual_sockets(policy: SyscallPolicy) -> Group {
    let when = When::UnusualSocket { unix: policy != SyscallPolicy::Fetch };
    Group { error: libc::EAFNOSUPPORT, calls: vec![(libc::SYS_socket, when)] }
}

impl When {
    /// Ends with `refuse` where the call is refused, and else with "allow".
    fn program(&self, refuse: &sock_filter) -> BpfProgram {
        let refuse = || refuse.clone();
        let mut program = BpfProgram::new();
        match *self {
            When::Always => return vec![refuse()],
            When::Bits(arg, bits) => {
                program.extend([load_argument(arg), skip_unless(ANY_BIT, bits), refuse()]);
            }
            When::Is(arg, values) => {
                program.push(load_argument(arg));
                for &value in values {
                    program.extend([skip_unless(EQUAL, value), refuse()]);
                }
            }
            When::SetIdMode(mode) => return When::Bits(mode, SET_ID_BITS).program(&refuse()),
            When::CreatesSetId(flags, mode) => {
                program.extend([load_argument(flags), skip_if(ANY_BIT, CREATING_FLAGS), allow()]);
                program.extend(When::SetIdMode(mode).program(&refuse()));
                return program;
            }
            When::UnusualSocket { unix } => {
                program.push(load_argument(0));
                let usual = [libc::AF_INET, libc::AF_INET6].into_iter();
                for family in usual.chain(unix.then_some(libc::AF_UNIX)) {
                    program.extend([skip_unless(EQUAL, family as u32), allow()]);
                }
                program.extend([skip_if(EQUAL, libc::AF_NETLINK as u32), refuse()]);
                let protocol = libc::NETLINK_ROUTE as u32;
                program.extend([load_argument(2), skip_if(EQUAL, protocol), refuse()]);
            }
        }
        program.push(allow());
        program
    }
}

/// A compiled filter: the code, jumps and operand of each instruction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Filter(Vec<(u16, u8, u8, u32)>);

impl Filter {
    /// Compiles the filter of `policy`; none where nothing is to be refused, or where
    /// the processor or the kernel has no filters.
    pub(crate) fn compile(policy: SyscallPolicy) -> Result<Option<Self>, FilterError> {
        if policy == SyscallPolicy::Unfiltered || !kernel_filters() {
            return Ok(None);
        }
        match compile(policy) {
            Err(FilterError::Processor(_)) => Ok(None),
            Err(error) => Err(error),
            Ok(program) => {
                let parts = |step: &sock_filter| (step.code, step.jt, step.jf, step.k);
                Ok(Some(Filter(program.iter().map(parts).collect())))
            }
        }
    }

    /// Applies it to this process and those that it starts, which must not be able to
    /// gain rights.
    pub(crate) fn apply(&self) -> Result<(), Errno> {
        let program: BpfProgram =
            self.0.iter().map(|&(code, jt, jf, k)| sock_filter { code, jt, jf, k }).collect();
        seccompiler::apply_filter(&program).map_err(|error| match error {
            seccompiler::Error::Prctl(error) | seccompiler::Error::Seccomp(error) => {
                Errno::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EINVAL))
            }
            _ => Errno::INVAL,
        })
    }

    /// The filter as the kernel's own structures.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0
            .iter()
            .flat_map(|(code, jt, jf, k)| {
                let [c0, c1] = code.to_ne_bytes();
                let [k0, k1, k2, k3] = k.to_ne_bytes();
                [c0, c1, *jt, *jf, k0, k1, k2, k3]
            })
            .collect()
    }
}

/// One program for all groups. The kernel runs it for each call that there is when it is
/// installed, and then for each call that it may refuse: so the calls' own programs are the
/// leaves of a tree, found by a few comparisons.
fn compile(policy: SyscallPolicy) -> Result<BpfProgram, FilterError> {
    let mut leaves = BTreeMap::new();
    for group in [forbidden(), unsupported(), unseen(), unusual_sockets(policy)] {
        let refuse = step(RETURN, u32::from(SeccompAction::Errno(group.error as u32)));
        for (call, when) in &group.calls {
            let number = *call as u32;
            let mut leaf = vec![skip_if(EQUAL, number), allow()];
            leaf.extend(when.program(&refuse));
            leaves.insert(number, leaf);
        }
    }
    let mut program = check_of_processor()?;
    program.push(step(LOAD_WORD, NUMBER));
    program.extend(other_numbering());
    program.extend(tree(&Vec::from_iter(leaves)));
    Ok(program)
}

/// Ends the program if the call is another processor's (such as 32-bit x86).
fn check_of_processor() -> Result<BpfProgram, FilterError> {
    let processor = std::env::consts::ARCH;
    let arch = TargetArch::try_from(processor).map_err(|_| FilterError::Processor(processor))?;
    // What every filter of the compiler's begins with; one without rules allows the rest.
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let mut program: BpfProgram =
        SeccompFilter::new(BTreeMap::new(), SeccompAction::Allow, refuse, arch)
            .and_then(BpfProgram::try_from)
            .map_err(FilterError::Check)?;
    program.pop();
    Ok(program)
}

/// Finds the program of the loaded number among these, which are sorted; each allows what
/// is not its own. A number that has none comes to one of them as well.
fn tree(leaves: &[(u32, BpfProgram)]) -> BpfProgram {
    if let [(_, leaf)] = leaves {
        return leaf.clone();
    }
    let (lower, upper) = leaves.split_at(leaves.len() / 2);
    let first = upper.first().map_or(0, |(number, _)| *number);
    let lower = tree(lower);
    // Conditional jumps are too short for what lies between.
    let mut program = vec![skip_unless(AT_LEAST, first), step(JUMP, lower.len() as u32)];
    program.extend(lower);
    program.extend(tree(upper));
    program
}

/// Where a filter finds the call's number.
const NUMBER: u32 = 0;
/// Where it finds the first argument.
const ARGUMENTS: u32 = 16;
const LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const ANY_BIT: u16 = (libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

fn step(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

fn allow() -> sock_filter {
    step(RETURN, u32::from(SeccompAction::Allow))
}

/// The kernel reads these arguments as 32 bits wide, and so does the filter.
fn load_argument(number: u32) -> sock_filter {
    let low_half = if cfg!(target_endian = "little") { 0 } else { 4 };
    step(LOAD_WORD, ARGUMENTS + 8 * number + low_half)
}

/// Leaves the next instruction out if what is loaded passes a test.
fn skip_if(test: u16, k: u32) -> sock_filter {
    sock_filter { jt: 1, ..step(test, k) }
}

/// Leaves the next instruction out unless it passes.
fn skip_unless(test: u16, k: u32) -> sock_filter {
    sock_filter { jf: 1, ..step(test, k) }
}

/// On x86-64 every call has a second number, with this bit set (x32), that would pass by
/// rules on the first; the number is loaded.
fn other_numbering() -> BpfProgram {
    const X32_BIT: u32 = 0x4000_0000;
    if cfg!(not(target_arch = "x86_64")) {
        return BpfProgram::new();
    }
    let refuse = step(RETURN, u32::from(SeccompAction::Errno(libc::ENOSYS as u32)));
    vec![skip_unless(AT_LEAST, X32_BIT), refuse]
}

/// Whether this kernel filters system calls.
pub(crate) fn kernel_filters() -> bool {
    Path::new("/proc/sys/kernel/seccomp/actions_avail").exists()
}
