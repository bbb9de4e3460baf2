//! Reading the files of a tree once: hashed, scanned and staged from the same bytes.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    ops::Range,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use hb_model::ContentDigest;
use rustix::fs::{AtFlags, Mode, OFlags};

use crate::{
    clock::store_times,
    disk::Folder,
    error::{Context as _, Result},
    scan::{Scanner, Stream},
    tree::{Kind, Node, Place, Tree},
};

/// Large enough that system calls cost little, small enough for the second-level cache.
pub(crate) const PIECE: usize = 256 * 1024;

/// No less is read at once: files can hold more than they say, such as the kernel's, which are
/// read whole or not.
const LEAST: usize = 16 * 1024;

/// Trees with fewer bytes than this are not worth a second thread.
const WORTH_THREADS: u64 = 1024 * 1024;

/// More threads than this only wait for the disk.
const MAX_THREADS: usize = 8;

/// The files of one folder are shared out in runs of about so many.
const RUN: usize = 128;

pub(crate) const FILE_MODE: Mode = Mode::from_raw_mode(0o444);
pub(crate) const PROGRAM_MODE: Mode = Mode::from_raw_mode(0o555);
pub(crate) const FOLDER_MODE: Mode = Mode::from_raw_mode(0o555);

/// A hash part that stands in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hit {
    /// Which, by the scanner's number.
    pub(crate) number: u32,
    /// Where.
    pub(crate) offset: u64,
}

/// What came of reading one file.
#[derive(Clone, Debug)]
pub(crate) struct Content {
    pub(crate) digest: ContentDigest,
    pub(crate) size: u64,
    pub(crate) hits: Vec<Hit>,
}

/// By node; `None` for what is not a file.
pub(crate) type Contents = Vec<Option<Content>>;

/// The digests of the files, by node, as [`Tree::digest`] takes them.
pub(crate) fn digests(contents: &Contents) -> Vec<ContentDigest> {
    let none = ContentDigest::from_bytes([0; 32]);
    contents.iter().map(|content| content.as_ref().map_or(none, |content| content.digest)).collect()
}

/// The bytes of the files and link targets.
pub(crate) fn total_size(tree: &Tree, contents: &Contents) -> u64 {
    let files: u64 = contents.iter().flatten().map(|content| content.size).sum();
    let links = tree.nodes.iter().map(|node| match &node.kind {
        Kind::Symlink { target } => target.len() as u64,
        _ => 0,
    });
    files + links.sum::<u64>()
}

/// Read every file of `tree` at `source`; where `target` is given, make the tree there,
/// of fresh files. Folders stay writable until [`seal`].
pub(crate) fn copy(
    tree: &Tree,
    source: &Place,
    target: Option<&Place>,
    scanner: &Scanner,
) -> Result<Contents> {
    if let Some(target) = target {
        make_folders(tree, target)?;
    }
    let runs = runs(tree);
    let bytes: u64 = tree.nodes.iter().map(size).sum();
    let largest = tree.nodes.iter().map(size).max().unwrap_or(0);
    let piece = usize::try_from(largest.saturating_add(1)).unwrap_or(PIECE).clamp(LEAST, PIECE);
    let copying =
        Copying { tree, source, target, scanner, piece, runs: &runs, next: AtomicUsize::new(0) };
    let threads = if bytes < WORTH_THREADS {
        1
    } else {
        thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS).min(runs.len())
    };
    let contents = Mutex::new(vec![None; tree.nodes.len()]);
    let work = || copying.work(&contents);
    thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut outcome = work();
        for other in others {
            match other.join() {
                Ok(theirs) => outcome = outcome.and(theirs),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        outcome
    })?;
    Ok(contents.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn size(node: &Node) -> u64 {
    match node.kind {
        Kind::File { size, .. } => size,
        _ => 0,
    }
}

fn make_folders(tree: &Tree, target: &Place) -> Result<()> {
    for (index, node) in tree.nodes.iter().enumerate() {
        if matches!(node.kind, Kind::Directory { .. }) {
            let relative = target.relative(&tree.path(index));
            rustix::fs::mkdirat(&target.around.fd, &relative, Mode::RWXU)
                .at("create the folder", target.around.path.join(&relative))?;
        }
    }
    Ok(())
}

/// The nodes in runs, each of children of one folder.
fn runs(tree: &Tree) -> Vec<Range<usize>> {
    let root = 0..1;
    let mut runs = Vec::from([root]);
    for node in &tree.nodes {
        if let Kind::Directory { children } = &node.kind {
            let starts = children.clone().step_by(RUN);
            runs.extend(starts.map(|start| start..(start + RUN).min(children.end)));
        }
    }
    runs
}

struct Copying<'a> {
    tree: &'a Tree,
    source: &'a Place,
    target: Option<&'a Place>,
    scanner: &'a Scanner,
    /// The bytes to read at once: not many more than there are in any file.
    piece: usize,
    runs: &'a [Range<usize>],
    next: AtomicUsize,
}

impl Copying<'_> {
    /// Take runs until there are none left.
    fn work(&self, contents: &Mutex<Contents>) -> Result<()> {
        let mut buffer = vec![0; self.piece];
        let mut done = Vec::new();
        while let Some(run) = self.runs.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = self.copy_run(run.clone(), &mut buffer, &mut done) {
                // The others need not go on.
                self.next.store(self.runs.len(), Ordering::Relaxed);
                return Err(error);
            }
        }
        let mut contents = contents.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, content) in done {
            contents[index] = Some(content);
        }
        Ok(())
    }

    fn copy_run(
        &self,
        run: Range<usize>,
        buffer: &mut [u8],
        done: &mut Vec<(usize, Content)>,
    ) -> Result<()> {
        let mut folders = None;
        for index in run {
            let node = &self.tree.nodes[index];
            if matches!(node.kind, Kind::Directory { .. }) {
                continue;
            }
            let (from, to) = match &folders {
                Some(open) => open,
                None => folders.insert(self.open_folders(index)?),
            };
            let name = |place: &Place| match index {
                0 => place.name.clone(),
                _ => node.name.to_vec(),
            };
            let to = to.as_ref().zip(self.target).map(|(folder, place)| (folder, name(place)));
            match &node.kind {
                Kind::File { executable, .. } => {
                    let copied = Copied {
                        from,
                        from_name: name(self.source),
                        to,
                        executable: *executable,
                        scanner: self.scanner,
                    };
                    done.push((index, copied.run(buffer)?));
                }
                Kind::Symlink { target } => {
                    if let Some((folder, name)) = to {
                        make_symlink(folder, &name, target)?;
                    }
                }
                Kind::Directory { .. } => {}
            }
        }
        Ok(())
    }

    /// The folders around a node.
    fn open_folders(&self, index: usize) -> Result<(Folder, Option<Folder>)> {
        let open = |place: &Place| match index {
            0 => place.around.open_below(Path::new(".")),
            _ => {
                let parent = self.tree.path(self.tree.nodes[index].parent);
                place.around.open_below(&place.relative(&parent))
            }
        };
        Ok((open(self.source)?, self.target.map(open).transpose()?))
    }
}

/// One file to copy.
struct Copied<'a> {
    from: &'a Folder,
    from_name: Vec<u8>,
    to: Option<(&'a Folder, Vec<u8>)>,
    executable: bool,
    scanner: &'a Scanner,
}

impl Copied<'_> {
    fn run(&self, buffer: &mut [u8]) -> Result<Content> {
        let source = self.from.path_of(&self.from_name);
        // What became a pipe since it was looked at must not make us wait.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut input: File =
            rustix::fs::openat(&self.from.fd, &self.from_name[..], flags, Mode::empty())
                .at("open", &source)?
                .into();
        let mut output = self.to.as_ref().map(|(to, name)| create(to, name)).transpose()?;
        let mut hasher = blake3::Hasher::new();
        let mut stream = Stream::new(self.scanner);
        let (mut size, mut hits) = (0, Vec::new());
        loop {
            let length = input.read(buffer).at("read", &source)?;
            if length == 0 {
                break;
            }
            let piece = &buffer[..length];
            hasher.update(piece);
            stream.take(piece, |number, offset| hits.push(Hit { number, offset }));
            if let (Some(output), Some((to, name))) = (&mut output, &self.to) {
                output.write_all(piece).at("write", to.path_of(name))?;
            }
            size += length as u64;
        }
        if let (Some(output), Some((to, name))) = (&output, &self.to) {
            finish_file(output, self.executable).at("finish", to.path_of(name))?;
        }
        let digest = ContentDigest::from_bytes(*hasher.finalize().as_bytes());
        Ok(Content { digest, size, hits })
    }
}

/// Make a file that nothing was at before.
pub(crate) fn create(folder: &Folder, name: &[u8]) -> Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mode = Mode::RUSR | Mode::WUSR;
    let fd =
        rustix::fs::openat(&folder.fd, name, flags, mode).at("create", folder.path_of(name))?;
    Ok(fd.into())
}

/// Give a written file the mode and the time of the store.
pub(crate) fn finish_file(file: &File, executable: bool) -> rustix::io::Result<()> {
    rustix::fs::fchmod(file, if executable { PROGRAM_MODE } else { FILE_MODE })?;
    rustix::fs::futimens(file, &store_times())
}

pub(crate) fn make_symlink(folder: &Folder, name: &[u8], target: &[u8]) -> Result<()> {
    let make = || {
        rustix::fs::symlinkat(target, &folder.fd, name)?;
        rustix::fs::utimensat(&folder.fd, name, &store_times(), AtFlags::SYMLINK_NOFOLLOW)
    };
    make().at("create the link", folder.path_of(name))
}

/// Give the folders of a staged tree their mode and time, the root its time only: a
/// folder without write permission cannot be moved.
pub(crate) fn seal(tree: &Tree, place: &Place) -> Result<()> {
    // Children first: sealing them changes no time of their parents.
    for (index, node) in tree.nodes.iter().enumerate().rev() {
        if matches!(node.kind, Kind::Directory { .. }) {
            let folder = place.around.open_below(&place.relative(&tree.path(index)))?;
            let finish = || {
                if index != 0 {
                    rustix::fs::fchmod(&folder.fd, FOLDER_MODE)?;
                }
                rustix::fs::futimens(&folder.fd, &store_times())
            };
            finish().at("finish the folder", &folder.path)?;
        }
    }
    Ok(())
}
