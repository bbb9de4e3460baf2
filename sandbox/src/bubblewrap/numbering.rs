//! Numbers the processes of bubblewrap's sandbox from elsewhere than usual.
//!
//! In every new sandbox the program would have the same number, so that a build that
//! writes it down looks reproducible. An audit asks for another one: while bubblewrap
//! waits, a helper enters its process-id namespace and sets the number that was given
//! out last.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use crate::starter::{SetupError, last_errno, write_file};

/// The ends of two pipes that bubblewrap is given.
pub(super) struct Numbering {
    /// Where it says that its processes exist.
    pub(super) said: OwnedFd,
    /// Where it waits until nobody can write to it.
    pub(super) waited_on: OwnedFd,
}

impl Numbering {
    /// Starts the helper that makes the next process of the sandbox have the number
    /// `first`. It shares the process-id namespace of the bubblewrap to come.
    pub(super) fn begin(first: u32) -> Result<Self, SetupError> {
        let (hear, said) = pipe_with(PipeFlags::CLOEXEC).map_err(SetupError::Number)?;
        let (waited_on, release) = pipe_with(PipeFlags::CLOEXEC).map_err(SetupError::Number)?;
        // SAFETY: this process has one thread, so that no lock is held in its child.
        match unsafe { libc::fork() } {
            ..0 => return Err(SetupError::Number(last_errno())),
            0 => {
                drop((said, waited_on));
                // What fails shows in the number that the audit sees.
                let _ = number_from(first, hear);
                drop(release);
                // SAFETY: ends the helper at once.
                unsafe { libc::_exit(0) }
            }
            1.. => {}
        }
        Ok(Numbering { said, waited_on })
    }
}

/// Waits until the sandbox's first process exists, then numbers those after it.
fn number_from(first: u32, hear: OwnedFd) -> Result<(), Errno> {
    let mut heard = String::new();
    File::from(hear).read_to_string(&mut heard).map_err(|_| Errno::IO)?;
    let process = serde_json::from_str(&heard)
        .ok()
        .and_then(|info: Info| Pid::from_raw(info.child_pid))
        .ok_or(Errno::SRCH)?;
    let process = pidfd_open(process, PidfdFlags::empty())?;
    move_into_thread_name_spaces(process.as_fd(), ThreadNameSpaceType::PROCESS_ID)?;
    // Only children of whoever enters are numbered there.
    // SAFETY: as above.
    match unsafe { libc::fork() } {
        ..0 => Err(last_errno()),
        0 => {
            let last = first.saturating_sub(1).to_string();
            let written = write_file(c"/proc/sys/kernel/ns_last_pid", &last);
            // SAFETY: ends this process at once.
            unsafe { libc::_exit(i32::from(written.is_err())) }
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for our own child.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            if status == 0 { Ok(()) } else { Err(Errno::PERM) }
        }
    }
}

/// The part of what bubblewrap says that is needed.
#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Info {
    child_pid: i32,
}
