//! `builtin:fetch-1`: brings a file whose hash is declared from one of its origins.
//!
//! Attributes: `origins`, in the order in which they are tried; `size` in bytes or
//! null; `executable`. Folders and servers that answer by hash come first. Whatever an
//! origin gives is believed only as far as its hash. Downloads lie in a cache under
//! the declared hash, where a later run goes on.

mod client;
mod debian;
mod error;
mod http;
mod origin;
mod partial;
mod pypi;
mod resolve;
mod url;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use hb_cache::{Clients, Network};
use hb_model::DeclaredHash;
use hb_sandbox::{ClientHost, Runner};
use serde::Deserialize;

use crate::builders::{BuiltinError, Job, Report, Watch};
use partial::Partial;

pub use error::{FetchError, OriginFailure, Reason};
pub use http::clients;
pub use origin::{Debian, DebianBinary, DebianSource, Origin, Pypi};
pub use resolve::{Query, Resolved};

/// How to fetch.
#[derive(Clone, Debug)]
pub struct FetchSettings {
    /// Fetch nothing at all.
    pub offline: bool,
    /// Other places for addresses, each tried before the address itself.
    pub mirrors: Vec<Mirror>,
    /// Folders (absolute paths) and servers (addresses) that have files as
    /// `<algorithm>/<hexadecimal>` or just `<hexadecimal>`.
    pub by_hash: Vec<String>,
    /// The folder for partial downloads, rejected files and package lists.
    pub cache: PathBuf,
    /// What asks servers.
    pub clients: Clients,
    /// What a client may know of this machine.
    pub host: ClientHost,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            offline: false,
            mirrors: Vec::new(),
            by_hash: Vec::new(),
            cache: PathBuf::new(),
            clients: clients(&Network::default()),
            host: ClientHost::default(),
        }
    }
}

/// Another place for every address that begins in a certain way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// How the addresses begin.
    pub prefix: String,
    /// What stands there instead.
    pub replacement: String,
}

/// What to fetch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// In the order in which they are tried.
    pub origins: Vec<Origin>,
    /// What the bytes must be.
    pub hash: DeclaredHash,
    /// How many there must be.
    pub size: Option<u64>,
}

/// What every fetch needs.
#[derive(Clone, Copy)]
pub struct Fetcher<'a> {
    /// How to fetch.
    pub settings: &'a FetchSettings,
    /// Runs the clients; without it their origins fail.
    pub sandbox: Option<&'a Runner>,
    /// Who follows.
    pub watch: Watch<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attributes {
    origins: Vec<Origin>,
    #[serde(default)]
    size: Option<u64>,
    #[serde(default)]
    executable: bool,
}

/// Carry out the builder.
pub(crate) fn build(job: &Job) -> Result<(), BuiltinError> {
    let Attributes { origins, size, executable } = job.attributes()?;
    let hash = job.declared.ok_or(BuiltinError::Undeclared)?.clone();
    let fetcher = Fetcher { settings: job.fetch, sandbox: job.sandbox, watch: job.watch };
    fetcher.fetch(&Request { origins, hash, size }, job.out)?;
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(job.out, Permissions::from_mode(mode))
        .map_err(|error| BuiltinError::Io { path: job.out.to_owned(), error })
}

impl Fetcher<'_> {
    /// Bring the file that is asked for to `out`, which does not exist yet.
    pub fn fetch(&self, request: &Request, out: &Path) -> Result<(), FetchError> {
        if self.settings.offline {
            return Err(FetchError::Offline);
        }
        let mut partial = Partial::open(&self.settings.cache, request, self.watch)?;
        let mut failures = Vec::new();
        for address in url::by_hash(&self.settings.by_hash, &request.hash) {
            match self.bring_url(&address, &mut partial) {
                Ok(()) => return partial.finish(out),
                Err(Reason::Cancelled) => return Err(FetchError::Cancelled),
                // That it has other files only is no failure.
                Err(Reason::Status(404) | Reason::File { .. }) => {}
                Err(reason) => self.failed(&mut failures, address, reason),
            }
        }
        for origin in &request.origins {
            let addresses = match origin {
                Origin::Url(address) => url::with_mirrors(address, &self.settings.mirrors),
                other => vec![other.to_string()],
            };
            for address in addresses {
                let fetched = match origin {
                    Origin::Url(_) => self.bring_url(&address, &mut partial),
                    Origin::Pypi(_) | Origin::Debian(_) => {
                        client::fetch(self, origin, &mut partial)
                    }
                };
                match fetched {
                    Ok(()) => return partial.finish(out),
                    Err(Reason::Cancelled) => return Err(FetchError::Cancelled),
                    Err(reason) => self.failed(&mut failures, address, reason),
                }
            }
        }
        Err(FetchError::Origins(failures))
    }

    fn failed(&self, failures: &mut Vec<OriginFailure>, origin: String, reason: Reason) {
        let failure = OriginFailure { origin, reason };
        self.log(&format!("{failure}\n"));
        failures.push(failure);
    }

    fn log(&self, text: &str) {
        (self.watch.report)(Report::Log(text.as_bytes().to_vec()));
    }
}
