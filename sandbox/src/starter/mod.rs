//! The starter: a second, small process of hb that starts every sandbox.
//!
//! Here is hb's side of it: [`Reentry`], by which the program becomes the starter when
//! it is executed as one, and [`Starter`], which asks it for sandboxes. `serve` is the
//! other side, `first` what the first process of each sandbox begins with, `request`
//! what the two say to each other.

mod first;
mod limits;
mod request;
mod serve;

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command};
use std::sync::{Mutex, PoisonError};

use rustix::io::{Errno, FdFlags, fcntl_setfd};

pub(crate) use first::{keep_from_program, park, place, write_file};
pub(crate) use limits::{OWN_PROCESSES, limit_resources};
pub(crate) use request::{MadeBy, Report, Request};
pub(crate) use serve::last_errno;

/// The name under which the program is the starter; builds see it as process 1.
const NAME: &str = "hb: starts sandboxes";
/// The variable that tells the starter the number of its socket.
const SOCKET_VARIABLE: &str = "HB_STARTER_SOCKET";

/// Proof that this program becomes the starter where it is executed as one.
#[derive(Debug, Clone, Copy)]
pub struct Reentry(());

impl Reentry {
    /// To be called first in `main`. In the starter it does not return: it starts
    /// sandboxes until hb has ended, and then exits.
    pub fn point() -> Self {
        if std::env::args_os().next().is_none_or(|name| name != NAME) {
            return Reentry(());
        }
        let number = std::env::var(SOCKET_VARIABLE).ok().and_then(|text| text.parse().ok());
        let served = number.ok_or(io::ErrorKind::InvalidInput.into()).and_then(|number| {
            // SAFETY: hb has left this descriptor open for us, and nobody else has it.
            let socket = UnixStream::from(unsafe { OwnedFd::from_raw_fd(number) });
            serve::serve(&socket)
        });
        std::process::exit(i32::from(served.is_err()))
    }
}

/// A running starter. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Starter {
    socket: Mutex<UnixStream>,
    process: Child,
}

impl Starter {
    /// Executes this program as the starter.
    pub(crate) fn launch(_: Reentry) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        // Whatever else hb executes just now inherits it too, which does no harm: the
        // starter ends with our side of the pair.
        fcntl_setfd(&theirs, FdFlags::empty())?;
        let process = Command::new("/proc/self/exe")
            .arg0(NAME)
            .env_clear()
            .env(SOCKET_VARIABLE, theirs.as_raw_fd().to_string())
            .spawn()?;
        Ok(Starter { socket: Mutex::new(ours), process })
    }

    /// Starts a sandbox; gives a handle on its first process, or why the machine lets
    /// none be made.
    pub(crate) fn start(
        &self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<Result<OwnedFd, Errno>> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        request::send_request(&socket, request, descriptors)?;
        request::receive_answer(&socket)
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        let socket = self.socket.get_mut().unwrap_or_else(PoisonError::into_inner);
        let _ = socket.shutdown(std::net::Shutdown::Both);
        let _ = self.process.wait();
    }
}

/// A step of making a sandbox failed. Each variant is one kind of system call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SetupError {
    #[error("could not unblock signals: {0}")]
    SignalMask(Errno),
    #[error("could not ask to die with hb: {0}")]
    DeathSignal(Errno),
    #[error("hb ended while the sandbox started")]
    ParentGone,
    #[error("could not set the processors: {0}")]
    Processors(Errno),
    #[error("could not set a resource limit: {0}")]
    ResourceLimit(Errno),
    #[error("could not map the user into a new user namespace: {0}")]
    MapUser(Errno),
    #[error("could not make a file descriptor: {0}")]
    Descriptor(Errno),
    #[error("could not make the namespaces: {0}")]
    Namespaces(Errno),
    #[error("could not set the host name: {0}")]
    HostName(Errno),
    #[error("could not bring up the loopback device: {0}")]
    Loopback(Errno),
    #[error("could not make a new root: {0}")]
    NewRoot(Errno),
    #[error("could not mount {kind} at {target}: {errno}")]
    FileSystem { kind: String, target: String, errno: Errno },
    #[error("could not show {path}: {errno}")]
    Show { path: String, errno: Errno },
    #[error("could not make {path}: {errno}")]
    Make { path: String, errno: Errno },
    #[error("could not enter the new root: {0}")]
    EnterRoot(Errno),
    #[error("could not enter {path}: {errno}")]
    Enter { path: String, errno: Errno },
    #[error("could not number the processes: {0}")]
    Number(Errno),
    #[error("could not give up rights: {0}")]
    GiveUp(Errno),
    #[error("could not install the system call filter: {0}")]
    Filter(Errno),
    #[error("could not create a process: {0}")]
    Fork(Errno),
    #[error("could not leave the session or process group of hb: {0}")]
    Session(Errno),
    #[error("could not wait for the program: {0}")]
    Wait(Errno),
    #[error("could not execute bubblewrap: {0}")]
    Execute(Errno),
}

impl SetupError {
    /// The report of it: whether the machine refused what every sandbox needs, or this
    /// one was not to be had.
    fn report(&self) -> Report {
        match self {
            SetupError::MapUser(_)
            | SetupError::Namespaces(_)
            | SetupError::HostName(_)
            | SetupError::NewRoot(_)
            | SetupError::FileSystem { .. } => Report::Refused(self.to_string()),
            _ => Report::Failed(self.to_string()),
        }
    }
}
