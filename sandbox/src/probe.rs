//! What this machine lacks for sandboxes, and how to mend it.
//!
//! Each check looks at one thing and gives one finding. The last one tries: it
//! starts a sandbox, because only that shows what a security module, a container
//! around hb, or a kernel setting unknown here forbids.

use std::fs;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::statvfs;
use rustix::process::geteuid;

use crate::locate::{Bubblewrap, LocateError, MIN_VERSION};
use crate::seccomp::kernel_filters;

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
pub fn diagnose(store: &Path) -> Vec<Finding> {
    let located = Bubblewrap::find();
    let mut findings = vec![
        user(),
        bubblewrap(&located),
        user_namespaces(Path::new("/proc/sys")),
        syscall_filter(),
        cgroup(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup")),
        foreign_programs(Path::new("/proc/sys/fs/binfmt_misc")),
        disk(store),
    ];
    findings.extend(located.ok().map(|bubblewrap| trial(&bubblewrap)));
    findings
}

fn user() -> Finding {
    let found = if geteuid().is_root() {
        "root; builds run without its rights, but limits on processes do not bind it"
    } else {
        "an ordinary user, which is all that hb needs"
    };
    Finding::good("user", found)
}

fn bubblewrap(located: &Result<Bubblewrap, LocateError>) -> Finding {
    match located {
        Ok(found) => {
            let path = found.path.display();
            Finding::good("bubblewrap", format!("version {} at {path}", found.version))
        }
        Err(error) => Finding::broken(
            "bubblewrap",
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

/// `own` is `/proc/self/cgroup`, `mounted` is `/sys/fs/cgroup`.
fn cgroup(own: &Path, mounted: &Path) -> Finding {
    const SUBJECT: &str = "control groups";
    let own = fs::read_to_string(own).unwrap_or_default();
    let Some(path) = own.lines().find_map(|line| line.strip_prefix("0::/")) else {
        return Finding::limited(
            SUBJECT,
            "version 2 is not in use; limits hold for each process, not for a whole build",
            "boot with systemd.unified_cgroup_hierarchy=1",
        );
    };
    let group = mounted.join(path);
    let delegated = rustix::fs::access(group.join("cgroup.procs"), rustix::fs::Access::WRITE_OK)
        .and_then(|()| rustix::fs::access(&group, rustix::fs::Access::WRITE_OK));
    match delegated {
        Ok(()) => Finding::good(SUBJECT, format!("version 2, and /{path} is ours to divide")),
        Err(_) => Finding::limited(
            SUBJECT,
            format!("/{path} is not ours; limits hold for each process, not for a whole build"),
            "start hb with: systemd-run --user --scope -p Delegate=yes hb …",
        ),
    }
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

/// Starts a sandbox with every namespace that a build gets.
fn trial(bubblewrap: &Bubblewrap) -> Finding {
    const SUBJECT: &str = "a sandbox, tried";
    let tried = Command::new(&bubblewrap.path)
        .args(["--unshare-all", "--uid", "1000", "--ro-bind", "/", "/", "--proc", "/proc"])
        .args(["--dev", "/dev", "--tmpfs", "/tmp", "--"])
        // A program that is there for sure.
        .args([bubblewrap.path.as_os_str(), "--version".as_ref()])
        .env_clear()
        .stdin(Stdio::null())
        .output();
    let said = match tried {
        Ok(output) if output.status.success() => return Finding::good(SUBJECT, "it starts"),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    let remedy = "in a container, allow user namespaces and an unmasked /proc (for Docker: \
                  --security-opt seccomp=unconfined --security-opt apparmor=unconfined \
                  --security-opt systempaths=unconfined)";
    Finding::broken(SUBJECT, said, remedy)
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
    fn a_missing_bubblewrap_is_broken_and_says_how_to_get_it() {
        let finding = bubblewrap(&Err(LocateError::Missing));
        assert_eq!(finding.health, Health::Broken);
        assert!(finding.remedy.contains("apt-get install bubblewrap"), "{finding:?}");
    }

    #[test]
    fn a_store_that_is_not_there_yet_is_judged_by_the_nearest_folder() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let finding = disk(&folder.path().join("not/yet"));
        assert!(finding.found.contains(&folder.path().display().to_string()), "{finding:?}");
    }

    #[test]
    fn a_machine_that_runs_these_tests_can_build() {
        for finding in diagnose(Path::new("/")) {
            assert!(finding.subject == "disk" || finding.health < Health::Broken, "{finding:?}");
        }
    }
}
