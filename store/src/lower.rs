//! Stores below this one, which are read and never written: media, another user's, one that
//! all machines mount.
//!
//! What a lower store has registered is there, in its place: objects, derivations and
//! realisations. This store's own rows can say something of such an object (refer to it, be
//! what built it) through a *borrowed* row of their own: a copy of the lower store's row and
//! of those that it refers to. So the rows of every database refer to each other only, and a
//! closure is found in one. A borrowed row is no object: it says what lay below, and counts
//! as long as it lies there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use hb_model::{NodeDigest, StorePath};
use rusqlite::{Transaction, params};

use crate::{
    clock::now_seconds,
    database::Database,
    error::{Result, StoreError},
    layout::Layout,
    objects::{closure_in, id_of, info_in, present_id, registered},
    store::Store,
};

/// A store that is only read.
#[derive(Debug)]
pub(crate) struct Lower {
    pub(crate) layout: Layout,
    pub(crate) database: Database,
}

/// Open what lies below the store at `own`.
pub(crate) fn open_all(own: &Path, roots: &[PathBuf]) -> Result<Vec<Lower>> {
    let own = fs::canonicalize(own).ok();
    let mut opened = Vec::new();
    for root in roots {
        if own.is_some() && fs::canonicalize(root).ok() == own {
            return Err(StoreError::BelowItself { root: root.clone() });
        }
        let error = |source| StoreError::Lower { root: root.clone(), source: Box::new(source) };
        opened.push(open(root).map_err(error)?);
    }
    Ok(opened)
}

fn open(root: &Path) -> Result<Lower> {
    // One name for it, however it was called: links lead there.
    let place = fs::canonicalize(root).unwrap_or_else(|_| root.to_owned());
    let layout = Layout::new(&place);
    if !layout.database().exists() {
        return Err(StoreError::NoStore { root: root.to_owned() });
    }
    let database = Database::open_below(&layout.database())?;
    Ok(Lower { layout, database })
}

impl Store {
    /// The databases, this store's own first.
    pub(crate) fn databases(&self) -> impl DoubleEndedIterator<Item = &Database> {
        std::iter::once(&self.inner.database).chain(self.inner.lower.iter().map(|it| &it.database))
    }

    /// What lies where in each store, this one's own first.
    pub(crate) fn layouts(&self) -> impl Iterator<Item = &Layout> {
        std::iter::once(&self.inner.layout).chain(self.inner.lower.iter().map(|it| &it.layout))
    }

    /// Where an object lies, or would.
    pub fn physical(&self, path: &StorePath) -> PathBuf {
        // Who gets the wrong place because a database failed finds nothing there.
        match self.lower_of(path) {
            Ok(Some(lower)) => lower.layout.object(path),
            _ => self.inner.layout.object(path),
        }
    }

    /// The folders that objects lie in, that of this store first.
    pub fn object_folders(&self) -> impl Iterator<Item = PathBuf> {
        self.layouts().map(Layout::objects)
    }

    /// The root of the lower store that an object lies in, unless it lies in this one.
    pub fn lies_below(&self, path: &StorePath) -> Result<Option<&Path>> {
        Ok(self.lower_of(path)?.map(|lower| lower.layout.root()))
    }

    /// Whether an object, which is registered, lies where it should.
    pub(crate) fn is_on_disk(&self, path: &StorePath) -> bool {
        self.is_on_own_disk(path) || self.digest_below(path).is_ok_and(|digest| digest.is_some())
    }

    pub(crate) fn is_on_own_disk(&self, path: &StorePath) -> bool {
        self.inner.layout.object(path).symlink_metadata().is_ok()
    }

    /// The lower store that an object lies in, unless it lies in this one.
    fn lower_of(&self, path: &StorePath) -> Result<Option<&Lower>> {
        if self.inner.lower.is_empty() {
            return Ok(None);
        }
        let own = self.inner.database.read(|connection| present_id(connection, path))?;
        if own.is_some() && self.is_on_own_disk(path) { Ok(None) } else { self.below(path) }
    }

    /// The first lower store that has an object.
    pub(crate) fn below(&self, path: &StorePath) -> Result<Option<&Lower>> {
        for lower in &self.inner.lower {
            if lower.database.read(|connection| present_id(connection, path))?.is_some() {
                return Ok(Some(lower));
            }
        }
        Ok(None)
    }

    /// The digest of an object that lies whole in a lower store.
    pub(crate) fn digest_below(&self, path: &StorePath) -> Result<Option<NodeDigest>> {
        let Some(lower) = self.below(path)? else { return Ok(None) };
        if lower.layout.object(path).symlink_metadata().is_err() {
            return Ok(None);
        }
        let found = lower.database.read(|connection| registered(connection, path))?;
        Ok(found.map(|(_, digest)| digest))
    }

    /// The row of an object, borrowed if it lies below; `None` if it is in no store.
    pub(crate) fn row(&self, transaction: &Transaction, path: &StorePath) -> Result<Option<i64>> {
        let own = &self.inner.database;
        if let Some(id) = id_of(transaction, path).map_err(|error| own.error(error))? {
            return Ok(Some(id));
        }
        let Some(lower) = self.below(path)? else { return Ok(None) };
        let closure = closure_in(&lower.database, std::slice::from_ref(path))?;
        let mut last = None;
        for (path, _) in closure {
            let known = id_of(transaction, &path).map_err(|error| own.error(error))?;
            last = match known {
                Some(id) => Some(id),
                None => Some(borrow(own, transaction, &lower.database, &path)?),
            };
        }
        Ok(last)
    }
}

/// Copy a row of a lower store and what it refers to, the rows of which are here already.
fn borrow(
    own: &Database,
    transaction: &Transaction,
    lower: &Database,
    path: &StorePath,
) -> Result<i64> {
    let info =
        info_in(lower, path)?.ok_or_else(|| StoreError::NotInStore { path: path.clone() })?;
    let insert = || {
        let sql = "
            INSERT INTO objects (name, digest, size, self_reference, registered, fixed, borrowed)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 1)";
        transaction.prepare_cached(sql)?.execute(params![
            path.base_name(),
            info.digest.as_bytes(),
            info.size as i64,
            info.self_reference,
            now_seconds(),
            info.fixed.as_ref().map(ToString::to_string),
        ])?;
        let id = transaction.last_insert_rowid();
        let sql = "INSERT INTO refs SELECT ?1, id FROM objects WHERE name = ?2";
        let mut add = transaction.prepare_cached(sql)?;
        for reference in &info.references {
            add.execute(params![id, reference.base_name()])?;
        }
        Ok(id)
    };
    insert().map_err(|error| own.error(error))
}
