//! Numbers the processes of a sandbox from elsewhere than usual.
//!
//! In every new sandbox the program would have the same number, so that a build
//! that writes it down looks reproducible. An audit asks for another one: while
//! bubblewrap waits, a helper enters its namespaces and sets the number that was
//! given out last. The helper shares hb's memory, as the child of `spawn` does, and
//! must not allocate, lock, or panic either.

use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::fs::{File, read_to_string};
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use crate::spawn::{BlockedSignals, Process, STACK_BYTES, SpawnError, last_errno};

/// Makes the next process of the sandbox have the number `first`.
///
/// `status` is where bubblewrap reports that the namespaces exist.
pub(crate) fn number_from(
    first: u32,
    process: &Process,
    status: &mut File,
) -> Result<(), SpawnError> {
    if !has_begun(status) {
        // It ended; `run` finds out why.
        return Ok(());
    }
    let init = only_child(process.id()).ok_or(SpawnError::FirstProcess)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let processes =
        open(format!("/proc/{init}/ns/pid"), flags, Mode::empty()).map_err(SpawnError::Number)?;
    let helper = Helper {
        users: owner(&processes).map_err(SpawnError::Number)?,
        processes,
        last: first.saturating_sub(1).to_string(),
        failure: Cell::new(None),
    };
    let signals = BlockedSignals::block();
    helper.run(outside);
    drop(signals);
    helper.failure.take().map_or(Ok(()), |errno| Err(SpawnError::Number(errno)))
}

/// Bubblewrap writes its first line once its child is in the new namespaces.
fn has_begun(status: &mut File) -> bool {
    let mut byte = [0];
    while byte != *b"\n" {
        if !matches!(status.read(&mut byte), Ok(1)) {
            return false;
        }
    }
    true
}

fn only_child(parent: i32) -> Option<i32> {
    let children = read_to_string(format!("/proc/{parent}/task/{parent}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// `NS_GET_USERNS` of the kernel's headers.
const GET_OWNER: libc::Ioctl = 0xb701;

/// The user namespace that a namespace belongs to. Bubblewrap may have left it already
/// for one that has no say over the processes.
fn owner(namespace: &OwnedFd) -> Result<OwnedFd, Errno> {
    // SAFETY: this request takes no argument and returns a new descriptor, or -1.
    let fd = unsafe { libc::ioctl(namespace.as_raw_fd(), GET_OWNER) };
    if fd < 0 {
        return Err(last_errno());
    }
    // SAFETY: the kernel has just opened it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

struct Helper {
    users: OwnedFd,
    processes: OwnedFd,
    last: String,
    failure: Cell<Option<Errno>>,
}

impl Helper {
    /// Runs a function in a process that shares this one's memory, and waits for it.
    fn run(&self, function: extern "C" fn(*mut c_void) -> c_int) {
        let mut stack = vec![0_u128; STACK_BYTES / size_of::<u128>()];
        self.run_on(&mut stack, function);
    }

    fn run_on(&self, stack: &mut [u128], function: extern "C" fn(*mut c_void) -> c_int) {
        let this = ptr::from_ref(self).cast_mut().cast::<c_void>();
        // SAFETY: the stack is aligned and outlives the child's use of it, because
        // CLONE_VFORK keeps this thread here until the child has ended. The functions
        // only make system calls on what `this` points to.
        unsafe {
            let top = stack.as_mut_ptr().add(stack.len()).cast::<c_void>();
            let pid = libc::clone(
                function,
                top,
                libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD,
                this,
            );
            if pid < 0 {
                self.failure.set(Some(last_errno()));
            } else {
                libc::waitpid(pid, ptr::null_mut(), 0);
            }
        }
    }
}

/// Enters the namespaces; only children of whoever enters are numbered there.
extern "C" fn outside(helper: *mut c_void) -> c_int {
    // SAFETY: `run` passes a `Helper` that outlives this process.
    let helper = unsafe { &*helper.cast::<Helper>() };
    // SAFETY: plain calls on open descriptors.
    let entered = unsafe {
        libc::setns(helper.users.as_raw_fd(), libc::CLONE_NEWUSER) == 0
            && libc::setns(helper.processes.as_raw_fd(), libc::CLONE_NEWPID) == 0
    };
    if !entered {
        helper.failure.set(Some(last_errno()));
    } else {
        let mut stack = [0_u128; INNER_STACK];
        helper.run_on(&mut stack, inside);
    }
    0
}

/// Room for one function's few frames, in words of 16 bytes.
const INNER_STACK: usize = 2048;

/// Sets the number, from within.
extern "C" fn inside(helper: *mut c_void) -> c_int {
    // SAFETY: as in `outside`.
    let helper = unsafe { &*helper.cast::<Helper>() };
    let file =
        open(c"/proc/sys/kernel/ns_last_pid", OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty());
    let written = file.and_then(|file| rustix::io::write(&file, helper.last.as_bytes()));
    helper.failure.set(written.err());
    0
}
