//! Control groups for sandboxes, where the user has one of version 2 to divide.
//!
//! The group that hb runs in may hold processes or divide its resources among groups below
//! it, but not both. So hb moves itself into one below, if it is alone there, and makes one
//! more for each sandbox that has limits.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{Mode, OFlags, open};

use crate::outcome::Excess;
use crate::spec::Limits;

/// The group that is divided, and what of it can be.
#[derive(Debug)]
pub(crate) struct Groups {
    folder: PathBuf,
    pub(crate) memory: bool,
    pub(crate) processes: bool,
    made: AtomicU32,
}

impl Groups {
    /// The group that this process runs in, by what stands in `/proc/self/cgroup` and the
    /// mounts of `/proc/self/mountinfo`; none if it cannot be divided, or into nothing that
    /// limits need.
    pub(crate) fn find() -> Option<Self> {
        let [own, mounts] = ["cgroup", "mountinfo"].map(read_own);
        Self::divide(&folder_of(&own?, &mounts?)?)
    }

    fn divide(folder: &Path) -> Option<Self> {
        let offered = fs::read_to_string(folder.join("cgroup.controllers")).ok()?;
        let offers = |name: &str| offered.split_whitespace().any(|offered| offered == name);
        let (memory, processes) = (offers("memory"), offers("pids"));
        if !memory && !processes {
            return None;
        }
        let wanted = [memory.then_some("+memory"), processes.then_some("+pids")];
        let wanted = wanted.into_iter().flatten().collect::<Vec<_>>().join(" ");
        let enable = || fs::write(folder.join("cgroup.subtree_control"), &wanted);
        if enable().is_err() {
            let own = std::process::id().to_string();
            let alone = fs::read_to_string(folder.join("cgroup.procs")).ok()?.trim() == own;
            let below = folder.join(format!("hb-{own}"));
            alone.then(|| fs::create_dir(&below).ok())??;
            fs::write(below.join("cgroup.procs"), own).and_then(|()| enable()).ok()?;
        }
        Some(Groups { folder: folder.to_owned(), memory, processes, made: AtomicU32::new(0) })
    }

    /// A group below it under these limits.
    pub(crate) fn make(&self, limits: &Limits) -> io::Result<Group> {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let folder = self.folder.join(format!("hb-{}-{number}", std::process::id()));
        fs::create_dir(&folder)?;
        let group = Group { folder, limits: limits.clone() };
        let set = |file: &str, value: String| fs::write(group.folder.join(file), value);
        if let Some(bytes) = limits.memory.filter(|_| self.memory) {
            set("memory.max", bytes.to_string())?;
            // Absent where the machine does not swap, or an older kernel.
            let _ = set("memory.swap.max", "0".to_owned());
            let _ = set("memory.oom.group", "1".to_owned());
        }
        if let Some(count) = limits.processes.filter(|_| self.processes) {
            set("pids.max", count.saturating_add(crate::starter::OWN_PROCESSES).to_string())?;
        }
        Ok(group)
    }
}

fn read_own(file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/self/{file}")).ok()
}

/// The folder of this process' group of version 2.
fn folder_of(own: &str, mounts: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let mounted = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    Some(Path::new(mounted.split(' ').nth(4)?).join(path))
}

/// The group of one sandbox. Dropping it removes it; its processes must be dead.
#[derive(Debug)]
pub(crate) struct Group {
    folder: PathBuf,
    limits: Limits,
}

impl Group {
    /// A handle, to start a process in it.
    pub(crate) fn open(&self) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(open(&self.folder, flags, Mode::empty())?)
    }

    /// Which limit the kernel has kept it from going beyond, if it tried.
    pub(crate) fn met(&self) -> Option<Excess> {
        let happened = |file: &str, event: &str| {
            let text = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
            text.lines().any(|line| {
                line.split_once(' ').is_some_and(|(name, count)| name == event && count != "0")
            })
        };
        let memory = self.limits.memory.filter(|_| happened("memory.events", "oom_kill"));
        let processes = self.limits.processes.filter(|_| happened("pids.events", "max"));
        memory.map(Excess::Memory).or(processes.map(Excess::Processes))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group that is left is empty, and does no harm.
        let _ = fs::remove_dir(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_where_version_two_is_mounted() {
        let own = "8:pids:/\n0::/user.slice/a.scope\n";
        let mounts = "24 1 0:21 / /proc rw - proc proc rw\n\
                      31 24 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        let expected = Path::new("/sys/fs/cgroup/user.slice/a.scope");
        assert_eq!(folder_of(own, mounts).as_deref(), Some(expected));
        assert_eq!(folder_of("8:pids:/\n", mounts), None);
        assert_eq!(folder_of(own, ""), None);
    }
}
