//! The sandbox of a client that fetches: `pip`, `apt-get` and their kind.
//!
//! It has the network, the host's programs and certificates, and its own
//! configuration, read-only; an empty home, and a folder of its own to write to.
//! It does not see the store, the user's files, or any build. What it brings out
//! is believed only as far as its hash.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::installation::installation;
use crate::spec::{
    Access, Bind, Limits, Network, Root, SandboxSpec, Stdio, StoreView, SyscallPolicy, User,
    WORK_DIR, fixed_environment,
};

/// Programs, their libraries, names and certificates, and the clients' own
/// configuration and state.
const SYSTEM_PATHS: &[&str] = &[
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/alternatives",
    "/etc/apt",
    "/etc/ca-certificates",
    "/etc/ca-certificates.conf",
    "/etc/crypto-policies",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/passwd",
    "/etc/pip.conf",
    "/etc/pki",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl",
    "/var/lib/apt",
    "/var/lib/dpkg",
];

/// Where programs are, if `PATH` does not say.
const SYSTEM_SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// What else is shown, below the user's home.
const HOME_PATHS: &[&str] = &[
    ".config/pip",
    ".pip",
    ".pyenv",
    ".local/bin",
    ".local/lib",
    ".local/pipx",
    ".local/share/uv",
];

/// The beginnings of the variables that configure clients.
const CLIENT_VARIABLES: &[&str] = &["PIP_", "PYENV_", "SSL_CERT_"];
/// Variables that configure clients, in any case of letters.
const CLIENT_NAMES: &[&str] = &[
    "ALL_PROXY",
    "APT_CONFIG",
    "CURL_CA_BUNDLE",
    "FTP_PROXY",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "PATH",
    "REQUESTS_CA_BUNDLE",
];

/// What a client is allowed to know of the host that runs it.
#[derive(Debug, Clone, Default)]
pub struct ClientHost {
    /// The user's home, of which only the clients' own folders are shown.
    pub home: Option<PathBuf>,
    /// hb's environment, of which only what configures a client is passed on.
    pub env: BTreeMap<OsString, OsString>,
}

/// The sandbox of a client that fetches into `work`, which it sees as `/build`. The
/// program, the first word of `argv`, is a path of the host.
pub fn fetch_client(host: &ClientHost, work: PathBuf, argv: Vec<OsString>) -> SandboxSpec {
    let mut env = fixed_environment();
    env.insert("HOME".into(), WORK_DIR.into());
    env.insert("PATH".into(), SYSTEM_SEARCH_PATH.into());
    env.extend(host.env.iter().filter(|(name, _)| configures_client(name)).map(own));
    let mut binds: Vec<Bind> = SYSTEM_PATHS.iter().map(read_only).collect();
    if let Some(home) = &host.home {
        binds.extend(HOME_PATHS.iter().map(|path| read_only(home.join(path))));
    }
    binds.extend(named_paths(&env).map(read_only));
    if let Some(program) = argv.first() {
        let private: Vec<&Path> =
            [Some(&work), host.home.as_ref()].into_iter().flatten().map(PathBuf::as_path).collect();
        let shown = installation(Path::new(program), &private);
        // What the system's folders show is not shown once more.
        let apart = |path: &PathBuf| !binds.iter().any(|bind| path.starts_with(&bind.target));
        let apart: Vec<_> = shown.into_iter().filter(apart).collect();
        binds.extend(apart.into_iter().map(read_only));
    }
    // Such as a root user's folders in a variable that `su` has kept.
    binds.retain(|bind| bind.source.exists());
    SandboxSpec {
        root: Root::Empty,
        store: StoreView::default(),
        binds,
        work: Some(work),
        files: BTreeMap::new(),
        argv,
        env,
        cwd: PathBuf::from(WORK_DIR),
        user: User::BUILDER,
        network: Network::Host,
        stdio: Stdio::Captured,
        syscalls: SyscallPolicy::Fetch,
        processors: None,
        first_process: None,
        limits: Limits::default(),
    }
}

fn own((name, value): (&OsString, &OsString)) -> (OsString, OsString) {
    (name.clone(), value.clone())
}

fn read_only(path: impl AsRef<Path>) -> Bind {
    let path = path.as_ref().to_owned();
    Bind { source: path.clone(), target: path, access: Access::ReadOnly }
}

fn configures_client(name: &OsStr) -> bool {
    let name = name.to_string_lossy().to_ascii_uppercase();
    CLIENT_NAMES.contains(&name.as_str())
        || CLIENT_VARIABLES.iter().any(|beginning| name.starts_with(beginning))
}

/// Files and folders that the configuration names, such as a certificate or a
/// folder of packages. `PATH` is left out: the programs are shown already, and it
/// may name any folder of the user's.
fn named_paths(env: &BTreeMap<OsString, OsString>) -> impl Iterator<Item = &Path> {
    env.iter()
        .filter(|(name, _)| configures_client(name) && *name != "PATH")
        .map(|(_, value)| Path::new(value))
        .filter(|path| path.is_absolute() && path.components().count() > 2)
}
