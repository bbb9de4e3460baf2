//! `builtin:unpack-1`: an archive becomes a tree.
//!
//! Attributes: `archive`, a path; `strip`, how many leading components names lose
//! (entries that have no more are left out); `subdir`, the folder, counted after
//! stripping, that becomes the tree; `exclude`, names in the resulting tree that are
//! left out with all below them, in which `*` stands for any run of characters within
//! a component.

use serde::Deserialize;

use super::{
    BuiltinError, Job,
    archive::{self, ArchiveError, Entry, EntryNode},
    name::{EntryName, Pattern},
    tree::{TreeError, TreeWriter},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attributes {
    archive: String,
    #[serde(default)]
    strip: usize,
    #[serde(default)]
    subdir: Option<String>,
    #[serde(default)]
    exclude: Vec<String>,
}

/// Why an archive did not become a tree.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// The archive, or one of its entries, is unusable.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A name among the attributes is unusable.
    #[error(transparent)]
    Name(#[from] TreeError),
    /// The folder that was asked for is not there.
    #[error("it has no folder '{subdir}'; at the top are {}", .top.join(", "))]
    NoSubdir {
        /// The folder.
        subdir: String,
        /// Some of the names at the top, after stripping.
        top: Vec<String>,
    },
    /// Nothing is left.
    #[error("nothing is left of it after stripping and excluding")]
    Empty,
}

/// How many names an error lists.
const LISTED: usize = 10;

/// Carry out the builder.
pub(super) fn build(job: &Job) -> Result<(), BuiltinError> {
    let attributes: Attributes = job.attributes()?;
    let file = job.open(&attributes.archive)?;
    unpack(job, &attributes, file)
        .map_err(|error| BuiltinError::Unpack { archive: attributes.archive, error })
}

fn unpack(job: &Job, attributes: &Attributes, file: std::fs::File) -> Result<(), UnpackError> {
    let mut selection = Selection::new(attributes)?;
    let mut tree = TreeWriter::create(job.out, job.watch)?;
    archive::read(file, &mut |entry: Entry| {
        let Some(name) = selection.select(EntryName::new(entry.name)?) else { return Ok(()) };
        match entry.node {
            EntryNode::Folder => tree.folder(&name),
            EntryNode::File { executable, content } => tree.file(&name, executable, content),
            EntryNode::Symlink { target } => tree.symlink(&name, target),
            EntryNode::HardLink { target } => {
                let target = EntryName::new(target)?;
                match selection.select(target.clone()) {
                    Some(target) => tree.hard_link(&name, &target),
                    None => Err(TreeError::LinkTarget {
                        name: name.display(),
                        target: target.display(),
                    }),
                }
            }
        }
    })?;
    match (&attributes.subdir, selection.found) {
        (Some(subdir), false) => {
            Err(UnpackError::NoSubdir { subdir: subdir.clone(), top: selection.top })
        }
        _ if tree.is_empty() => Err(UnpackError::Empty),
        _ => Ok(()),
    }
}

/// Which entries come into the tree, under which names.
struct Selection {
    strip: usize,
    subdir: EntryName,
    exclude: Vec<Pattern>,
    /// Whether anything was in `subdir`.
    found: bool,
    /// The first names at the top.
    top: Vec<String>,
}

impl Selection {
    fn new(attributes: &Attributes) -> Result<Self, TreeError> {
        let subdir = attributes.subdir.as_deref().unwrap_or_default();
        Ok(Self {
            strip: attributes.strip,
            subdir: EntryName::new(subdir.as_bytes())?,
            exclude: attributes
                .exclude
                .iter()
                .map(|pattern| Pattern::new(pattern))
                .collect::<Result<_, _>>()?,
            found: false,
            top: Vec::new(),
        })
    }

    fn select(&mut self, name: EntryName) -> Option<EntryName> {
        let name = name.strip(self.strip)?;
        if let Some(top) = name.components().next() {
            let top = super::name::text(top);
            if self.top.len() < LISTED && !self.top.contains(&top) {
                self.top.push(top);
            }
        }
        let name = name.below(&self.subdir)?;
        self.found = true;
        (!self.exclude.iter().any(|pattern| pattern.covers(&name))).then_some(name)
    }
}
