//! Compares two trees file by file.
//!
//! Both are builds of the same derivation that lay at different scratch paths; the
//! scratch hashes of the second are read as if they were those of the first. What
//! is left is a real difference. Names, kinds, executable bits, link targets and
//! contents count, as they do in a tree's digest; nothing else does.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
};

/// A path that is not the same in both trees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathDifference {
    /// The path, from the output's folder on; empty if it is the output itself.
    pub path: PathBuf,
    /// How it differs.
    pub kind: DifferenceKind,
}

/// How a path differs; the first build is on the left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// It is in the first build only.
    Missing,
    /// It is in the second build only.
    Added,
    /// It is a file in one and a link or a folder in the other.
    Type {
        /// What it is.
        left: EntryType,
        /// What it is.
        right: EntryType,
    },
    /// It may be executed in one and not in the other; the contents are equal.
    Mode {
        /// Whether it may be executed.
        left: bool,
        /// Whether it may be executed.
        right: bool,
    },
    /// It is a link to another target.
    Target {
        /// Where it leads.
        left: PathBuf,
        /// Where it leads.
        right: PathBuf,
    },
    /// It holds other bytes.
    Content(ContentDifference),
}

/// What a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryType {
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A folder.
    Directory,
    /// Something that no output can hold.
    Other,
}

/// Where and how two files' bytes differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentDifference {
    /// The first file's length.
    pub left_length: u64,
    /// The second file's length.
    pub right_length: u64,
    /// How many bytes differ at the same place, what one has and the other lacks
    /// counted too.
    pub differing: u64,
    /// The first places that differ, with the bytes around them.
    pub excerpts: Vec<Excerpt>,
}

/// A part of two files around a difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// Where it begins: a multiple of [`EXCERPT_ALIGNMENT`].
    pub offset: u64,
    /// The bytes there in the first file.
    pub left: Vec<u8>,
    /// The bytes there in the second file.
    pub right: Vec<u8>,
}

/// Excerpts begin at lines of a hex dump.
pub const EXCERPT_ALIGNMENT: usize = 16;
/// The bytes shown before and after a difference.
const EXCERPT_CONTEXT: usize = 32;
/// Enough to see a pattern.
const MAX_EXCERPTS: usize = 3;
/// The longest excerpt: what differs for longer is not read anyway.
const MAX_EXCERPT_LENGTH: usize = 192;

/// Texts of the second tree, each with what it stands for in the first; of the same
/// length.
pub(crate) type Aliases = BTreeMap<Vec<u8>, Vec<u8>>;

/// A file's bytes in both trees, handed to whoever looks for causes.
pub(crate) struct Contents<'a> {
    pub(crate) left: &'a [u8],
    pub(crate) right: &'a [u8],
}

/// All paths that differ, in order. `look` sees the contents of each file whose bytes
/// do.
pub(crate) fn compare(
    left: &Path,
    right: &Path,
    aliases: &Aliases,
    look: &mut dyn FnMut(&Path, Contents<'_>),
) -> io::Result<Vec<PathDifference>> {
    let mut comparison = Comparison { aliases, look, found: Vec::new() };
    comparison.entry(left, right, PathBuf::new())?;
    Ok(comparison.found)
}

struct Comparison<'a> {
    aliases: &'a Aliases,
    look: &'a mut dyn FnMut(&Path, Contents<'_>),
    found: Vec<PathDifference>,
}

impl Comparison<'_> {
    fn entry(&mut self, left: &Path, right: &Path, path: PathBuf) -> io::Result<()> {
        let types = (EntryType::of(left)?, EntryType::of(right)?);
        let kind = match types {
            (EntryType::Directory, EntryType::Directory) => {
                return self.directory(left, right, &path);
            }
            (EntryType::File, EntryType::File) => self.file(left, right, &path)?,
            (EntryType::Symlink, EntryType::Symlink) => self.symlink(left, right)?,
            (left, right) if left == right => None,
            (left, right) => Some(DifferenceKind::Type { left, right }),
        };
        self.found.extend(kind.map(|kind| PathDifference { path, kind }));
        Ok(())
    }

    fn directory(&mut self, left: &Path, right: &Path, path: &Path) -> io::Result<()> {
        let (left_names, right_names) = (names(left)?, names(right)?);
        // The real name on the right, by what it would be called on the left.
        let right_names: BTreeMap<OsString, OsString> = right_names
            .into_iter()
            .map(|name| (OsString::from_vec(self.as_left(name.as_bytes().to_vec())), name))
            .collect();
        for name in &left_names {
            match right_names.get(name) {
                Some(other) => {
                    self.entry(&left.join(name), &right.join(other), path.join(name))?;
                }
                None => self
                    .found
                    .push(PathDifference { path: path.join(name), kind: DifferenceKind::Missing }),
            }
        }
        for name in right_names.into_keys().filter(|name| left_names.binary_search(name).is_err()) {
            self.found.push(PathDifference { path: path.join(name), kind: DifferenceKind::Added });
        }
        Ok(())
    }

    fn file(
        &mut self,
        left: &Path,
        right: &Path,
        path: &Path,
    ) -> io::Result<Option<DifferenceKind>> {
        let modes = (is_executable(left)?, is_executable(right)?);
        let (left, right) = (fs::read(left)?, self.as_left(fs::read(right)?));
        if left != right {
            (self.look)(path, Contents { left: &left, right: &right });
            return Ok(Some(DifferenceKind::Content(ContentDifference::between(&left, &right))));
        }
        let (left, right) = modes;
        Ok((left != right).then_some(DifferenceKind::Mode { left, right }))
    }

    fn symlink(&self, left: &Path, right: &Path) -> io::Result<Option<DifferenceKind>> {
        let (left, right) = (fs::read_link(left)?, fs::read_link(right)?);
        let right = OsString::from_vec(self.as_left(right.as_os_str().as_bytes().to_vec()));
        let right = PathBuf::from(right);
        Ok((left != right).then_some(DifferenceKind::Target { left, right }))
    }

    /// What the bytes from the right tree would be in the left one.
    fn as_left(&self, mut bytes: Vec<u8>) -> Vec<u8> {
        for (theirs, ours) in self.aliases {
            let mut from = 0;
            while let Some(at) = find(&bytes[from..], theirs) {
                bytes[from + at..from + at + ours.len()].copy_from_slice(ours);
                from += at + ours.len();
            }
        }
        bytes
    }
}

impl EntryType {
    fn of(path: &Path) -> io::Result<Self> {
        let kind = fs::symlink_metadata(path)?.file_type();
        Ok(match kind {
            _ if kind.is_file() => Self::File,
            _ if kind.is_symlink() => Self::Symlink,
            _ if kind.is_dir() => Self::Directory,
            _ => Self::Other,
        })
    }
}

impl ContentDifference {
    fn between(left: &[u8], right: &[u8]) -> Self {
        let common = left.len().min(right.len());
        let lone = left.len().max(right.len()) - common;
        let differs = |at: &usize| left[*at] != right[*at];
        let differing = (0..common).filter(differs).count() + lone;
        let mut excerpts: Vec<Excerpt> = Vec::new();
        let mut at = 0;
        while excerpts.len() < MAX_EXCERPTS {
            let next = (at..common).find(differs).or((lone > 0 && at <= common).then_some(common));
            let Some(first) = next else { break };
            let start =
                first.saturating_sub(EXCERPT_CONTEXT) / EXCERPT_ALIGNMENT * EXCERPT_ALIGNMENT;
            let end = first + EXCERPT_CONTEXT + EXCERPT_ALIGNMENT - first % EXCERPT_ALIGNMENT;
            let end = end.max(start + MAX_EXCERPT_LENGTH / 2).min(start + MAX_EXCERPT_LENGTH);
            let part = |bytes: &[u8]| bytes[start.min(bytes.len())..end.min(bytes.len())].to_vec();
            excerpts.push(Excerpt { offset: start as u64, left: part(left), right: part(right) });
            // In files of different lengths whatever follows is shifted, not different.
            if lone > 0 {
                break;
            }
            at = end;
        }
        Self {
            left_length: left.len() as u64,
            right_length: right.len() as u64,
            differing: differing as u64,
            excerpts,
        }
    }
}

use std::os::unix::ffi::OsStringExt as _;

/// Where `needle` first occurs.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|&byte| byte == first) {
        if haystack[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn names(folder: &Path) -> io::Result<Vec<OsString>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names)
}

fn is_executable(path: &Path) -> io::Result<bool> {
    Ok(fs::symlink_metadata(path)?.permissions().mode() & 0o100 != 0)
}
