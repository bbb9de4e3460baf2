//! Repair: what was damaged is put aside, and may be put in its place again.
//!
//! A damaged object stays registered, so that what refers to it stays whole; but nothing
//! says any more what it was built from, and so it is built again when it is wanted.
//! Whoever publishes or imports it gives it back its content, if that has the digest that
//! is registered.

use std::path::PathBuf;

use hb_model::{RealisationKey, StorePath};
use rustix::fs::AtFlags;

use crate::{
    clock::store_times,
    copy::{FILE_MODE, FOLDER_MODE, PROGRAM_MODE, seal},
    disk::make_accessible,
    error::{Context as _, Result, StoreError},
    realisations::Recorded,
    store::Store,
    tree::{Kind, Place, Reading, Tree},
};

/// An object that was put aside.
#[derive(Clone, Debug)]
pub struct Aside {
    /// Which.
    pub path: StorePath,
    /// Where it lies now, if there was anything.
    pub kept: Option<PathBuf>,
    /// The builds that gave it.
    pub builds: Vec<Recorded>,
    /// What else was known to give it.
    keys: Vec<RealisationKey>,
}

impl Store {
    /// Put what lies at an object's place aside, into `failed/`, and forget the builds that
    /// gave it.
    pub fn set_aside(&self, path: &StorePath) -> Result<Aside> {
        let objects = &self.writer()?.objects;
        self.refuse_lower(path)?;
        let name = path.base_name();
        let (builds, keys) = (self.realisations_of(path)?, self.keys_of(path)?);
        let kept = self.inner.database.transact(|transaction| {
            let forget = || {
                for table in ["realisations", "sources"] {
                    let sql = format!(
                        "DELETE FROM {table} WHERE object IN (SELECT id FROM objects WHERE name = ?1)"
                    );
                    transaction.execute(&sql, [&name])?;
                }
                transaction.execute("DELETE FROM outcomes WHERE name = ?1", [&name])
            };
            forget().map_err(|error| self.inner.database.error(error))?;
            if !self.is_on_own_disk(path) {
                return Ok(None);
            }
            // A folder without write permission cannot be moved.
            make_accessible(&objects.fd, name.as_bytes())
                .at("open up", objects.path.join(&name))?;
            self.keep_aside(&self.inner.layout.object(path), &name).map(Some)
        })?;
        Ok(Aside { path: path.clone(), kept, builds, keys })
    }

    /// Know again what was known of an object that was put aside and has come back.
    pub fn restore(&self, aside: &Aside) -> Result<()> {
        self.record_again(&aside.builds)?;
        let outcome = |key: &RealisationKey| (key.clone(), aside.path.clone());
        self.remember_outcomes(&aside.keys.iter().map(outcome).collect::<Vec<_>>())
    }

    /// Give the entries of an object the modes and the time that they must have.
    pub fn mend_metadata(&self, path: &StorePath) -> Result<()> {
        self.writer()?;
        self.refuse_lower(path)?;
        mend(&Place::of(&self.physical(path))?)
    }

    fn refuse_lower(&self, path: &StorePath) -> Result<()> {
        match self.lies_below(path)? {
            Some(root) => Err(StoreError::InLower { path: path.clone(), root: root.to_owned() }),
            None => Ok(()),
        }
    }
}

/// Give the entries of the object at a place the modes and the time that they must have.
pub(crate) fn mend(place: &Place) -> Result<()> {
    let reading = Reading { filter: None, visit: &mut |_, _| {}, ours: true };
    let Some(tree) = Tree::read(place, reading)? else { return Ok(()) };
    let around = &place.around;
    for (index, node) in tree.nodes.iter().enumerate() {
        let relative = place.relative(&tree.path(index));
        let mend = || {
            if let Kind::File { executable, .. } = node.kind {
                let mode = if executable { PROGRAM_MODE } else { FILE_MODE };
                rustix::fs::chmodat(&around.fd, &relative, mode, AtFlags::empty())?;
            }
            let flags = AtFlags::SYMLINK_NOFOLLOW;
            rustix::fs::utimensat(&around.fd, &relative, &store_times(), flags)
        };
        mend().at("mend", around.path.join(&relative))?;
    }
    seal(&tree, place)?;
    if matches!(tree.nodes[0].kind, Kind::Directory { .. }) {
        rustix::fs::chmodat(&around.fd, &place.name[..], FOLDER_MODE, AtFlags::empty())
            .at("mend", place.path())?;
    }
    Ok(())
}
