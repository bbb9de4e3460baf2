//! A running sandbox, by a handle on its first process.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Signal, pidfd_send_signal};

/// A running sandbox. Dropping it ends every process in it, and waits for that.
#[derive(Debug)]
pub(crate) struct Process(OwnedFd);

impl Process {
    /// The sandbox whose first process has this handle.
    pub(crate) fn new(handle: OwnedFd) -> Self {
        Process(handle)
    }

    /// Becomes readable once every process of the sandbox is dead.
    pub(crate) fn handle(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Ends every process of the sandbox.
    pub(crate) fn kill(&self) {
        // The only possible failure is that it is dead already.
        let _ = pidfd_send_signal(&self.0, Signal::KILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        while poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None) == Err(Errno::INTR) {}
    }
}
