//! Garbage collection: removing objects that nothing needs.
//!
//! While deciding, gc holds its lock, which every process takes (shared) to name what it
//! needs and to see that it is there; so nothing that is named can go. The rows go first,
//! in one transaction, and reach the disk before any object moves: power fails, and what
//! is left is objects that nobody knows, which the next gc removes. Then the objects are
//! moved to staging, each after a look, under the database's write lock, that it has not
//! been published again. What is in staging is removed without any lock, or by the next
//! process that opens the store.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashMap},
    ffi::OsString,
    fs,
    os::unix::ffi::OsStrExt as _,
    time::Duration,
};

use hb_model::StorePath;
use rusqlite::Row;
use rustc_hash::FxHashMap;

use crate::{
    clock::now_seconds,
    disk::remove_tree,
    error::{Context as _, Result},
    objects::{is_registered, parse},
    protocol, reserve,
    roots::{RootKind, entries},
    session::held_by_sessions,
    store::Store,
};

/// So many objects are moved under one write lock, for which builds may be waiting.
const BATCH: usize = 500;

/// What gc should do.
#[derive(Clone, Debug, Default)]
pub struct GcOptions {
    /// Only say what would go.
    pub dry_run: bool,
    /// Remove the derivations that gave what stays, too.
    pub drop_derivations: bool,
    /// Leave what was registered less than so long ago, with all that it refers to.
    pub older_than: Option<Duration>,
    /// Stop when about so many bytes have been freed.
    pub free: Option<u64>,
    /// Stop when all that is left has no more bytes than this.
    pub keep: Option<u64>,
}

/// What gc did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GcReport {
    /// The objects that went, each before everything that it refers to, and those that
    /// were needed last the last.
    pub freed: Vec<StorePath>,
    /// The entries of the object folder that were not registered, which went too.
    pub strays: Vec<OsString>,
    /// The bytes of the registered ones.
    pub bytes: u64,
}

/// Everything that gc decides from.
struct Graph {
    objects: Vec<Object>,
    /// Pairs of indices, sorted: referrer, reference.
    references: Vec<(usize, usize)>,
    /// By the index of an object: that of the newest derivation that gave it.
    givers: HashMap<usize, usize>,
}

struct Object {
    id: i64,
    name: String,
    /// None of what lies in a lower store.
    size: u64,
    /// Seconds since 1970.
    registered: i64,
    is_borrowed: bool,
}

impl Store {
    /// Remove what no root and no living process needs. `progress` is told how many of how
    /// many objects have been removed from the disk.
    pub fn gc(&self, options: &GcOptions, progress: &dyn Fn(usize, usize)) -> Result<GcReport> {
        let parts = self.parts()?;
        let layout = &self.inner.layout;
        let mut report = GcReport::default();
        protocol::forget(&parts, || {
            let borrowed;
            (report, borrowed) = self.decide(options)?;
            if options.dry_run {
                return Ok(Vec::new());
            }
            reserve::release(layout)?;
            self.drop_stale_result_roots()?;
            Ok(report.freed.iter().cloned().chain(borrowed).collect())
        })?;
        if options.dry_run {
            return Ok(report);
        }
        let scratch = self.scratch_dir()?;
        let freed = report.freed.iter().map(|path| OsString::from(path.base_name()));
        let names: Vec<_> = freed.chain(report.strays.iter().cloned()).collect();
        for (number, batch) in names.chunks(BATCH).enumerate() {
            protocol::sweep(&parts, batch, &scratch.folder)?;
            for (within, name) in batch.iter().enumerate() {
                remove_tree(&scratch.folder, name.as_bytes())?;
                progress(number * BATCH + within + 1, names.len());
            }
        }
        reserve::keep(layout);
        Ok(report)
    }

    /// What is to go, and what was borrowed and is needed no more. Must be called while nobody
    /// names anything.
    fn decide(&self, options: &GcOptions) -> Result<(GcReport, Vec<StorePath>)> {
        // Before what is registered: of who registers something and ends after that is read, nothing
        // would be found, and what it refers to would go.
        let needed = self.needed()?;
        let graph = self.graph()?;
        let by_name = graph.by_name();
        let dead = graph.dead(&graph.live(&needed, &by_name, options), graph.enough(options));
        let is_own =
            |name: &str| by_name.get(name).is_some_and(|&it| !graph.objects[it].is_borrowed);
        let mut report = GcReport { strays: self.strays(is_own)?, ..GcReport::default() };
        let mut borrowed = Vec::new();
        for object in dead.into_iter().map(|index| &graph.objects[index]) {
            let path = parse(&self.inner.database, &object.name)?;
            match object.is_borrowed {
                true => borrowed.push(path),
                false => report.freed.push(path),
            }
            report.bytes = report.bytes.saturating_add(object.size);
        }
        Ok((report, borrowed))
    }

    fn graph(&self) -> Result<Graph> {
        self.inner.database.read(|connection| {
            let mut select = connection
                .prepare("SELECT id, name, size, registered, borrowed FROM objects ORDER BY id")?;
            let objects: Vec<Object> = select
                .query_map([], |row| {
                    let is_borrowed = row.get(4)?;
                    Ok(Object {
                        id: row.get(0)?,
                        name: row.get(1)?,
                        size: if is_borrowed { 0 } else { row.get(2)? },
                        registered: row.get(3)?,
                        is_borrowed,
                    })
                })?
                .collect::<rusqlite::Result<_>>()?;
            let ids = objects.iter().enumerate();
            let by_id: FxHashMap<_, _> = ids.map(|(index, object)| (object.id, index)).collect();
            let index = |id: i64| by_id.get(&id).copied();
            let pairs = |sql| -> rusqlite::Result<Vec<(usize, usize)>> {
                let mut select = connection.prepare(sql)?;
                let pair = |row: &Row| Ok(index(row.get(0)?).zip(index(row.get(1)?)));
                let pairs: rusqlite::Result<Vec<_>> = select.query_map([], pair)?.collect();
                Ok(pairs?.into_iter().flatten().collect())
            };
            let references = pairs("SELECT referrer, reference FROM refs ORDER BY 1, 2")?;
            // The newest only: else every version of a recipe that gives the same again and
            // again would stay, and its sources with it.
            let givers = "SELECT object, max(derivation) FROM realisations
                          WHERE derivation IS NOT NULL GROUP BY object";
            let givers = pairs(givers)?.into_iter().collect();
            Ok(Graph { objects, references, givers })
        })
    }

    /// What living processes and roots need.
    fn needed(&self) -> Result<Vec<StorePath>> {
        // In this order: who makes a root and ends is found by the one or the other.
        let held = held_by_sessions(&self.inner.layout)?;
        let roots = self.roots()?.into_iter().map(|root| root.path);
        Ok(roots.chain(held).collect())
    }

    /// The entries of the object folder that are not registered. Most of those that are can be
    /// told by `is_known`; the others are asked for.
    pub(crate) fn strays(&self, is_known: impl Fn(&str) -> bool) -> Result<Vec<OsString>> {
        let found = entries(&self.inner.layout.objects())?;
        let names = found.iter().filter_map(|path| path.file_name());
        let unknown = names.filter(|name| !name.to_str().is_some_and(&is_known));
        // After the folder was read: what was published meanwhile is registered now.
        self.inner.database.read(|connection| {
            let mut strays = Vec::new();
            for name in unknown {
                if !is_registered(connection, name)? {
                    strays.push(name.to_owned());
                }
            }
            Ok(strays)
        })
    }

    fn drop_stale_result_roots(&self) -> Result<()> {
        let live: BTreeSet<_> = self.roots()?.into_iter().map(|root| root.kind).collect();
        for record in entries(&self.inner.layout.result_roots())? {
            let link = fs::read_link(&record).at("read the link", &record)?;
            if !live.contains(&RootKind::Result(link)) {
                fs::remove_file(&record).at("remove", &record)?;
            }
        }
        Ok(())
    }
}

impl Graph {
    /// The indices of the objects by their names.
    fn by_name(&self) -> FxHashMap<&str, usize> {
        let names = self.objects.iter().enumerate();
        names.map(|(index, object)| (&*object.name, index)).collect()
    }

    /// Which objects must stay, by index.
    fn live(
        &self,
        needed: &[StorePath],
        by_name: &FxHashMap<&str, usize>,
        options: &GcOptions,
    ) -> Vec<bool> {
        let needed = needed.iter().filter_map(|path| by_name.get(&*path.base_name()).copied());
        let young = self.younger_than(options.older_than);
        self.reach(needed.chain(young).collect(), !options.drop_derivations)
    }

    /// Everything that `pending` needs.
    fn reach(&self, mut pending: Vec<usize>, with_derivations: bool) -> Vec<bool> {
        let mut live = vec![false; self.objects.len()];
        while let Some(index) = pending.pop() {
            if std::mem::replace(&mut live[index], true) {
                continue;
            }
            let first = self.references.partition_point(|pair| pair.0 < index);
            let own = self.references[first..].iter().take_while(|pair| pair.0 == index);
            pending.extend(own.map(|pair| pair.1));
            if with_derivations {
                pending.extend(self.givers.get(&index));
            }
        }
        live
    }

    /// What was registered less than so long ago.
    ///
    /// The clock may have been wrong. What it says was registered later than now counts as
    /// registered now, and nothing is older than what was registered before it.
    fn younger_than(&self, age: Option<Duration>) -> Vec<usize> {
        let Some(age) = age else { return Vec::new() };
        let now = now_seconds();
        let since = now.saturating_sub_unsigned(age.as_secs());
        let mut latest = i64::MIN;
        let mut is_young = |index: &usize| {
            let registered = self.objects[*index].registered;
            if registered <= now {
                latest = latest.max(registered);
            }
            registered > now || latest > since
        };
        (0..self.objects.len()).filter(|index| is_young(index)).collect()
    }

    /// How many bytes to free, if not all that can be.
    fn enough(&self, options: &GcOptions) -> Option<u64> {
        let sizes = self.objects.iter().map(|object| object.size);
        let all = sizes.fold(0, u64::saturating_add);
        let beyond = options.keep.map(|keep| all.saturating_sub(keep));
        options.free.into_iter().chain(beyond).min()
    }

    /// What is not live, each before everything that it refers to, until enough: first what
    /// nothing has needed for the longest time.
    fn dead(&self, live: &[bool], enough: Option<u64>) -> Vec<usize> {
        // What needed something last: what refers to it was registered after it. The order of
        // the rows says so, whatever the clock said.
        let mut needed: Vec<_> = (0..self.objects.len()).collect();
        for &(referrer, reference) in self.references.iter().rev() {
            if !live[referrer] {
                needed[reference] = needed[reference].max(needed[referrer]);
            }
        }
        let mut dead: Vec<_> = (0..self.objects.len()).filter(|&index| !live[index]).collect();
        dead.sort_by_key(|&index| (needed[index], Reverse(index)));
        let mut bytes = 0u64;
        let until_enough = dead.into_iter().take_while(|&index| {
            let more = enough.is_none_or(|enough| bytes < enough);
            bytes = bytes.saturating_add(self.objects[index].size);
            more
        });
        until_enough.collect()
    }
}
