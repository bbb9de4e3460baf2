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
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};
use serde::{Deserialize, Serialize};

use crate::spec::SyscallPolicy;

/// The filter could not be made.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The compiler of filters does not know this processor.
    #[error("system calls cannot be filtered on {0}")]
    Processor(&'static str),
    /// The table is not what the compiler of filters accepts.
    #[error("the table of system calls does not compile")]
    Table(#[source] seccompiler::BackendError),
    /// A compiled part does not begin as all do that can be joined.
    #[error("the compiled filter has an unknown shape")]
    Shape,
}

/// When a call is refused.
enum When {
    Always,
    /// Any of these bits is set in this argument.
    Bits(u8, u64),
    /// This argument has one of these values.
    Is(u8, &'static [u64]),
    /// This argument, a mode, has the set-uid or the set-gid bit.
    SetIdMode(u8),
    /// The flags in the first argument create a file, and the mode in the second
    /// has one of those bits.
    CreatesSetId(u8, u8),
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

const SET_ID_BITS: [u64; 2] = [libc::S_ISUID as u64, libc::S_ISGID as u64];
/// `O_CREAT`, and `O_TMPFILE` without the `O_DIRECTORY` that it includes.
const CREATING_FLAGS: [u64; 2] =
    [libc::O_CREAT as u64, (libc::O_TMPFILE & !libc::O_DIRECTORY) as u64];
/// Typing into, and selecting on, the terminal of the person who runs hb.
const TERMINAL_INJECTION: &[u64] = &[libc::TIOCSTI, libc::TIOCLINUX];
/// Kernel interfaces keep one number on every processor since 424.
const SYS_FCHMODAT2: i64 = 452;
const SYS_SETXATTRAT: i64 = 463;
const SYS_FILE_SETATTR: i64 = 469;
const CLONE_NEWTIME: u64 = 0x80;
const NAMESPACE_FLAGS: u64 = (libc::CLONE_NEWUSER
    | libc::CLONE_NEWNS
    | libc::CLONE_NEWPID
    | libc::CLONE_NEWNET
    | libc::CLONE_NEWIPC
    | libc::CLONE_NEWUTS
    | libc::CLONE_NEWCGROUP) as u64;

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
    /// Rules of which any one refuses the call; none means always.
    fn rules(&self) -> Result<Vec<SeccompRule>, seccompiler::BackendError> {
        use SeccompCmpOp::{Eq, MaskedEq, Ne};
        let has = |arg, bits| condition(arg, MaskedEq(bits), bits);
        let rules: Vec<Vec<_>> = match *self {
            When::Always => Vec::new(),
            When::Bits(arg, bits) => (0..u64::BITS)
                .map(|bit| 1 << bit)
                .filter(|bit| bits & bit != 0)
                .map(|bit| vec![has(arg, bit)])
                .collect(),
            When::Is(arg, values) => {
                values.iter().map(|&value| vec![condition(arg, Eq, value)]).collect()
            }
            When::SetIdMode(mode) => SET_ID_BITS.map(|bit| vec![has(mode, bit)]).into(),
            When::CreatesSetId(flags, mode) => CREATING_FLAGS
                .iter()
                .flat_map(|&flag| SET_ID_BITS.map(|bit| vec![has(flags, flag), has(mode, bit)]))
                .collect(),
            When::UnusualSocket { unix } => {
                let mut usual = vec![libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK];
                usual.extend(unix.then_some(libc::AF_UNIX));
                let family = usual.iter().map(|&af| condition(0, Ne, af as u64)).collect();
                let netlink = vec![
                    condition(0, Eq, libc::AF_NETLINK as u64),
                    condition(2, Ne, libc::NETLINK_ROUTE as u64),
                ];
                vec![family, netlink]
            }
        };
        rules
            .into_iter()
            .map(|all| SeccompRule::new(all.into_iter().collect::<Result<_, _>>()?))
            .collect()
    }
}

/// The kernel reads these arguments as 32 bits wide, and so does the filter.
fn condition(
    arg: u8,
    op: SeccompCmpOp,
    value: u64,
) -> Result<SeccompCondition, seccompiler::BackendError> {
    SeccompCondition::new(arg, SeccompCmpArgLen::Dword, op, value)
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
    let processor = std::env::consts::ARCH;
    let arch = TargetArch::try_from(processor).map_err(|_| FilterError::Processor(processor))?;
    let mut leaves = BTreeMap::new();
    for group in [forbidden(), unsupported(), unseen(), unusual_sockets(policy)] {
        for (call, when) in &group.calls {
            leaves.insert(*call, leaf(*call, when, group.error, arch)?);
        }
    }
    let mut program = BpfProgram::new();
    let mut programs = Vec::new();
    for (call, leaf) in leaves {
        let number = u32::try_from(call).map_err(|_| FilterError::Shape)?;
        let (same, own) = leaf.split_at_checked(ARCHITECTURE_CHECK).ok_or(FilterError::Shape)?;
        if program.is_empty() {
            program.extend_from_slice(same);
        } else if program != same {
            return Err(FilterError::Shape);
        }
        programs.push((number, own.to_vec()));
    }
    program.push(step(BPF_LOAD_WORD, NUMBER));
    program.extend(other_numbering());
    program.extend(tree(&programs));
    Ok(program)
}

/// How many instructions of each program check that the call is of this processor.
const ARCHITECTURE_CHECK: usize = 3;

/// The program of one call, which allows every other.
fn leaf(call: i64, when: &When, error: i32, arch: TargetArch) -> Result<BpfProgram, FilterError> {
    let rules = when.rules().map_err(FilterError::Table)?;
    let refuse = SeccompAction::Errno(error as u32);
    SeccompFilter::new([(call, rules)].into(), SeccompAction::Allow, refuse, arch)
        .and_then(BpfProgram::try_from)
        .map_err(FilterError::Table)
}

/// Finds the program of the loaded number among these, which are sorted; each must allow
/// what is not its own. A number that has none comes to one of them as well.
fn tree(leaves: &[(u32, BpfProgram)]) -> BpfProgram {
    if let [(_, leaf)] = leaves {
        return leaf.clone();
    }
    let (lower, upper) = leaves.split_at(leaves.len() / 2);
    let first = upper.first().map_or(0, |(number, _)| *number);
    let lower = tree(lower);
    // Conditional jumps are too short for what lies between.
    let mut program = vec![
        sock_filter { jf: 1, ..step(BPF_JUMP_IF_GREATER_OR_EQUAL, first) },
        step(BPF_JUMP, lower.len() as u32),
    ];
    program.extend(lower);
    program.extend(tree(upper));
    program
}

/// Where a filter finds the call's number.
const NUMBER: u32 = 0;
const BPF_LOAD_WORD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const BPF_JUMP_IF_GREATER_OR_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const BPF_JUMP: u16 = (libc::BPF_JMP | libc::BPF_JA) as u16;
const BPF_RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

fn step(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// On x86-64 every call has a second number, with this bit set (x32), that would
/// pass by rules on the first; the number is loaded. Another processor's calls (such as
/// 32-bit x86) are the compiler's care: it ends the program.
fn other_numbering() -> BpfProgram {
    const X32_BIT: u32 = 0x4000_0000;
    if cfg!(not(target_arch = "x86_64")) {
        return BpfProgram::new();
    }
    vec![
        sock_filter { jf: 1, ..step(BPF_JUMP_IF_GREATER_OR_EQUAL, X32_BIT) },
        step(BPF_RETURN, u32::from(SeccompAction::Errno(libc::ENOSYS as u32))),
    ]
}

/// Whether this kernel filters system calls.
pub(crate) fn kernel_filters() -> bool {
    Path::new("/proc/sys/kernel/seccomp/actions_avail").exists()
}
