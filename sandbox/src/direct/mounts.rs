//! Builds the new root of a sandbox, step by step.
//!
//! By the kernel's newer interface for mounts: each is made detached, given its
//! attributes, and put in its place by handles, so that nothing is ever visible that
//! may not be, and each costs the same however many there are. Targets are looked up
//! below the new root and cannot leave it (`RESOLVE_IN_ROOT`).

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, chmodat, fstat, mkdirat, openat, openat2,
    symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    mount_change, move_mount, open_tree, unmount,
};
use rustix::process::{fchdir, pivot_root};

use crate::spec::Access;
use crate::starter::{SetupError, last_errno};
use crate::view::Step;

/// The devices of every sandbox.
const DEVICES: [&CStr; 6] =
    [c"/dev/null", c"/dev/zero", c"/dev/full", c"/dev/random", c"/dev/urandom", c"/dev/tty"];
/// The links beside them.
const DEVICE_LINKS: [(&CStr, &CStr); 6] = [
    (c"/proc/self/fd/0", c"/dev/stdin"),
    (c"/proc/self/fd/1", c"/dev/stdout"),
    (c"/proc/self/fd/2", c"/dev/stderr"),
    (c"/proc/self/fd", c"/dev/fd"),
    (c"/proc/kcore", c"/dev/core"),
    (c"pts/ptmx", c"/dev/ptmx"),
];

const NO_DEVICES: u64 = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV;
const READ_ONLY: u64 = NO_DEVICES | libc::MOUNT_ATTR_RDONLY;

/// The root of a sandbox that is being built. It lies over the host's, which paths that
/// begin with `/` still mean until it is entered.
pub(crate) struct NewRoot {
    folder: OwnedFd,
}

impl NewRoot {
    /// An empty one.
    pub(super) fn make() -> Result<Self, SetupError> {
        // What is mounted here must not appear on the host. What comes to be mounted there may
        // be an input, until it has been shown.
        let from_host = MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC;
        mount_change(c"/", from_host).map_err(SetupError::NewRoot)?;
        let folder = file_system(c"tmpfs", &[(c"mode", c"0755")]).map_err(SetupError::NewRoot)?;
        // Shows at once whether this kernel can.
        set_attributes(&folder, NO_DEVICES, 0).map_err(SetupError::NewRoot)?;
        let place = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
        move_mount(&folder, c"", CWD, c"/", place).map_err(SetupError::NewRoot)?;
        Ok(NewRoot { folder })
    }

    /// Does what a step of the view says.
    pub(super) fn carry_out(&self, step: &Step) -> Result<(), SetupError> {
        match step {
            Step::Bind { source, target, access, optional } => {
                match self.bind(source, target, *access) {
                    Err(SetupError::Show { errno: Errno::NOENT, .. }) if *optional => Ok(()),
                    bound => bound,
                }
            }
            Step::Link { to, target } => self.link(to, target),
            Step::Folder(target) => self.folder(target).map(drop).map_err(make_error(target)),
            Step::Temporary(target) => self.writable(target, 0o1777),
            Step::Processes => self.mount(c"proc", &[], c"/proc"),
            Step::Devices => self.devices(),
            Step::ReadOnly(target) => self.make_read_only(target),
            Step::Hide(targets) => self.hide(targets),
            Step::Text { text, target } => {
                self.cover(text.as_bytes(), target).map_err(make_error(target))
            }
        }
    }

    /// Makes this the root of the process, read-only, and lets go of the host's.
    pub(super) fn enter(self) -> Result<(), SetupError> {
        set_attributes(&self.folder, READ_ONLY, 0)
            .and_then(|()| fchdir(&self.folder))
            .and_then(|()| pivot_root(c".", c"."))
            .and_then(|()| unmount(c".", UnmountFlags::DETACH))
            .map_err(SetupError::EnterRoot)
    }

    fn bind(&self, source: &CStr, target: &CStr, access: Access) -> Result<(), SetupError> {
        let show_error = |errno| SetupError::Show { path: words(source), errno };
        let tree = copy_of(CWD, source).map_err(show_error)?;
        let attributes = match access {
            Access::ReadOnly => READ_ONLY,
            Access::Writable => NO_DEVICES,
            Access::Devices => libc::MOUNT_ATTR_NOSUID,
        };
        set_attributes(&tree, attributes, libc::AT_RECURSIVE).map_err(show_error)?;
        let found = fstat(&tree).map_err(show_error)?;
        let target = match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => self.folder(target),
            _ => self.file(target),
        }
        .map_err(make_error(target))?;
        attach(&tree, &target).map_err(show_error)
    }

    fn make_read_only(&self, path: &CStr) -> Result<(), SetupError> {
        let error = |errno| SetupError::ReadOnly { path: words(path), errno };
        let place = match self.find(path) {
            Err(Errno::NOENT) => return Ok(()),
            found => found.map_err(error)?,
        };
        let tree = copy_of(&place, c"").map_err(error)?;
        set_attributes(&tree, READ_ONLY, libc::AT_RECURSIVE).map_err(error)?;
        attach(&tree, &place).map_err(error)
    }

    /// Shows the null device in the place of files: copies of one mount, which have its
    /// attributes, so that each costs a few calls only.
    fn hide(&self, targets: &[CString]) -> Result<(), SetupError> {
        let Some((first, others)) = targets.split_first() else { return Ok(()) };
        self.bind(c"/dev/null", first, Access::Devices)?;
        let null = self.find(first).map_err(make_error(first))?;
        for target in others {
            let hide = || attach(&copy_of(&null, c"")?, &self.find(target)?);
            hide().map_err(make_error(target))?;
        }
        Ok(())
    }

    /// Shows bytes in the place of a file. They lie in the root under a name that goes away.
    fn cover(&self, bytes: &[u8], target: &CStr) -> Result<(), Errno> {
        const NAME: &CStr = c"covering";
        let place = self.find(target)?;
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&self.folder, NAME, flags, Mode::from_raw_mode(0o444))?;
        rustix::io::write(&file, bytes)?;
        let tree = copy_of(&self.folder, NAME)?;
        set_attributes(&tree, READ_ONLY, 0)?;
        attach(&tree, &place)?;
        unlinkat(&self.folder, NAME, AtFlags::empty())
    }

    fn mount(
        &self,
        kind: &CStr,
        options: &[(&CStr, &CStr)],
        target: &CStr,
    ) -> Result<(), SetupError> {
        let place = self.folder(target).map_err(make_error(target))?;
        file_system(kind, options).and_then(|mounted| attach(&mounted, &place)).map_err(|errno| {
            let (kind, target) = (words(kind), words(target));
            SetupError::FileSystem { kind, target, errno }
        })
    }

    /// A folder that stays writable when the root is not: a mount of its own, and yet a part
    /// of the root's file system, as each of those costs as much as many mounts.
    fn writable(&self, target: &CStr, mode: u32) -> Result<(), SetupError> {
        let make = || {
            let place = self.folder(target)?;
            let (above, name) = split(target);
            chmodat(self.folder(&above)?, name, Mode::from_raw_mode(mode), AtFlags::empty())?;
            let tree = copy_of(&place, c"")?;
            set_attributes(&tree, NO_DEVICES, 0)?;
            attach(&tree, &place)
        };
        make().map_err(make_error(target))
    }

    fn devices(&self) -> Result<(), SetupError> {
        self.writable(c"/dev", 0o755)?;
        for device in DEVICES {
            self.bind(device, device, Access::Devices)?;
        }
        for (to, target) in DEVICE_LINKS {
            self.link(to, target)?;
        }
        self.folder(c"/dev/shm").map_err(make_error(c"/dev/shm"))?;
        self.mount(c"devpts", &[(c"ptmxmode", c"0666"), (c"mode", c"0620")], c"/dev/pts")
    }

    fn link(&self, to: &CStr, target: &CStr) -> Result<(), SetupError> {
        let (folder, name) = split(target);
        self.folder(&folder)
            .and_then(|folder| symlinkat(to, &folder, name))
            .map_err(make_error(target))
    }

    /// What is there.
    fn find(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        openat2(&self.folder, path, flags, Mode::empty(), ResolveFlags::IN_ROOT)
    }

    /// The folder that is there, or a new one, with all above it.
    fn folder(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        match self.find(path) {
            Err(Errno::NOENT) => {}
            found => return found,
        }
        let (above, name) = split(path);
        mkdirat(self.folder(&above)?, name, Mode::from_raw_mode(0o755))?;
        self.find(path)
    }

    /// What is there, or a new file to be covered.
    fn file(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        match self.find(path) {
            Err(Errno::NOENT) => {}
            found => return found,
        }
        let (above, name) = split(path);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        openat(self.folder(&above)?, name, flags, Mode::from_raw_mode(0o444))?;
        self.find(path)
    }
}

fn make_error(path: &CStr) -> impl FnOnce(Errno) -> SetupError {
    let path = words(path);
    move |errno| SetupError::Make { path, errno }
}

fn words(path: &CStr) -> String {
    path.to_string_lossy().into_owned()
}

/// The folder above a path, and the path's last name.
fn split(path: &CStr) -> (CString, &OsStr) {
    let path = Path::new(OsStr::from_bytes(path.to_bytes()));
    let above = path.parent().unwrap_or(Path::new("/")).as_os_str().as_bytes();
    // A part of what has no zero byte has none.
    let above = CString::new(above).unwrap_or_default();
    (above, path.file_name().unwrap_or_default())
}

/// A new file system that is mounted nowhere yet.
fn file_system(kind: &CStr, options: &[(&CStr, &CStr)]) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, c"source", kind)?;
    for (name, value) in options {
        fsconfig_set_string(&context, *name, *value)?;
    }
    fsconfig_create(&context)?;
    let mut attributes = MountAttrFlags::MOUNT_ATTR_NOSUID;
    if kind != c"devpts" {
        attributes |= MountAttrFlags::MOUNT_ATTR_NODEV;
    }
    if kind != c"tmpfs" {
        attributes |= MountAttrFlags::MOUNT_ATTR_NOEXEC;
    }
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// A mount of a file or folder, with all that is mounted below it, in no place yet.
fn copy_of(folder: impl AsFd, path: &CStr) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    if path.is_empty() {
        flags |= OpenTreeFlags::AT_EMPTY_PATH;
    }
    open_tree(folder, path, flags)
}

/// Puts a mount in its place.
fn attach(mounted: &OwnedFd, place: &OwnedFd) -> Result<(), Errno> {
    let by_handles =
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mounted, c"", place, c"", by_handles)
}

/// Adds to the attributes of a mount and, with `AT_RECURSIVE`, of all below it. What is mounted
/// elsewhere from now on does not come to lie there.
fn set_attributes(mounted: &OwnedFd, attributes: u64, flags: libc::c_int) -> Result<(), Errno> {
    let change = libc::mount_attr {
        attr_set: attributes,
        attr_clr: 0,
        propagation: libc::MS_PRIVATE,
        userns_fd: 0,
    };
    // SAFETY: the path is zero-terminated and the size is that of the structure.
    let failed = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mounted.as_raw_fd(),
            c"".as_ptr(),
            flags | libc::AT_EMPTY_PATH,
            &raw const change,
            size_of::<libc::mount_attr>(),
        ) != 0
    };
    if failed { Err(last_errno()) } else { Ok(()) }
}
