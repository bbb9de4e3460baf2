//! Makes a sandbox by system calls of hb's own: what its first process does.
//!
//! The process has all rights in namespaces of its own, uses them to build the new
//! root, and gives them up for good. Then it starts the program, as process 2, and
//! waits for it; the program is not process 1 itself, whose signals the kernel treats
//! otherwise.

mod enclosure;
mod mounts;
mod program;

use std::ffi::c_int;
use std::fs::File;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::process::{
    DumpableBehavior, Pid, WaitOptions, chdir, set_dumpable_behavior, setsid, wait,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities, set_no_new_privs};

use crate::starter::{Report, Request, SetupError};
pub(crate) use enclosure::Enclosure;
pub(crate) use mounts::NewRoot;

/// Makes the sandbox in its enclosure, of which this is the root, runs its program, and tells
/// how that ended.
pub(crate) fn make(
    root: NewRoot,
    request: &Request,
    output: Option<OwnedFd>,
    report: &File,
) -> Result<Report, SetupError> {
    // Where it can be written to: not in the new root.
    let last_process = request.first_process.map(LastProcess::open).transpose()?;
    request.view.iter().try_for_each(|step| root.carry_out(step))?;
    root.enter()?;
    chdir(request.cwd.as_c_str()).map_err(|errno| SetupError::Enter {
        path: request.cwd.to_string_lossy().into_owned(),
        errno,
    })?;

    if let Some(last) = last_process {
        last.set()?;
    }
    give_up_rights()?;
    if !request.at_terminal {
        // Not by the program itself: who leads a session can take a terminal.
        setsid().map_err(SetupError::Session)?;
    }
    wait_for(program::start(request, output, report)?)
}

/// The number that was given out last in this process-id namespace.
///
/// In every new sandbox the program would have the same number, so that a build that
/// writes it down looks reproducible. An audit asks for another one.
struct LastProcess {
    file: OwnedFd,
    number: u32,
}

impl LastProcess {
    /// Makes the next process have the number `first`, once it is set.
    fn open(first: u32) -> Result<Self, SetupError> {
        let flags = OFlags::WRONLY | OFlags::CLOEXEC;
        let file = open(c"/proc/sys/kernel/ns_last_pid", flags, Mode::empty());
        Ok(LastProcess { file: file.map_err(SetupError::Number)?, number: first.saturating_sub(1) })
    }

    fn set(self) -> Result<(), SetupError> {
        rustix::io::write(&self.file, self.number.to_string().as_bytes())
            .map(drop)
            .map_err(SetupError::Number)
    }
}

/// Leaves this process and those that it starts without any right, for good, and its
/// memory and descriptors out of reach of the program.
fn give_up_rights() -> Result<(), SetupError> {
    /// More than the kernel has; it refuses the first that it does not know.
    const CAPABILITIES: c_int = 64;
    for capability in 0..CAPABILITIES {
        // SAFETY: a plain call with numbers.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) } < 0 {
            break;
        }
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).map_err(SetupError::GiveUp)?;
    set_no_new_privs(true).map_err(SetupError::GiveUp)?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(SetupError::GiveUp)
}

/// Waits for the program, and for the orphans that the kernel hands over meanwhile.
fn wait_for(child: c_int) -> Result<Report, SetupError> {
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if Pid::as_raw(Some(ended)) == child => {
                let report = match (status.exit_status(), status.terminating_signal()) {
                    (Some(code), _) => Report::ExitCode(code as u8),
                    (None, signal) => Report::Signal(signal.unwrap_or_default() as u8),
                };
                return Ok(report);
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(SetupError::Wait(errno)),
        }
    }
}
