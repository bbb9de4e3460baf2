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
/// The descriptor from which bubblewrap reads the system call filter. Where it waits
/// until its processes are numbered, it does so on the next one; without a filter, on
/// this one.
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
    if spec.first_process.is_some() {
        args.push(["--block-fd", &(FILTER_FD + i32::from(filtered)).to_string()]);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Limits, StoreEntry, User};
    use std::path::PathBuf;

    /// The arguments of `spec` as text: one option with its words a line.
    fn render(spec: &SandboxSpec, staged: &Staged, filtered: bool) -> String {
        let mut lines = String::new();
        for word in arguments(spec, staged, filtered) {
            let word = word.to_string_lossy();
            let separator = if word.starts_with("--") { "\n" } else { " " };
            lines.push_str(&format!("{separator}{word}"));
        }
        lines.trim_start().to_owned()
    }

    fn node(source: &str, target: &str) -> Shown {
        Shown { source: source.into(), target: target.into(), kind: Kind::Node }
    }

    fn link(to: &str, target: &str) -> Shown {
        Shown { source: PathBuf::new(), target: target.into(), kind: Kind::Link(to.into()) }
    }

    fn build() -> SandboxSpec {
        let root = Root::Tree("/phys/root".into());
        let mut spec = SandboxSpec::build(root, "/phys/work".into(), "/phys/out".into(), vec![]);
        spec.env = [("A".into(), "1".into())].into();
        spec
    }

    #[test]
    fn a_build_with_few_inputs() {
        let staged = Staged {
            root: vec![link("usr/bin", "/bin"), node("/phys/root/usr", "/usr")],
            store: StoreMounts::Each(vec![node("/phys/store/abc-in", "/hb/store/abc-in")]),
        };
        insta::assert_snapshot!(render(&build(), &staged, true));
    }

    #[test]
    fn a_build_with_many_inputs_leaves_them_to_the_folder_of_the_outputs() {
        let mut spec = build();
        spec.root = Root::Empty;
        spec.user = User { uid: 1234, gid: 5678 };
        let mounts = vec![("/phys/store/abc-in".into(), "/phys/out/abc-in".into())];
        let staged = Staged { root: vec![], store: StoreMounts::Together(mounts) };
        insta::assert_snapshot!(render(&spec, &staged, false));
    }

    #[test]
    fn a_view_of_the_host() {
        let user = User { uid: 501, gid: 501 };
        let mut spec = SandboxSpec::host_view(user, "/home/u/p".into(), [].into(), vec![]);
        let home = PathBuf::from("/home/u");
        spec.binds = vec![Bind { source: home.clone(), target: home, access: Access::Writable }];
        let staged = Staged {
            root: vec![node("/home", "/home"), node("/usr", "/usr")],
            store: StoreMounts::Each(vec![
                node("/phys/store/abc-go", "/hb/store/abc-go"),
                link("abc-go", "/hb/store/def-link"),
            ]),
        };
        insta::assert_snapshot!(render(&spec, &staged, false));
    }

    #[test]
    fn a_look_inside_a_failed_build_keeps_the_walls_and_the_terminal() {
        let staged = Staged { root: vec![], store: StoreMounts::Each(vec![]) };
        let spec = build();
        let shell = spec.clone().interactive(vec!["/bin/sh".into()]);
        let without_session = render(&spec, &staged, true).replace("\n--new-session", "");
        assert_eq!(render(&shell, &staged, true), without_session);
    }

    #[test]
    fn limits_and_inputs_outside_the_arguments_do_not_change_them() {
        let staged = Staged { root: vec![], store: StoreMounts::Each(vec![]) };
        let mut other = build();
        other.limits = Limits { processes: Some(1), ..Limits::default() };
        let entry = StoreEntry { path: "/hb/store/x".into(), physical: "/x".into() };
        other.store.closure.push(entry);
        assert_eq!(render(&build(), &staged, true), render(&other, &staged, true));
    }
}
