//! Carries a sandbox out: start, watch, end.
//!
//! Promises: when [`Runner::run`] is over, every process of the sandbox is dead,
//! also when its future is dropped or hb itself is killed; whether the sandbox
//! failed or the program did is never guessed from an exit status.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until};

use crate::bubblewrap::{Bubblewrap, LocateError};
use crate::group::{Group, Groups};
use crate::meter::{INTERVAL, Meter};
use crate::outcome::{Ended, Excess, Exit, Isolation};
use crate::process::Process;
use crate::seccomp::{Filter, FilterError};
use crate::spec::{Limits, Network, Root, SandboxSpec, Stdio, SyscallPolicy};
use crate::stage::{StageError, stage};
use crate::starter::{MadeBy, Reentry, Report, Request, Starter};
use crate::view::c_string;

/// A program could not be run in a sandbox.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The specification does not fit the disk.
    #[error("the sandbox could not be prepared")]
    Stage(#[from] StageError),
    /// A pipe for the sandbox could not be made.
    #[error("a pipe for the sandbox could not be made")]
    Pipe(#[source] io::Error),
    /// The process that starts sandboxes could not be asked.
    #[error("the process that starts sandboxes does not answer")]
    Starter(#[source] io::Error),
    /// Watching the sandbox failed.
    #[error("the sandbox could not be watched")]
    Watch(#[source] io::Error),
    /// This machine lets no sandbox be made.
    #[error(
        "this machine lets hb make no sandbox by itself ({refused}), and bubblewrap, which may be let, is not usable"
    )]
    Refused {
        /// What it refused.
        refused: String,
        /// Why there is no other way.
        source: LocateError,
    },
    /// The sandbox could not be set up.
    #[error("the sandbox could not be set up: {said}")]
    Setup {
        /// What went wrong; empty where bubblewrap wrote it to the user's terminal.
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

/// Sandboxes cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum RunnerError {
    /// No usable bubblewrap, and it was asked for.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// The filters could not be made.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// The process could not be made.
    #[error("the process that starts sandboxes could not be made")]
    Starter(#[source] io::Error),
}

/// Who makes sandboxes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Maker {
    /// hb itself; bubblewrap on a machine that does not let hb.
    #[default]
    Automatic,
    /// hb itself, by system calls.
    Direct,
    /// bubblewrap.
    Bubblewrap,
}

/// How this program makes its sandboxes.
#[derive(Debug, Clone, Copy)]
pub struct Backend {
    /// Where the program is entered again.
    pub reentry: Reentry,
    /// Who makes the sandboxes.
    pub maker: Maker,
}

/// Runs sandboxes. Make one and keep it: it holds the compiled filters, and the
/// process whose life bounds the life of every sandbox.
#[derive(Debug, Clone)]
pub struct Runner(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    starter: Starter,
    maker: Maker,
    /// Set where bubblewrap makes the sandboxes.
    bubblewrap: OnceLock<Bubblewrap>,
    build: Option<Filter>,
    fetch: Option<Filter>,
    /// Looked for when the first sandbox has limits.
    groups: OnceLock<Option<Groups>>,
}

impl Runner {
    /// A runner that makes its sandboxes as `backend` says.
    pub fn new(backend: Backend) -> Result<Self, RunnerError> {
        let bubblewrap = match backend.maker {
            Maker::Bubblewrap => OnceLock::from(Bubblewrap::find()?),
            Maker::Automatic | Maker::Direct => OnceLock::new(),
        };
        Ok(Runner(Arc::new(Shared {
            starter: Starter::launch(backend.reentry).map_err(RunnerError::Starter)?,
            maker: backend.maker,
            bubblewrap,
            build: Filter::compile(SyscallPolicy::Build)?,
            fetch: Filter::compile(SyscallPolicy::Fetch)?,
            groups: OnceLock::new(),
        })))
    }

    /// How strongly a sandbox of `spec` is walled off on this machine.
    pub fn isolation(&self, spec: &SandboxSpec) -> Isolation {
        isolation(spec, self.0.filter(spec).is_some())
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
        let spec = Arc::new(spec);
        let mut cancel = pin!(cancel);
        loop {
            let (shared, asked) = (Arc::clone(&self.0), Arc::clone(&spec));
            let started = tokio::task::spawn_blocking(move || shared.start(&asked));
            let started = started.await.map_err(|error| RunError::Watch(error.into()))??;
            let ended = follow(started, &spec, cancel.as_mut(), &mut output).await?;
            match ended {
                Followed::Ended(ended) => return Ok(ended),
                Followed::Refused(refused) if self.0.maker == Maker::Automatic => {
                    // Nothing has run yet, so it can be tried again.
                    self.0.leave_to_bubblewrap(refused)?;
                }
                Followed::Refused(said) => return Err(RunError::Setup { said }),
            }
        }
    }
}

/// A sandbox that has been started.
struct Started {
    process: Process,
    report: File,
    output: Option<OwnedFd>,
    isolation: Isolation,
    by_bubblewrap: bool,
    meter: Option<Arc<Mutex<Meter>>>,
    /// Removed after the process, which is above.
    group: Option<Group>,
}

impl Shared {
    fn start(&self, spec: &SandboxSpec) -> Result<Started, RunError> {
        let staged = stage(spec)?;
        let filter = self.filter(spec);
        let made_by = match self.bubblewrap.get() {
            Some(bubblewrap) => MadeBy::Bubblewrap(c_string(&bubblewrap.path)?),
            None => MadeBy::Direct,
        };
        let by_bubblewrap = made_by != MadeBy::Direct;
        let mut request = Request::new(spec, &staged, made_by, filter.cloned())?;
        let group = self.group(&spec.limits);
        let group_handle = group.as_ref().and_then(|group| group.open().ok());
        request.in_group = group_handle.is_some();

        let pipe = || pipe_with(PipeFlags::CLOEXEC).map_err(|errno| RunError::Pipe(errno.into()));
        let (report, report_end) = pipe()?;
        let mut descriptors = vec![report_end.as_fd()];
        let captured = match spec.stdio {
            Stdio::Captured => Some(pipe()?),
            Stdio::Inherited => None,
        };
        descriptors.extend(captured.iter().map(|(_, write_end)| write_end.as_fd()));
        descriptors.extend(group_handle.as_ref().map(|handle| handle.as_fd()));
        let handle = self.starter.start(&request, &descriptors).map_err(RunError::Starter)?;
        let process = match handle {
            Ok(handle) => Process::new(handle),
            Err(errno) => {
                let said = format!("could not make user and process-id namespaces: {errno}");
                return Err(RunError::Setup { said });
            }
        };
        Ok(Started {
            meter: Meter::new(process.handle(), spec).map(|meter| Arc::new(Mutex::new(meter))),
            group,
            process,
            report: File::from(report),
            output: captured.map(|(read_end, _)| read_end),
            isolation: isolation(spec, filter.is_some()),
            by_bubblewrap,
        })
    }

    fn filter(&self, spec: &SandboxSpec) -> Option<&Filter> {
        match spec.syscalls {
            SyscallPolicy::Build => self.build.as_ref(),
            SyscallPolicy::Fetch => self.fetch.as_ref(),
            SyscallPolicy::Unfiltered => None,
        }
    }

    /// A control group for what it can limit, where the user has one to divide.
    fn group(&self, limits: &Limits) -> Option<Group> {
        if limits.memory.is_none() && limits.processes.is_none() {
            return None;
        }
        // What no group limits is measured.
        self.groups.get_or_init(Groups::find).as_ref()?.make(limits).ok()
    }

    /// From now on bubblewrap makes the sandboxes.
    fn leave_to_bubblewrap(&self, refused: String) -> Result<(), RunError> {
        let found = Bubblewrap::find().map_err(|source| RunError::Refused { refused, source })?;
        // Another run may have found it meanwhile.
        let _ = self.bubblewrap.set(found);
        Ok(())
    }
}

/// How a sandbox that was started went on.
enum Followed {
    /// It ran.
    Ended(Ended),
    /// The machine refused it before anything ran.
    Refused(String),
}

/// Watches a sandbox to its end, and finds out what that was.
async fn follow(
    mut started: Started,
    spec: &SandboxSpec,
    cancel: Pin<&mut impl Future<Output = ()>>,
    output: &mut impl FnMut(&[u8]),
) -> Result<Followed, RunError> {
    let begun = Instant::now();
    let mut head = Head::default();
    let mut emit = |bytes: &[u8]| {
        head.keep(bytes);
        output(bytes);
    };
    let stopped = watch(&mut started, begun, &spec.limits, cancel, &mut emit).await?;
    // Everyone who could write to the pipe is dead, so reading ends.
    let mut report = String::new();
    started.report.read_to_string(&mut report).map_err(RunError::Watch)?;
    let program = || PathBuf::from(spec.argv.first().cloned().unwrap_or_default());
    let exit = match (stopped, Report::read(&report)) {
        (Some(stopped), _) => stopped,
        (None, Some(Report::ExitCode(code))) if started.by_bubblewrap => {
            Exit::from_bubblewrap(code)
        }
        (None, Some(Report::ExitCode(code))) => Exit::Code(code),
        (None, Some(Report::Signal(signal))) => Exit::Signal(signal),
        (None, Some(Report::Refused(said))) => return Ok(Followed::Refused(said)),
        (None, Some(Report::Failed(said))) => return Err(RunError::Setup { said }),
        (None, Some(Report::NotExecuted(reason))) => {
            return Err(RunError::Program { program: program(), reason });
        }
        (None, None) => return Err(head.explain(program())),
    };
    let exit = match exit {
        Exit::Code(_) | Exit::Signal(_) => at_a_limit(&started, exit).await,
        stopped => stopped,
    };
    let isolation = started.isolation;
    Ok(Followed::Ended(Ended { exit, isolation, duration: begun.elapsed() }))
}

/// Watches a sandbox until it is dead; tells why it was stopped, if it was.
async fn watch(
    started: &mut Started,
    begun: Instant,
    limits: &Limits,
    mut cancel: Pin<&mut impl Future<Output = ()>>,
    output: &mut impl FnMut(&[u8]),
) -> Result<Option<Exit>, RunError> {
    let mut metering = pin!(exceeded(started.meter.clone()));
    let handle = started.process.handle();
    // SAFETY: a borrowed descriptor is open, and the same, while its owner is borrowed.
    let dead = unsafe { AsyncFd::register_with_interest(handle, Interest::READABLE) }
        .map_err(|error| RunError::Watch(error.into()))?;
    let mut pipe = match started.output.take() {
        Some(fd) => Some(pipe::Receiver::from_owned_fd(fd).map_err(RunError::Watch)?),
        None => None,
    };
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
            () = cancel.as_mut(), if running => Exit::Cancelled,
            limit = reached(begun, limits.time), if running => Exit::TimedOut(limit),
            limit = reached(last_output, limits.silence), if running => Exit::Silent(limit),
            excess = metering.as_mut(), if running => Exit::Exceeded(excess),
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

/// Looks again and again, until a limit is exceeded.
async fn exceeded(meter: Option<Arc<Mutex<Meter>>>) -> Excess {
    let Some(meter) = meter else { return std::future::pending().await };
    loop {
        tokio::time::sleep(INTERVAL).await;
        if let Some(excess) = look(&meter, Meter::look).await {
            return excess;
        }
    }
}

/// One look, on a thread that may wait for the disk.
async fn look(
    meter: &Arc<Mutex<Meter>>,
    look: impl FnOnce(&mut Meter) -> Option<Excess> + Send + 'static,
) -> Option<Excess> {
    let meter = Arc::clone(meter);
    let looking = tokio::task::spawn_blocking(move || {
        look(&mut meter.lock().unwrap_or_else(PoisonError::into_inner))
    });
    looking.await.ok().flatten()
}

/// How a program ended that ended by itself: at a limit, if the kernel kept it from going
/// beyond, or it went there unseen.
async fn at_a_limit(started: &Started, exit: Exit) -> Exit {
    let met = started.group.as_ref().filter(|_| !exit.is_success()).and_then(Group::met);
    let excess = match (met, &started.meter) {
        (None, Some(meter)) => look(meter, |meter| meter.look_at_files()).await,
        (met, _) => met,
    };
    excess.map_or(exit, Exit::Exceeded)
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

fn isolation(spec: &SandboxSpec, filtered: bool) -> Isolation {
    if spec.root == Root::Host || spec.network == Network::Host {
        Isolation::View
    } else if filtered {
        Isolation::Filtered
    } else {
        Isolation::Namespaces
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
