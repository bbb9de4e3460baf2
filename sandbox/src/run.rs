//! Carries a sandbox out: start, watch, end.
//!
//! Promises: when [`Runner::run`] is over, every process of the sandbox is dead,
//! also when its future is dropped or hb itself is killed; whether bubblewrap
//! failed or the program did is never guessed from an exit status.

use std::fs::File;
use std::future::Future;
use std::io;
use std::io::Read as _;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::locate::{Bubblewrap, LocateError};
use crate::outcome::{Ended, Exit};
use crate::seccomp::FilterError;
use crate::spawn::SpawnError;
use crate::spec::{Limits, SandboxSpec};
use crate::stage::StageError;
use crate::start::{Start, Started, Starter};

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

/// Sandboxes cannot be run at all.
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

impl Runner {
    /// A runner that uses the given bubblewrap.
    pub fn new(bubblewrap: Bubblewrap) -> Result<Self, RunnerError> {
        let starter = Starter::new(bubblewrap)?;
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
    limits: &Limits,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_is_read_from_bubblewraps_report() {
        assert_eq!(exit_code(r#"{ "exit-code": 42 }"#), Some(42));
        assert_eq!(exit_code(r#"{ "child-pid": 42, "net-namespace": 7 }"#), None);
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
