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

/// What processors there are, in `/proc`.
const PROCESSORS: &str = "cpuinfo";
/// Another for each start of a machine, in `/proc`.
const BOOT_ID: &str = "sys/kernel/random/boot_id";
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
    /// The devices that every program needs, at `/dev`.
    Devices,
    /// The processes of the sandbox, at `/proc`, which takes the devices.
    Processes(Processes),
}

/// What is shown at `/proc`. All names are below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Processes {
    /// What may be done there. Much of it is the whole machine's, and a build of root's would
    /// be let to write to that: namespaces do not change whose files these are.
    pub(crate) access: Access,
    /// The files in whose place the null device is shown.
    pub(crate) hidden: Vec<CString>,
    /// The files in whose place a text is shown, read-only, each with its text.
    pub(crate) texts: Vec<(CString, String)>,
}

/// The system's part of what `spec` shows, given what is on the disk: the first steps, which most
/// sandboxes have in common.
pub(crate) fn system_steps(spec: &SandboxSpec, staged: &Staged) -> Result<Vec<Step>, StageError> {
    if spec.root == Root::Host {
        let access = Access::Writable;
        let processes = Processes { access, hidden: Vec::new(), texts: Vec::new() };
        return Ok(vec![bind("/dev", "/dev", Access::Devices)?, Step::Processes(processes)]);
    }
    let processes = Processes {
        access: Access::ReadOnly,
        hidden: staged.hidden.iter().map(c_string).collect::<Result<_, _>>()?,
        texts: vec![
            (c_string(PROCESSORS)?, processors(staged.processors)),
            (c_string(BOOT_ID)?, NO_BOOT_ID.to_owned()),
        ],
    };
    Ok(vec![Step::Devices, Step::Processes(processes), Step::Temporary(c_string("/tmp")?)])
}

/// The further steps, to what lies on the disk; none of it where the system's part is.
pub(crate) fn own_steps(spec: &SandboxSpec, staged: &Staged) -> Result<Vec<Step>, StageError> {
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
    steps.extend(shown(&staged.inputs)?);
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
