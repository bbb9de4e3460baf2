//! Storing what is in the store already once where files are equal.
//!
//! Objects that were published before files were shared, or where they could not be, are
//! looked through one after the other. What takes a file's place is made in `staging` and
//! flushed; then it is renamed over the file, while nobody may name what he needs and nobody
//! has named this object. So no build sees it happen, and a file has its content at every
//! moment. The folders around such files must be writable for that moment, and their times
//! change: which object that is stands in `staging` until the disk has its modes and times again,
//! and whoever takes over from a process that died gives it those.

use std::{collections::HashSet, fs, path::Path};

use hb_model::StorePath;
use rustix::{fs::Mode, io::Errno};

use crate::{
    clock::store_times,
    copy::{FOLDER_MODE, copy},
    error::{Context as _, Result, StoreError},
    layout::Layout,
    objects::{closure_in, names, parse_all},
    protocol::Parts as _,
    repair::mend,
    scan::Scanner,
    session::held_by_sessions,
    share::{Replacement, Sharable, Sharing, sharable},
    store::Store,
    tree::{Place, Reading, Tree},
};

/// In a session's folder: the objects whose folders are being changed, or were changed last, in
/// turn.
const MENDING: [&str; 2] = ["mending-0", "mending-1"];

/// What optimising did, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptimiseReport {
    /// How.
    pub sharing: Sharing,
    /// Files that are shared now and were not.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Objects that were left since a living process needs them.
    pub busy: usize,
}

/// Which objects' folders may not have their modes and times on the disk.
struct Mending<'a> {
    store: &'a Store,
    session: &'a Path,
    /// How many objects were changed.
    changed: usize,
}

/// What living processes need, as far as it was looked up.
#[derive(Default)]
struct Busy {
    named: HashSet<StorePath>,
    needed: HashSet<StorePath>,
}

impl Store {
    /// Store equal files of objects that are there already once. `progress` is told how many
    /// of how many objects were looked through.
    pub fn optimise(
        &self,
        dry_run: bool,
        progress: &dyn Fn(usize, usize),
    ) -> Result<OptimiseReport> {
        let sharing = self
            .sharing()?
            .ok_or_else(|| StoreError::CannotShare { root: self.root().to_owned() })?;
        let mut report = OptimiseReport { sharing, files: 0, bytes: 0, busy: 0 };
        let paths = self.not_shared(sharing)?;
        let mut seen = HashSet::new();
        let mut busy = Busy::default();
        let mut mending = Mending::new(self)?;
        let outcome = paths.iter().enumerate().try_for_each(|(number, path)| {
            let files = match self.sharable_files(path) {
                // gc was faster.
                Err(_) if !self.contains(path)? => return Ok(()),
                files => files?,
            };
            if dry_run {
                for file in files {
                    let is_new =
                        seen.insert(file.key) && self.stored(sharing, &file.key)?.is_none();
                    report.count(u64::from(!is_new), file.size);
                }
            } else {
                self.share_object(path, sharing, files, &mut busy, &mut mending, &mut report)?;
            }
            progress(number + 1, paths.len());
            Ok(())
        });
        mending.finish(outcome)?;
        Ok(report)
    }

    /// The objects that have not been looked through for this, in their order.
    fn not_shared(&self, sharing: Sharing) -> Result<Vec<StorePath>> {
        let database = &self.inner.database;
        let found = database.read(|connection| {
            let sql = "SELECT name FROM objects WHERE shared < ?1 AND NOT borrowed ORDER BY id";
            names(connection, sql, [sharing as i64])
        })?;
        parse_all(database, found)
    }

    fn sharable_files(&self, path: &StorePath) -> Result<Vec<Sharable>> {
        let place = Place::of(&self.inner.layout.object(path))?;
        let reading = Reading { filter: None, visit: &mut |_, _| {}, ours: false };
        let Some(tree) = Tree::read(&place, reading)? else { return Ok(Vec::new()) };
        let contents = copy(&tree, &place, None, &Scanner::default())?;
        Ok(sharable(&tree, &contents).collect())
    }

    /// Share the files of one object, if nobody needs it now.
    fn share_object(
        &self,
        path: &StorePath,
        sharing: Sharing,
        files: Vec<Sharable>,
        busy: &mut Busy,
        mending: &mut Mending<'_>,
        report: &mut OptimiseReport,
    ) -> Result<()> {
        let parts = self.parts()?;
        let _deciding = parts.begin_deciding()?;
        if busy.update(self)?.contains(path) {
            report.busy += 1;
            return Ok(());
        }
        let objects = &self.writer()?.objects;
        let object = Path::new(&path.base_name()).to_owned();
        let at = |below: &Path| match below.as_os_str().is_empty() {
            true => object.clone(),
            false => object.join(below),
        };
        let (shared, replacements) = self.find_equal(sharing, files.into_iter(), objects, at)?;
        if !replacements.is_empty() {
            mending.begin(path)?;
            self.put_in_place(&replacements)?;
        }
        for replacement in &replacements {
            report.count(1, replacement.size);
        }
        self.inner.database.transact(|transaction| self.record_shared(transaction, path, &shared))
    }

    /// Rename what is equal over files of an object.
    fn put_in_place(&self, replacements: &[Replacement]) -> Result<()> {
        let writer = self.writer()?;
        let (session, objects) = (&writer.session.folder, &writer.objects);
        for Replacement { new, at, .. } in replacements {
            let folder = match at.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                Some(parent) => Some(objects.open_below(parent)?),
                // The object itself is the file.
                None => None,
            };
            let replace = || {
                if let Some(folder) = &folder {
                    rustix::fs::fchmod(&folder.fd, Mode::RWXU)?;
                }
                rustix::fs::renameat(&session.fd, new, &objects.fd, at)?;
                if let Some(folder) = &folder {
                    rustix::fs::futimens(&folder.fd, &store_times())?;
                    rustix::fs::fchmod(&folder.fd, FOLDER_MODE)?;
                }
                Ok::<_, Errno>(())
            };
            replace().at("replace", objects.path.join(at))?;
        }
        Ok(())
    }
}

impl<'a> Mending<'a> {
    fn new(store: &'a Store) -> Result<Self> {
        Ok(Self { store, session: &store.writer()?.session.folder.path, changed: 0 })
    }

    /// Note an object that will be changed now.
    fn begin(&mut self, path: &StorePath) -> Result<()> {
        // In the place of the last but one: that is on the disk since the last was begun.
        let place = self.session.join(MENDING[self.changed % MENDING.len()]);
        fs::write(&place, path.base_name()).at("write", &place)?;
        self.changed += 1;
        // Power fails later: what is renamed is whole, and what is to be mended is known.
        self.store.parts()?.flush_staged()
    }

    /// Everything was changed, or something failed.
    fn finish(self, outcome: Result<()>) -> Result<()> {
        if self.changed == 0 {
            return outcome;
        }
        let settled = self.settle(outcome.is_err());
        outcome.and(settled)
    }

    fn settle(&self, failed: bool) -> Result<()> {
        if failed {
            mend_after(self.session, &self.store.inner.layout)?;
        }
        self.store.parts()?.flush_staged()?;
        for place in MENDING.map(|name| self.session.join(name)) {
            if place.exists() {
                fs::remove_file(&place).at("remove", &place)?;
            }
        }
        Ok(())
    }
}

impl OptimiseReport {
    fn count(&mut self, files: u64, size: u64) {
        self.files += files;
        self.bytes += files * size;
    }
}

impl Busy {
    /// All that living processes need.
    fn update(&mut self, store: &Store) -> Result<&HashSet<StorePath>> {
        let named = held_by_sessions(&store.inner.layout)?;
        if named != self.named {
            let paths: Vec<_> = named.iter().cloned().collect();
            let closure = closure_in(&store.inner.database, &paths)?;
            self.needed = closure.into_iter().map(|(path, _)| path).collect();
            self.named = named;
        }
        Ok(&self.needed)
    }
}

/// Give the objects whose folders a session was changing their modes and times again; whether
/// there were any.
pub(crate) fn mend_after(session: &Path, layout: &Layout) -> Result<bool> {
    let mut mended = false;
    for name in MENDING {
        let Ok(object) = fs::read_to_string(session.join(name)) else { continue };
        // Where the name is not whole, nothing was changed yet.
        if let Ok(path) = StorePath::from_base_name(&object) {
            mend(&Place::of(&layout.object(&path))?)?;
            mended = true;
        }
    }
    Ok(mended)
}
