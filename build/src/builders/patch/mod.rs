//! `builtin:patch-1`: a tree with patches applied, exactly or not at all.
//!
//! Attributes: `source`, a tree; `patches`, files; `series`, a list of further patches
//! as `quilt` keeps it (a file, or a folder with a file `series`), applied after them;
//! `strip`, how many leading components the names in patches lose. There is no fuzz:
//! a hunk's lines must all be there, at its line or at another.

mod apply;
mod parse;

use std::{
    collections::BTreeMap,
    fs::File,
    io::{Cursor, Read as _},
};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use serde::Deserialize;

use super::{
    BuiltinError, Job,
    name::{EntryName, text},
    tree::{TreeError, TreeWriter},
};

pub use apply::Mismatch;
pub use parse::ParseError;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attributes {
    source: String,
    #[serde(default)]
    patches: Vec<String>,
    #[serde(default)]
    series: Option<String>,
    #[serde(default = "one")]
    strip: usize,
}

fn one() -> usize {
    1
}

/// Why a tree could not be patched.
#[derive(Debug, thiserror::Error)]
pub enum PatchError {
    /// A patch that is not one.
    #[error("{patch} is not a usable patch")]
    Parse {
        /// The patch.
        patch: String,
        /// Why.
        #[source]
        error: ParseError,
    },
    /// A hunk does not fit.
    #[error(
        "{patch} does not apply to {file}: hunk {}, line {}: expected '{}', found {}",
        .mismatch.hunk, .mismatch.line, .mismatch.expected,
        .mismatch.found.as_ref().map_or("the end of the file".to_owned(), |line| format!("'{line}'"))
    )]
    Hunk {
        /// The patch.
        patch: String,
        /// The file that it changes.
        file: String,
        /// Where and how it differs.
        mismatch: Box<Mismatch>,
    },
    /// The file to change is not there.
    #[error("{patch} changes {file}, which is not a file of the tree")]
    NoFile {
        /// The patch.
        patch: String,
        /// The file.
        file: String,
    },
    /// The file to make is there.
    #[error("{patch} makes {file}, which is there already")]
    Exists {
        /// The patch.
        patch: String,
        /// The file.
        file: String,
    },
    /// A deleted file would have something left.
    #[error("{patch} deletes {file}, which has more in it")]
    NotEmpty {
        /// The patch.
        patch: String,
        /// The file.
        file: String,
    },
    /// A name with fewer components than are stripped.
    #[error("{patch} names {file}, of which nothing is left without its first {strip} parts")]
    Strip {
        /// The patch.
        patch: String,
        /// The name in it.
        file: String,
        /// How many are stripped.
        strip: usize,
    },
    /// An option in a series that is not understood.
    #[error("the series has '{line}', and only -pN may follow a name")]
    SeriesOption {
        /// The line.
        line: String,
    },
    /// The tree could not be read or written.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// A patch to apply.
struct Patch {
    path: String,
    strip: usize,
    text: Vec<u8>,
}

/// A file that patches touched: whether it is executable and what it holds now; `None`
/// when it is deleted.
type Changed = Option<(bool, Vec<u8>)>;

/// Carry out the builder.
pub(super) fn build(job: &Job) -> Result<(), BuiltinError> {
    let attributes: Attributes = job.attributes()?;
    let source = job.open(&attributes.source)?;
    let mut patches = Vec::new();
    for path in &attributes.patches {
        let text = read(job, path)?;
        patches.push(Patch { path: path.clone(), strip: attributes.strip, text });
    }
    if let Some(series) = &attributes.series {
        read_series(job, series, attributes.strip, &mut patches)?;
    }
    // Every patch is applied in memory before anything is written.
    let mut changes = Changes { source: &source, files: BTreeMap::new() };
    for patch in &patches {
        changes.apply(patch)?;
    }
    let mut tree = TreeWriter::create(job.out, job.watch).map_err(PatchError::from)?;
    let files = changes.files;
    copy_tree(&source, &EntryName::default(), &files, &mut tree).map_err(PatchError::from)?;
    for (name, changed) in &files {
        if let Some((executable, content)) = changed {
            tree.file(name, *executable, &mut Cursor::new(content)).map_err(PatchError::from)?;
        }
    }
    Ok(())
}

fn read(job: &Job, path: &str) -> Result<Vec<u8>, BuiltinError> {
    let mut text = Vec::new();
    let failed = |error| BuiltinError::Io { path: path.into(), error };
    job.open(path)?.read_to_end(&mut text).map_err(failed)?;
    Ok(text)
}

/// The patches of a series: a name in each line, perhaps `-pN`, and comments.
fn read_series(
    job: &Job,
    series: &str,
    strip: usize,
    patches: &mut Vec<Patch>,
) -> Result<(), BuiltinError> {
    let is_folder = job.open(series)?.metadata().is_ok_and(|found| found.is_dir());
    let list = if is_folder { format!("{series}/series") } else { series.to_owned() };
    let folder = list.rsplit_once('/').map_or("", |(folder, _)| folder);
    for line in text(&read(job, &list)?).lines() {
        let mut words = line.split_whitespace().take_while(|word| !word.starts_with('#'));
        let Some(name) = words.next() else { continue };
        let mut strip = strip;
        for word in words {
            let count = word.strip_prefix("-p").and_then(|count| count.parse().ok());
            strip = count.ok_or_else(|| PatchError::SeriesOption { line: line.to_owned() })?;
        }
        let path = format!("{folder}/{name}");
        patches.push(Patch { text: read(job, &path)?, path, strip });
    }
    Ok(())
}

/// What the patches so far make of the files that they touch.
struct Changes<'a> {
    source: &'a File,
    files: BTreeMap<EntryName, Changed>,
}

impl Changes<'_> {
    fn apply(&mut self, patch: &Patch) -> Result<(), PatchError> {
        let diffs = parse::parse(&patch.text)
            .map_err(|error| PatchError::Parse { patch: patch.path.clone(), error })?;
        for diff in &diffs {
            let strip = if diff.renamed { 0 } else { patch.strip };
            let old = diff.old.map(|name| stripped(patch, name, strip)).transpose()?;
            let new = diff.new.map(|name| stripped(patch, name, strip)).transpose()?;
            let (old, new) = match (old, new) {
                // Without `git`'s headers two names mean one file: the names may be
                // those of a copy, as in `f.orig` and `f`.
                (Some(old), Some(new)) if !diff.renamed && old != new => {
                    let name = if self.get(&new).is_some() { new } else { old };
                    (Some(name.clone()), Some(name))
                }
                names => names,
            };
            self.apply_to_file(patch, diff, old, new)?;
        }
        Ok(())
    }

    fn apply_to_file(
        &mut self,
        patch: &Patch,
        diff: &parse::FileDiff,
        old: Option<EntryName>,
        new: Option<EntryName>,
    ) -> Result<(), PatchError> {
        let path = || patch.path.clone();
        let no_file = |name: &EntryName| PatchError::NoFile { patch: path(), file: name.display() };
        let before = old.as_ref().map(|name| self.get(name).ok_or_else(|| no_file(name)));
        let (executable, content) = before.transpose()?.unwrap_or_default();
        let content = apply::apply(&content, &diff.hunks).map_err(|mismatch| {
            let file = old.as_ref().or(new.as_ref()).map(EntryName::display).unwrap_or_default();
            PatchError::Hunk { patch: path(), file, mismatch: Box::new(mismatch) }
        })?;
        if let Some(new) = &new
            && Some(new) != old.as_ref()
            && self.get(new).is_some()
        {
            return Err(PatchError::Exists { patch: path(), file: new.display() });
        }
        if let Some(old) = old {
            if new.is_none() && !content.is_empty() {
                return Err(PatchError::NotEmpty { patch: path(), file: old.display() });
            }
            if !diff.copied {
                self.files.insert(old, None);
            }
        }
        if let Some(new) = new {
            let executable = diff.mode.map_or(executable, |mode| mode & 0o100 != 0);
            self.files.insert(new, Some((executable, content)));
        }
        Ok(())
    }

    /// A file as it is now.
    fn get(&self, name: &EntryName) -> Changed {
        if let Some(changed) = self.files.get(name) {
            return changed.clone();
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let resolve = rustix::fs::ResolveFlags::BENEATH | rustix::fs::ResolveFlags::NO_SYMLINKS;
        let mut file: File =
            rustix::fs::openat2(self.source, name.as_bytes(), flags, Mode::empty(), resolve)
                .ok()?
                .into();
        let found = rustix::fs::fstat(&file).ok()?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            return None;
        }
        let mut content = Vec::new();
        file.read_to_end(&mut content).ok()?;
        Some((found.st_mode & 0o100 != 0, content))
    }
}

fn stripped(patch: &Patch, name: &[u8], strip: usize) -> Result<EntryName, PatchError> {
    let stripped = EntryName::new(name)?.strip(strip).filter(|name| !name.is_root());
    stripped.ok_or_else(|| PatchError::Strip { patch: patch.path.clone(), file: text(name), strip })
}

/// Copy a folder, without the files that patches touched.
fn copy_tree(
    folder: &File,
    name: &EntryName,
    changed: &BTreeMap<EntryName, Changed>,
    tree: &mut TreeWriter,
) -> Result<(), TreeError> {
    let failed =
        |error: rustix::io::Errno| TreeError::Read { name: name.display(), error: error.into() };
    let mut entries = Vec::new();
    for entry in Dir::read_from(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            entries.push(entry.file_name().to_owned());
        }
    }
    entries.sort();
    for entry in entries {
        let name = name.join(entry.to_bytes());
        let failed = |error: rustix::io::Errno| TreeError::Read {
            name: name.display(),
            error: error.into(),
        };
        let found =
            rustix::fs::statat(folder, &entry, AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
        let open = || {
            let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
            rustix::fs::openat(folder, &entry, flags, Mode::empty()).map(File::from).map_err(failed)
        };
        match FileType::from_raw_mode(found.st_mode) {
            FileType::Directory => {
                // A folder whose files a patch all deletes stays, as an empty one.
                tree.folder(&name)?;
                copy_tree(&open()?, &name, changed, tree)?;
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(folder, &entry, Vec::new()).map_err(failed)?;
                tree.symlink(&name, target.as_bytes())?;
            }
            _ if changed.contains_key(&name) => {}
            _ => tree.copy(&name, found.st_mode & 0o100 != 0, &mut open()?)?,
        }
    }
    Ok(())
}
