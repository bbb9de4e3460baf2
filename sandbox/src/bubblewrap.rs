//! From a specification to bubblewrap's arguments: one pure function.
//!
//! The arguments go to bubblewrap through a file descriptor, so neither their
//! number nor the size of the environment meets the limits of a command line,
//! and nobody reads them in a list of processes.
//!
//! Order matters: a later mount covers an earlier one, and the last step makes
//! `/` read-only, after which no mount point can be made in it.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::spec::{
    Access, Bind, HOST_NAME, Network, Root, STORE_DIR, SandboxSpec, Stdio, WORK_DIR,
};
use crate::stage::{Kind, Shown, Staged, StoreMounts};

/// The descriptor on which bubblewrap reports how the program ended.
pub(crate) const STATUS_FD: i32 = 3;
/// The descriptor from which bubblewrap reads its arguments.
pub(crate) const ARGS_FD: i32 = 4;
/// The descriptor from which bubblewrap reads the system call filter.
pub(crate) const FILTER_FD: i32 = 5;

/// Bubblewrap's arguments for `spec`, without the program and its arguments.
pub(crate) fn arguments(spec: &SandboxSpec, staged: &Staged, filtered: bool) -> Vec<OsString> {
    let mut args = Arguments(Vec::with_capacity(128));
    namespaces(&mut args, spec);
    environment(&mut args, spec);
    root(&mut args, spec, &staged.root);
    for bind in &spec.binds {
        args.bind(bind);
    }
    if let Some(work) = &spec.work {
        args.mount("--bind", work, WORK_DIR);
    }
    store(&mut args, spec, &staged.store);
    args.push(["--chdir".as_ref(), spec.cwd.as_os_str()]);
    args.push(["--remount-ro", "/"]);
    args.push(["--json-status-fd", &STATUS_FD.to_string()]);
    if filtered {
        args.push(["--seccomp", &FILTER_FD.to_string()]);
    }
    args.0
}

fn namespaces(args: &mut Arguments, spec: &SandboxSpec) {
    args.push(["--unshare-user", "--unshare-pid"]);
    if spec.root != Root::Host {
        args.push(["--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]);
        args.push(["--hostname", HOST_NAME]);
    }
    if spec.network == Network::Loopback {
        args.push(["--unshare-net"]);
    }
    args.push(["--uid", &spec.user.uid.to_string(), "--gid", &spec.user.gid.to_string()]);
    // Bubblewrap leaves root's capabilities in place unless told otherwise.
    args.push(["--cap-drop", "ALL", "--die-with-parent"]);
    if spec.stdio == Stdio::Captured {
        args.push(["--new-session"]);
    }
}

fn environment(args: &mut Arguments, spec: &SandboxSpec) {
    args.push(["--clearenv"]);
    for (name, value) in &spec.env {
        args.push(["--setenv".as_ref(), name.as_os_str(), value.as_os_str()]);
    }
}

fn root(args: &mut Arguments, spec: &SandboxSpec, entries: &[Shown]) {
    for entry in entries {
        args.shown(entry);
    }
    args.push(["--proc", "/proc"]);
    if spec.root == Root::Host {
        args.push(["--dev-bind", "/dev", "/dev"]);
    } else {
        args.push(["--dev", "/dev"]);
        args.push(["--perms", "1777", "--tmpfs", "/tmp"]);
    }
}

fn store(args: &mut Arguments, spec: &SandboxSpec, mounts: &StoreMounts) {
    // Bubblewrap makes missing parents with mode 0700.
    args.push(["--perms", "0755", "--dir", "/hb"]);
    match &spec.store.outputs {
        Some(outputs) => args.mount("--bind", outputs, STORE_DIR),
        None => args.push(["--perms", "0755", "--dir", STORE_DIR]),
    }
    match mounts {
        StoreMounts::Each(entries) => entries.iter().for_each(|entry| args.shown(entry)),
        // Already below the outputs' folder, which the bind above takes along.
        StoreMounts::Together(_) => {}
    }
}

/// The arguments so far.
struct Arguments(Vec<OsString>);

impl Arguments {
    fn push<const N: usize, S: AsRef<OsStr>>(&mut self, words: [S; N]) {
        self.0.extend(words.iter().map(|word| word.as_ref().to_owned()));
    }

    fn mount(&mut self, how: &str, source: impl AsRef<Path>, target: impl AsRef<Path>) {
        self.push([how.as_ref(), source.as_ref().as_os_str(), target.as_ref().as_os_str()]);
    }

    fn bind(&mut self, bind: &Bind) {
        let how = match bind.access {
            Access::ReadOnly => "--ro-bind-try",
            Access::Writable => "--bind-try",
            Access::Devices => "--dev-bind-try",
        };
        self.mount(how, &bind.source, &bind.target);
    }

    fn shown(&mut self, entry: &Shown) {
        match &entry.kind {
            Kind::Node => self.mount("--ro-bind", &entry.source, &entry.target),
            Kind::Link(to) => self.mount("--symlink", to, &entry.target),
        }
    }
}
