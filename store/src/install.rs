//! Publication: the steps that make staged trees objects of the store.
//!
//! 1. The paths are held, so that gc leaves them when they appear.
//! 2. Everything staged is flushed at once. Power fails: staging is cleared.
//! 3. Under the database's write lock, each tree is renamed to its place, and the folder
//!    of the objects is flushed. Power fails: whole objects lie there that nobody knows;
//!    gc removes them, and publishing the same path again replaces them.
//! 4. The rows of all objects and realisations are committed together. Power fails:
//!    all of them are there or none.

use std::{collections::BTreeSet, ffi::OsString, os::unix::ffi::OsStrExt as _};

use hb_model::{FixedOutput, NodeDigest, StorePath};
use rusqlite::Transaction;
use rustix::{
    fs::{AtFlags, RenameFlags},
    io::Errno,
};

use crate::{
    copy::FOLDER_MODE,
    disk::{Folder, make_accessible},
    error::{Context as _, Result, StoreError},
    objects::{NewObject, is_registered, register, registered},
    store::{Durability, Store},
    tree::Place,
};

/// A staged object that is complete but for its place.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) staged: Place,
    pub(crate) is_folder: bool,
    pub(crate) path: StorePath,
    pub(crate) digest: NodeDigest,
    pub(crate) size: u64,
    pub(crate) references: BTreeSet<StorePath>,
    pub(crate) self_reference: bool,
    /// The declared hash that the path follows from, unless it is the content's.
    pub(crate) fixed: Option<FixedOutput>,
}

impl Store {
    /// Publish objects, each after what it refers to, and let `and` add to the same
    /// transaction. An object that is registered already stays as it is.
    pub(crate) fn install(
        &self,
        objects: &[Finished],
        and: impl FnOnce(&Transaction) -> Result<()>,
    ) -> Result<()> {
        let writer = self.writer()?;
        let paths: Vec<_> = objects.iter().map(|object| object.path.clone()).collect();
        let wanted = self.hold_and_want(&paths)?;
        if !wanted.is_empty() && self.inner.durability == Durability::Full {
            let folder = &writer.objects;
            rustix::fs::syncfs(&folder.fd).at("flush the file system of", &folder.path)?;
        }
        let outcome = self.put_and_register(&writer.objects, objects, and);
        if outcome.is_err() {
            // Best effort: what stays is a stray, and gc removes it.
            let names: Vec<_> = paths.iter().map(|path| path.base_name().into()).collect();
            let _ = self
                .scratch_dir()
                .and_then(|away| self.move_unregistered(&writer.objects, &away.folder, &names));
        }
        outcome
    }

    fn put_and_register(
        &self,
        folder: &Folder,
        objects: &[Finished],
        and: impl FnOnce(&Transaction) -> Result<()>,
    ) -> Result<()> {
        let database = &self.inner.database;
        database.transact(|transaction| {
            let mut moved = Vec::new();
            let mut put_back = false;
            for object in objects {
                let known = registered(transaction, &object.path);
                match known.map_err(|error| database.error(error))? {
                    None => {
                        self.put_in_place(folder, object)?;
                        moved.push(object);
                    }
                    Some((_, digest)) if digest == object.digest => {
                        // It was damaged, and put aside.
                        if !self.is_on_disk(&object.path) {
                            self.put_in_place(folder, object)?;
                            put_back = true;
                        }
                    }
                    Some((_, registered)) => {
                        let (path, got) = (object.path.clone(), object.digest);
                        return Err(StoreError::TwoDigests { path, registered, got });
                    }
                }
            }
            if (put_back || !moved.is_empty()) && self.inner.durability == Durability::Full {
                folder.sync()?;
            }
            for object in moved {
                register(
                    database,
                    transaction,
                    &NewObject {
                        path: &object.path,
                        digest: object.digest,
                        size: object.size,
                        references: &object.references,
                        self_reference: object.self_reference,
                        fixed: object.fixed.as_ref(),
                    },
                )?;
            }
            and(transaction)
        })
    }

    /// Rename a staged tree to its place. An unregistered object that lies there, left by
    /// a process that died between renaming and registering, goes the other way.
    fn put_in_place(&self, objects: &Folder, object: &Finished) -> Result<()> {
        let name = object.path.base_name();
        let staged = &object.staged;
        let rename = |flags| {
            let from = &staged.around.fd;
            rustix::fs::renameat_with(from, &staged.name[..], &objects.fd, &name, flags)
        };
        let finish = || {
            match rename(RenameFlags::NOREPLACE) {
                Err(Errno::EXIST) => {
                    make_accessible(&objects.fd, name.as_bytes())?;
                    rename(RenameFlags::EXCHANGE)?;
                }
                outcome => outcome?,
            }
            if object.is_folder {
                rustix::fs::chmodat(&objects.fd, &name, FOLDER_MODE, AtFlags::empty())?;
            }
            Ok::<_, Errno>(())
        };
        finish().at("move into the store", objects.path.join(&name))?;
        if object.is_folder && self.inner.durability == Durability::Full {
            objects.open_below(name.as_ref())?.sync()?;
        }
        Ok(())
    }

    /// Move entries of the object folder away, unless they are registered by now.
    pub(crate) fn move_unregistered(
        &self,
        objects: &Folder,
        to: &Folder,
        names: &[OsString],
    ) -> Result<()> {
        let database = &self.inner.database;
        database.transact(|transaction| {
            for name in names {
                if is_registered(transaction, name).map_err(|error| database.error(error))? {
                    continue;
                }
                let take = || {
                    make_accessible(&objects.fd, name.as_bytes())?;
                    rustix::fs::renameat(&objects.fd, name, &to.fd, name)
                };
                match take() {
                    // It never got there, or somebody else's gc was faster.
                    Err(Errno::NOENT) => {}
                    outcome => outcome.at("move out of the store", objects.path.join(name))?,
                }
            }
            Ok(())
        })
    }
}
