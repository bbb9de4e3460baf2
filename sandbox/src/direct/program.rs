//! The last steps before a sandbox's program is executed, in its own process.

use std::ffi::{CString, c_char, c_int, c_void};
use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::ptr;

use rustix::fs::{Mode, OFlags, open};

use crate::starter::{
    Report, Request, SetupError, keep_from_program, last_errno, limit_resources, park, place,
};

/// Room for the few frames of the new process, debug builds included.
const STACK_BYTES: usize = 256 * 1024;

/// What the new process works with.
struct Start<'a> {
    request: &'a Request,
    output: Option<OwnedFd>,
    report: &'a File,
}

/// Starts the program in a new process; gives its number.
///
/// Until it executes the program, the new process shares this one's memory, and this one
/// waits: copying even a small process costs more than all that is done here.
pub(super) fn start(
    request: &Request,
    output: Option<OwnedFd>,
    report: &File,
) -> Result<c_int, SetupError> {
    let start = Start { request, output, report };
    let mut stack = vec![0_u128; STACK_BYTES / size_of::<u128>()];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack is aligned, large enough for `enter`, and outlives the other
    // process' use of it and of `start`, because CLONE_VFORK keeps this one here until it
    // has executed the program or ended. There is no other thread in either.
    let child = unsafe {
        let top = stack.as_mut_ptr().add(stack.len()).cast::<c_void>();
        libc::clone(enter, top, flags, ptr::from_ref(&start).cast_mut().cast::<c_void>())
    };
    if child < 0 { Err(SetupError::Fork(last_errno())) } else { Ok(child) }
}

/// Where the new process begins.
extern "C" fn enter(start: *mut c_void) -> c_int {
    // SAFETY: `start` outlives this process' use of it, see there.
    let Start { request, output, report } = unsafe { &*start.cast::<Start<'_>>() };
    execute(request, output.as_ref(), report)
}

/// Becomes the program. What goes wrong is reported from here.
fn execute(request: &Request, output: Option<&OwnedFd>, mut report: &File) -> ! {
    let failure = match prepare(request, output) {
        Err(failure) => Report::Failed(failure.to_string()),
        Ok(()) => replace_process(request),
    };
    let _ = report.write_all(failure.line().as_bytes());
    // SAFETY: ends this process at once; nothing of the starter's is to run in it.
    unsafe { libc::_exit(127) }
}

fn prepare(request: &Request, output: Option<&OwnedFd>) -> Result<(), SetupError> {
    if !request.at_terminal {
        let nothing = open(c"/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty());
        let mut streams = vec![park(nothing.map_err(SetupError::Descriptor)?)?];
        for _ in ["output", "errors"] {
            if let Some(output) = output {
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
    let pointers = |words: &[CString]| -> Vec<*const c_char> {
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
