//! Builds the new root of a sandbox, step by step.
//!
//! By the kernel's newer interface for mounts: each is made detached, given its
//! attributes, and put in its place by handles, so that nothing is ever visible that
//! may not be, and each costs the same however many there are. Targets are looked up
//! below the new root and cannot leave it (`RESOLVE_IN_ROOT`). Only those of `/dev` and
//! `/proc`, which hold nothing of others' yet, are names in a folder that is held, and the
//! devices have their attributes when all are there.

use std::ffi::{CStr, CString, OsStr};
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, chmodat, fstat, mkdirat, mknodat, open,
    openat, openat2, symlinkat, unlinkat,
};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen,
    mount_change, move_mount, open_tree, unmount,
};
use rustix::path::Arg;
use rustix::process::{fchdir, pivot_root};

use crate::spec::Access;
use crate::starter::{SetupError, last_errno};
use crate::view::{Processes, Step};

/// The devices of every sandbox, in `/dev`.
const DEVICES: [&CStr; 6] = [c"null", c"zero", c"full", c"random", c"urandom", c"tty"];
/// The links beside them: what each says, and its name.
const DEVICE_LINKS: [(&CStr, &CStr); 6] = [
    (c"/proc/self/fd/0", c"stdin"),
    (c"/proc/self/fd/1", c"stdout"),
    (c"/proc/self/fd/2", c"stderr"),
    (c"/proc/self/fd", c"fd"),
    (c"/proc/kcore", c"core"),
    (c"pts/ptmx", c"ptmx"),
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
        let without_devices = MountAttrFlags::MOUNT_ATTR_NODEV;
        let folder = file_system(c"tmpfs", &[(c"mode", c"0755")], without_devices)
            .map_err(SetupError::NewRoot)?;
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
            Step::Temporary(target) => self.writable(target, 0o1777).map(drop),
            Step::Devices => self.devices(),
            Step::Processes(processes) => self.processes(processes),
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

    /// The names below `/proc` are the kernel's own, and lead through no links.
    fn processes(&self, shown: &Processes) -> Result<(), SetupError> {
        let mut attributes = MountAttrFlags::MOUNT_ATTR_NODEV | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        attributes.set(MountAttrFlags::MOUNT_ATTR_RDONLY, shown.access == Access::ReadOnly);
        let processes = self.mount(c"proc", &[], attributes, c"/proc")?;
        let name_error = |name: &CString| {
            let path = format!("/proc/{}", words(name));
            move |errno| SetupError::Show { path, errno }
        };
        if !shown.hidden.is_empty() {
            let null = self.find(c"/dev/null").map_err(make_error(c"/dev/null"))?;
            for name in &shown.hidden {
                // Each has the attributes of what it is a copy of.
                let hide = || attach_at(&copy_of(&null, c"")?, &processes, name);
                hide().map_err(name_error(name))?;
            }
        }
        for (name, text) in &shown.texts {
            self.cover(text.as_bytes(), &processes, name).map_err(name_error(name))?;
        }
        Ok(())
    }

    /// Shows bytes in the place of a file. They lie in the root under a name that goes away.
    fn cover(&self, bytes: &[u8], folder: &OwnedFd, name: &CStr) -> Result<(), Errno> {
        const COVER: &CStr = c"covering";
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let file = openat(&self.folder, COVER, flags, Mode::from_raw_mode(0o444))?;
        rustix::io::write(&file, bytes)?;
        let tree = copy_of(&self.folder, COVER)?;
        set_attributes(&tree, READ_ONLY, 0)?;
        attach_at(&tree, folder, name)?;
        unlinkat(&self.folder, COVER, AtFlags::empty())
    }

    fn devices(&self) -> Result<(), SetupError> {
        let below_dev = |name| format!("/dev/{}", words(name));
        // No lookup of more than a name, and the attributes of all at once: these are most of the
        // system's part.
        let devices = self.writable(c"/dev", 0o755)?;
        let host = open(c"/dev", OFlags::PATH | OFlags::CLOEXEC, Mode::empty());
        let host = host.map_err(make_error(c"/dev"))?;
        for name in DEVICES {
            let show = || {
                make_file(&devices, name)?;
                attach_at(&copy_of(&host, name)?, &devices, name)
            };
            show().map_err(|errno| SetupError::Show { path: below_dev(name), errno })?;
        }
        for (to, name) in DEVICE_LINKS {
            symlinkat(to, &devices, name)
                .map_err(|errno| SetupError::Make { path: below_dev(name), errno })?;
        }
        for name in [c"shm", c"pts"] {
            make_folder(&devices, name)
                .map_err(|errno| SetupError::Make { path: below_dev(name), errno })?;
        }
        let options = [(c"ptmxmode", c"0666"), (c"mode", c"0620")];
        self.mount(c"devpts", &options, MountAttrFlags::MOUNT_ATTR_NOEXEC, c"/dev/pts")?;
        set_attributes(&devices, libc::MOUNT_ATTR_NOSUID, libc::AT_RECURSIVE)
            .map_err(make_error(c"/dev"))
    }

    /// A new file system in its place.
    fn mount(
        &self,
        kind: &CStr,
        options: &[(&CStr, &CStr)],
        attributes: MountAttrFlags,
        target: &CStr,
    ) -> Result<OwnedFd, SetupError> {
        let place = self.folder(target).map_err(make_error(target))?;
        let make = || {
            let mounted = file_system(kind, options, attributes)?;
            attach(&mounted, &place).map(|()| mounted)
        };
        make().map_err(|errno| {
            let (kind, target) = (words(kind), words(target));
            SetupError::FileSystem { kind, target, errno }
        })
    }

    /// A folder that stays writable when the root is not: a mount of its own, and yet a part
    /// of the root's file system, as each of those costs as much as many mounts.
    fn writable(&self, target: &CStr, mode: u32) -> Result<OwnedFd, SetupError> {
        let make = || {
            let place = self.folder(target)?;
            let tree = copy_of(&place, c"")?;
            chmodat(&tree, c".", Mode::from_raw_mode(mode), AtFlags::empty())?;
            set_attributes(&tree, NO_DEVICES, 0)?;
            attach(&tree, &place).map(|()| tree)
        };
        make().map_err(make_error(target))
    }

    fn link(&self, to: &CStr, target: &CStr) -> Result<(), SetupError> {
        self.in_folder_of(target, |folder, name| symlinkat(to, folder, name))
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
        self.in_folder_of(path, |above, name| make_folder(above, name))?;
        self.find(path)
    }

    /// What is there, or a new file to be covered.
    fn file(&self, path: &CStr) -> Result<OwnedFd, Errno> {
        match self.find(path) {
            Err(Errno::NOENT) => {}
            found => return found,
        }
        self.in_folder_of(path, |above, name| make_file(above, name))?;
        self.find(path)
    }

    /// Does something with a path's last name in the folder above, which is made if need be.
    fn in_folder_of(
        &self,
        path: &CStr,
        act: impl FnOnce(&OwnedFd, &OsStr) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let path = Path::new(OsStr::from_bytes(path.to_bytes()));
        let name = path.file_name().unwrap_or_default();
        match path.parent() {
            Some(above) if above != Path::new("/") => {
                // A part of what has no zero byte has none.
                let above = CString::new(above.as_os_str().as_bytes()).unwrap_or_default();
                act(&self.folder(&above)?, name)
            }
            _ => act(&self.folder, name),
        }
    }
}

fn make_error(path: &CStr) -> impl FnOnce(Errno) -> SetupError {
    let path = words(path);
    move |errno| SetupError::Make { path, errno }
}

fn words(path: &CStr) -> String {
    path.to_string_lossy().into_owned()
}

fn make_folder(above: &OwnedFd, name: impl Arg) -> Result<(), Errno> {
    mkdirat(above, name, Mode::from_raw_mode(0o755))
}

/// A file to be covered.
fn make_file(above: &OwnedFd, name: impl Arg) -> Result<(), Errno> {
    mknodat(above, name, FileType::RegularFile, Mode::from_raw_mode(0o444), 0)
}

/// A new file system that is mounted nowhere yet.
fn file_system(
    kind: &CStr,
    options: &[(&CStr, &CStr)],
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, c"source", kind)?;
    for (name, value) in options {
        fsconfig_set_string(&context, *name, *value)?;
    }
    fsconfig_create(&context)?;
    let attributes = attributes | MountAttrFlags::MOUNT_ATTR_NOSUID;
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

/// The same of a place that is named. The name is not followed if it is a link.
fn attach_at(mounted: &OwnedFd, folder: &OwnedFd, name: &CStr) -> Result<(), Errno> {
    move_mount(mounted, c"", folder, name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
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
