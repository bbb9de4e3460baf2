//! What this machine lacks for sandboxes, and how to mend it.
//!
//! Each check looks at one thing and gives one finding. The last one tries: it
//! starts a sandbox, because only that shows what a security module, a container
//! around hb, or a kernel setting unknown here forbids.

use std::fs;
use std::io;
use std::iter::successors;
use std::path::Path;

use rustix::fs::statvfs;
use rustix::process::geteuid;

use crate::bubblewrap::{Bubblewrap, LocateError, MIN_VERSION};
use crate::group::Groups;
use crate::meter::INTERVAL;
use crate::run::{Backend, Maker, Runner};
use crate::seccomp::kernel_filters;
use crate::spec::{Root, SandboxSpec, StoreView};
use crate::starter::Reentry;

/// How a machine stands in one respect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// As hb wants it.
    Good,
    /// hb works, with less.
    Limited,
    /// hb cannot build.
    Broken,
}

/// One thing found out about this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, such as `bubblewrap`.
    pub subject: &'static str,
    /// How it stands.
    pub health: Health,
    /// What was found, and what it means.
    pub found: String,
    /// What to do about it; empty where nothing is to be done.
    pub remedy: String,
}

impl Finding {
    fn good(subject: &'static str, found: impl Into<String>) -> Self {
        Finding { subject, health: Health::Good, found: found.into(), remedy: String::new() }
    }

    fn limited(subject: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { subject, health: Health::Limited, found: found.into(), remedy: remedy.into() }
    }

    fn broken(subject: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { subject, health: Health::Broken, found: found.into(), remedy: remedy.into() }
    }
}

/// Less than this is not enough to unpack and build a compiler.
const SCARCE_BYTES: u64 = 8 << 30;
/// Less than this is not enough for anything.
const FULL_BYTES: u64 = 256 << 20;

/// Looks at everything that sandboxes need. `store` is the folder in which the
/// store and the builds lie, or will lie.
pub fn diagnose(store: &Path, reentry: Reentry) -> Vec<Finding> {
    let located = Bubblewrap::find();
    let try_maker = |maker| trial(Backend { reentry, maker });
    let direct = try_maker(Maker::Direct);
    let bubblewrapped = located.as_ref().ok().map(|_| try_maker(Maker::Bubblewrap));
    // Either maker will do.
    let other_works = matches!(bubblewrapped, Some(Ok(())));
    let mut findings = vec![
        user(),
        user_namespaces(Path::new("/proc/sys")),
        syscall_filter(),
        limits(),
        foreign_programs(Path::new("/proc/sys/fs/binfmt_misc")),
        disk(store),
        bubblewrap(&located, direct.is_ok()),
    ];
    findings.extend(
        bubblewrapped.map(|tried| tried_finding("bubblewrap, tried", tried, direct.is_ok())),
    );
    findings.push(tried_finding("hb's own sandbox, tried", direct, other_works));
    findings
}

fn user() -> Finding {
    let found = if geteuid().is_root() {
        "root; builds run without its rights"
    } else {
        "an ordinary user, which is all that hb needs"
    };
    Finding::good("user", found)
}

/// `spared` says that hb makes sandboxes without it.
fn bubblewrap(located: &Result<Bubblewrap, LocateError>, spared: bool) -> Finding {
    const SUBJECT: &str = "bubblewrap";
    match located {
        Ok(found) => {
            let path = found.path.display();
            Finding::good(SUBJECT, format!("version {} at {path}", found.version))
        }
        Err(error) if spared => Finding::good(SUBJECT, format!("{error}; not needed here")),
        Err(error) => Finding::broken(
            SUBJECT,
            error.to_string(),
            format!(
                "install bubblewrap {MIN_VERSION} or later; on Debian: apt-get install bubblewrap"
            ),
        ),
    }
}

/// `sysctls` is `/proc/sys`.
fn user_namespaces(sysctls: &Path) -> Finding {
    const SUBJECT: &str = "user namespaces";
    // Each may be absent: then the kernel does not restrict them in that way.
    let value = |name: &str| -> Option<i64> {
        fs::read_to_string(sysctls.join(name)).ok()?.trim().parse().ok()
    };
    if value("user/max_user_namespaces") == Some(0) {
        Finding::broken(
            SUBJECT,
            "switched off (user.max_user_namespaces is 0)",
            "as root: sysctl -w user.max_user_namespaces=15000",
        )
    } else if value("kernel/unprivileged_userns_clone") == Some(0) {
        Finding::broken(
            SUBJECT,
            "switched off for ordinary users (kernel.unprivileged_userns_clone is 0)",
            "as root: sysctl -w kernel.unprivileged_userns_clone=1",
        )
    } else if value("kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
        Finding::limited(
            SUBJECT,
            "restricted by AppArmor for programs without a profile",
            "as root: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or give hb a \
             profile that allows `userns`",
        )
    } else {
        Finding::good(SUBJECT, "available")
    }
}

fn syscall_filter() -> Finding {
    if kernel_filters() {
        Finding::good("system call filter", "available")
    } else {
        Finding::limited(
            "system call filter",
            "this kernel has no seccomp filters; builds are recorded as isolated by namespaces only",
            "use a kernel with CONFIG_SECCOMP_FILTER",
        )
    }
}

/// What keeps the limits of a build; time and silence are hb's own matter everywhere.
fn limits() -> Finding {
    const SUBJECT: &str = "limits of a build";
    let groups = Groups::find();
    let by_groups = |offered: fn(&Groups) -> bool| groups.as_ref().is_some_and(offered);
    let kept = |by_groups: bool| if by_groups { "by control groups" } else { "measured by hb" };
    let (memory, processes) = (by_groups(|it| it.memory), by_groups(|it| it.processes));
    let found =
        format!("memory {}, processes {}, disk measured by hb", kept(memory), kept(processes));
    if memory && processes {
        return Finding::good(SUBJECT, found);
    }
    let interval = INTERVAL.as_millis();
    Finding::limited(
        SUBJECT,
        format!("{found}; what is measured can be exceeded for {interval} ms"),
        "start hb with: systemd-run --user --scope -p Delegate=yes hb …",
    )
}

/// `registered` is `/proc/sys/fs/binfmt_misc`.
fn foreign_programs(registered: &Path) -> Finding {
    let mut names: Vec<String> = fs::read_dir(registered)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with("qemu-"))
        .collect();
    names.sort();
    let found = if names.is_empty() {
        "none run by themselves; recipes that run them name their own emulator".to_owned()
    } else {
        format!("run by themselves: {}", names.join(", "))
    };
    Finding::good("programs for other processors", found)
}

fn disk(folder: &Path) -> Finding {
    const SUBJECT: &str = "disk";
    const REMEDY: &str = "make room with `hb store gc`, or put the store elsewhere with HB_STORE";
    let existing = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let at = existing.display();
    let free = match statvfs(existing) {
        Ok(space) if space.f_files > 0 && space.f_favail == 0 => {
            return Finding::broken(SUBJECT, format!("no file can be made at {at}"), REMEDY);
        }
        Ok(space) => space.f_bavail.saturating_mul(space.f_frsize),
        Err(errno) => {
            let error = io::Error::from(errno);
            return Finding::broken(SUBJECT, format!("{at} cannot be looked at: {error}"), REMEDY);
        }
    };
    let found = format!("{} MiB free at {at}", free >> 20);
    match free {
        ..FULL_BYTES => Finding::broken(SUBJECT, found, REMEDY),
        FULL_BYTES..SCARCE_BYTES => Finding::limited(SUBJECT, found, REMEDY),
        SCARCE_BYTES.. => Finding::good(SUBJECT, found),
    }
}

/// Runs a program in a sandbox with every namespace that a build gets, and the host's
/// own programs. Why not, where it does not run.
fn trial(backend: Backend) -> Result<(), String> {
    let words = |error: &dyn std::error::Error| {
        let causes = successors(Some(error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    };
    let spec = SandboxSpec {
        work: None,
        store: StoreView::default(),
        cwd: "/".into(),
        ..SandboxSpec::build(
            Root::Tree("/".into()),
            "".into(),
            "".into(),
            // Every Linux has it.
            vec!["/bin/sh".into(), "-c".into(), "exit 0".into()],
        )
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| words(&error))?;
    let runner = Runner::new(backend).map_err(|error| words(&error))?;
    let ended = runtime.block_on(runner.run(spec, std::future::pending(), |_| {}));
    match ended.map_err(|error| words(&error))?.exit {
        exit if exit.is_success() => Ok(()),
        exit => Err(format!("/bin/sh ended with {exit:?}")),
    }
}

/// `other_works` says that sandboxes can be had in another way.
fn tried_finding(subject: &'static str, tried: Result<(), String>, other_works: bool) -> Finding {
    let remedy = "in a container, allow user namespaces and an unmasked /proc (for Docker: \
                  --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
                  --security-opt systempaths=unconfined)";
    match tried {
        Ok(()) => Finding::good(subject, "it starts"),
        Err(said) if other_works => Finding::limited(subject, said, remedy),
        Err(said) => Finding::broken(subject, said, remedy),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The finding about user namespaces where these settings have these values.
    fn check_sysctls(settings: &[(&str, &str)]) -> Finding {
        let sysctls = tempfile::tempdir().expect("a temporary folder");
        for (name, value) in settings {
            let path = sysctls.path().join(name);
            fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            fs::write(path, format!("{value}\n")).expect("a setting");
        }
        user_namespaces(sysctls.path())
    }

    #[test]
    fn user_namespaces_are_good_where_nothing_restricts_them() {
        assert_eq!(check_sysctls(&[]).health, Health::Good);
        assert_eq!(check_sysctls(&[("user/max_user_namespaces", "900")]).health, Health::Good);
    }

    #[test]
    fn each_switch_that_turns_user_namespaces_off_is_named_with_its_remedy() {
        for switch in ["user/max_user_namespaces", "kernel/unprivileged_userns_clone"] {
            let finding = check_sysctls(&[(switch, "0")]);
            assert_eq!(finding.health, Health::Broken);
            assert!(finding.remedy.contains(&switch.replace('/', ".")), "{finding:?}");
        }
        let finding = check_sysctls(&[("kernel/apparmor_restrict_unprivileged_userns", "1")]);
        assert_eq!(finding.health, Health::Limited);
    }

    #[test]
    fn a_missing_bubblewrap_is_broken_where_it_is_needed_and_says_how_to_get_it() {
        let missing = Err(LocateError::Missing);
        let finding = bubblewrap(&missing, false);
        assert_eq!(finding.health, Health::Broken);
        assert!(finding.remedy.contains("apt-get install bubblewrap"), "{finding:?}");
        assert_eq!(bubblewrap(&missing, true).health, Health::Good);
    }

    #[test]
    fn a_store_that_is_not_there_yet_is_judged_by_the_nearest_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let finding = disk(&folder.path().join("not/yet"));
        assert!(finding.found.contains(&folder.path().display().to_string()), "{finding:?}");
    }

    /// The trials execute this program as the starter.
    #[ctor::ctor(unsafe)]
    fn reenter() {
        Reentry::point();
    }

    #[test]
    fn a_machine_that_runs_these_tests_can_build() {
        for finding in diagnose(Path::new("/"), Reentry::point()) {
            assert!(finding.subject == "disk" || finding.health < Health::Broken, "{finding:?}");
        }
    }
}
