//! What the database knows of objects: asking, and the rows of a new one.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    ffi::OsStr,
};

use hb_model::{FixedOutput, NodeDigest, StorePath};
use rusqlite::{Connection, OptionalExtension as _, Row, Transaction, params};

use crate::{
    clock::now_seconds,
    database::Database,
    error::{Result, StoreError},
    store::Store,
};

/// The metadata of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its path.
    pub path: StorePath,
    /// The digest of its tree, self-references as they stand.
    pub digest: NodeDigest,
    /// The bytes of its files and link targets.
    pub size: u64,
    /// The other objects that it refers to.
    pub references: BTreeSet<StorePath>,
    /// Whether it refers to itself.
    pub self_reference: bool,
    /// When it was registered: seconds since 1970.
    pub registered: i64,
    /// The declared hash that its path follows from, unless it is its content's.
    pub fixed: Option<FixedOutput>,
}

/// The row of an object, as it stands.
struct ObjectRow {
    id: i64,
    name: String,
    digest: [u8; 32],
    size: u64,
    self_reference: bool,
    registered: i64,
    fixed: Option<String>,
}

const COLUMNS: &str = "id, name, digest, size, self_reference, registered, fixed";

impl ObjectRow {
    fn read(row: &Row) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            name: row.get(1)?,
            digest: row.get(2)?,
            size: row.get(3)?,
            self_reference: row.get(4)?,
            registered: row.get(5)?,
            fixed: row.get(6)?,
        })
    }
}

impl Store {
    /// Whether an object is registered, here or in a lower store.
    pub fn contains(&self, path: &StorePath) -> Result<bool> {
        for database in self.databases() {
            if database.read(|connection| present_id(connection, path))?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// An object's metadata.
    pub fn info(&self, path: &StorePath) -> Result<Option<ObjectInfo>> {
        for database in self.databases() {
            if database.read(|connection| present_id(connection, path))?.is_some() {
                return info_in(database, path);
            }
        }
        Ok(None)
    }

    /// The bytes of all objects, those of lower stores included.
    pub(crate) fn total_size(&self) -> Result<u64> {
        let mut total = 0u64;
        for database in self.databases() {
            let size = database.read(|connection| {
                let sql = "SELECT coalesce(sum(size), 0) FROM objects WHERE NOT borrowed";
                connection.query_row(sql, [], |row| row.get(0))
            })?;
            total = total.saturating_add(size);
        }
        Ok(total)
    }

    /// The objects and all that they refer to, directly or not, each after everything
    /// that it refers to.
    pub fn closure(&self, paths: &[StorePath]) -> Result<Vec<StorePath>> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        // What is not found in one database is looked for in the next; each has all that
        // what it has refers to.
        let mut left = paths.to_vec();
        for database in self.databases() {
            for (path, is_borrowed) in closure_in(database, &left)? {
                if is_borrowed && !self.contains(&path)? {
                    return Err(StoreError::GoneBelow { path });
                }
                if seen.insert(path.clone()) {
                    found.push(path);
                }
            }
            left.retain(|path| !seen.contains(path));
            if left.is_empty() {
                return Ok(found);
            }
        }
        match left.into_iter().next() {
            Some(path) => Err(StoreError::NotInStore { path }),
            None => Ok(found),
        }
    }

    /// The objects that refer to one directly, itself not among them.
    pub fn referrers(&self, path: &StorePath) -> Result<BTreeSet<StorePath>> {
        let mut found = BTreeSet::new();
        for database in self.databases() {
            let names = database.read(|connection| {
                let sql = "
                    SELECT referring.name FROM objects AS target
                    JOIN refs ON reference = target.id
                    JOIN objects AS referring ON referring.id = referrer
                    WHERE target.name = ?1 AND NOT referring.borrowed";
                names(connection, sql, [path.base_name()])
            })?;
            found.extend(parse_all::<Vec<_>>(database, names)?);
        }
        Ok(found)
    }

    /// The objects of at least so many bytes, those of lower stores included, with their
    /// sizes; of each store what came in last is first.
    pub fn large_objects(&self, at_least: u64) -> Result<Vec<(StorePath, u64)>> {
        let sql = "
            SELECT name, size FROM objects WHERE size >= ?1 AND NOT borrowed ORDER BY id DESC";
        let mut all = Vec::new();
        for database in self.databases() {
            let found = database.read(|connection| {
                let row = |row: &Row| Ok((row.get(0)?, row.get(1)?));
                let mut statement = connection.prepare_cached(sql)?;
                let rows = statement.query_map([at_least], row)?;
                rows.collect::<rusqlite::Result<Vec<(String, u64)>>>()
            })?;
            for (name, size) in found {
                all.push((parse(database, &name)?, size));
            }
        }
        if !self.inner.lower.is_empty() {
            let mut seen = HashSet::new();
            all.retain(|(path, _)| seen.insert(path.clone()));
        }
        Ok(all)
    }

    /// All objects, those of lower stores included, each after everything that it refers to.
    pub fn list(&self) -> Result<Vec<StorePath>> {
        let mut all: Vec<StorePath> = Vec::new();
        for database in self.databases().rev() {
            all.extend(parse_all::<Vec<_>>(database, own_names(database)?)?);
        }
        if !self.inner.lower.is_empty() {
            let mut seen = HashSet::new();
            all.retain(|path| seen.insert(path.clone()));
        }
        Ok(all)
    }

    /// What was borrowed of lower stores and is in none any more.
    pub(crate) fn gone_below(&self) -> Result<Vec<StorePath>> {
        let database = &self.inner.database;
        let sql = "SELECT name FROM objects WHERE borrowed ORDER BY id";
        let borrowed = database.read(|connection| names(connection, sql, []))?;
        let mut gone = Vec::new();
        for path in parse_all::<Vec<_>>(database, borrowed)? {
            if self.below(&path)?.is_none() {
                gone.push(path);
            }
        }
        Ok(gone)
    }
}

/// What is registered of a new object.
pub(crate) struct NewObject<'a> {
    pub(crate) path: &'a StorePath,
    pub(crate) digest: NodeDigest,
    pub(crate) size: u64,
    pub(crate) references: &'a BTreeSet<StorePath>,
    pub(crate) self_reference: bool,
    pub(crate) fixed: Option<&'a FixedOutput>,
}

/// What the objects of one store are called, in the order of their rows.
pub(crate) fn own_names(database: &Database) -> Result<Vec<String>> {
    let sql = "SELECT name FROM objects WHERE NOT borrowed ORDER BY id";
    database.read(|connection| names(connection, sql, []))
}

/// What one database knows of an object, borrowed or not.
pub(crate) fn info_in(database: &Database, path: &StorePath) -> Result<Option<ObjectInfo>> {
    let found = database.read(|connection| {
        let sql = format!("SELECT {COLUMNS} FROM objects WHERE name = ?1");
        let row = connection
            .prepare_cached(&sql)?
            .query_row([path.base_name()], ObjectRow::read)
            .optional()?;
        row.map(|row| Ok((references_of(connection, row.id)?, row))).transpose()
    })?;
    found.map(|(references, row)| assemble(database, row, references)).transpose()
}

/// What one database knows of some objects, borrowed or not, and all that they refer to:
/// each after everything that it refers to, and whether it is borrowed.
pub(crate) fn closure_in(
    database: &Database,
    paths: &[StorePath],
) -> Result<Vec<(StorePath, bool)>> {
    // Walked here: for a recursive question the database makes tables of its own, which takes
    // longer than all else if little is reached.
    let reached = database.moment()?.read(|connection| {
        let mut reached: BTreeMap<i64, (String, bool)> = BTreeMap::new();
        for path in paths {
            if let Some((id, _, is_borrowed)) = row_of(connection, path)? {
                reached.insert(id, (path.base_name(), is_borrowed));
            }
        }
        let mut referred_to = connection.prepare_cached(
            "SELECT id, name, borrowed FROM refs JOIN objects ON id = reference
             WHERE referrer = ?1",
        )?;
        let columns = |row: &Row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)));
        let mut to_follow: Vec<i64> = reached.keys().copied().collect();
        while let Some(referrer) = to_follow.pop() {
            for object in referred_to.query_map([referrer], columns)? {
                let (id, object) = object?;
                if reached.insert(id, object).is_none() {
                    to_follow.push(id);
                }
            }
        }
        Ok(reached)
    })?;
    // An object has a higher number than what it refers to.
    reached
        .into_values()
        .map(|(name, is_borrowed)| Ok((parse(database, &name)?, is_borrowed)))
        .collect()
}

/// The row and the digest of an object that is registered in this database.
pub(crate) fn registered(
    connection: &Connection,
    path: &StorePath,
) -> rusqlite::Result<Option<(i64, NodeDigest)>> {
    Ok(row_of(connection, path)?.filter(|row| !row.2).map(|(id, digest, _)| (id, digest)))
}

/// The row of an object in this database, its digest, and whether it is borrowed.
pub(crate) fn row_of(
    connection: &Connection,
    path: &StorePath,
) -> rusqlite::Result<Option<(i64, NodeDigest, bool)>> {
    connection
        .prepare_cached("SELECT id, digest, borrowed FROM objects WHERE name = ?1")?
        .query_row([path.base_name()], |row| {
            Ok((row.get(0)?, NodeDigest::from_bytes(row.get(1)?), row.get(2)?))
        })
        .optional()
}

/// Whether an entry of the object folder is registered.
pub(crate) fn is_registered(connection: &Connection, entry: &OsStr) -> rusqlite::Result<bool> {
    let path = entry.to_str().and_then(|name| StorePath::from_base_name(name).ok());
    path.map_or(Ok(None), |path| present_id(connection, &path)).map(|id| id.is_some())
}

/// Write the rows of an object that is not registered; its references must be, here or in a
/// lower store.
pub(crate) fn register(store: &Store, transaction: &Transaction, object: &NewObject) -> Result<()> {
    let error = |error| store.inner.database.error(error);
    if take_over(transaction, object).map_err(error)? {
        return Ok(());
    }
    let mut references = Vec::with_capacity(object.references.len());
    for reference in object.references {
        let id = store.row(transaction, reference)?;
        references.push(id.ok_or_else(|| StoreError::MissingReference {
            path: object.path.clone(),
            reference: reference.clone(),
        })?);
    }
    insert(transaction, object, &references).map_err(error)
}

/// The row of an object that was borrowed, of the same content, becomes this store's own.
fn take_over(transaction: &Transaction, object: &NewObject) -> rusqlite::Result<bool> {
    let sql = "UPDATE objects SET borrowed = 0, registered = ?3 WHERE name = ?1 AND digest = ?2";
    let values = params![object.path.base_name(), object.digest.as_bytes(), now_seconds()];
    Ok(transaction.prepare_cached(sql)?.execute(values)? > 0)
}

fn insert(
    transaction: &Transaction,
    object: &NewObject,
    references: &[i64],
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO objects (name, digest, size, self_reference, registered, fixed)
               VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    transaction.prepare_cached(sql)?.execute(params![
        object.path.base_name(),
        object.digest.as_bytes(),
        object.size as i64,
        object.self_reference,
        now_seconds(),
        object.fixed.map(ToString::to_string),
    ])?;
    let id = transaction.last_insert_rowid();
    let mut add = transaction.prepare_cached("INSERT INTO refs VALUES (?1, ?2)")?;
    for reference in references {
        add.execute([id, *reference])?;
    }
    Ok(())
}

/// The row of an object that is registered in this database.
pub(crate) fn present_id(
    connection: &Connection,
    path: &StorePath,
) -> rusqlite::Result<Option<i64>> {
    Ok(registered(connection, path)?.map(|(id, _)| id))
}

/// The row of an object in this database, borrowed or not.
pub(crate) fn id_of(connection: &Connection, path: &StorePath) -> rusqlite::Result<Option<i64>> {
    Ok(row_of(connection, path)?.map(|(id, ..)| id))
}

fn references_of(connection: &Connection, id: i64) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name FROM refs JOIN objects ON id = reference WHERE referrer = ?1";
    names(connection, sql, [id])
}

fn assemble(database: &Database, row: ObjectRow, references: Vec<String>) -> Result<ObjectInfo> {
    let fixed = |text: String| {
        text.parse().map_err(|()| database.damaged(format!("an object has the hash '{text}'")))
    };
    Ok(ObjectInfo {
        path: parse(database, &row.name)?,
        digest: NodeDigest::from_bytes(row.digest),
        size: row.size,
        references: parse_all(database, references)?,
        self_reference: row.self_reference,
        registered: row.registered,
        fixed: row.fixed.map(fixed).transpose()?,
    })
}

pub(crate) fn names(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<Vec<String>> {
    connection.prepare_cached(sql)?.query_map(parameters, |row| row.get(0))?.collect()
}

pub(crate) fn parse(database: &Database, name: &str) -> Result<StorePath> {
    StorePath::from_base_name(name).map_err(|error| database.damaged(error.to_string()))
}

pub(crate) fn parse_all<C: FromIterator<StorePath>>(
    database: &Database,
    names: Vec<String>,
) -> Result<C> {
    names.iter().map(|name| parse(database, name)).collect()
}
