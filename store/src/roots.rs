//! What gc must leave: named roots, and `result` links wherever users have them.
//!
//! A named root is a link `roots/named/<name>` to the object. A result link is recorded
//! as a link `roots/results/<digest of its path>` to it; it counts for as long as it is
//! there and points into the store.
//!
//! Who is told that an object is kept must find it kept after a power failure: the folder
//! of a new link is flushed, that of the record before the result link is made.

use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::{Path, PathBuf},
};

use hb_model::{ContentDigest, StoreName, StorePath};

use crate::{
    disk::Folder,
    error::{Context as _, Result, StoreError},
    store::{Durability, Store},
};

/// How an object is kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RootKind {
    /// Under a name in the store.
    Named(StoreName),
    /// By a result link at this path.
    Result(PathBuf),
}

/// An object that gc leaves, with all that it refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Root {
    /// What keeps it.
    pub kind: RootKind,
    /// The object.
    pub path: StorePath,
}

impl Store {
    /// Keep an object under a name; whatever had the name before loses it.
    pub fn add_root(&self, name: &StoreName, path: &StorePath) -> Result<()> {
        self.require(path)?;
        let _deciding_waits = self.writer()?.session.begin_naming()?;
        let target = match self.lies_below(path)? {
            Some(_) => self.physical(path),
            None => Path::new("../../store").join(path.base_name()),
        };
        self.replace_link(&self.inner.layout.named_roots().join(name.as_str()), &target)
    }

    /// Give a named root up; whether there was one.
    pub fn remove_root(&self, name: &StoreName) -> Result<bool> {
        self.writer()?;
        let link = self.inner.layout.named_roots().join(name.as_str());
        match fs::remove_file(&link) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error).at("remove", &link),
        }
    }

    /// Make `link`, an absolute path, a link to the object where it physically lies, and
    /// keep the object for as long as the link says so. Replaces a link of this kind only.
    pub fn link_result(&self, link: &Path, path: &StorePath) -> Result<()> {
        self.require(path)?;
        // A gc that decides in between would find the record of a link that is not there yet, and
        // drop it; or find neither the link nor, a moment later, this process.
        let _deciding_waits = self.writer()?.session.begin_naming()?;
        if fs::symlink_metadata(link).is_ok() && object_behind(link).is_none() {
            return Err(StoreError::LinkInTheWay { link: link.to_owned() });
        }
        let digest = ContentDigest::of(link.as_os_str().as_bytes()).to_string();
        self.replace_link(&self.inner.layout.result_roots().join(digest), link)?;
        self.replace_link(link, &self.physical(path))
    }

    /// What is kept now, sorted. Records of result links that are gone, or point
    /// elsewhere, are left out.
    pub fn roots(&self) -> Result<Vec<Root>> {
        let mut roots = Vec::new();
        for link in entries(&self.inner.layout.named_roots())? {
            let name = link.file_name().and_then(OsStr::to_str).map(StoreName::new);
            if let (Some(Ok(name)), Some(path)) = (name, object_behind(&link)) {
                roots.push(Root { kind: RootKind::Named(name), path });
            }
        }
        for record in entries(&self.inner.layout.result_roots())? {
            if let Ok(link) = fs::read_link(&record)
                && let Some(path) = self.result_behind(&link)
            {
                roots.push(Root { kind: RootKind::Result(link), path });
            }
        }
        roots.sort();
        Ok(roots)
    }

    /// The object of this store, or of a lower one, that a result link points to.
    pub(crate) fn result_behind(&self, link: &Path) -> Option<StorePath> {
        let target = fs::read_link(link).ok()?;
        object_behind(link)
            .filter(|path| self.layouts().any(|layout| layout.object(path) == target))
    }

    fn require(&self, path: &StorePath) -> Result<()> {
        match self.hold(std::slice::from_ref(path))?.pop() {
            Some(path) => Err(StoreError::NotInStore { path }),
            None => Ok(()),
        }
    }

    /// Make a link in one step, even where there is one, and flush its folder.
    fn replace_link(&self, link: &Path, target: &Path) -> Result<()> {
        self.writer()?;
        if !fs::read_link(link).is_ok_and(|there| there == target) {
            rename_link(link, target)?;
        }
        match (self.inner.durability, link.parent()) {
            (Durability::Full, Some(around)) => Folder::open(around)?.sync(),
            _ => Ok(()),
        }
    }
}

fn rename_link(link: &Path, target: &Path) -> Result<()> {
    let mut name = link.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = link.with_file_name(name);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(error).at("remove", &new);
        }
        _ => {}
    }
    symlink(target, &new).at("create the link", &new)?;
    fs::rename(&new, link).at("replace the link", link)
}

/// The object that a link names by its last component, below a folder called `store`.
fn object_behind(link: &Path) -> Option<StorePath> {
    let target = fs::read_link(link).ok()?;
    let below_store = target.parent()?.file_name()? == "store";
    let name = target.file_name()?.to_str()?;
    StorePath::from_base_name(name).ok().filter(|_| below_store)
}

pub(crate) fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).at("read the folder", folder)?;
    entries.map(|entry| Ok(entry.at("read the folder", folder)?.path())).collect()
}
