//! The thread that starts sandboxes: from a specification to a running process.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::sync::mpsc;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::geteuid;
use tokio::sync::oneshot;

use crate::bubblewrap::{ARGS_FD, arguments};
use crate::locate::Bubblewrap;
use crate::numbering::number_from;
use crate::outcome::Isolation;
use crate::run::RunError;
use crate::seccomp::{Filter, FilterError, kernel_filters};
use crate::spawn::{Process, SpawnError, spawn};
use crate::spec::{Network, Root, SandboxSpec, Stdio, SyscallPolicy};
use crate::stage::stage;

/// What the spawner thread is asked.
pub(crate) struct Start {
    pub(crate) spec: SandboxSpec,
    pub(crate) reply: oneshot::Sender<Result<Started, RunError>>,
}

/// A sandbox that has been started.
pub(crate) struct Started {
    pub(crate) process: Process,
    pub(crate) status: File,
    pub(crate) output: Option<OwnedFd>,
    pub(crate) isolation: Isolation,
}

/// What the spawner thread works with.
pub(crate) struct Starter {
    bubblewrap: PathBuf,
    build: Option<Filter>,
    fetch: Option<Filter>,
}

impl Starter {
    pub(crate) fn new(bubblewrap: Bubblewrap) -> Result<Self, FilterError> {
        Ok(Starter {
            bubblewrap: bubblewrap.path,
            build: compile(SyscallPolicy::Build)?,
            fetch: compile(SyscallPolicy::Fetch)?,
        })
    }

    /// Starts what is asked for until nobody can ask any more.
    pub(crate) fn serve(self, requests: mpsc::Receiver<Start>) {
        if geteuid().is_root() {
            // Groups belong to a thread. Root's would show in builds; others may not
            // drop theirs. Should it fail, a build sees a few more numbers.
            let _ = rustix::thread::set_thread_groups(&[]);
        }
        for Start { spec, reply } in requests {
            // Nobody waits any more: dropping what was started ends it.
            let _ = reply.send(self.start(&spec));
        }
    }

    fn start(&self, spec: &SandboxSpec) -> Result<Started, RunError> {
        let staged = stage(spec)?;
        let filter = match spec.syscalls {
            SyscallPolicy::Build => self.build.as_ref(),
            SyscallPolicy::Fetch => self.fetch.as_ref(),
            SyscallPolicy::Unfiltered => None,
        };
        let (status, status_end) = pipe_with(PipeFlags::CLOEXEC).map_err(descriptor_error)?;
        let mut descriptors = Vec::with_capacity(6);
        let mut output = None;
        if spec.stdio == Stdio::Captured {
            let (read_end, write_end) = pipe_with(PipeFlags::CLOEXEC).map_err(descriptor_error)?;
            descriptors.push(File::open("/dev/null").map_err(RunError::Descriptor)?.into());
            descriptors.push(write_end.try_clone().map_err(RunError::Descriptor)?);
            descriptors.push(write_end);
            output = Some(read_end);
        }
        // In the order of STATUS_FD, ARGS_FD, FILTER_FD, and what is waited on.
        descriptors.push(status_end);
        descriptors.push(argument_file(&arguments(spec, &staged, filter.is_some()))?);
        if let Some(filter) = filter {
            descriptors.push(filter.open().map_err(RunError::Descriptor)?);
        }
        let mut waited_on = None;
        if spec.first_process.is_some() {
            let (read_end, write_end) = pipe_with(PipeFlags::CLOEXEC).map_err(descriptor_error)?;
            descriptors.push(read_end);
            waited_on = Some(write_end);
        }
        let mut argv: Vec<OsString> =
            vec!["bwrap".into(), "--args".into(), ARGS_FD.to_string().into(), "--".into()];
        argv.extend_from_slice(&spec.argv);
        let process = spawn(&self.bubblewrap, &argv, descriptors, spec, &staged)?;
        let mut status = File::from(status);
        if let Some(first) = spec.first_process {
            number_from(first, &process, &mut status)?;
        }
        // Bubblewrap waits until nobody can write to it.
        drop(waited_on);
        let isolation = isolation(spec, filter.is_some());
        Ok(Started { process, status, output, isolation })
    }
}

fn isolation(spec: &SandboxSpec, filtered: bool) -> Isolation {
    if spec.root == Root::Host || spec.network == Network::Host {
        Isolation::View
    } else if filtered {
        Isolation::Filtered
    } else {
        Isolation::Namespaces
    }
}

/// The filter of `policy`, or none where the processor or the kernel has none.
fn compile(policy: SyscallPolicy) -> Result<Option<Filter>, FilterError> {
    if !kernel_filters() {
        return Ok(None);
    }
    match Filter::compile(policy) {
        Err(FilterError::Processor(_)) => Ok(None),
        filter => filter.map(Some),
    }
}

/// The arguments, each ended by a zero byte, in memory and at the first byte.
fn argument_file(arguments: &[OsString]) -> Result<OwnedFd, RunError> {
    let mut bytes = Vec::with_capacity(4096);
    for argument in arguments {
        if argument.as_bytes().contains(&0) {
            return Err(SpawnError::ZeroByte.into());
        }
        bytes.extend_from_slice(argument.as_bytes());
        bytes.push(0);
    }
    let memory = memfd_create("hb-arguments", MemfdFlags::CLOEXEC).map_err(descriptor_error)?;
    let mut memory = File::from(memory);
    memory.write_all(&bytes).and_then(|()| memory.rewind()).map_err(RunError::Descriptor)?;
    Ok(memory.into())
}

fn descriptor_error(errno: rustix::io::Errno) -> RunError {
    RunError::Descriptor(errno.into())
}
