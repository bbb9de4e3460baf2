//! The first process of a sandbox: what it does before its maker takes over.
//!
//! It is the first process of a process-id namespace of its own, so that the kernel
//! ends every process of the sandbox with it, whatever ended it: a finished build, a
//! cancelled one, or the death of hb at any moment. No list of processes has to be
//! kept or trusted. Straight lines: one step a system call.

use std::ffi::{CStr, c_int};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::ptr;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{Signal, set_parent_process_death_signal, umask};

use super::request::{MadeBy, Report, Request, receive_request};
use super::serve::{IGNORED, Outside, last_errno};
use super::{SetupError, limits};
use crate::bubblewrap;
use crate::direct::{self, Enclosure, NewRoot};

/// The whole life of a sandbox's first process.
pub(super) fn live(
    request: &Request,
    descriptors: Vec<OwnedFd>,
    outside: Outside,
    starter: &OwnedFd,
) -> ! {
    let enclosed = enclose(request.made_here(), outside, starter);
    fill(enclosed, request, descriptors)
}

/// The same of one that is made ahead, and told on `socket` what for.
pub(super) fn live_ahead(
    enclosure: &Enclosure,
    outside: Outside,
    starter: &OwnedFd,
    socket: &UnixStream,
) -> ! {
    let enclosed = enclose(Some(enclosure), outside, starter);
    match receive_request(socket) {
        Ok(Some((request, descriptors))) => fill(enclosed, &request, descriptors),
        _ => end(),
    }
}

/// Makes the sandbox of a request, runs its program, and reports on it.
fn fill(
    enclosed: Result<Option<NewRoot>, SetupError>,
    request: &Request,
    descriptors: Vec<OwnedFd>,
) -> ! {
    let mut descriptors = descriptors.into_iter();
    if let Some(report) = descriptors.next() {
        let mut report = File::from(report);
        let ended = enclosed
            .and_then(|root| bound(request).map(|()| root))
            .and_then(|root| make(root, request, descriptors.next(), &report));
        let line = ended.unwrap_or_else(|error| error.report()).line();
        // hb is dead if it does not read this.
        let _ = report.write_all(line.as_bytes());
    }
    end()
}

fn end() -> ! {
    // SAFETY: ends this process at once; nothing of the starter's is to run in it.
    unsafe { libc::_exit(0) }
}

fn make(
    root: Option<NewRoot>,
    request: &Request,
    output: Option<OwnedFd>,
    report: &File,
) -> Result<Report, SetupError> {
    match (root, &request.made_by) {
        (Some(root), _) => direct::make(root, request, output, report),
        (None, MadeBy::Direct) => unreachable!("it is in its enclosure"),
        (None, MadeBy::Bubblewrap(program)) => {
            limits::limit_resources(&request.limits).map_err(SetupError::ResourceLimit)?;
            match bubblewrap::execute(program, request, output, report)? {}
        }
    }
}

/// Does what does not depend on what is to run. Gives the new root, if hb makes it.
fn enclose(
    enclosure: Option<&Enclosure>,
    outside: Outside,
    starter: &OwnedFd,
) -> Result<Option<NewRoot>, SetupError> {
    take_signals()?;
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(SetupError::DeathSignal)?;
    check_parent(starter)?;
    umask(Mode::from_raw_mode(0o022));
    // bubblewrap maps its own.
    let (uid, gid) =
        enclosure.map_or((outside.uid, outside.gid), |Enclosure { user, .. }| (user.uid, user.gid));
    write_file(c"/proc/self/setgroups", "deny").map_err(SetupError::MapUser)?;
    let map = |inside: u32, outside: u32| format!("{inside} {outside} 1\n");
    write_file(c"/proc/self/uid_map", &map(uid, outside.uid)).map_err(SetupError::MapUser)?;
    write_file(c"/proc/self/gid_map", &map(gid, outside.gid)).map_err(SetupError::MapUser)?;
    enclosure.map(Enclosure::make).transpose()
}

/// Sets the bounds that hold for this process as well.
fn bound(request: &Request) -> Result<(), SetupError> {
    if request.first_process.is_none() {
        limits::bound_process_numbers(&request.limits);
    }
    match request.processors {
        Some(count) => limits::keep_to_processors(count).map_err(SetupError::Processors),
        None => Ok(()),
    }
}

/// Gives the signals that the starter ignores their default action, and lets all through.
fn take_signals() -> Result<(), SetupError> {
    for signal in IGNORED {
        // SAFETY: the default action is no handler.
        unsafe { libc::signal(signal, libc::SIG_DFL) };
    }
    // SAFETY: an all-zero set is a valid, empty one, and lives on the stack.
    let failed = unsafe {
        let nothing: libc::sigset_t = std::mem::zeroed();
        libc::sigprocmask(libc::SIG_SETMASK, &nothing, ptr::null_mut()) != 0
    };
    if failed { Err(SetupError::SignalMask(last_errno())) } else { Ok(()) }
}

/// The starter may have died before the death signal was asked for; then none comes.
fn check_parent(starter: &OwnedFd) -> Result<(), SetupError> {
    let mut parent = [PollFd::new(starter, PollFlags::IN)];
    match poll(&mut parent, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
        Ok(0) => Ok(()),
        _ => Err(SetupError::ParentGone),
    }
}

/// Writes a file of the kernel's in one go.
pub(crate) fn write_file(path: &CStr, contents: &str) -> Result<(), Errno> {
    let file = open(path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::io::write(&file, contents.as_bytes()).map(drop)
}

/// Gives descriptors the numbers from 0 on. They must be parked above, see [`park`].
pub(crate) fn place(descriptors: &[OwnedFd], first: c_int) -> Result<(), SetupError> {
    for (to, from) in (first..).zip(descriptors) {
        // SAFETY: both are plain numbers; `from` is open and parked above `to`.
        if unsafe { libc::dup2(from.as_raw_fd(), to) } < 0 {
            return Err(SetupError::Descriptor(last_errno()));
        }
    }
    Ok(())
}

/// Moves a descriptor out of the way, so that placing one cannot overwrite another.
pub(crate) fn park(descriptor: impl AsFd) -> Result<OwnedFd, SetupError> {
    const PARKED: c_int = 16;
    rustix::io::fcntl_dupfd_cloexec(descriptor, PARKED).map_err(SetupError::Descriptor)
}

/// Leaves no descriptor from `first` on to a program that is executed: nothing that hb,
/// or whoever started hb, has open.
pub(crate) fn keep_from_program(first: c_int) -> Result<(), SetupError> {
    let flags = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: only marks descriptors of this process.
    let failed = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flags) != 0 };
    if failed { Err(SetupError::Descriptor(last_errno())) } else { Ok(()) }
}
