//! Carries a sandbox out: start, watch, end.
//!
//! Promises: when [`Runner::run`] is over, every process of the sandbox is dead,
//! also when its future is dropped or hb itself is killed; whether bubblewrap
//! failed or the program did is never guessed from an exit status.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io;
use std::io::{Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::geteuid;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::bubblewrap::{ARGS_FD, arguments};
use crate::locate::{Bubblewrap, LocateError};
use crate::seccomp::{Filter, FilterError};
use crate::spawn::{Process, SpawnError, spawn};
use crate::spec::{Network, Root, SandboxSpec, Stdio, SyscallPolicy};
use crate::stage::{StageError, stage};

/// How a program in a sandbox ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(u8),
    /// By this signal, or with the status 128 and its number: bubblewrap passes
    /// both on as one, as shells do.
    Signal(u8),
    /// Stopped because it ran longer than this.
    TimedOut(Duration),
    /// Stopped because it wrote nothing for this long.
    Silent(Duration),
    /// Stopped because hb was asked to.
    Cancelled,
}

impl Exit {
    /// Whether the program ended by itself with status 0.
    pub fn is_success(self) -> bool {
        self == Exit::Code(0)
    }

    fn from_status(status: u8) -> Self {
        match status {
            129..=192 => Exit::Signal(status - 128),
            _ => Exit::Code(status),
        }
    }
}

/// How strongly a sandbox was walled off, from weak to strong. Recorded with
/// what was built in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isolation {
    /// It sees the host, or its network.
    View,
    /// Namespaces, but system calls are not filtered.
    Namespaces,
    /// Namespaces and a system call filter.
    Filtered,
}

impl Isolation {
    /// The name under which it is recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Isolation::View => "view",
            Isolation::Namespaces => "namespaces",
            Isolation::Filtered => "filtered",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A sandbox that ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How its program ended.
    pub exit: Exit,
    /// How strongly it was walled off.
    pub isolation: Isolation,
    /// From start to end.
    pub duration: Duration,
}

/// A program could not be run in a sandbox.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The specification does not fit the disk.
    #[error("the sandbox could not be prepared")]
    Stage(#[from] StageError),
    /// A descriptor for the sandbox could not be made.
    #[error("a pipe or memory file for the sandbox could not be made")]
    Descriptor(#[source] io::Error),
    /// A step before bubblewrap failed.
    #[error("the sandbox could not be started")]
    Spawn(#[from] SpawnError),
    /// Watching the sandbox failed.
    #[error("the sandbox could not be watched")]
    Watch(#[source] io::Error),
    /// Bubblewrap could not set the sandbox up.
    #[error("bubblewrap could not set up the sandbox: {said}")]
    Setup {
        /// What bubblewrap said; empty where it wrote to the user's terminal.
        said: String,
    },
    /// The sandbox was set up, but its program could not be executed.
    #[error("{program} could not be executed in the sandbox: {reason}", program = program.display())]
    Program {
        /// The program, as a path inside the sandbox.
        program: PathBuf,
        /// Why, in the system's words.
        reason: String,
    },
}

/// The thread that starts sandboxes is gone, or could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// No usable bubblewrap.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// The filters could not be made.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The thread could not be made.
    #[error("the thread that starts sandboxes could not be made")]
    Thread(#[source] io::Error),
}

/// Runs sandboxes. Make one and keep it: it holds the compiled filters, and the
/// thread whose life bounds the life of every sandbox.
#[derive(Debug)]
pub struct Runner {
    /// The thread that starts every sandbox. The kernel ends a sandbox with the
    /// thread that started it, so none of tokio's, which come and go, may do it.
    spawner: mpsc::Sender<Start>,
}

/// What the spawner thread is asked.
struct Start {
    spec: SandboxSpec,
    reply: oneshot::Sender<Result<Started, RunError>>,
}

/// A sandbox that has been started.
struct Started {
    process: Process,
    status: File,
    output: Option<OwnedFd>,
    isolation: Isolation,
}

impl Runner {
    /// A runner that uses the given bubblewrap.
    pub fn new(bubblewrap: Bubblewrap) -> Result<Self, RunnerError> {
        let starter = Starter {
            bubblewrap: bubblewrap.path,
            build: compile(SyscallPolicy::Build)?,
            fetch: compile(SyscallPolicy::Fetch)?,
        };
        let (spawner, requests) = mpsc::channel::<Start>();
        thread::Builder::new()
            .name("hb-spawner".to_owned())
            .spawn(move || starter.serve(requests))
            .map_err(RunnerError::Thread)?;
        Ok(Runner { spawner })
    }

    /// A runner that uses the first `bwrap` of `PATH`.
    pub fn find() -> Result<Self, RunnerError> {
        Runner::new(Bubblewrap::find()?)
    }

    /// Runs `spec` until every process in it is dead.
    ///
    /// `output` gets what the program writes, in order, as it comes. When `cancel`
    /// completes, or a limit is reached, everything in the sandbox is killed; so
    /// it is, before the drop returns, when the future is dropped.
    pub async fn run(
        &self,
        spec: SandboxSpec,
        cancel: impl Future<Output = ()>,
        mut output: impl FnMut(&[u8]),
    ) -> Result<Ended, RunError> {
        let limits = spec.limits.clone();
        let program = PathBuf::from(spec.argv.first().cloned().unwrap_or_default());
        let (reply, started) = oneshot::channel();
        let gone = || RunError::Watch(io::Error::other("the spawner thread has ended"));
        self.spawner.send(Start { spec, reply }).map_err(|_| gone())?;
        let mut started = started.await.map_err(|_| gone())??;

        let begun = Instant::now();
        let mut head = Head::default();
        let mut emit = |bytes: &[u8]| {
            head.keep(bytes);
            output(bytes);
        };
        let stopped = watch(&mut started, begun, &limits, cancel, &mut emit).await?;
        let exit = match (stopped, read_status(&mut started.status)?) {
            (Some(stopped), _) => stopped,
            (None, Some(status)) => Exit::from_status(status),
            (None, None) => return Err(head.explain(program)),
        };
        Ok(Ended { exit, isolation: started.isolation, duration: begun.elapsed() })
    }
}

/// Watches a sandbox until it is dead; tells why it was stopped, if it was.
async fn watch(
    started: &mut Started,
    begun: Instant,
    limits: &crate::spec::Limits,
    cancel: impl Future<Output = ()>,
    output: &mut impl FnMut(&[u8]),
) -> Result<Option<Exit>, RunError> {
    let handle = started.process.handle();
    // SAFETY: a borrowed descriptor is open, and the same, while its owner is
    // borrowed; `dead` ends before the process is reaped and its handle closed.
    let dead = unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) }
        .map_err(|error| RunError::Watch(error.into()))?;
    let mut pipe = match started.output.take() {
        Some(fd) => Some(pipe::Receiver::from_owned_fd(fd).map_err(RunError::Watch)?),
        None => None,
    };
    let mut cancel = pin!(cancel);
    let mut stopped = None;
    let mut last_output = begun;
    let mut buffer = vec![0; OUTPUT_CHUNK];
    loop {
        let running = stopped.is_none();
        let reason = tokio::select! {
            biased;
            ready = dead.readable() => {
                let _ = ready.map_err(RunError::Watch)?;
                break;
            }
            () = &mut cancel, if running => Exit::Cancelled,
            limit = reached(begun, limits.time), if running => Exit::TimedOut(limit),
            limit = reached(last_output, limits.silence), if running => Exit::Silent(limit),
            read = read_some(&mut pipe, &mut buffer) => {
                match read.map_err(RunError::Watch)? {
                    0 => pipe = None,
                    length => output(&buffer[..length]),
                }
                last_output = Instant::now();
                continue;
            }
        };
        stopped = Some(reason);
        started.process.kill();
    }
    drop(dead);
    started.process.reap();
    // What it wrote last may be in the pipe still. Read it directly: tokio need
    // not have noticed it yet.
    while let Some(pipe) = &pipe {
        match rustix::io::read(pipe, &mut buffer[..]) {
            Ok(0) | Err(_) => break,
            Ok(length) => output(&buffer[..length]),
        }
    }
    Ok(stopped)
}

/// How much output is read at once.
const OUTPUT_CHUNK: usize = 16 * 1024;

async fn reached(since: Instant, limit: Option<Duration>) -> Duration {
    match limit {
        Some(limit) => {
            sleep_until(since + limit).await;
            limit
        }
        None => std::future::pending().await,
    }
}

async fn read_some(pipe: &mut Option<pipe::Receiver>, buffer: &mut [u8]) -> io::Result<usize> {
    let Some(pipe) = pipe else { return std::future::pending().await };
    loop {
        pipe.readable().await?;
        match pipe.try_read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read,
        }
    }
}

/// The program's status, where bubblewrap got as far as executing it. Everyone who
/// could write to the pipe is dead, so reading ends.
fn read_status(status: &mut File) -> Result<Option<u8>, RunError> {
    let mut text = String::new();
    status.read_to_string(&mut text).map_err(RunError::Watch)?;
    Ok(text.lines().filter_map(exit_code).next_back())
}

fn exit_code(line: &str) -> Option<u8> {
    line.split_once("\"exit-code\":")?.1.trim_matches([' ', '}']).parse().ok()
}

/// The beginning of the output: bubblewrap's words, if the program never ran.
#[derive(Default)]
struct Head(Vec<u8>);

impl Head {
    /// More than bubblewrap says.
    const LENGTH: usize = 4096;

    fn keep(&mut self, bytes: &[u8]) {
        let room = Head::LENGTH - self.0.len();
        self.0.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn explain(self, program: PathBuf) -> RunError {
        let said = String::from_utf8_lossy(&self.0);
        let said = said.trim().trim_start_matches("bwrap: ");
        let named = said.strip_prefix("execvp ").and_then(|rest| rest.rsplit_once(": "));
        match named {
            Some((_, reason)) => RunError::Program { program, reason: reason.to_owned() },
            None => RunError::Setup { said: said.to_owned() },
        }
    }
}

/// What the spawner thread works with.
struct Starter {
    bubblewrap: PathBuf,
    build: Option<Filter>,
    fetch: Option<Filter>,
}

impl Starter {
    fn serve(self, requests: mpsc::Receiver<Start>) {
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
        // In the order of STATUS_FD, ARGS_FD and FILTER_FD.
        descriptors.push(status_end);
        descriptors.push(argument_file(&arguments(spec, &staged, filter.is_some()))?);
        if let Some(filter) = filter {
            descriptors.push(filter.open().map_err(RunError::Descriptor)?);
        }
        let mut argv: Vec<OsString> =
            vec!["bwrap".into(), "--args".into(), ARGS_FD.to_string().into(), "--".into()];
        argv.extend_from_slice(&spec.argv);
        let process = spawn(&self.bubblewrap, &argv, descriptors, spec, &staged)?;
        let isolation = isolation(spec, filter.is_some());
        Ok(Started { process, status: status.into(), output, isolation })
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
    if !crate::seccomp::kernel_filters() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_from_bubblewraps_report() {
        assert_eq!(exit_code(r#"{ "exit-code": 42 }"#), Some(42));
        assert_eq!(exit_code(r#"{ "child-pid": 42, "net-namespace": 7 }"#), None);
    }

    #[test]
    fn a_status_above_128_is_a_signal() {
        assert_eq!(Exit::from_status(137), Exit::Signal(9));
        assert_eq!(Exit::from_status(128), Exit::Code(128));
        assert_eq!(Exit::from_status(255), Exit::Code(255));
    }

    #[test]
    fn bubblewraps_words_tell_a_missing_program_from_a_failed_setup() {
        let explain = |said: &str| Head(said.as_bytes().to_vec()).explain("/x: y".into());
        let missing = explain("bwrap: execvp /x: y: No such file or directory\n");
        assert!(
            matches!(missing, RunError::Program { reason, .. } if reason.starts_with("No such"))
        );
        let setup = explain("bwrap: Can't find source path /a\n");
        assert!(matches!(setup, RunError::Setup { said } if said.starts_with("Can't find")));
    }
}
