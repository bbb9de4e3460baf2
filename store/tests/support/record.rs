//! Recording what a traced process does to the files below a folder, as events of a
//! [`Disk`](crate::disk::Disk). A call that changes files in a way that is not understood
//! here ends the test: what is not recorded is not tested.
#![allow(unreachable_pub, reason = "shared by path")]

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    fmt::Display,
    fs, io,
    os::unix::{
        ffi::{OsStrExt as _, OsStringExt as _},
        fs::MetadataExt as _,
    },
    path::{Component, Path, PathBuf},
    process::Command,
};

use crate::{
    disk::{Event, Inode, Kind, Slot},
    trace::{self, Call, Stop, Then, Thread},
    work::MARK,
};

/// What happened, and the entries as they are now.
pub struct Recording {
    pub events: Vec<Event>,
    root: PathBuf,
    live: BTreeMap<Slot, Inode>,
    count: Inode,
    /// Files with several names that lay there beforehand, by their numbers.
    linked: HashMap<u64, Inode>,
}

/// A call on its way, with what it names, looked up before it changes that.
struct Pending {
    first: Option<Slot>,
    second: Option<Slot>,
}

impl Recording {
    /// Run a command to its end. What lies below `root` beforehand counts as flushed.
    pub fn of(root: &Path, command: Command) -> Self {
        let root = root.canonicalize().unwrap();
        let mut recording = Self {
            events: Vec::new(),
            root,
            live: BTreeMap::new(),
            count: 0,
            linked: HashMap::new(),
        };
        recording.live.insert(ROOT, 0);
        let folder = recording.root.clone();
        recording.look_at(None, &folder);
        recording.events.push(Event::FlushedAll);
        let mut pending: HashMap<libc::pid_t, Pending> = HashMap::new();
        let ended = trace::run(command, |thread, stop| {
            match stop {
                Stop::Entering(call) if call.number == MARK => {
                    recording.events.push(Event::Said(call.arguments[0]));
                }
                Stop::Entering(call) => {
                    if let Some(names) = recording.enter(thread, call) {
                        assert!(pending.is_empty(), "two threads change files at once");
                        pending.insert(thread.0, names);
                    }
                }
                Stop::Left(call, result) => {
                    let names = pending.remove(&thread.0);
                    if let Some(names) = names.filter(|_| result >= 0) {
                        recording.left(thread, call, result, names);
                    }
                }
            }
            Then::GoOn
        });
        assert!(ended, "the process that is recorded failed");
        recording
    }

    /// What lies there already.
    fn look_at(&mut self, slot: Option<Slot>, path: &Path) {
        let stat = fs::symlink_metadata(path).unwrap();
        let kind = if stat.is_symlink() {
            Kind::Link(fs::read_link(path).unwrap().into_os_string().into_vec())
        } else if stat.is_dir() {
            Kind::Folder
        } else {
            Kind::File
        };
        if let Some(slot) = &slot
            && let Some(&inode) = self.linked.get(&stat.ino())
        {
            return self.change(vec![(slot.clone(), Some(inode))]);
        }
        let inode = self.make(kind.clone(), stat.mode() & 0o7777, slot);
        self.events.push(Event::Time(inode, stat.mtime()));
        match kind {
            Kind::File => {
                if stat.nlink() > 1 {
                    self.linked.insert(stat.ino(), inode);
                }
                let bytes = fs::read(path).unwrap();
                let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
                self.events.push(Event::Wrote(inode, 0, bytes[..end].into()));
                self.events.push(Event::Resized(inode, bytes.len() as u64));
            }
            Kind::Folder => {
                for entry in fs::read_dir(path).unwrap() {
                    let entry = entry.unwrap();
                    let slot = (inode, entry.file_name().into_vec());
                    self.look_at(Some(slot), &entry.path());
                }
            }
            Kind::Link(_) => {}
        }
    }

    fn make(&mut self, kind: Kind, mode: u32, slot: Option<Slot>) -> Inode {
        let inode = self.count;
        self.count += 1;
        self.events.push(Event::Made(kind, mode));
        if let Some(slot) = slot {
            self.change(vec![(slot, Some(inode))]);
        }
        inode
    }

    fn change(&mut self, slots: Vec<(Slot, Option<Inode>)>) {
        for (slot, inode) in &slots {
            match inode {
                Some(inode) => self.live.insert(slot.clone(), *inode),
                None => self.live.remove(slot),
            };
        }
        self.events.push(Event::Entries(slots));
    }

    /// The slots that a call names, if it may change something.
    fn enter(&self, thread: Thread, Call { number, arguments: a }: Call) -> Option<Pending> {
        let at = |folder: u64, name: u64| self.slot(&self.path_at(thread, folder, name));
        let cwd = libc::AT_FDCWD as u64;
        let (first, second) = match number {
            libc::SYS_open | libc::SYS_creat => (at(cwd, a[0]), None),
            libc::SYS_openat | libc::SYS_openat2 => (at(a[0], a[1]), None),
            libc::SYS_mkdir | libc::SYS_rmdir | libc::SYS_unlink | libc::SYS_chmod => {
                (at(cwd, a[0]), None)
            }
            libc::SYS_mkdirat | libc::SYS_unlinkat | libc::SYS_fchmodat | SYS_FCHMODAT2 => {
                (at(a[0], a[1]), None)
            }
            libc::SYS_utimensat if a[1] != 0 => (at(a[0], a[1]), None),
            libc::SYS_symlink => (at(cwd, a[1]), None),
            libc::SYS_symlinkat => (at(a[1], a[2]), None),
            libc::SYS_rename | libc::SYS_link => (at(cwd, a[0]), at(cwd, a[1])),
            libc::SYS_renameat | libc::SYS_renameat2 | libc::SYS_linkat => {
                (at(a[0], a[1]), at(a[2], a[3]))
            }
            libc::SYS_sync => return Some(Pending { first: None, second: None }),
            libc::SYS_write
            | libc::SYS_pwrite64
            | libc::SYS_writev
            | libc::SYS_pwritev
            | libc::SYS_pwritev2
            | libc::SYS_ftruncate
            | libc::SYS_fallocate
            | libc::SYS_fchmod
            | libc::SYS_utimensat
            | libc::SYS_fsync
            | libc::SYS_fdatasync
            | libc::SYS_syncfs => (self.descriptor(thread, a[0]), None),
            libc::SYS_mmap => {
                let writes = a[2] & libc::PROT_WRITE as u64 != 0
                    && a[3] & 0xf == libc::MAP_SHARED as u64
                    && a[3] & libc::MAP_ANONYMOUS as u64 == 0;
                if let Some((_, name)) = self.descriptor(thread, a[4]).filter(|_| writes) {
                    assert!(name.ends_with(b"-shm"), "a file is written through memory");
                }
                return None;
            }
            libc::SYS_copy_file_range | libc::SYS_sendfile | libc::SYS_splice => {
                let to = if number == libc::SYS_sendfile { a[0] } else { a[2] };
                assert_eq!(self.descriptor(thread, to), None, "call {number} is not understood");
                return None;
            }
            libc::SYS_truncate | libc::SYS_io_uring_setup | libc::SYS_setxattr => {
                panic!("call {number} is not understood")
            }
            _ => return None,
        };
        let names_something = first.is_some() || second.is_some();
        names_something.then_some(Pending { first, second })
    }

    fn left(&mut self, thread: Thread, call: Call, result: i64, names: Pending) {
        let Call { number, arguments: a } = call;
        let there = |slot: &Option<Slot>, live: &BTreeMap<Slot, Inode>| {
            slot.as_ref().and_then(|slot| live.get(slot)).copied()
        };
        let inode = there(&names.first, &self.live);
        match number {
            libc::SYS_open | libc::SYS_openat | libc::SYS_openat2 | libc::SYS_creat => {
                let flags = match number {
                    libc::SYS_open => a[1],
                    libc::SYS_openat => a[2],
                    libc::SYS_openat2 => u64::from_ne_bytes(eight(&thread.read(a[2], 8))),
                    _ => (libc::O_CREAT | libc::O_TRUNC) as u64,
                };
                let unnamed = (libc::O_TMPFILE & !libc::O_DIRECTORY) as u64;
                assert_eq!(flags & unnamed, 0, "a file without a name is made");
                if inode.is_none() && flags & libc::O_CREAT as u64 != 0 {
                    let place = PathBuf::from(format!("/proc/{}/fd/{result}", thread.0));
                    let mode = fs::metadata(place).unwrap().mode() & 0o7777;
                    self.make(Kind::File, mode, names.first);
                } else if let Some(inode) = inode
                    && flags & libc::O_TRUNC as u64 != 0
                {
                    self.events.push(Event::Resized(inode, 0));
                }
            }
            libc::SYS_mkdir | libc::SYS_mkdirat => {
                let mode = fs::metadata(self.path_of(&names.first)).unwrap().mode() & 0o7777;
                self.make(Kind::Folder, mode, names.first);
            }
            libc::SYS_symlink | libc::SYS_symlinkat => {
                self.make(Kind::Link(thread.text(a[0])), 0o777, names.first);
            }
            libc::SYS_rmdir | libc::SYS_unlink | libc::SYS_unlinkat => {
                self.change(names.first.into_iter().map(|slot| (slot, None)).collect());
            }
            libc::SYS_rename | libc::SYS_renameat | libc::SYS_renameat2 => {
                let (Some(from), Some(to)) = (names.first, names.second) else {
                    panic!("something is moved in or out")
                };
                let exchange =
                    number == libc::SYS_renameat2 && a[4] & u64::from(libc::RENAME_EXCHANGE) != 0;
                let other = if exchange { self.live.get(&to).copied() } else { None };
                self.change(vec![(from, other), (to, inode)]);
            }
            libc::SYS_link | libc::SYS_linkat => {
                self.change(names.second.into_iter().map(|slot| (slot, inode)).collect());
            }
            libc::SYS_sync | libc::SYS_syncfs => self.events.push(Event::FlushedAll),
            _ => {
                // What has no name any more is of no account.
                if let Some(inode) = inode {
                    self.changed(thread, call, result, inode);
                }
            }
        }
    }

    /// A call that concerns one file or folder, whatever it is called.
    fn changed(&mut self, thread: Thread, call: Call, result: i64, inode: Inode) {
        let Call { number, arguments: a } = call;
        let event = match number {
            libc::SYS_write | libc::SYS_writev => {
                let end = position(thread, a[0]);
                Event::Wrote(inode, end - result as u64, written(thread, call, result).into())
            }
            libc::SYS_pwrite64 | libc::SYS_pwritev | libc::SYS_pwritev2 => {
                Event::Wrote(inode, a[3], written(thread, call, result).into())
            }
            libc::SYS_ftruncate => Event::Resized(inode, a[1]),
            libc::SYS_fallocate => Event::Resized(inode, a[2] + a[3]),
            libc::SYS_chmod => Event::Mode(inode, a[1] as u32),
            libc::SYS_fchmod => Event::Mode(inode, a[1] as u32),
            libc::SYS_fchmodat | SYS_FCHMODAT2 => Event::Mode(inode, a[2] as u32),
            libc::SYS_utimensat => {
                assert_ne!(a[2], 0, "a time is set to the present");
                // The second of two pairs of seconds and nanoseconds.
                let seconds = thread.read(a[2] + 16, 8);
                Event::Time(inode, i64::from_ne_bytes(eight(&seconds)))
            }
            libc::SYS_fsync => Event::Flushed(inode, true),
            libc::SYS_fdatasync => Event::Flushed(inode, false),
            _ => unreachable!("call {number} names nothing"),
        };
        self.events.push(event);
    }

    /// The path that a call names, relative to a folder's handle.
    fn path_at(&self, thread: Thread, folder: u64, name: u64) -> PathBuf {
        let name = PathBuf::from(OsStr::from_bytes(&thread.text(name)));
        // What an open file is linked by.
        if let Ok(handle) = name.strip_prefix("/proc/self/fd") {
            return behind(thread, handle.display()).unwrap();
        }
        if name.is_absolute() {
            return name;
        }
        let around = match folder as i32 {
            libc::AT_FDCWD => fs::read_link(format!("/proc/{}/cwd", thread.0)),
            handle => behind(thread, handle),
        };
        around.unwrap().join(name)
    }

    /// The file behind a handle, if it is ours and has a name.
    fn descriptor(&self, thread: Thread, handle: u64) -> Option<Slot> {
        self.slot(&behind(thread, handle as i32).ok()?)
    }

    /// The slot of a path below our folder.
    fn slot(&self, path: &Path) -> Option<Slot> {
        let below = path.strip_prefix(&self.root).ok()?;
        let mut slot = ROOT;
        for part in below.components() {
            match part {
                Component::CurDir => {}
                Component::Normal(name) => {
                    slot = (*self.live.get(&slot)?, name.as_bytes().to_vec());
                }
                // Handles of the folders above something to be removed.
                _ => return None,
            }
        }
        Some(slot)
    }

    fn path_of(&self, slot: &Option<Slot>) -> PathBuf {
        let mut slot = slot.clone().unwrap();
        let mut names = vec![slot.1.clone()];
        while slot.0 != 0 {
            let (around, _) = self.live.iter().find(|(_, inode)| **inode == slot.0).unwrap();
            slot = around.clone();
            names.push(slot.1.clone());
        }
        let names = names.iter().rev().map(|name| OsStr::from_bytes(name));
        self.root.join(names.collect::<PathBuf>())
    }
}

/// Where the folder of all would lie if it lay in one.
const ROOT: Slot = (0, Vec::new());

/// `fchmodat2`, which has no name yet where libc is older than it.
const SYS_FCHMODAT2: libc::c_long = 452;

/// The path of the file behind a handle.
fn behind(thread: Thread, handle: impl Display) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/{}/fd/{handle}", thread.0))
}

/// Where a file's handle stands.
fn position(thread: Thread, handle: u64) -> u64 {
    let info = fs::read_to_string(format!("/proc/{}/fdinfo/{handle}", thread.0)).unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix("pos:"));
    line.unwrap().trim().parse().unwrap()
}

/// The bytes that a call has written.
fn written(thread: Thread, Call { number, arguments: a }: Call, result: i64) -> Vec<u8> {
    if number == libc::SYS_write || number == libc::SYS_pwrite64 {
        return thread.read(a[1], result as usize);
    }
    let mut bytes = Vec::new();
    for vector in thread.read(a[1], a[2] as usize * 16).chunks(16) {
        let (base, length) = vector.split_at(8);
        let length = u64::from_ne_bytes(eight(length)) as usize;
        bytes.extend(thread.read(u64::from_ne_bytes(eight(base)), length));
    }
    bytes.truncate(result as usize);
    bytes
}

fn eight(bytes: &[u8]) -> [u8; 8] {
    bytes.try_into().unwrap()
}
