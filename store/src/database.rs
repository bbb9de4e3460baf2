//! The database of metadata: opening it, its format, and transactions.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior, config::DbConfig};
use rustix::fs::Access;

use crate::{
    error::{Result, StoreError, database},
    store::{Durability, OpenMode},
};

/// The format written here, in SQLite's `user_version`.
const FORMAT: u32 = 5;

/// `hbst`, in SQLite's `application_id`: this database is one of ours.
const APPLICATION: u32 = 0x6862_7374;

/// How long to wait for another process's transaction: they last milliseconds, except
/// where a disk flushes slowly or gc removes very much.
const BUSY_TIMEOUT: Duration = Duration::from_secs(120);

const READ_ONLY: OpenFlags =
    OpenFlags::SQLITE_OPEN_READ_ONLY.union(OpenFlags::SQLITE_OPEN_NO_MUTEX);

/// Enough for the statements of one build at a time.
const STATEMENT_CACHE: usize = 64;

const SCHEMA: &str = "
CREATE TABLE objects (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    self_reference INTEGER NOT NULL,
    registered INTEGER NOT NULL,
    fixed TEXT,
    borrowed INTEGER NOT NULL DEFAULT 0,
    shared INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE refs (
    referrer INTEGER NOT NULL REFERENCES objects (id) ON DELETE CASCADE,
    reference INTEGER NOT NULL REFERENCES objects (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (referrer, reference)
) STRICT, WITHOUT ROWID;
CREATE INDEX refs_by_reference ON refs (reference);
CREATE TABLE realisations (
    resolved BLOB NOT NULL,
    output TEXT NOT NULL,
    object INTEGER NOT NULL REFERENCES objects (id) ON DELETE CASCADE,
    isolation TEXT NOT NULL,
    builder TEXT NOT NULL,
    origin TEXT NOT NULL,
    derivation INTEGER REFERENCES objects (id) ON DELETE SET NULL,
    PRIMARY KEY (resolved, output)
) STRICT, WITHOUT ROWID;
CREATE INDEX realisations_by_object ON realisations (object);
CREATE INDEX realisations_by_derivation ON realisations (derivation);
CREATE TABLE outcomes (
    resolved BLOB NOT NULL,
    output TEXT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (resolved, output)
) STRICT, WITHOUT ROWID;
CREATE TABLE sources (
    fingerprint BLOB NOT NULL PRIMARY KEY,
    object INTEGER NOT NULL REFERENCES objects (id) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX sources_by_object ON sources (object);
";

/// What makes a database of format 1 one of format 2. Its `derivation`s were never written.
const FROM_1_TO_2: &str = "
DROP INDEX realisations_by_derivation;
ALTER TABLE objects DROP COLUMN derivation;
ALTER TABLE realisations DROP COLUMN derivation;
ALTER TABLE realisations
    ADD COLUMN derivation INTEGER REFERENCES objects (id) ON DELETE SET NULL;
CREATE INDEX realisations_by_derivation ON realisations (derivation);
";

/// What came with format 3.
const SIGNATURES: &str = "
CREATE TABLE signatures (
    resolved BLOB NOT NULL,
    output TEXT NOT NULL,
    key TEXT NOT NULL,
    signature TEXT NOT NULL,
    PRIMARY KEY (resolved, output, key),
    FOREIGN KEY (resolved, output) REFERENCES realisations ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
";

/// What makes a database of format 2 one of format 3, but for what came with it. Objects
/// that are there already keep nothing of the hash that was declared for them.
const FROM_2_TO_3: &str = "ALTER TABLE objects ADD COLUMN fixed TEXT;";

/// What makes a database of format 3 one of format 4. Nothing was borrowed before.
const FROM_3_TO_4: &str = "ALTER TABLE objects ADD COLUMN borrowed INTEGER NOT NULL DEFAULT 0;";

/// What makes a database of format 4 one of format 5, but for what came with it.
const FROM_4_TO_5: &str = "ALTER TABLE objects ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;";

/// What came with format 5.
const FILES: &str = "
CREATE TABLE files (
    digest BLOB NOT NULL,
    executable INTEGER NOT NULL,
    object INTEGER NOT NULL REFERENCES objects (id) ON DELETE CASCADE,
    place BLOB NOT NULL,
    PRIMARY KEY (digest, executable)
) STRICT, WITHOUT ROWID;
CREATE INDEX files_by_object ON files (object);
";

/// What leads from each older format to the next; the first leads from format 1.
const MIGRATIONS: [&[&str]; FORMAT as usize - 1] =
    [&[FROM_1_TO_2], &[FROM_2_TO_3, SIGNATURES], &[FROM_3_TO_4], &[FROM_4_TO_5, FILES]];

/// One connection, used by one thread at a time.
#[derive(Debug)]
pub(crate) struct Database {
    connection: Mutex<Connection>,
    path: PathBuf,
}

impl Database {
    /// Open the database; in writing mode it is made if it is missing. The caller
    /// sees to it that only one process at a time does that.
    pub(crate) fn open(path: &Path, mode: OpenMode, durability: Durability) -> Result<Self> {
        let connection = match mode {
            OpenMode::Write => open_for_writing(path, durability),
            OpenMode::Read => open_for_reading(path),
        };
        Self::opened(path, mode, connection)
    }

    /// Open the database of a lower store: nothing at all is written, and so a log cannot
    /// be read.
    pub(crate) fn open_below(path: &Path) -> Result<Self> {
        if has_log(path) {
            return Err(StoreError::UnfinishedLog { path: path.to_owned() });
        }
        Self::opened(path, OpenMode::Read, open_unchanging(path))
    }

    fn opened(
        path: &Path,
        mode: OpenMode,
        connection: rusqlite::Result<Connection>,
    ) -> Result<Self> {
        let connection = connection.map_err(|error| database(path, error))?;
        let opened = Self { connection: Mutex::new(connection), path: path.to_owned() };
        opened.check_format(mode)?;
        Ok(opened)
    }

    fn check_format(&self, mode: OpenMode) -> Result<()> {
        let (application, format, tables) = self.read(|connection| {
            let pragma = |name| connection.pragma_query_value(None, name, |row| row.get(0));
            let count = "SELECT count(*) FROM sqlite_schema";
            let tables: u32 = connection.query_row(count, [], |row| row.get(0))?;
            let application: u32 = pragma("application_id")?;
            Ok((application, pragma("user_version")?, tables))
        })?;
        let path = || self.path.clone();
        match (application, format) {
            (APPLICATION, FORMAT) => Ok(()),
            (APPLICATION, found) if found > FORMAT => {
                Err(StoreError::NewerFormat { path: path(), found, known: FORMAT })
            }
            (0, 0) if tables == 0 && mode == OpenMode::Write => self.create(),
            (0, 0) if tables == 0 => {
                Err(StoreError::DamagedDatabase { path: path(), detail: "it is empty".into() })
            }
            (APPLICATION, found @ 1..FORMAT) => match mode {
                OpenMode::Write => self.migrate(found),
                OpenMode::Read => {
                    Err(StoreError::OlderFormat { path: path(), found, known: FORMAT })
                }
            },
            (APPLICATION, found) => Err(StoreError::DamagedDatabase {
                path: path(),
                detail: format!("no hb wrote the format {found}"),
            }),
            _ => Err(StoreError::ForeignDatabase { path: path() }),
        }
    }

    fn create(&self) -> Result<()> {
        self.write(|transaction| {
            transaction.execute_batch(SCHEMA)?;
            transaction.execute_batch(SIGNATURES)?;
            transaction.execute_batch(FILES)?;
            transaction.pragma_update(None, "application_id", APPLICATION)?;
            transaction.pragma_update(None, "user_version", FORMAT)
        })
    }

    /// Bring a database of an older format up to date, all the way or not at all.
    fn migrate(&self, found: u32) -> Result<()> {
        self.write(|transaction| {
            let mut steps = MIGRATIONS[found as usize - 1..].iter().copied().flatten();
            steps.try_for_each(|step| transaction.execute_batch(step))?;
            transaction.pragma_update(None, "user_version", FORMAT)
        })
    }

    /// Ask something.
    pub(crate) fn read<T>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        ask(&self.connection()).map_err(|error| self.error(error))
    }

    /// The database as it is now, to ask many things of: each costs less than by itself.
    pub(crate) fn moment(&self) -> Result<Moment<'_>> {
        let connection = self.connection();
        let begun = connection.prepare_cached("BEGIN").and_then(|mut begin| begin.execute([]));
        begun.map_err(|error| self.error(error))?;
        Ok(Moment { database: self, connection })
    }

    /// Change something under the write lock; all of it or nothing.
    pub(crate) fn write<T>(
        &self,
        change: impl FnOnce(&Transaction) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.transact(|transaction| change(transaction).map_err(|error| self.error(error)))
    }

    /// The same for a change that can fail in other ways than the database's.
    pub(crate) fn transact<T>(&self, change: impl FnOnce(&Transaction) -> Result<T>) -> Result<T> {
        let mut connection = self.connection();
        let transaction = connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(|error| self.error(error))?;
        let outcome = change(&transaction)?;
        transaction.commit().map_err(|error| self.error(error))?;
        Ok(outcome)
    }

    pub(crate) fn error(&self, error: rusqlite::Error) -> StoreError {
        database(&self.path, error)
    }

    /// A row holds what no hb would have written.
    pub(crate) fn damaged(&self, detail: impl Into<String>) -> StoreError {
        StoreError::DamagedDatabase { path: self.path.clone(), detail: detail.into() }
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A database as it is at one moment. Nobody else can use it meanwhile.
#[derive(Debug)]
pub(crate) struct Moment<'a> {
    database: &'a Database,
    connection: MutexGuard<'a, Connection>,
}

impl<'a> Moment<'a> {
    /// Ask something.
    pub(crate) fn read<T>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T> {
        ask(&self.connection).map_err(|error| self.database.error(error))
    }

    /// Which database.
    pub(crate) fn database(&self) -> &'a Database {
        self.database
    }
}

impl Drop for Moment<'_> {
    fn drop(&mut self) {
        // Nothing was written, so that there is nothing to lose.
        let _ = self.connection.prepare_cached("COMMIT").and_then(|mut end| end.execute([]));
    }
}

fn open_for_writing(path: &Path, durability: Durability) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    prepare(&connection)?;
    let mode: String =
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    debug_assert_eq!(mode, "wal");
    let synchronous = match durability {
        Durability::Full => "FULL",
        Durability::Relaxed => "OFF",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Where the folder cannot be written, SQLite cannot make the file through which readers
/// and writers of a write-ahead log agree. Unless a writer has left one, the file is
/// complete by itself, and is read as one that nobody changes.
fn open_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let writable = rustix::fs::access(folder, Access::WRITE_OK).is_ok();
    if !writable && !has_log(path) {
        return open_unchanging(path);
    }
    let connection = Connection::open_with_flags(path, READ_ONLY)?;
    prepare(&connection)?;
    Ok(connection)
}

/// Open what nobody changes: nothing is written, and no lock is taken.
fn open_unchanging(path: &Path) -> rusqlite::Result<Connection> {
    let uri = format!("file:{}?immutable=1", percent_encoded(path));
    let flags = READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(uri, flags)?;
    prepare(&connection)?;
    Ok(connection)
}

/// Whether something is in the write-ahead log that the file itself may lack.
fn has_log(path: &Path) -> bool {
    fs::metadata(path.with_extension("sqlite-wal")).is_ok_and(|log| log.len() > 0)
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
    // Else a statement is planned anew for each value that it is given.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn percent_encoded(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    bytes
        .iter()
        .map(|&byte| if plain(byte) { char::from(byte).into() } else { format!("%{byte:02X}") })
        .collect()
}
