//! A disk as it is after power has failed: what was flushed is there, and of the rest
//! anything may be.
//!
//! - Of the writes to a file that were not flushed, any are there, each whole, cut at some
//!   sector, or in some of its sectors.
//! - Of the changes of folders that were not flushed, those up to some point are there, or
//!   any: but one is there only with the earlier ones that touch the same name or the same
//!   file, and a move is there in both folders or in none. File systems with a journal
//!   keep more of an order than that.
//! - Flushing a file keeps what is in it, not its name. Flushing a folder keeps its entries,
//!   not what is in them. Flushing the file system keeps everything.
#![allow(unreachable_pub, reason = "shared by path")]

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ffi::OsStr,
    fs::{self, File},
    io::Write as _,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _, fs::symlink},
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, UNIX_EPOCH},
};

use fastrand::Rng;

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// A file, link or folder, whatever its names; the first one is the folder of all.
pub type Inode = usize;

/// An entry: the folder, and the name in it.
pub type Slot = (Inode, Vec<u8>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Folder,
    Link(Vec<u8>),
}

/// One thing that happened to the disk.
#[derive(Clone, Debug)]
pub enum Event {
    /// Something new, without a name yet, and its mode.
    Made(Kind, u32),
    /// Entries changed, all at once: what is in each of these slots now.
    Entries(Vec<(Slot, Option<Inode>)>),
    Wrote(Inode, u64, Rc<[u8]>),
    Resized(Inode, u64),
    Mode(Inode, u32),
    /// The modification time was set, in seconds.
    Time(Inode, i64),
    /// What is in a file (with its mode and time, if `true`), or a folder's entries.
    Flushed(Inode, bool),
    FlushedAll,
    /// The process said something.
    Said(u64),
}

/// What may or may not be there.
struct Change {
    slots: Vec<(Slot, Option<Inode>)>,
    touched: BTreeSet<Inode>,
}

struct Node {
    kind: Kind,
    /// What is in a file, as far as it was written; zeros follow.
    bytes: Vec<u8>,
    size: usize,
    mode: u32,
    time: Option<i64>,
    /// Writes and new sizes that were not flushed.
    writes: Vec<Event>,
    /// Modes and times that were not flushed.
    attributes: Vec<Event>,
}

/// The disk at one moment.
#[derive(Default)]
pub struct Disk {
    nodes: Vec<Node>,
    entries: BTreeMap<Slot, Inode>,
    /// The entries as a process sees them.
    live: BTreeMap<Slot, Inode>,
    changes: Vec<Change>,
}

impl Disk {
    pub fn after(events: &[Event]) -> Self {
        let mut disk = Self::default();
        events.iter().for_each(|event| disk.take(event));
        disk
    }

    fn take(&mut self, event: &Event) {
        match event {
            Event::Made(kind, mode) => self.nodes.push(Node {
                kind: kind.clone(),
                bytes: Vec::new(),
                size: 0,
                mode: *mode,
                time: None,
                writes: Vec::new(),
                attributes: Vec::new(),
            }),
            Event::Entries(slots) => self.change(slots),
            Event::Wrote(inode, ..) | Event::Resized(inode, _) => {
                self.nodes[*inode].writes.push(event.clone());
            }
            Event::Mode(inode, _) | Event::Time(inode, _) => {
                self.nodes[*inode].attributes.push(event.clone());
            }
            Event::Flushed(inode, with_attributes) => {
                self.nodes[*inode].flush(*with_attributes);
                self.flush_entries(*inode);
            }
            Event::FlushedAll => {
                self.nodes.iter_mut().for_each(|node| node.flush(true));
                self.changes.clear();
                self.entries = self.live.clone();
            }
            Event::Said(_) => {}
        }
    }

    fn change(&mut self, slots: &[(Slot, Option<Inode>)]) {
        let mut touched = BTreeSet::new();
        for (slot, inode) in slots {
            touched.extend(*inode);
            touched.extend(match inode {
                Some(inode) => self.live.insert(slot.clone(), *inode),
                None => self.live.remove(slot),
            });
        }
        self.changes.push(Change { slots: slots.to_vec(), touched });
    }

    /// What changed in a folder is kept now, with all that came before and belongs to it.
    fn flush_entries(&mut self, folder: Inode) {
        let mut wanted: Vec<bool> = self
            .changes
            .iter()
            .map(|change| change.slots.iter().any(|((around, _), _)| *around == folder))
            .collect();
        for later in (0..wanted.len()).rev() {
            for earlier in 0..later {
                wanted[earlier] |=
                    wanted[later] && self.changes[later].needs(&self.changes[earlier]);
            }
        }
        let mut wanted = wanted.into_iter();
        for change in self.changes.extract_if(.., |_| wanted.next() == Some(true)) {
            apply(&mut self.entries, &change);
        }
    }

    /// Let power fail.
    pub fn fail(mut self, random: &mut Rng) -> Self {
        let keep = self.choose_changes(random);
        for (change, _) in self.changes.iter().zip(keep).filter(|(_, keep)| *keep) {
            apply(&mut self.entries, change);
        }
        self.changes.clear();
        self.nodes.iter_mut().for_each(|node| node.fail(random));
        self
    }

    fn choose_changes(&self, random: &mut Rng) -> Vec<bool> {
        let count = self.changes.len();
        if random.bool() {
            let first = random.usize(..=count);
            return (0..count).map(|index| index < first).collect();
        }
        let likely = [0.05, 0.3, 0.5, 0.7, 0.95][random.usize(..5)];
        let mut keep: Vec<bool> = Vec::new();
        for (index, change) in self.changes.iter().enumerate() {
            let lacks = |earlier: usize| !keep[earlier] && change.needs(&self.changes[earlier]);
            let can = !(0..index).any(lacks);
            keep.push(can && random.f64() < likely);
        }
        keep
    }

    /// Make what is on the disk in an empty folder.
    pub fn restore(&self, at: &Path, random: &mut Rng) {
        let mut children: HashMap<Inode, Vec<(&[u8], Inode)>> = HashMap::new();
        for ((folder, name), inode) in &self.entries {
            children.entry(*folder).or_default().push((name, *inode));
        }
        let mut first_names = HashMap::new();
        self.restore_folder(0, at, &children, &mut first_names, random);
    }

    fn restore_folder(
        &self,
        folder: Inode,
        at: &Path,
        children: &HashMap<Inode, Vec<(&[u8], Inode)>>,
        first_names: &mut HashMap<Inode, PathBuf>,
        random: &mut Rng,
    ) {
        for &(name, inode) in children.get(&folder).into_iter().flatten() {
            let path = at.join(OsStr::from_bytes(name));
            let node = &self.nodes[inode];
            match &node.kind {
                Kind::Folder => {
                    let again = first_names.insert(inode, path.clone());
                    assert_eq!(again, None, "a folder has two names: this is no disk");
                    fs::create_dir(&path).unwrap();
                    self.restore_folder(inode, &path, children, first_names, random);
                }
                Kind::Link(target) => {
                    symlink(OsStr::from_bytes(target), &path).unwrap();
                    if let Some(time) = node.time {
                        set_link_time(&path, time);
                    }
                    continue;
                }
                Kind::File => match first_names.get(&inode) {
                    Some(first) => fs::hard_link(first, &path).unwrap(),
                    None => {
                        first_names.insert(inode, path.clone());
                        node.restore(name, &path, random);
                    }
                },
            }
            if let Some(time) = node.time {
                let time = UNIX_EPOCH + Duration::from_secs(time as u64);
                File::open(&path).unwrap().set_modified(time).unwrap();
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(node.mode)).unwrap();
        }
    }
}

impl Change {
    fn needs(&self, earlier: &Self) -> bool {
        let shares = |slot: &Slot| earlier.slots.iter().any(|(other, _)| other == slot);
        self.touched.iter().any(|inode| earlier.touched.contains(inode))
            || self.slots.iter().any(|(slot, _)| shares(slot))
    }
}

fn apply(entries: &mut BTreeMap<Slot, Inode>, change: &Change) {
    for (slot, inode) in &change.slots {
        match inode {
            Some(inode) => entries.insert(slot.clone(), *inode),
            None => entries.remove(slot),
        };
    }
}

impl Node {
    fn flush(&mut self, with_attributes: bool) {
        for write in std::mem::take(&mut self.writes) {
            self.write(&write, 0..usize::MAX);
        }
        if with_attributes {
            for change in std::mem::take(&mut self.attributes) {
                self.set(&change);
            }
        }
    }

    /// Of a write, only the part in these bytes of it.
    fn write(&mut self, event: &Event, part: std::ops::Range<usize>) {
        match event {
            Event::Wrote(_, offset, bytes) => {
                let part = part.start.min(bytes.len())..part.end.min(bytes.len());
                let start = *offset as usize + part.start;
                let end = start + part.len();
                if !part.is_empty() {
                    self.size = self.size.max(end);
                    self.bytes.resize(end.max(self.bytes.len()), 0);
                    self.bytes[start..end].copy_from_slice(&bytes[part]);
                }
            }
            Event::Resized(_, size) => {
                self.size = *size as usize;
                self.bytes.truncate(self.size);
            }
            _ => {}
        }
    }

    fn set(&mut self, event: &Event) {
        match event {
            Event::Mode(_, mode) => self.mode = *mode,
            Event::Time(_, time) => self.time = Some(*time),
            _ => {}
        }
    }

    fn fail(&mut self, random: &mut Rng) {
        let writes = std::mem::take(&mut self.writes);
        match random.u8(..6) {
            // The size arrived, and nothing else.
            0 => {
                let end = writes.iter().map(|write| match write {
                    Event::Wrote(_, offset, bytes) => *offset as usize + bytes.len(),
                    _ => 0,
                });
                self.size = end.max().unwrap_or(0).max(self.size);
            }
            1 => writes.iter().for_each(|write| self.write(write, 0..usize::MAX)),
            2 => {
                let first = random.usize(..=writes.len());
                writes[..first].iter().for_each(|write| self.write(write, 0..usize::MAX));
                if let Some(Event::Wrote(_, offset, bytes)) = writes.get(first) {
                    let whole = cut(*offset, random.usize(..=bytes.len()));
                    self.write(&writes[first], 0..whole);
                }
            }
            3 => {
                for write in writes.iter().filter(|_| random.bool()) {
                    self.write(write, 0..usize::MAX);
                }
            }
            4 => {
                for write in &writes {
                    self.write_some_sectors(write, random);
                }
            }
            _ => {}
        }
        let attributes = std::mem::take(&mut self.attributes);
        let first = random.usize(..=attributes.len());
        attributes[..first].iter().for_each(|change| self.set(change));
    }

    fn write_some_sectors(&mut self, write: &Event, random: &mut Rng) {
        let Event::Wrote(_, offset, bytes) = write else {
            if random.bool() {
                self.write(write, 0..usize::MAX);
            }
            return;
        };
        let mut start = 0;
        while start < bytes.len() {
            let end = cut(*offset, start + SECTOR).max(start + 1).min(bytes.len());
            if random.bool() {
                self.write(write, start..end);
            }
            start = end;
        }
    }

    /// Make the file. What SQLite's processes share through memory means nothing after a
    /// failure, so it may be anything.
    fn restore(&self, name: &[u8], path: &Path, random: &mut Rng) {
        let mut file = File::create_new(path).unwrap();
        if name.ends_with(b"-shm") {
            let bytes: Vec<_> = (0..self.size).map(|_| random.u8(..)).collect();
            file.write_all(&bytes).unwrap();
        } else {
            file.write_all(&self.bytes).unwrap();
            file.set_len(self.size as u64).unwrap();
        }
    }
}

/// The last length, up to this one, with which a write at an offset ends with a sector.
fn cut(offset: u64, length: usize) -> usize {
    let end = (offset as usize + length) / SECTOR * SECTOR;
    end.saturating_sub(offset as usize)
}

fn set_link_time(link: &Path, seconds: i64) {
    use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, link, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}
