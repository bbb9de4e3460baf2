//! From a request to bubblewrap's arguments: one pure function.
//!
//! The arguments go to bubblewrap through a file descriptor, so neither their
//! number nor the size of the environment meets the limits of a command line,
//! and nobody reads them in a list of processes.
//!
//! Order matters: a later mount covers an earlier one, and the last step makes
//! `/` read-only, after which no mount point can be made in it.

use std::ffi::CString;

use crate::direct::Enclosure;
use crate::spec::{Access, HOST_NAME};
use crate::starter::Request;
use crate::view::{Processes, Step};

/// The descriptor on which bubblewrap reports how the program ended.
pub(super) const REPORT_FD: i32 = 3;
/// The descriptor from which bubblewrap reads its arguments.
pub(super) const ARGS_FD: i32 = 4;
/// The descriptor from which bubblewrap reads the system call filter, if there is one.
/// The next two are where it says that its processes exist, and where it waits until
/// they are numbered; the last ones hold the texts of the view.
const FILTER_FD: i32 = 5;

/// Bubblewrap's arguments for `request`, without the program and its arguments: each
/// ended by a zero byte.
pub(super) fn arguments(request: &Request) -> Vec<u8> {
    let mut args = Arguments(Vec::with_capacity(4096));
    namespaces(&mut args, request);
    args.push(["--clearenv"]);
    for variable in &request.env {
        let variable = variable.as_bytes();
        let end = variable.iter().position(|&byte| byte == b'=').unwrap_or(variable.len());
        args.push([b"--setenv", &variable[..end], variable.get(end + 1..).unwrap_or_default()]);
    }
    let mut text_fd = FILTER_FD
        + i32::from(request.filter.is_some())
        + 2 * i32::from(request.first_process.is_some());
    for step in request.steps() {
        args.step(step, &mut text_fd);
    }
    args.push([b"--chdir", request.cwd.as_bytes()]);
    args.push(["--remount-ro", "/"]);
    args.push(["--json-status-fd", &REPORT_FD.to_string()]);
    let mut next = FILTER_FD;
    if request.filter.is_some() {
        args.push(["--seccomp", &next.to_string()]);
        next += 1;
    }
    if request.first_process.is_some() {
        args.push(["--info-fd", &next.to_string(), "--block-fd", &(next + 1).to_string()]);
    }
    args.0
}

fn namespaces(args: &mut Arguments, request: &Request) {
    args.push(["--unshare-user", "--unshare-pid"]);
    let Enclosure { user, walled, own_network, .. } = &request.enclosure;
    if *walled {
        args.push(["--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]);
        args.push(["--hostname", HOST_NAME]);
    }
    if *own_network {
        args.push(["--unshare-net"]);
    }
    args.push(["--uid", &user.uid.to_string(), "--gid", &user.gid.to_string()]);
    // Bubblewrap leaves root's capabilities in place unless told otherwise.
    args.push(["--cap-drop", "ALL", "--die-with-parent"]);
    if !request.at_terminal {
        args.push(["--new-session"]);
    }
}

/// The arguments so far.
struct Arguments(Vec<u8>);

impl Arguments {
    fn push<const N: usize, S: AsRef<[u8]>>(&mut self, words: [S; N]) {
        for word in words {
            self.0.extend_from_slice(word.as_ref());
            self.0.push(0);
        }
    }

    /// `text_fd` is the descriptor of the next text.
    fn step(&mut self, step: &Step, text_fd: &mut i32) {
        match step {
            Step::Bind { source, target, access, optional } => {
                let how = match (access, optional) {
                    (Access::ReadOnly, false) => "--ro-bind",
                    (Access::ReadOnly, true) => "--ro-bind-try",
                    (Access::Writable, false) => "--bind",
                    (Access::Writable, true) => "--bind-try",
                    (Access::Devices, false) => "--dev-bind",
                    (Access::Devices, true) => "--dev-bind-try",
                };
                self.push([how.as_bytes(), source.as_bytes(), target.as_bytes()]);
            }
            Step::Link { to, target } => {
                self.push([b"--symlink", to.as_bytes(), target.as_bytes()]);
            }
            // Bubblewrap makes missing parents with mode 0700.
            Step::Folder(target) => {
                self.push([b"--perms", &b"0755"[..], b"--dir", target.as_bytes()]);
            }
            Step::Temporary(target) => {
                self.push([b"--perms", &b"1777"[..], b"--tmpfs", target.as_bytes()]);
            }
            Step::Devices => self.push(["--dev", "/dev"]),
            Step::Processes(processes) => self.processes(processes, text_fd),
        }
    }

    fn processes(&mut self, Processes { access, hidden, texts }: &Processes, text_fd: &mut i32) {
        let path_of = |name: &CString| [b"/proc/", name.as_bytes()].concat();
        self.push(["--proc", "/proc"]);
        for name in hidden {
            self.push([b"--dev-bind", &b"/dev/null"[..], &path_of(name)]);
        }
        for (name, _) in texts {
            let fd = text_fd.to_string();
            *text_fd += 1;
            self.push(["--perms", "0444", "--ro-bind-data", &fd]);
            self.push([path_of(name)]);
        }
        if *access == Access::ReadOnly {
            self.push(["--remount-ro", "/proc"]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::Filter;
    use crate::spec::{Bind, Limits, Root, SandboxSpec, StoreEntry, User};
    use crate::stage::{Kind, Shown, Staged};
    use std::path::PathBuf;

    /// The arguments of `spec` as text: one option with its words a line.
    fn render(spec: &SandboxSpec, staged: &Staged, filter: Option<Filter>) -> String {
        let made_by = crate::starter::MadeBy::Bubblewrap(c"/usr/bin/bwrap".to_owned());
        let request = Request::new(spec, staged, made_by, filter).expect("no zero bytes");
        let words = String::from_utf8(arguments(&request)).expect("text");
        let mut lines = String::new();
        for word in words.split_terminator('\0') {
            let separator = if word.starts_with("--") { "\n" } else { " " };
            lines.push_str(&format!("{separator}{word}"));
        }
        lines.trim_start().to_owned()
    }

    fn filter() -> Option<Filter> {
        Some(Filter::default())
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
    fn a_build() {
        let staged = Staged {
            root: vec![link("usr/bin", "/bin"), node("/phys/root/usr", "/usr")],
            inputs: vec![node("/phys/store/abc-in", "/hb/store/abc-in")],
            hidden: vec!["cmdline", "keys"],
            ..Staged::default()
        };
        insta::assert_snapshot!(render(&build(), &staged, filter()));
    }

    #[test]
    fn a_build_that_an_audit_varies_without_a_filter() {
        let mut spec = build();
        spec.root = Root::Empty;
        spec.user = User { uid: 1234, gid: 5678 };
        spec.first_process = Some(4321);
        let staged = Staged::default();
        insta::assert_snapshot!(render(&spec, &staged, None));
    }

    #[test]
    fn a_view_of_the_host() {
        let user = User { uid: 501, gid: 501 };
        let mut spec = SandboxSpec::host_view(user, "/home/u/p".into(), [].into(), vec![]);
        let home = PathBuf::from("/home/u");
        spec.binds = vec![Bind { source: home.clone(), target: home, access: Access::Writable }];
        let staged = Staged {
            root: vec![node("/home", "/home"), node("/usr", "/usr")],
            inputs: vec![
                node("/phys/store/abc-go", "/hb/store/abc-go"),
                link("abc-go", "/hb/store/def-link"),
            ],
            ..Staged::default()
        };
        insta::assert_snapshot!(render(&spec, &staged, None));
    }

    #[test]
    fn a_look_inside_a_failed_build_keeps_the_walls_and_the_terminal() {
        let staged = Staged::default();
        let spec = build();
        let shell = spec.clone().interactive(vec!["/bin/sh".into()]);
        let without_session = render(&spec, &staged, filter()).replace("\n--new-session", "");
        assert_eq!(render(&shell, &staged, filter()), without_session);
    }

    #[test]
    fn limits_and_inputs_outside_the_arguments_do_not_change_them() {
        let staged = Staged::default();
        let mut other = build();
        other.limits = Limits { processes: Some(1), ..Limits::default() };
        let entry = StoreEntry { path: "/hb/store/x".into(), physical: "/x".into() };
        other.store.closure.push(entry);
        assert_eq!(render(&build(), &staged, filter()), render(&other, &staged, filter()));
    }
}
