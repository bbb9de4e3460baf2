//! What is around a sandbox before anything is in it.
//!
//! It depends on so little that it can be made ahead: a network of its own is the dearest part
//! of a small sandbox, and next come the files of `/proc` and `/dev`.

use std::os::fd::AsRawFd as _;
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketType};
use rustix::system::sethostname;
use rustix::thread::{UnshareFlags, set_name};
use serde::{Deserialize, Serialize};

use super::mounts::NewRoot;
use crate::spec::{HOST_NAME, User};
use crate::starter::{SetupError, last_errno};
use crate::view::Step;

/// Who is in a sandbox, what it is kept from beside the files, and the system's files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Enclosure {
    pub(crate) user: User,
    /// Whether it is kept from the host's name, shared memory and control groups.
    pub(crate) walled: bool,
    /// Whether it has a network of its own.
    pub(crate) own_network: bool,
    /// The first steps of what it sees.
    pub(crate) view: Vec<Step>,
}

impl Enclosure {
    /// Puts this process into it, in a user namespace where it is its user already. The root
    /// is made, and not entered.
    pub(crate) fn make(&self) -> Result<NewRoot, SetupError> {
        set_name(c"hb").map_err(SetupError::GiveUp)?;
        let mut flags = UnshareFlags::NEWNS;
        if self.walled {
            flags |= UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
            if Path::new("/proc/self/ns/cgroup").exists() {
                flags |= UnshareFlags::NEWCGROUP;
            }
        }
        if self.own_network {
            flags |= UnshareFlags::NEWNET;
        }
        // SAFETY: this process shares none of what is unshared with another thread.
        unsafe { rustix::thread::unshare_unsafe(flags) }.map_err(SetupError::Namespaces)?;
        if self.walled {
            sethostname(HOST_NAME.as_bytes()).map_err(SetupError::HostName)?;
        }
        if self.own_network {
            bring_up_loopback().map_err(SetupError::Loopback)?;
        }
        let root = NewRoot::make()?;
        self.view.iter().try_for_each(|step| root.carry_out(step))?;
        Ok(root)
    }
}

/// The kernel gives the device its addresses when it comes up.
fn bring_up_loopback() -> Result<(), Errno> {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    // SAFETY: all zero is a valid request; the name is shorter than its field.
    let set = unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        request.ifr_name[0] = b'l' as _;
        request.ifr_name[1] = b'o' as _;
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as _;
        libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request)
    };
    if set < 0 { Err(last_errno()) } else { Ok(()) }
}
