//! Why a fetch failed, and why each origin did.

use std::{io, path::PathBuf, time::Duration};

use hb_model::DeclaredHash;
use hb_sandbox::RunError;

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The network may not be used.
    #[error("it would have to be fetched, and nothing may be")]
    Offline,
    /// No origin gave the right bytes.
    #[error("none of its {} origins gave it", .0.len())]
    Origins(Vec<OriginFailure>),
    /// The folder for downloads could not be used.
    #[error("{} could not be used", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// Not wanted any longer.
    #[error("stopped")]
    Cancelled,
}

/// What one origin did.
#[derive(Debug, thiserror::Error)]
#[error("{origin}: {reason}")]
pub struct OriginFailure {
    /// The origin; for one that was reached through a mirror, the mirror's address.
    pub origin: String,
    /// Why it did not give the right bytes.
    pub reason: Reason,
}

/// Why an origin did not give the right bytes. Each says all in one line, since there
/// is one for each origin.
#[derive(Debug, thiserror::Error)]
pub enum Reason {
    /// Other bytes.
    #[error("it gave {got}, and {declared} was declared; the file is kept as {}", .kept.display())]
    WrongHash {
        /// The hash that the recipe says.
        declared: DeclaredHash,
        /// Their hash.
        got: DeclaredHash,
        /// Where they lie now.
        kept: PathBuf,
    },
    /// Another number of bytes.
    #[error("it has {got} bytes, and {declared} were declared")]
    WrongSize {
        /// What the recipe says.
        declared: u64,
        /// What it would give.
        got: u64,
    },
    /// The server answered so.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// No connection, or it broke.
    #[error("the network failed: {0}")]
    Network(Box<ureq::Error>),
    /// The connection ended early.
    #[error("it ended after {received} of {total} bytes")]
    Broken {
        /// The bytes that came.
        received: u64,
        /// How many there are.
        total: u64,
    },
    /// Not an address, or not one of the schemes.
    #[error("it is not an http, https or file address")]
    Address,
    /// The file of a `file` address.
    #[error("{} could not be read: {error}", .path.display())]
    File {
        /// Its path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The machine has no such client.
    #[error("there is no `{program}` here; {install} brings it")]
    NoClient {
        /// The program.
        program: &'static str,
        /// The Debian package that brings it.
        install: &'static str,
    },
    /// Clients only run in sandboxes, and there are none here.
    #[error("`{program}` needs a sandbox, and none can be run here")]
    NoSandbox {
        /// The program.
        program: String,
    },
    /// The client is somewhere that its sandbox does not show whole.
    #[error(
        "`{program}` is {}, which does not start in a client's sandbox ({reason}): shown are the system's folders, and the folder it is installed in, unless that holds the user's home or the store",
        .path.display()
    )]
    NotShown {
        /// The program.
        program: String,
        /// Where it is on this machine.
        path: PathBuf,
        /// Why it did not start.
        reason: String,
    },
    /// The sandbox failed, and not the client.
    #[error("the sandbox of `{program}` failed: {error}")]
    Sandbox {
        /// The program.
        program: String,
        /// Why.
        error: Box<RunError>,
    },
    /// The client took too long.
    #[error("`{program}` was silent for {} seconds", .limit.as_secs())]
    Silent {
        /// The program.
        program: String,
        /// What it may take.
        limit: Duration,
    },
    /// The client failed.
    #[error("`{program}` failed: {said}")]
    Client {
        /// The program.
        program: String,
        /// The last lines that it wrote.
        said: String,
    },
    /// The client brought something else.
    #[error("`{program}` brought {} and not {wanted}", .brought.join(", "))]
    OtherFile {
        /// The program.
        program: String,
        /// The file that was asked for.
        wanted: String,
        /// What came.
        brought: Vec<String>,
    },
    /// The machine's package sources name no archive of Debian's that has the suite.
    #[error("the machine's package sources name no archive for the suite {suite}")]
    NoArchive {
        /// The suite.
        suite: String,
    },
    /// Names that could be taken for options or paths.
    #[error("'{text}' cannot be asked of a client")]
    Unaskable {
        /// The text.
        text: String,
    },
    /// A folder of the fetch could not be used.
    #[error("{} could not be used: {error}", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Not wanted any longer.
    #[error("stopped")]
    Cancelled,
}
