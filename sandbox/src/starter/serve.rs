//! The starter itself: a small process with one thread that starts every sandbox.
//!
//! Sandboxes need a process to fork that is small, has one thread, and lives exactly
//! as long as hb. hb is none of these, so it executes itself once more for this. When
//! hb ends, however it ends, the socket closes and the starter ends; and the kernel
//! ends every sandbox with the starter.
//!
//! While a sandbox runs, the enclosure of the next is made: a chain of builds does not wait for
//! it. What such a spare one has was told to it by nobody, and it is used for one sandbox.

use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;

use rustix::io::Errno;
use rustix::process::{PidfdFlags, getegid, geteuid, getpid, pidfd_open};
use rustix::thread::sched_yield;

use super::first;
use super::request::{Request, receive_request, send_answer, send_request};
use crate::direct::Enclosure;

/// Who runs hb, as the host numbers it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outside {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// Starts what is asked for on `socket` until nobody can ask any more.
pub(super) fn serve(socket: &UnixStream) -> io::Result<()> {
    let outside = Outside { uid: geteuid().as_raw(), gid: getegid().as_raw() };
    settle_signals();
    if outside.uid == 0 {
        // Root's groups would show in builds; others may not drop theirs. Should it
        // fail, a build sees a few more numbers.
        let _ = rustix::thread::set_thread_groups(&[]);
    }
    let starter = This { handle: pidfd_open(getpid(), PidfdFlags::empty())?, outside };
    let mut spare = None;
    while let Some((request, descriptors)) = receive_request(socket)? {
        let ahead =
            spare.take().filter(|spare: &Spare| Some(&spare.enclosure) == request.made_ahead());
        let started = starter.start(&request, descriptors, ahead);
        send_answer(socket, started.as_ref().map(OwnedFd::as_fd).map_err(|&errno| errno))?;
        drop(started);
        // Whoever asked was woken where this runs, and is to go on before what follows.
        sched_yield();
        // Now that nothing of that sandbox is open here, which the next would have too.
        spare = request.made_ahead().and_then(|enclosure| starter.make_ahead(enclosure));
    }
    Ok(())
}

/// The starter, as those that it starts need to know it.
struct This {
    handle: OwnedFd,
    outside: Outside,
}

/// The first process of a sandbox that nobody has asked for yet. It ends when this is dropped.
struct Spare {
    enclosure: Enclosure,
    socket: UnixStream,
    handle: OwnedFd,
}

impl This {
    /// Starts a sandbox, in what was made ahead for one like it if there is that; gives a handle
    /// on its first process.
    fn start(
        &self,
        request: &Request,
        mut descriptors: Vec<OwnedFd>,
        ahead: Option<Spare>,
    ) -> Result<OwnedFd, Errno> {
        if let Some(Spare { socket, handle, .. }) = ahead {
            let descriptors: Vec<_> = descriptors.iter().map(OwnedFd::as_fd).collect();
            if send_request(&socket, request, &descriptors).is_ok() {
                return Ok(handle);
            }
        }
        let group = if request.in_group { descriptors.pop() } else { None };
        match fork(group.as_ref())? {
            Forked::First => first::live(request, descriptors, self.outside, &self.handle),
            Forked::Starter(handle) => Ok(handle),
        }
    }

    /// Makes what is around a sandbox, if that can be done.
    fn make_ahead(&self, enclosure: &Enclosure) -> Option<Spare> {
        let (socket, theirs) = UnixStream::pair().ok()?;
        match fork(None).ok()? {
            Forked::First => {
                drop(socket);
                first::live_ahead(enclosure, self.outside, &self.handle, &theirs)
            }
            Forked::Starter(handle) => Some(Spare { enclosure: enclosure.clone(), socket, handle }),
        }
    }
}

/// The kernel's last signal number.
const LAST_SIGNAL: c_int = 64;

/// The signals that the starter ignores. What comes from the terminal is hb's or the program's to
/// handle: the starter ends with hb, whatever ends that. Nobody waits for sandboxes that have
/// ended, so that the kernel is to forget them by itself; and one that has ended cannot be told
/// anything, which is an error and no more.
pub(super) const IGNORED: [c_int; 8] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGCHLD,
    libc::SIGPIPE,
];

/// Gives every other signal its default action, which sandboxes inherit: what hb handles or
/// ignores, or whoever started it, must not reach a build.
fn settle_signals() {
    // By the kernel's own call: the C library keeps two signals to itself. All zero is the default.
    let default = [0_u64; 4];
    for signal in 1..=LAST_SIGNAL {
        // SAFETY: the structure is as large as the kernel's, the mask 8 bytes.
        // SIGKILL and SIGSTOP are refused, and have their defaults anyway.
        unsafe {
            let nowhere = ptr::null_mut::<c_void>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), nowhere, 8_usize);
        }
    }
    for signal in IGNORED {
        // SAFETY: ignoring a signal installs no handler.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
}

/// Which of the two processes this is.
enum Forked {
    /// The sandbox's first one.
    First,
    /// The starter, with a handle on the other.
    Starter(OwnedFd),
}

/// The C library's constant is too narrow for it.
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Forks the first process of a sandbox, in new user and process-id namespaces, and in a
/// control group of its own from its beginning.
fn fork(group: Option<&OwnedFd>) -> Result<Forked, Errno> {
    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWPID | libc::CLONE_PIDFD;
    let mut handle: RawFd = -1;
    // SAFETY: all zero is a valid structure.
    let mut how: libc::clone_args = unsafe { std::mem::zeroed() };
    how.flags = flags as u64;
    how.pidfd = (&raw mut handle) as u64;
    how.exit_signal = libc::SIGCHLD as u64;
    if let Some(group) = group {
        how.flags |= CLONE_INTO_CGROUP;
        how.cgroup = group.as_raw_fd() as u64;
    }
    // SAFETY: without a stack of its own the child goes on here on a copy of all
    // memory, as with `fork`; this process has one thread, so that no lock is held.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut how, size_of_val(&how)) };
    match pid {
        ..0 => Err(last_errno()),
        0 => Ok(Forked::First),
        // SAFETY: the kernel has just put an open descriptor there that is ours.
        1.. => Ok(Forked::Starter(unsafe { OwnedFd::from_raw_fd(handle) })),
    }
}

pub(crate) fn last_errno() -> Errno {
    // SAFETY: the C library's own pointer to this thread's error number.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}
