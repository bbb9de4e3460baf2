//! Publication: the steps that make staged trees objects of the store, and what each does.
//! Their order is that of `protocol`:
//!
//! 1. The paths are held, so that gc leaves them when they appear.
//! 2. Everything staged is flushed at once. Power fails: staging is cleared.
//! 3. Under the database's write lock, each tree is renamed to its place, and the folder
//!    of the objects is flushed. Power fails: whole objects lie there that nobody knows;
//!    gc removes them, and publishing the same path again replaces them.
//! 4. The rows of all objects and realisations are committed together. Power fails:
//!    all of them are there or none.

use std::{collections::BTreeSet, ffi::OsString, fs::File, os::unix::ffi::OsStrExt as _};

use hb_model::{FixedOutput, NodeDigest, StorePath};
use rusqlite::Transaction;
use rustix::{
    fs::{AtFlags, RenameFlags},
    io::Errno,
};

use crate::{
    copy::FOLDER_MODE,
    database::Database,
    disk::{Folder, make_accessible},
    error::{Context as _, Result, StoreError},
    lock::lock_exclusive,
    objects::{NewObject, is_registered, register, row_of},
    protocol::{self, Parts},
    scratch::ScratchDir,
    session::Naming,
    share::Shared,
    store::{Durability, Store, Writer},
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
    /// What its files are shared with, or may be.
    pub(crate) shared: Shared,
}

impl Store {
    /// Publish objects, each after what it refers to, and let `and` add to the same
    /// transaction. An object that is registered already stays as it is.
    pub(crate) fn install(
        &self,
        objects: &[Finished],
        and: impl FnOnce(&Transaction) -> Result<()>,
    ) -> Result<()> {
        let parts = self.parts()?;
        let outcome = protocol::publish(&parts, objects, and);
        if outcome.is_err() {
            // Best effort: what stays is a stray, and gc removes it.
            let names: Vec<_> = objects.iter().map(|it| it.path.base_name().into()).collect();
            let sweep = |away: ScratchDir| protocol::sweep(&parts, &names, &away.folder);
            let _ = self.scratch_dir().and_then(sweep);
        }
        outcome
    }

    /// Holds objects, and gives those whose content is wanted: they are not registered, or
    /// were damaged and put aside.
    pub(crate) fn hold_and_want(&self, paths: &[StorePath]) -> Result<BTreeSet<StorePath>> {
        protocol::hold_and_want(&self.parts()?, paths)
    }

    pub(crate) fn parts(&self) -> Result<StoreParts<'_>> {
        Ok(StoreParts { store: self, writer: self.writer()? })
    }
}

/// What the steps of the protocol do in a store on the disk.
pub(crate) struct StoreParts<'a> {
    pub(crate) store: &'a Store,
    pub(crate) writer: &'a Writer,
}

impl StoreParts<'_> {
    fn database(&self) -> &Database {
        &self.store.inner.database
    }

    fn flushes(&self) -> bool {
        self.store.inner.durability == Durability::Full
    }
}

impl Parts for StoreParts<'_> {
    type Name = StorePath;
    type New = Finished;
    type Entry = OsString;
    type Away = Folder;
    type Naming<'a>
        = Naming<'a>
    where
        Self: 'a;
    type Deciding<'a>
        = File
    where
        Self: 'a;
    type Writing<'a> = Transaction<'a>;

    fn begin_naming(&self) -> Result<Naming<'_>> {
        self.writer.session.begin_naming()
    }

    fn name(&self, naming: &mut Naming<'_>, names: &[StorePath]) -> Result<()> {
        naming.name(names)
    }

    fn begin_deciding(&self) -> Result<File> {
        lock_exclusive(&self.store.inner.layout.gc_lock())
    }

    fn is_registered(&self, name: &StorePath) -> Result<bool> {
        self.store.contains(name)
    }

    fn is_on_disk(&self, name: &StorePath) -> bool {
        self.store.is_on_disk(name)
    }

    fn name_of(&self, new: &Finished) -> StorePath {
        new.path.clone()
    }

    fn flush_staged(&self) -> Result<()> {
        match self.flushes() {
            true => self.writer.objects.sync_file_system(),
            false => Ok(()),
        }
    }

    fn write<T>(&self, change: impl FnOnce(&Transaction) -> Result<T>) -> Result<T> {
        self.database().transact(change)
    }

    fn is_known(&self, transaction: &Transaction, new: &Finished) -> Result<bool> {
        let row = row_of(transaction, &new.path).map_err(|error| self.database().error(error))?;
        let is_own = row.is_some_and(|(_, _, is_borrowed)| !is_borrowed);
        let below = if is_own { None } else { self.store.digest_below(&new.path)? };
        for registered in row.map(|(_, digest, _)| digest).into_iter().chain(below) {
            if registered != new.digest {
                let (path, got) = (new.path.clone(), new.digest);
                return Err(StoreError::TwoDigests { path, registered, got });
            }
        }
        Ok(is_own || below.is_some())
    }

    fn is_entry_known(&self, transaction: &Transaction, entry: &OsString) -> Result<bool> {
        is_registered(transaction, entry).map_err(|error| self.database().error(error))
    }

    /// Rename a staged tree to its place. An unregistered object that lies there, left by
    /// a process that died between renaming and registering, goes the other way.
    fn move_in(&self, new: &Finished) -> Result<()> {
        let objects = &self.writer.objects;
        let name = new.path.base_name();
        let staged = &new.staged;
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
            if new.is_folder {
                rustix::fs::chmodat(&objects.fd, &name, FOLDER_MODE, AtFlags::empty())?;
            }
            Ok::<_, Errno>(())
        };
        finish().at("move into the store", objects.path.join(&name))?;
        if new.is_folder && self.flushes() {
            objects.open_below(name.as_ref())?.sync()?;
        }
        Ok(())
    }

    fn flush_moved(&self) -> Result<()> {
        if self.flushes() { self.writer.objects.sync() } else { Ok(()) }
    }

    fn register(&self, transaction: &Transaction, new: &Finished) -> Result<()> {
        let object = NewObject {
            path: &new.path,
            digest: new.digest,
            size: new.size,
            references: &new.references,
            self_reference: new.self_reference,
            fixed: new.fixed.as_ref(),
        };
        register(self.store, transaction, &object)?;
        self.store.record_shared(transaction, &new.path, &new.shared)
    }

    /// What lies in a lower store as well stays known, and what is known of it.
    fn forget(&self, transaction: &Transaction, name: &StorePath) -> Result<()> {
        let sql = match self.store.below(name)? {
            Some(_) => "UPDATE objects SET borrowed = 1 WHERE name = ?1",
            None => "DELETE FROM objects WHERE name = ?1",
        };
        let forget = || transaction.prepare_cached(sql)?.execute([name.base_name()]);
        forget().map(|_| ()).map_err(|error| self.database().error(error))
    }

    fn move_out(&self, entry: &OsString, to: &Folder) -> Result<()> {
        let objects = &self.writer.objects;
        let take = || {
            make_accessible(&objects.fd, entry.as_bytes())?;
            rustix::fs::renameat(&objects.fd, entry, &to.fd, entry)
        };
        match take() {
            // It never got there, or somebody else's gc was faster.
            Err(Errno::NOENT) => Ok(()),
            outcome => outcome.at("move out of the store", objects.path.join(entry)),
        }
    }
}
