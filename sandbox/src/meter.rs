//! Measures what a running sandbox uses, for limits that the kernel does not keep by itself.
//!
//! Who measures reads what hostile programs write meanwhile: no link is followed, and what
//! vanishes between two looks counts for nothing.

use std::collections::HashSet;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat};

use crate::outcome::Excess;
use crate::spec::{Limits, SandboxSpec};
use crate::starter::OWN_PROCESSES;

/// How often memory and processes are looked at. What a program can use in between is what
/// it may use beyond its limit.
pub(crate) const INTERVAL: Duration = Duration::from_millis(100);
/// Looking at files takes at most this part of the time.
const FILES_SHARE: u32 = 20;
/// What each file counts for at least.
const LEAST_FILE: u64 = 4096;
/// Folders that are open at once while files are counted.
const MAX_OPEN: usize = 100;

/// What is measured of one sandbox.
#[derive(Debug)]
pub(crate) struct Meter {
    /// The first process, as hb numbers it.
    process: u32,
    limits: Limits,
    folders: Vec<PathBuf>,
    files_due: Instant,
}

impl Meter {
    /// For the sandbox whose first process has this handle; none where nothing is limited.
    pub(crate) fn new(process: BorrowedFd<'_>, spec: &SandboxSpec) -> Option<Self> {
        let limits = &spec.limits;
        if limits.memory.is_none() && limits.processes.is_none() && limits.disk.is_none() {
            return None;
        }
        Some(Meter {
            process: number(process)?,
            limits: limits.clone(),
            folders: spec.work.iter().chain(&spec.store.outputs).cloned().collect(),
            files_due: Instant::now() + INTERVAL,
        })
    }

    /// One look; what is beyond its limit, if anything.
    pub(crate) fn look(&mut self) -> Option<Excess> {
        self.look_at_processes().or_else(|| {
            if self.files_due > Instant::now() {
                return None;
            }
            let begun = Instant::now();
            let found = self.look_at_files();
            self.files_due = Instant::now() + (begun.elapsed() * FILES_SHARE).max(INTERVAL);
            found
        })
    }

    /// Whether the files are beyond their limit, or just at it: then writing has failed.
    pub(crate) fn look_at_files(&self) -> Option<Excess> {
        let limit = self.limits.disk?;
        let used: u64 = self.folders.iter().map(|folder| size_of_tree(folder, limit)).sum();
        (used >= limit).then_some(Excess::Disk(limit))
    }

    fn look_at_processes(&self) -> Option<Excess> {
        if self.limits.memory.is_none() && self.limits.processes.is_none() {
            return None;
        }
        let processes = processes_below(self.process);
        if let Some(limit) = self.limits.processes {
            let threads: u64 = processes.iter().map(|&process| threads(process).len() as u64).sum();
            // The sandbox's own, but for the first, are among those below.
            if threads > limit + OWN_PROCESSES - 1 {
                return Some(Excess::Processes(limit));
            }
        }
        let limit = self.limits.memory?;
        let total = |file, names: &[&str]| -> u64 {
            processes.iter().map(|&process| memory(process, file, names)).sum()
        };
        // What processes share counts for each here, and is cheap to find.
        let most = total("status", &["RssAnon:", "RssShmem:"]);
        let exceeded = most > limit && total("smaps_rollup", &["Pss_Anon:", "Pss_Shmem:"]) > limit;
        exceeded.then_some(Excess::Memory(limit))
    }
}

/// The number of the process that a handle is for.
fn number(process: BorrowedFd<'_>) -> Option<u32> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", process.as_raw_fd())).ok()?;
    info.lines().find_map(|line| line.strip_prefix("Pid:")?.trim().parse().ok())
}

/// All that a process has begotten. Whose parent ends becomes the child of the namespace's
/// first process, so that this finds everything in a sandbox.
fn processes_below(first: u32) -> Vec<u32> {
    let mut found = vec![first];
    let mut next = 0;
    while let Some(&process) = found.get(next) {
        next += 1;
        for thread in threads(process) {
            let children = format!("/proc/{process}/task/{thread}/children");
            let children = fs::read_to_string(children).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|it| it.parse::<u32>().ok()));
        }
    }
    found.remove(0);
    found
}

fn threads(process: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The sum of these lines of a process' file, which are in kibibytes.
fn memory(process: u32, file: &str, names: &[&str]) -> u64 {
    let text = fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    let value = |line: &str| -> Option<u64> {
        let mut words = line.split_whitespace();
        names.contains(&words.next()?).then(|| words.next()?.parse().ok())?
    };
    text.lines().filter_map(value).sum::<u64>() * 1024
}

/// The bytes that a tree takes on the disk, as far as `enough`.
fn size_of_tree(folder: &Path, enough: u64) -> u64 {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = |at: BorrowedFd<'_>, name: &std::ffi::CStr| openat(at, name, flags, Mode::empty());
    let Ok(top) = openat(CWD, folder, flags, Mode::empty()) else { return 0 };
    let mut linked = HashSet::new();
    let mut used: u64 = 0;
    let mut deeper = vec![top];
    let mut waiting: Vec<(OwnedFd, Option<Dir>)> = Vec::new();
    loop {
        if waiting.is_empty() {
            waiting.extend(deeper.pop().map(|folder| (folder, None)));
        }
        let Some((folder, entries)) = waiting.last_mut() else { return used };
        let entries = match entries {
            Some(entries) => entries,
            None => match Dir::read_from(&*folder) {
                Ok(read) => entries.insert(read),
                Err(_) => {
                    waiting.pop();
                    continue;
                }
            },
        };
        let Some(Ok(entry)) = entries.next() else {
            waiting.pop();
            continue;
        };
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let Ok(found) = statat(folder.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW) else { continue };
        if found.st_nlink == 1 || linked.insert((found.st_dev, found.st_ino)) {
            used = used.saturating_add((found.st_blocks as u64 * 512).max(LEAST_FILE));
        }
        if used >= enough {
            return used;
        }
        if FileType::from_raw_mode(found.st_mode).is_dir()
            && let Ok(below) = open(folder.as_fd(), name)
        {
            match waiting.len() {
                ..MAX_OPEN => waiting.push((below, None)),
                // So many folders at such a depth are not looked into: that is no use of a
                // disk but a way to hide one.
                _ if deeper.len() == MAX_OPEN => return enough,
                _ => deeper.push(below),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_count_once_and_for_at_least_a_block_however_deep() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        fs::write(path("large"), vec![1; 100_000]).expect("a file");
        let large = size_of_tree(folder.path(), u64::MAX);
        assert!((100_000..120_000).contains(&large), "{large}");
        fs::hard_link(path("large"), path("again")).expect("a link");
        std::os::unix::fs::symlink("/", path("link")).expect("a link");
        assert_eq!(size_of_tree(folder.path(), u64::MAX), large + LEAST_FILE);
        fs::create_dir_all(path(&"d/".repeat(300))).expect("folders");
        assert_eq!(size_of_tree(folder.path(), u64::MAX), large + 301 * LEAST_FILE);
    }

    #[test]
    fn processes_are_found_through_their_parents() {
        let mut child =
            std::process::Command::new("/bin/sleep").arg("60").spawn().expect("a child");
        assert!(processes_below(std::process::id()).contains(&child.id()));
        assert_eq!(threads(child.id()).len(), 1);
        assert!(memory(child.id(), "smaps_rollup", &["Pss_Anon:"]) > 0);
        child.kill().expect("it runs");
        child.wait().expect("it is dead");
        assert!(!processes_below(std::process::id()).contains(&child.id()));
    }
}
