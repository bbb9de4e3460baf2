//! Makes a sandbox by bubblewrap, for machines that let only it.
//!
//! The first process prepares what bubblewrap does not, and becomes it. Being the first
//! of a process-id namespace, bubblewrap is spared the Ctrl-C that a shared terminal
//! sends to the program inside.

mod arguments;
mod locate;
mod numbering;

use std::convert::Infallible;
use std::ffi::{CStr, c_char};
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::ptr;

use rustix::fs::{MemfdFlags, Mode, OFlags, memfd_create, open};
use rustix::io::Errno;
use rustix::process::setpgid;

use crate::starter::{Request, SetupError, keep_from_program, last_errno, park, place};
use crate::view::Step;
use arguments::{ARGS_FD, arguments};
pub use locate::{Bubblewrap, LocateError, MIN_VERSION, Version};
use numbering::Numbering;

/// Becomes the bubblewrap at `program`, which makes the sandbox and reports on it.
pub(crate) fn execute(
    program: &CStr,
    request: &Request,
    output: Option<OwnedFd>,
    report: &File,
) -> Result<Infallible, SetupError> {
    let mut streams = Vec::new();
    if let Some(output) = &output {
        setpgid(None, None).map_err(SetupError::Session)?;
        let nothing = open(c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        streams.push(park(nothing.map_err(SetupError::Descriptor)?)?);
        streams.push(park(output)?);
        streams.push(park(output)?);
    }
    // In the order of REPORT_FD, ARGS_FD, FILTER_FD, the two that numbering needs, and the
    // texts.
    let mut handed = vec![park(report)?];
    handed.push(park(in_memory(&arguments(request))?)?);
    if let Some(filter) = &request.filter {
        handed.push(park(in_memory(&filter.to_bytes())?)?);
    }
    if let Some(first) = request.first_process {
        let Numbering { said, waited_on } = Numbering::begin(first)?;
        handed.extend([park(said)?, park(waited_on)?]);
    }
    for step in request.steps() {
        let Step::Processes(processes) = step else { continue };
        for (_, text) in &processes.texts {
            handed.push(park(in_memory(text.as_bytes())?)?);
        }
    }
    place(&streams, 0)?;
    place(&handed, 3)?;
    keep_from_program(3 + handed.len() as i32)?;
    let fd = std::ffi::CString::new(ARGS_FD.to_string()).unwrap_or_default();
    let mut argv: Vec<*const c_char> =
        [c"bwrap", c"--args", &fd, c"--"].iter().map(|word| word.as_ptr()).collect();
    argv.extend(request.argv.iter().map(|word| word.as_ptr()));
    argv.push(ptr::null());
    let no_environment = [ptr::null::<c_char>()];
    // SAFETY: all three are zero-terminated and live until the call ends.
    unsafe { libc::execve(program.as_ptr(), argv.as_ptr(), no_environment.as_ptr()) };
    Err(SetupError::Execute(last_errno()))
}

/// Bytes in memory, at the first of them.
fn in_memory(bytes: &[u8]) -> Result<OwnedFd, SetupError> {
    let written = || -> std::io::Result<OwnedFd> {
        let mut memory = File::from(memfd_create("hb", MemfdFlags::CLOEXEC)?);
        memory.write_all(bytes)?;
        memory.rewind()?;
        Ok(memory.into())
    };
    written().map_err(|error| {
        let number = error.raw_os_error().unwrap_or(libc::EIO);
        SetupError::Descriptor(Errno::from_raw_os_error(number))
    })
}
