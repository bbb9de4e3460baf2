//! The last steps before a sandbox's program is executed, in its own process.

use std::ffi::c_char;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::ptr;

use rustix::fs::{Mode, OFlags, open};

use crate::starter::{
    Report, Request, SetupError, keep_from_program, last_errno, limit_resources, park, place,
};

/// Becomes the program. What goes wrong is reported from here.
pub(super) fn execute(request: &Request, output: Option<OwnedFd>, mut report: &File) -> ! {
    let failure = match prepare(request, output) {
        Err(failure) => Report::Failed(failure.to_string()),
        Ok(()) => replace_process(request),
    };
    let _ = report.write_all(failure.line().as_bytes());
    // SAFETY: ends this process at once; nothing of the starter's is to run in it.
    unsafe { libc::_exit(127) }
}

fn prepare(request: &Request, output: Option<OwnedFd>) -> Result<(), SetupError> {
    if !request.at_terminal {
        let nothing = open(c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let mut streams = vec![park(nothing.map_err(SetupError::Descriptor)?)?];
        for _ in ["output", "errors"] {
            if let Some(output) = &output {
                streams.push(park(output)?);
            }
        }
        place(&streams, 0)?;
    }
    keep_from_program(3)?;
    limit_resources(&request.limits).map_err(SetupError::ResourceLimit)?;
    if let Some(filter) = &request.filter {
        filter.apply().map_err(SetupError::Filter)?;
    }
    Ok(())
}

/// Executes the program; tells why it could not.
fn replace_process(request: &Request) -> Report {
    let pointers = |words: &[std::ffi::CString]| -> Vec<*const c_char> {
        words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect()
    };
    let (argv, env) = (pointers(&request.argv), pointers(&request.env));
    // SAFETY: both lists and all their words are zero-terminated and live until the call
    // ends. This process has one thread, so that nobody reads the environment meanwhile.
    // The program is looked for in its own PATH, where it is no path.
    unsafe {
        libc::environ = env.as_ptr().cast_mut().cast();
        libc::execvp(argv[0], argv.as_ptr());
    }
    let error = std::io::Error::from(last_errno()).to_string();
    // Without the number, which says nothing to people.
    Report::NotExecuted(error.split(" (os error").next().unwrap_or_default().to_owned())
}
