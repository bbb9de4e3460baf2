//! A sandbox as plain data: what a process sees, what it may do, and when it
//! must end. Nothing here touches the machine; `stage` and `bubblewrap` turn a
//! specification into folders and arguments, and `run` carries it out.
//!
//! Two specifications that are equal describe the same sandbox. Host paths
//! appear only as the source of something shown; the process never sees them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where the store stands inside every sandbox.
pub const STORE_DIR: &str = "/hb/store";
/// The working folder of a build inside the sandbox.
pub const WORK_DIR: &str = "/build";
/// The host name that every build sees.
pub const HOST_NAME: &str = "hb";
/// 1980-01-02 00:00:00 UTC: the earliest day that a zip archive can hold in
/// every time zone. Store times equal it.
pub const SOURCE_DATE_EPOCH: i64 = 315_619_200;

/// Everything that decides what a sandboxed process sees and may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SandboxSpec {
    /// What `/` is made of.
    pub root: Root,
    /// What `/hb/store` shows.
    pub store: StoreView,
    /// Other host paths to show.
    pub binds: Vec<Bind>,
    /// The host folder shown, writable, as `/build`.
    pub work: Option<PathBuf>,
    /// Files to place below `work` before the start: relative name → contents.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The program (an absolute path inside the sandbox, which is also its
    /// name) and its arguments.
    pub argv: Vec<OsString>,
    /// The whole environment; nothing is inherited. Start from
    /// [`fixed_environment`].
    pub env: BTreeMap<OsString, OsString>,
    /// Where the program starts, as a path inside the sandbox.
    pub cwd: PathBuf,
    /// Who the program believes to be.
    pub user: User,
    /// Which network it has.
    pub network: Network,
    /// Where its standard streams lead.
    pub stdio: Stdio,
    /// Which system calls are refused.
    pub syscalls: SyscallPolicy,
    /// How many processors it may run on; `None` for all of hb's.
    pub processors: Option<usize>,
    /// The number of its first process, where that is not the usual one. An audit asks
    /// for another.
    pub first_process: Option<u32>,
    /// When it is stopped, and what it may use.
    pub limits: Limits,
}

/// What `/` is made of. It is always a memory file system, read-only once it
/// is set up; this says which top-level entries it shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// Nothing: for static builders, and for clients whose `binds` name all.
    Empty,
    /// The top-level entries of the tree at this host path, read-only.
    Tree(PathBuf),
    /// The host's own top-level entries with its devices and processes:
    /// read-only where `binds` does not say otherwise. A view, not a wall.
    Host,
}

/// What `/hb/store` shows: these inputs and, where `outputs` is given, what the
/// program creates.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreView {
    /// The closure of the inputs, shown read-only.
    pub closure: Vec<StoreEntry>,
    /// A host folder of this build alone that becomes `/hb/store`, writable, so
    /// that the builder can create each output as a file, a folder or a link.
    /// The inputs are mounted over entries of it, which stay behind as empty
    /// stubs: take outputs from it by name, and throw the rest away. It must lie
    /// below a folder that other users cannot enter.
    pub outputs: Option<PathBuf>,
}

/// One store object and where it physically lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreEntry {
    /// Its path, such as `/hb/store/<hash>-<name>`.
    pub path: String,
    /// The file, folder or symbolic link on the host.
    pub physical: PathBuf,
}

/// A host path shown inside the sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// The path on the host. A bind whose source is missing is left out.
    pub source: PathBuf,
    /// The absolute path inside.
    pub target: PathBuf,
    /// What the sandbox may do with it.
    pub access: Access,
}

/// What a sandbox may do with a bound path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Access {
    /// Read.
    ReadOnly,
    /// Read and write.
    Writable,
    /// Read, write, and use device nodes.
    Devices,
}

/// Who the program believes to be. Outside it is the user who runs hb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The user id seen inside.
    pub uid: u32,
    /// The group id seen inside.
    pub gid: u32,
}

impl User {
    /// The user of every build. An audit asks for another one.
    pub const BUILDER: User = User { uid: 1000, gid: 1000 };
}

/// The network of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Its own, with a loopback device and nothing else.
    Loopback,
    /// The host's.
    Host,
}

/// The standard streams of a sandboxed program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdio {
    /// Standard input is empty; output and errors go, in the order in which they
    /// were written, to the `output` callback of the run. No terminal.
    Captured,
    /// hb's own, for a person at a terminal. hb has to ignore SIGINT and SIGQUIT
    /// meanwhile: the terminal sends them to the program as well.
    Inherited,
}

/// Which system calls are refused; `seccomp` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyscallPolicy {
    /// Everything on the list.
    Build,
    /// The same, and sockets of the host's other programs (`AF_UNIX`).
    Fetch,
    /// No filter: only where the sandbox is a view and not a wall.
    Unfiltered,
}

/// When a program is stopped and what it may use. `None` is no limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Wall time from start to end.
    pub time: Option<Duration>,
    /// Wall time without a byte of output.
    pub silence: Option<Duration>,
    /// Bytes of memory that all its processes may use together.
    pub memory: Option<u64>,
    /// Processes and threads at once.
    pub processes: Option<u64>,
    /// Bytes that the files in `work` and `outputs` may take together; each counts for at
    /// least 4 KiB, so that this bounds their number as well.
    pub disk: Option<u64>,
}

impl SandboxSpec {
    /// A build: `argv` in `/build`, with no network, under every restriction.
    ///
    /// `work` and `outputs` are host folders that exist and belong to this build
    /// alone. The environment is the fixed one; add to it, or override it.
    pub fn build(root: Root, work: PathBuf, outputs: PathBuf, argv: Vec<OsString>) -> Self {
        SandboxSpec {
            root,
            store: StoreView { closure: Vec::new(), outputs: Some(outputs) },
            binds: Vec::new(),
            work: Some(work),
            files: BTreeMap::new(),
            argv,
            env: fixed_environment(),
            cwd: PathBuf::from(WORK_DIR),
            user: User::BUILDER,
            network: Network::Loopback,
            stdio: Stdio::Captured,
            syscalls: SyscallPolicy::Build,
            processors: None,
            first_process: None,
            limits: Limits::default(),
        }
    }

    /// The host as it is with `/hb/store` in place, for `hb run`: the network,
    /// the terminal, this user's id and the given environment. Add the folders
    /// that stay writable to `binds`.
    pub fn host_view(
        user: User,
        cwd: PathBuf,
        env: BTreeMap<OsString, OsString>,
        argv: Vec<OsString>,
    ) -> Self {
        SandboxSpec {
            root: Root::Host,
            store: StoreView::default(),
            binds: Vec::new(),
            work: None,
            files: BTreeMap::new(),
            argv,
            env,
            cwd,
            user,
            network: Network::Host,
            stdio: Stdio::Inherited,
            syscalls: SyscallPolicy::Unfiltered,
            processors: None,
            first_process: None,
            limits: Limits::default(),
        }
    }

    /// The same sandbox with another program and the user's terminal, to look
    /// inside a failed build: its files are as the build left them, not placed anew.
    pub fn interactive(mut self, argv: Vec<OsString>) -> Self {
        self.argv = argv;
        self.files.clear();
        self.stdio = Stdio::Inherited;
        self.limits = Limits { time: None, silence: None, ..self.limits };
        self
    }
}

/// The environment that every build starts from. A recipe may override each.
pub fn fixed_environment() -> BTreeMap<OsString, OsString> {
    [
        // A folder that does not exist: programs must not find what they left.
        ("HOME", "/homeless"),
        ("LC_ALL", "C"),
        // Not empty: some shells read an empty PATH as the current folder, and an
        // absent one as a list of their own.
        ("PATH", "/path-not-set"),
        ("SOURCE_DATE_EPOCH", "315619200"),
        ("TERM", "dumb"),
        // `/tmp` is in memory; large temporary files belong on the disk.
        ("TMPDIR", WORK_DIR),
        ("TZ", "UTC"),
    ]
    .into_iter()
    .map(|(name, value)| (OsString::from(name), OsString::from(value)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fixed_environment_holds_the_store_time() {
        let epoch = &fixed_environment()[&OsString::from("SOURCE_DATE_EPOCH")];
        assert_eq!(epoch.to_str(), Some(SOURCE_DATE_EPOCH.to_string().as_str()));
    }

    #[test]
    fn looking_inside_a_build_keeps_its_walls_and_its_other_limits() {
        let mut build =
            SandboxSpec::build(Root::Empty, "/w".into(), "/o".into(), vec!["/b".into()]);
        build.limits =
            Limits { time: Some(Duration::from_secs(1)), processes: Some(9), ..Limits::default() };
        let shell = build.clone().interactive(vec!["/bin/sh".into()]);
        assert_eq!(shell.limits, Limits { processes: Some(9), ..Limits::default() });
        let restored = SandboxSpec {
            argv: build.argv.clone(),
            stdio: build.stdio,
            limits: build.limits.clone(),
            ..shell
        };
        assert_eq!(restored, build);
    }
}
