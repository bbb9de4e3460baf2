//! From a specification to the steps that build what a sandbox sees.
//!
//! Both makers of sandboxes carry out the same list, in its order: a later step covers
//! an earlier one. Paths are as the kernel takes them, ended by a zero byte.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::spec::{Access, Bind, Root, STORE_DIR, SandboxSpec, WORK_DIR};
use crate::stage::{Kind, Shown, StageError, Staged};

/// What stands in `/proc` for the whole machine. A build of root's would be let to write
/// to it: namespaces do not change whose files these are.
const MACHINE_WIDE: &[&str] = &[
    "/proc/acpi",
    "/proc/bus",
    "/proc/driver",
    "/proc/fs",
    "/proc/irq",
    "/proc/mtrr",
    "/proc/pressure",
    "/proc/scsi",
    "/proc/sys",
    "/proc/sysrq-trigger",
    "/proc/tty",
];

/// Another for each start of a machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
const NO_BOOT_ID: &str = "00000000-0000-0000-0000-000000000000\n";

/// One thing to do below the new `/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Step {
    /// Shows a file or folder of the host. Where `optional`, only if it is there.
    Bind {
        /// The path on the host.
        source: CString,
        /// The path inside.
        target: CString,
        /// What may be done with it.
        access: Access,
        /// Whether it may be missing.
        optional: bool,
    },
    /// Makes a symbolic link.
    Link {
        /// What it says.
        to: CString,
        /// The path inside.
        target: CString,
    },
    /// Makes a folder, mode 755.
    Folder(CString),
    /// A memory file system for temporary files, mode 1777.
    Temporary(CString),
    /// The processes of the sandbox, at `/proc`.
    Processes,
    /// The devices that every program needs, at `/dev`.
    Devices,
    /// Makes what is there already read-only, if it is there.
    ReadOnly(CString),
    /// Shows the null device in the place of files that are there.
    Hide(Vec<CString>),
    /// Shows this text, read-only, in the place of a file that is there.
    Text {
        /// The text.
        text: String,
        /// The path inside.
        target: CString,
    },
}

/// All that a sandbox sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct View {
    /// What it has in common with most: the first steps, in order.
    pub(crate) common: Vec<Step>,
    /// The further steps, in order.
    pub(crate) own: Vec<Step>,
    /// The inputs, which come last: each is shown in the store.
    pub(crate) inputs: Vec<Step>,
}

impl View {
    /// What `spec` shows, given what is on the disk.
    pub(crate) fn new(spec: &SandboxSpec, staged: &Staged) -> Result<Self, StageError> {
        Ok(View {
            common: common_steps(spec, staged)?,
            own: own_steps(spec, staged)?,
            inputs: shown(&staged.inputs)?,
        })
    }

    /// All steps, in order.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &Step> {
        [&self.common, &self.own, &self.inputs].into_iter().flatten()
    }
}

/// The system's part of the view.
fn common_steps(spec: &SandboxSpec, staged: &Staged) -> Result<Vec<Step>, StageError> {
    let mut steps = vec![Step::Processes];
    if spec.root == Root::Host {
        steps.push(bind("/dev", "/dev", Access::Devices)?);
    } else {
        for path in MACHINE_WIDE {
            steps.push(Step::ReadOnly(c_string(path)?));
        }
        let hidden = staged.hidden.iter().map(c_string);
        steps.push(Step::Hide(hidden.collect::<Result<_, _>>()?));
        steps.push(text(processors(staged.processors), "/proc/cpuinfo")?);
        steps.push(text(NO_BOOT_ID.to_owned(), BOOT_ID)?);
        steps.push(Step::Devices);
        steps.push(Step::Temporary(c_string("/tmp")?));
    }
    Ok(steps)
}

/// What lies on the disk; none of it where the system's part is.
fn own_steps(spec: &SandboxSpec, staged: &Staged) -> Result<Vec<Step>, StageError> {
    let mut steps = shown(&staged.root)?;
    for Bind { source, target, access } in &spec.binds {
        steps.push(Step::Bind {
            source: c_string(source)?,
            target: c_string(target)?,
            access: *access,
            optional: true,
        });
    }
    if let Some(work) = &spec.work {
        steps.push(bind(work, WORK_DIR, Access::Writable)?);
    }
    steps.push(Step::Folder(c_string("/hb")?));
    steps.push(match &spec.store.outputs {
        Some(outputs) => bind(outputs, STORE_DIR, Access::Writable)?,
        None => Step::Folder(c_string(STORE_DIR)?),
    });
    Ok(steps)
}

fn shown(entries: &[Shown]) -> Result<Vec<Step>, StageError> {
    entries
        .iter()
        .map(|entry| match &entry.kind {
            Kind::Node => bind(&entry.source, &entry.target, Access::ReadOnly),
            Kind::Link(to) => {
                Ok(Step::Link { to: c_string(to)?, target: c_string(&entry.target)? })
            }
        })
        .collect()
}

fn bind(
    source: impl AsRef<Path>,
    target: impl AsRef<Path>,
    access: Access,
) -> Result<Step, StageError> {
    let (source, target) = (c_string(source.as_ref())?, c_string(target.as_ref())?);
    Ok(Step::Bind { source, target, access, optional: false })
}

fn text(text: String, target: &str) -> Result<Step, StageError> {
    Ok(Step::Text { text, target: c_string(target)? })
}

/// `/proc/cpuinfo` of a build that may use so many processors: it tells how many there are,
/// as programs count them there, and nothing of their kind.
fn processors(count: usize) -> String {
    (0..count).map(|number| format!("processor\t: {number}\n{OF_ANY_KIND}\n")).collect()
}

/// What every processor of the architecture can do, in the form that the kernel gives it.
const OF_ANY_KIND: &str = if cfg!(target_arch = "x86_64") {
    "vendor_id\t: unknown\nmodel name\t: unknown\n\
     flags\t\t: fpu tsc cx8 cmov fxsr mmx sse sse2 syscall nx lm\n"
} else {
    ""
};

/// Text as the kernel takes it.
pub(crate) fn c_string(text: impl AsRef<OsStr>) -> Result<CString, StageError> {
    let text = text.as_ref();
    CString::new(text.as_bytes()).map_err(|_| StageError::ZeroByte(text.to_owned()))
}
