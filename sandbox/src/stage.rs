//! What must lie on the disk before a sandbox starts, and what a look at the
//! disk adds to its specification: the kinds of the entries to show.
//!
//! Writes only below `work` and `outputs`, which belong to this build alone.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
use rustix::thread::sched_getaffinity;

use crate::spec::{Root, SOURCE_DATE_EPOCH, STORE_DIR, SandboxSpec, StoreEntry, WORK_DIR};

/// What stands in `/proc` about the machine, and no build needs: how its kernel was started,
/// what drives it and how busy it is, and, where root builds, what only root may read.
const HIDDEN: &[&str] = &[
    "cmdline",
    "diskstats",
    "interrupts",
    "iomem",
    "ioports",
    "kallsyms",
    "key-users",
    "keys",
    "kpagecgroup",
    "kpagecount",
    "kpageflags",
    "modules",
    "partitions",
    "sched_debug",
    "slabinfo",
    "swaps",
    "timer_list",
    "vmallocinfo",
];

/// A specification does not fit the disk, or the disk refused.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// `argv` is empty.
    #[error("the sandbox has no program to run")]
    NoProgram,
    /// Only a host view looks programs up in `PATH`.
    #[error("the program {0:?} is not an absolute path")]
    RelativeProgram(PathBuf),
    /// A file to place would leave `/build`, or there is no `/build`.
    #[error("the file name {0:?} is not a plain path below {WORK_DIR}")]
    FileName(String),
    /// A closure entry that is not a direct child of the store.
    #[error("{0:?} is not a path directly below {STORE_DIR}")]
    StorePath(String),
    /// A path, an argument or a variable that no program can be given.
    #[error("{0:?} holds a zero byte")]
    ZeroByte(OsString),
    /// The root, an input, or a folder of the build is missing or unreadable.
    #[error("could not look at {path}", path = path.display())]
    Look {
        /// What was looked at.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file or folder of the build could not be prepared.
    #[error("could not prepare {path}", path = path.display())]
    Write {
        /// What was written.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// One entry of `/` or of the store, and how to show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) source: PathBuf,
    pub(crate) target: PathBuf,
    pub(crate) kind: Kind,
}

/// A link cannot be mounted, only made again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file or a folder.
    Node,
    /// A symbolic link to this.
    Link(PathBuf),
}

/// What staging found out and prepared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Staged {
    /// The top-level entries of `/`.
    pub(crate) root: Vec<Shown>,
    /// The inputs, less those that have been placed on the disk.
    pub(crate) inputs: Vec<Shown>,
    /// What this kernel has in `/proc` that no build is to see.
    pub(crate) hidden: Vec<&'static str>,
    /// How many processors the program may run on.
    pub(crate) processors: usize,
}

/// Prepares the disk for `spec`.
pub(crate) fn stage(spec: &SandboxSpec) -> Result<Staged, StageError> {
    let program = spec.argv.first().ok_or(StageError::NoProgram)?;
    if spec.root != Root::Host && !Path::new(program).is_absolute() {
        return Err(StageError::RelativeProgram(program.into()));
    }
    for folder in spec.work.iter().chain(&spec.store.outputs) {
        // Visible inside, so it must not depend on the umask of hb's user.
        fs::set_permissions(folder, Permissions::from_mode(0o755)).map_err(write_error(folder))?;
    }
    place_files(spec)?;
    let usable = sched_getaffinity(None).map_or(1, |set| set.count() as usize);
    Ok(Staged {
        root: root_entries(spec)?,
        inputs: inputs(spec)?,
        hidden: hidden().to_vec(),
        processors: spec.processors.map_or(usable, |most| usable.min(most.max(1))),
    })
}

/// What there is of [`HIDDEN`]: the same as long as the kernel runs.
fn hidden() -> &'static [&'static str] {
    static HERE: LazyLock<Vec<&str>> = LazyLock::new(|| {
        HIDDEN.iter().copied().filter(|name| Path::new("/proc").join(name).exists()).collect()
    });
    &HERE
}

fn root_entries(spec: &SandboxSpec) -> Result<Vec<Shown>, StageError> {
    let (tree, replaced): (&Path, &[&str]) = match &spec.root {
        Root::Empty => return Ok(Vec::new()),
        Root::Tree(tree) => (tree, &["build", "dev", "hb", "proc", "tmp"]),
        Root::Host => (Path::new("/"), &["dev", "hb", "proc"]),
    };
    let mut names = fs::read_dir(tree)
        .and_then(|entries| {
            entries.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>, _>>()
        })
        .map_err(look_error(tree))?;
    names.retain(|name| !replaced.iter().any(|taken| name == OsStr::new(taken)));
    names.sort();
    names.iter().map(|name| shown(tree.join(name), Path::new("/").join(name))).collect()
}

/// Links among the inputs of a build are made again in the folder of its outputs.
fn inputs(spec: &SandboxSpec) -> Result<Vec<Shown>, StageError> {
    let closure = &spec.store.closure;
    closure.iter().try_for_each(check_store_path)?;
    let mut entries = closure
        .iter()
        .map(|entry| shown(entry.physical.clone(), PathBuf::from(&entry.path)))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(outputs) = &spec.store.outputs else { return Ok(entries) };
    for entry in &entries {
        if let Kind::Link(to) = &entry.kind {
            // Store paths have been checked to be one name below the store.
            let link = outputs.join(entry.target.file_name().unwrap_or_default());
            made_or_there(symlink(to, &link)).map_err(write_error(&link))?;
        }
    }
    entries.retain(|entry| entry.kind == Kind::Node);
    Ok(entries)
}

/// Links are there already when a person looks inside a failed build.
fn made_or_there(made: io::Result<()>) -> io::Result<()> {
    match made {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn check_store_path(entry: &StoreEntry) -> Result<(), StageError> {
    let name = entry.path.strip_prefix(STORE_DIR).and_then(|rest| rest.strip_prefix('/'));
    match name {
        Some(name) if !name.is_empty() && !name.contains('/') && name != "." && name != ".." => {
            Ok(())
        }
        _ => Err(StageError::StorePath(entry.path.clone())),
    }
}

fn shown(source: PathBuf, target: PathBuf) -> Result<Shown, StageError> {
    let kind = match fs::symlink_metadata(&source) {
        Ok(found) if found.is_symlink() => {
            Kind::Link(fs::read_link(&source).map_err(look_error(&source))?)
        }
        Ok(_) => Kind::Node,
        Err(error) => return Err(look_error(&source)(error)),
    };
    Ok(Shown { source, target, kind })
}

fn place_files(spec: &SandboxSpec) -> Result<(), StageError> {
    for (name, contents) in &spec.files {
        let (Some(work), Some(parts)) = (&spec.work, plain_parts(name)) else {
            return Err(StageError::FileName(name.clone()));
        };
        place_file(work, &parts, contents).map_err(write_error(&work.join(name)))?;
    }
    Ok(())
}

/// The parts of a relative name that only descends.
fn plain_parts(name: &str) -> Option<Vec<&OsStr>> {
    let plain = |part| match part {
        Component::Normal(part) => Some(part),
        _ => None,
    };
    Path::new(name)
        .components()
        .map(plain)
        .collect::<Option<Vec<_>>>()
        .filter(|all| !all.is_empty())
}

/// Goes down by handles and follows no link: what lies in `work` already may come
/// from anyone's archive.
fn place_file(work: &Path, parts: &[&OsStr], contents: &[u8]) -> io::Result<()> {
    let folder_flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Some((name, folders)) = parts.split_last() else { return Ok(()) };
    let mut folder = open(work, folder_flags, Mode::empty())?;
    for part in folders {
        made_or_there(
            mkdirat(&folder, *part, Mode::from_raw_mode(0o755)).map_err(io::Error::from),
        )?;
        folder = openat(&folder, *part, folder_flags, Mode::empty())?;
    }
    let file_flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let mut file = File::from(openat(&folder, *name, file_flags, Mode::from_raw_mode(0o644))?);
    file.write_all(contents)?;
    file.set_permissions(Permissions::from_mode(0o644))?;
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(SOURCE_DATE_EPOCH as u64);
    file.set_times(FileTimes::new().set_accessed(time).set_modified(time))
}

fn look_error(path: &Path) -> impl FnOnce(io::Error) -> StageError {
    let path = path.to_owned();
    move |source| StageError::Look { path, source }
}

fn write_error(path: &Path) -> impl FnOnce(io::Error) -> StageError {
    let path = path.to_owned();
    move |source| StageError::Write { path, source }
}
