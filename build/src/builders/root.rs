//! `builtin:root-1`: a root filesystem composed of Debian packages.
//!
//! Attributes: `packages`, archives whose data is unpacked and whose scripts are never
//! run; `links`, symbolic links by name, added at the end.
//!
//! Debian 12 has merged `/bin`, `/sbin` and `/lib*` into `/usr`, by links that no
//! package holds; some packages ship files under the one name and some under the other.
//! A root does the same: what a package has in such a folder comes to lie below `usr`,
//! and a link stands at the top. Two packages with the same file are an error; folders
//! may be shared.

use std::{collections::BTreeMap, fs::File};

use serde::Deserialize;

use super::{
    BuiltinError, Job,
    archive::{self, ArchiveError, Entry, EntryNode},
    name::{EntryName, text},
    tree::{Kind, TreeError, TreeWriter},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Attributes {
    packages: Vec<String>,
    #[serde(default)]
    links: BTreeMap<String, String>,
}

/// The folders at the top that are links into `usr`.
const MERGED: [&[u8]; 6] = [b"bin", b"lib", b"lib32", b"lib64", b"libx32", b"sbin"];

/// Why a root could not be composed.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// A package could not be unpacked.
    #[error("{package} could not be unpacked")]
    Package {
        /// Its archive.
        package: String,
        /// Why.
        #[source]
        error: ArchiveError,
    },
    /// Two packages have the same file.
    #[error("both {first} and {second} have '{name}'")]
    Conflict {
        /// The file.
        name: String,
        /// The package that came first.
        first: String,
        /// The one after it.
        second: String,
    },
    /// Something is where a link should be.
    #[error("the link '{name}' cannot be made: {owner} has that name already")]
    LinkTaken {
        /// The link.
        name: String,
        /// The package, or another link.
        owner: String,
    },
    /// A link's name is unusable, or the tree could not be written.
    #[error(transparent)]
    Tree(TreeError),
}

/// Carry out the builder.
pub(super) fn build(job: &Job) -> Result<(), BuiltinError> {
    let attributes: Attributes = job.attributes()?;
    let mut archives = Vec::new();
    for package in &attributes.packages {
        archives.push(job.open(package)?);
    }
    let mut tree = TreeWriter::create(job.out, job.watch).map_err(RootError::Tree)?;
    for (index, archive) in (0..).zip(archives) {
        tree.owner = index;
        unpack(archive, &mut tree).map_err(|error| explain(error, &attributes, &tree))?;
    }
    // Owners of links come after those of packages.
    tree.owner = attributes.packages.len() as u32;
    for (name, target) in &attributes.links {
        link(name, target, &mut tree, &attributes)?;
    }
    for folder in MERGED {
        let name = EntryName::new(folder).map_err(RootError::Tree)?;
        let inside = EntryName::new(b"usr").map_err(RootError::Tree)?.join(folder);
        if tree.get(&inside).is_some() {
            tree.symlink(&name, inside.as_bytes()).map_err(RootError::Tree)?;
        }
    }
    Ok(())
}

fn unpack(archive: File, tree: &mut TreeWriter) -> Result<(), ArchiveError> {
    archive::read(archive, &mut |entry: Entry| {
        let raw = EntryName::new(entry.name)?;
        let name = merged(&raw);
        match entry.node {
            EntryNode::Folder => tree.folder(&name),
            EntryNode::File { executable, content } => tree.file(&name, executable, content),
            // A package that has the link of the merged folder itself.
            EntryNode::Symlink { .. } if MERGED.contains(&raw.as_bytes()) => Ok(()),
            EntryNode::Symlink { target } => tree.symlink(&name, target),
            EntryNode::HardLink { target } => {
                tree.hard_link(&name, &merged(&EntryName::new(target)?))
            }
        }
    })
}

/// Where a package's file comes to lie.
fn merged(name: &EntryName) -> EntryName {
    match name.components().next() {
        Some(top) if MERGED.contains(&top) => {
            EntryName::default().join(b"usr").join(name.as_bytes())
        }
        _ => name.clone(),
    }
}

/// Name both packages where a name occurs twice.
fn explain(error: ArchiveError, attributes: &Attributes, tree: &TreeWriter) -> RootError {
    let package = |index: u32| attributes.packages[index as usize].clone();
    let second = package(tree.owner);
    let taken = match &error {
        ArchiveError::Entry(TreeError::Duplicate { name }) => Some(name),
        ArchiveError::Entry(TreeError::Through { above, .. }) => Some(above),
        _ => None,
    };
    let owner = taken.and_then(|name| {
        let (_, owner) = tree.get(&EntryName::new(name.as_bytes()).ok()?)?;
        (owner != tree.owner).then(|| (name.clone(), package(owner)))
    });
    match owner {
        Some((name, first)) => RootError::Conflict { name, first, second },
        None => RootError::Package { package: second, error },
    }
}

fn link(
    name: &str,
    target: &str,
    tree: &mut TreeWriter,
    attributes: &Attributes,
) -> Result<(), RootError> {
    // Recipes write links from the root on or relative to it.
    let name = EntryName::new(name.trim_start_matches('/').as_bytes()).map_err(RootError::Tree)?;
    let place = merged(&name);
    let owner = |tree: &TreeWriter, name: &EntryName| {
        let (kind, owner) = tree.get(name)?;
        let package = attributes.packages.get(owner as usize);
        let package = package.map_or("another link", |package| package.as_str());
        Some(if kind == Kind::Folder { format!("a folder of {package}") } else { package.into() })
    };
    if let Some(owner) = owner(tree, &place) {
        return Err(RootError::LinkTaken { name: name.display(), owner });
    }
    tree.symlink(&place, target.as_bytes()).map_err(|error| match error {
        TreeError::Through { above, .. } => {
            let above = EntryName::new(above.as_bytes()).unwrap_or_default();
            match owner(tree, &above) {
                Some(owner) => RootError::LinkTaken { name: text(above.as_bytes()), owner },
                None => RootError::Tree(TreeError::NoFolder),
            }
        }
        error => RootError::Tree(error),
    })
}
