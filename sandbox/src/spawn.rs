//! Starts bubblewrap: one child, one straight line of system calls.
//!
//! The child is the first process of a process-id namespace of its own, so that
//! the kernel ends every process of the sandbox with it, whatever ended it: a
//! finished build, a cancelled one, or the death of hb at any moment. No list of
//! processes has to be kept or trusted. It also means that a Ctrl-C typed at a
//! shared terminal reaches the program inside and not bubblewrap itself.
//!
//! The child shares hb's memory until it executes bubblewrap, and hb's thread
//! waits meanwhile; so starting costs the same however much memory hb uses, and
//! the child reports a failed step by writing it where hb reads it. In return the
//! child must not allocate, lock, or panic: all that it needs is made before.

use std::cell::Cell;
use std::ffi::{CStr, CString, OsStr, OsString, c_char, c_int, c_void};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::ptr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_bind_recursive, mount_change};
use rustix::process::{
    PidfdFlags, Resource, Rlimit, Signal, WaitId, WaitIdOptions, getegid, geteuid, getpid,
    getrlimit, pidfd_open, pidfd_send_signal, set_parent_process_death_signal, setpgid, setrlimit,
    umask, waitid,
};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::spec::{Limits, SandboxSpec, Stdio};
use crate::stage::{Staged, StoreMounts};

/// A step between hb and bubblewrap failed. Each variant is one system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpawnError {
    /// A path or an argument holds a zero byte.
    #[error("a path or an argument holds a zero byte")]
    ZeroByte,
    /// A descriptor to hand over could not be copied.
    #[error("could not copy a file descriptor")]
    CopyDescriptor(#[source] Errno),
    /// A handle on hb's own process could not be had.
    #[error("could not open a handle on hb's own process")]
    OwnHandle(#[source] Errno),
    /// The processors that hb may use could not be read.
    #[error("could not read the set of processors")]
    ReadProcessors(#[source] Errno),
    /// The process and its user and process-id namespaces could not be made.
    #[error("could not create a process in new user and process-id namespaces")]
    Clone(#[source] Errno),
    /// The child could not be tied to hb's life.
    #[error("could not ask to die with hb")]
    DeathSignal(#[source] Errno),
    /// hb died while it started the child.
    #[error("hb ended while the sandbox started")]
    ParentGone,
    /// The signal mask could not be emptied.
    #[error("could not unblock signals")]
    SignalMask(#[source] Errno),
    /// The child could not leave hb's process group.
    #[error("could not enter a process group")]
    ProcessGroup(#[source] Errno),
    /// The child could not be kept to some processors.
    #[error("could not set the processors")]
    Processors(#[source] Errno),
    /// A resource limit could not be set.
    #[error("could not set a resource limit")]
    ResourceLimit(#[source] Errno),
    /// A descriptor could not be given its number.
    #[error("could not place a file descriptor")]
    PlaceDescriptor(#[source] Errno),
    /// The other descriptors could not be closed.
    #[error("could not close the other file descriptors")]
    CloseDescriptors(#[source] Errno),
    /// The new user namespace could not be told to leave groups alone.
    #[error("could not write /proc/self/setgroups")]
    DenyGroups(#[source] Errno),
    /// The user's id could not be mapped into the new namespace.
    #[error("could not write /proc/self/uid_map")]
    MapUser(#[source] Errno),
    /// The group's id could not be mapped into the new namespace.
    #[error("could not write /proc/self/gid_map")]
    MapGroup(#[source] Errno),
    /// The new mounts could not be kept from the host.
    #[error("could not make the mounts private")]
    PrivateMounts(#[source] Errno),
    /// The outputs' folder could not be mounted on itself.
    #[error("could not mount the folder of the outputs")]
    MountOutputs(#[source] Errno),
    /// An input could not be mounted.
    #[error("could not mount an input")]
    MountInput(#[source] Errno),
    /// The inputs could not be made read-only.
    #[error("could not make the inputs read-only")]
    ReadOnlyInputs(#[source] Errno),
    /// The outputs' folder could not be made writable again.
    #[error("could not make the folder of the outputs writable")]
    WritableOutputs(#[source] Errno),
    /// Bubblewrap's first process was not found.
    #[error("could not find the sandbox's first process")]
    FirstProcess,
    /// The number of the first process could not be set.
    #[error("could not set the number of the first process")]
    Number(#[source] Errno),
    /// Bubblewrap could not be executed.
    #[error("could not execute bubblewrap")]
    Execute(#[source] Errno),
}

/// A running sandbox. Dropping it ends every process in it, and waits for that.
#[derive(Debug)]
pub(crate) struct Process {
    id: i32,
    handle: OwnedFd,
    reaped: bool,
}

impl Process {
    /// Becomes readable once every process of the sandbox is dead.
    pub(crate) fn handle(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }

    /// Bubblewrap's own number, while it lives.
    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    /// Ends every process of the sandbox.
    pub(crate) fn kill(&self) {
        // The only possible failure is that it is dead already.
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
    }

    /// Waits until every process of the sandbox is dead.
    pub(crate) fn reap(&mut self) {
        while !self.reaped {
            let waited = waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED);
            self.reaped = !matches!(waited, Err(Errno::INTR));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill();
            self.reap();
        }
    }
}

/// Room for the child's few frames, debug builds included.
pub(crate) const STACK_BYTES: usize = 256 * 1024;
/// Descriptors to hand over are first moved to this number or above, so that
/// placing one cannot overwrite another.
const PARKED: RawFd = 16;
/// The kernel's last signal number.
const LAST_SIGNAL: c_int = 64;
/// What a program finds as its own limits, where hb's user has no lower ones:
/// Linux' usual values, so that a user's settings do not reach a build.
const USUAL_LIMITS: [(Resource, u64); 3] =
    [(Resource::Core, 0), (Resource::Stack, 8 << 20), (Resource::Nofile, 1024)];

/// Starts `program` with `argv` and an empty environment. `descriptors` get the
/// numbers from 0 on; where `spec` inherits the terminal, from 3 on.
pub(crate) fn spawn(
    program: &Path,
    argv: &[OsString],
    descriptors: Vec<OwnedFd>,
    spec: &SandboxSpec,
    staged: &Staged,
) -> Result<Process, SpawnError> {
    let words = argv.iter().map(|word| c_string(word)).collect::<Result<Vec<_>, _>>()?;
    let mut argv: Vec<*const c_char> = words.iter().map(|word| word.as_ptr()).collect();
    argv.push(ptr::null());
    let parked = descriptors
        .iter()
        .map(|fd| rustix::io::fcntl_dupfd_cloexec(fd, PARKED).map_err(SpawnError::CopyDescriptor))
        .collect::<Result<Vec<_>, _>>()?;
    let first = if spec.stdio == Stdio::Inherited { 3 } else { 0 };
    let inputs = match &staged.store {
        StoreMounts::Together(mounts) => {
            spec.store.outputs.as_deref().map(|outputs| (outputs, mounts))
        }
        StoreMounts::Each(_) => None,
    };
    let child = Child {
        program: c_string(program.as_os_str())?,
        argv: argv.as_ptr(),
        parent: pidfd_open(getpid(), PidfdFlags::empty()).map_err(SpawnError::OwnHandle)?,
        placed: (first..)
            .zip(parked.iter().map(|fd| fd.as_raw_fd()))
            .map(|(to, from)| (from, to))
            .collect(),
        own_group: spec.stdio == Stdio::Captured,
        processors: spec.processors.map(processors).transpose()?,
        limits: resource_limits(&spec.limits),
        uid_map: format!("{0} {0} 1\n", geteuid().as_raw()),
        gid_map: format!("{0} {0} 1\n", getegid().as_raw()),
        inputs: inputs.map(|(outputs, mounts)| Inputs::new(outputs, mounts)).transpose()?,
        failure: Cell::new(None),
    };
    let mut process = child.start()?;
    if let Some(failure) = child.failure.get() {
        process.reap();
        return Err(failure);
    }
    Ok(process)
}

fn c_string(text: &OsStr) -> Result<CString, SpawnError> {
    CString::new(text.as_bytes()).map_err(|_| SpawnError::ZeroByte)
}

/// The first `count` of the processors that hb may use, and at least one.
fn processors(count: usize) -> Result<CpuSet, SpawnError> {
    let usable = sched_getaffinity(None).map_err(SpawnError::ReadProcessors)?;
    let mut chosen = CpuSet::new();
    for cpu in (0..CpuSet::MAX_CPU).filter(|&cpu| usable.is_set(cpu)).take(count.max(1)) {
        chosen.set(cpu);
    }
    Ok(chosen)
}

fn resource_limits(limits: &Limits) -> Vec<(Resource, Rlimit)> {
    let usual = USUAL_LIMITS.iter().map(|&(resource, usual)| {
        let maximum = getrlimit(resource).maximum;
        let current = maximum.map_or(usual, |maximum| maximum.min(usual));
        (resource, Rlimit { current: Some(current), maximum })
    });
    let asked = [
        (Resource::Nproc, limits.processes),
        (Resource::Fsize, limits.file_size),
        (Resource::As, limits.address_space),
    ];
    let asked = asked.into_iter().filter_map(|(resource, asked)| {
        let asked = asked?;
        let least = getrlimit(resource).maximum.map_or(asked, |maximum| maximum.min(asked));
        Some((resource, Rlimit { current: Some(least), maximum: Some(least) }))
    });
    usual.chain(asked).collect()
}

/// The inputs to mount over stubs in the outputs' folder.
struct Inputs {
    outputs: CString,
    mounts: Vec<(CString, CString)>,
}

impl Inputs {
    fn new(outputs: &Path, mounts: &[(PathBuf, PathBuf)]) -> Result<Self, SpawnError> {
        let mounts = mounts
            .iter()
            .map(|(source, stub)| Ok((c_string(source.as_os_str())?, c_string(stub.as_os_str())?)))
            .collect::<Result<Vec<_>, SpawnError>>()?;
        Ok(Inputs { outputs: c_string(outputs.as_os_str())?, mounts })
    }
}

/// All that the child needs, made before it exists.
struct Child {
    program: CString,
    argv: *const *const c_char,
    parent: OwnedFd,
    placed: Vec<(RawFd, RawFd)>,
    own_group: bool,
    processors: Option<CpuSet>,
    limits: Vec<(Resource, Rlimit)>,
    uid_map: String,
    gid_map: String,
    inputs: Option<Inputs>,
    /// Written by the child, in the memory that it shares with hb.
    failure: Cell<Option<SpawnError>>,
}

impl Child {
    /// Creates the child and waits until it has executed bubblewrap or failed.
    fn start(&self) -> Result<Process, SpawnError> {
        let mut stack = Vec::<u128>::with_capacity(STACK_BYTES / size_of::<u128>());
        let mut flags = libc::CLONE_VM
            | libc::CLONE_VFORK
            | libc::CLONE_PIDFD
            | libc::CLONE_NEWUSER
            | libc::CLONE_NEWPID
            | libc::SIGCHLD;
        if self.inputs.is_some() {
            flags |= libc::CLONE_NEWNS;
        }
        let mut handle: c_int = -1;
        let this = ptr::from_ref(self).cast_mut().cast::<c_void>();
        let blocked = BlockedSignals::block();
        // SAFETY: the stack is aligned, large enough for `enter`, and outlives the
        // child's use of it, because CLONE_VFORK keeps this thread here until the
        // child has executed another program or ended. `enter` only makes system
        // calls on what `this` points to, and every signal is blocked until it has
        // reset all handlers, so none of hb's runs on hb's memory in the child.
        let pid = unsafe {
            let top = stack.as_mut_ptr().add(stack.capacity()).cast::<c_void>();
            libc::clone(enter, top, flags, this, ptr::from_mut(&mut handle))
        };
        let errno = std::io::Error::last_os_error().raw_os_error().unwrap_or_default();
        drop(blocked);
        if pid < 0 {
            return Err(SpawnError::Clone(Errno::from_raw_os_error(errno)));
        }
        // SAFETY: CLONE_PIDFD has just put an open descriptor there that is ours.
        let handle = unsafe { OwnedFd::from_raw_fd(handle) };
        Ok(Process { id: pid, handle, reaped: false })
    }

    /// The child's whole life before bubblewrap's.
    fn execute(&self) -> SpawnError {
        match self.prepare() {
            Err(failure) => failure,
            Ok(()) => {
                let no_environment = [ptr::null::<c_char>()];
                // SAFETY: all three are zero-terminated and live until the call ends.
                unsafe {
                    libc::execve(self.program.as_ptr(), self.argv, no_environment.as_ptr());
                }
                SpawnError::Execute(last_errno())
            }
        }
    }

    fn prepare(&self) -> Result<(), SpawnError> {
        self.reset_signals()?;
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(SpawnError::DeathSignal)?;
        self.check_parent()?;
        if self.own_group {
            setpgid(None, None).map_err(SpawnError::ProcessGroup)?;
        }
        umask(Mode::from_raw_mode(0o022));
        if let Some(processors) = &self.processors {
            sched_setaffinity(None, processors).map_err(SpawnError::Processors)?;
        }
        for (resource, limit) in &self.limits {
            setrlimit(*resource, *limit).map_err(SpawnError::ResourceLimit)?;
        }
        write_file(c"/proc/self/setgroups", b"deny").map_err(SpawnError::DenyGroups)?;
        write_file(c"/proc/self/uid_map", self.uid_map.as_bytes()).map_err(SpawnError::MapUser)?;
        write_file(c"/proc/self/gid_map", self.gid_map.as_bytes()).map_err(SpawnError::MapGroup)?;
        if let Some(inputs) = &self.inputs {
            mount_inputs(inputs)?;
        }
        self.place_descriptors()
    }

    /// Gives every signal its default action and lets all through: what hb
    /// handles or ignores must not reach the build.
    fn reset_signals(&self) -> Result<(), SpawnError> {
        // By the kernel's own call: the C library keeps two signals to itself, and
        // whoever started hb may have had them ignored. All zero is the default.
        let default = [0_u64; 4];
        for signal in 1..=LAST_SIGNAL {
            // SAFETY: the structure is as large as the kernel's, the mask 8 bytes.
            // SIGKILL and SIGSTOP are refused, and have their defaults anyway.
            unsafe {
                let nowhere = ptr::null_mut::<c_void>();
                libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), nowhere, 8_usize);
            }
        }
        // SAFETY: an all-zero set is a valid, empty one, and lives on the stack.
        let failed = unsafe {
            let nothing: libc::sigset_t = std::mem::zeroed();
            libc::sigprocmask(libc::SIG_SETMASK, &nothing, ptr::null_mut()) != 0
        };
        if failed { Err(SpawnError::SignalMask(last_errno())) } else { Ok(()) }
    }

    /// hb may have died before the death signal was asked for; then none comes.
    fn check_parent(&self) -> Result<(), SpawnError> {
        let mut parent = [PollFd::new(&self.parent, PollFlags::IN)];
        match poll(&mut parent, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(0) => Ok(()),
            _ => Err(SpawnError::ParentGone),
        }
    }

    /// Nothing that hb, or whoever started hb, has open stays open.
    fn place_descriptors(&self) -> Result<(), SpawnError> {
        for &(from, to) in &self.placed {
            // SAFETY: both are plain numbers; `from` is open and parked above `to`.
            if unsafe { libc::dup2(from, to) } < 0 {
                return Err(SpawnError::PlaceDescriptor(last_errno()));
            }
        }
        let first_unused = self.placed.last().map_or(3, |&(_, to)| to + 1);
        // SAFETY: closing descriptors of this process alone; its table is no
        // longer hb's, since CLONE_FILES was not given.
        let failed = unsafe {
            libc::syscall(libc::SYS_close_range, first_unused as u32, u32::MAX, 0_u32) != 0
        };
        if failed { Err(SpawnError::CloseDescriptors(last_errno())) } else { Ok(()) }
    }
}

/// Where the child begins.
extern "C" fn enter(child: *mut c_void) -> c_int {
    // SAFETY: `start` passes a `Child` that outlives the child process.
    let child = unsafe { &*child.cast::<Child>() };
    child.failure.set(Some(child.execute()));
    // SAFETY: ends this process at once, without hb's exit handlers.
    unsafe { libc::_exit(127) }
}

/// Mounts every input over its stub, then makes all of them read-only at once.
fn mount_inputs(inputs: &Inputs) -> Result<(), SpawnError> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change(c"/", private).map_err(SpawnError::PrivateMounts)?;
    let outputs = inputs.outputs.as_c_str();
    mount_bind_recursive(outputs, outputs).map_err(SpawnError::MountOutputs)?;
    for (source, stub) in &inputs.mounts {
        mount_bind_recursive(source.as_c_str(), stub.as_c_str()).map_err(SpawnError::MountInput)?;
    }
    // The other two as well: bubblewrap sets them one by one where they lack.
    let read_only = libc::MOUNT_ATTR_RDONLY | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
    set_mount(outputs, read_only, 0, libc::AT_RECURSIVE).map_err(SpawnError::ReadOnlyInputs)?;
    set_mount(outputs, 0, libc::MOUNT_ATTR_RDONLY, 0).map_err(SpawnError::WritableOutputs)
}

fn set_mount(path: &CStr, set: u64, clear: u64, flags: c_int) -> Result<(), Errno> {
    let attributes =
        libc::mount_attr { attr_set: set, attr_clr: clear, propagation: 0, userns_fd: 0 };
    // SAFETY: the path is zero-terminated and the size is that of the structure.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            flags,
            &attributes,
            size_of::<libc::mount_attr>(),
        ) != 0
    };
    if failed { Err(last_errno()) } else { Ok(()) }
}

fn write_file(path: &CStr, contents: &[u8]) -> Result<(), Errno> {
    let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, contents).map(drop)
}

pub(crate) fn last_errno() -> Errno {
    // SAFETY: the C library's own pointer to this thread's error number.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}

/// Every signal of this thread is blocked while this lives.
pub(crate) struct BlockedSignals(libc::sigset_t);

impl BlockedSignals {
    pub(crate) fn block() -> Self {
        // SAFETY: both sets live on the stack; all-zero is a valid set, and
        // blocking a thread's signals cannot fail with a valid first argument.
        unsafe {
            let mut every: libc::sigset_t = std::mem::zeroed();
            let mut before: libc::sigset_t = std::mem::zeroed();
            libc::sigfillset(&mut every);
            libc::pthread_sigmask(libc::SIG_SETMASK, &every, &mut before);
            BlockedSignals(before)
        }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: restores the set that `block` has read.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}
