//! What resolved derivations turned out to make.

use std::collections::{BTreeSet, HashSet};

use hb_model::{
    OutputName, Realisation, RealisationKey, ResolvedId, SecretKey, Signature, Signed, StorePath,
};
use rusqlite::{OptionalExtension as _, Row, Transaction, params};

use crate::{
    database::{Database, Moment},
    error::{Result, StoreError},
    objects::{info_in, parse, row_of},
    store::Store,
};

/// Who found a realisation out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A build in this store.
    Local,
    /// Another store that is trusted.
    Foreign,
}

impl Origin {
    fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Foreign => "foreign",
        }
    }
}

/// A realisation as this store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// What was built, and what came out.
    pub realisation: Realisation,
    /// The object of the derivation as evaluated, if it was recorded and is still there.
    pub derivation: Option<StorePath>,
    /// Who found it out.
    pub origin: Origin,
    /// Who signed it, where another store found it out.
    pub signatures: Vec<Signature>,
}

impl Recorded {
    /// The realisation with all signatures that there are: those that came with it, or, of
    /// one that this store found out itself, that of `key`.
    pub fn signed(self, key: Option<&SecretKey>) -> Signed {
        let Self { realisation, origin, mut signatures, .. } = self;
        let own = key.filter(|_| origin == Origin::Local).map(|key| key.sign(&realisation));
        signatures.extend(own);
        Signed { realisation, signatures }
    }
}

/// A row, joined with its object.
struct RealisationRow {
    resolved: [u8; 32],
    output: String,
    name: String,
    derivation: Option<String>,
    isolation: String,
    builder: String,
    origin: String,
}

const SELECT: &str = "
    SELECT resolved, output, objects.name, givers.name, isolation, builder, origin
    FROM realisations JOIN objects ON objects.id = object
    LEFT JOIN objects AS givers ON givers.id = derivation";

impl RealisationRow {
    fn read(row: &Row) -> rusqlite::Result<Self> {
        Ok(Self {
            resolved: row.get(0)?,
            output: row.get(1)?,
            name: row.get(2)?,
            derivation: row.get(3)?,
            isolation: row.get(4)?,
            builder: row.get(5)?,
            origin: row.get(6)?,
        })
    }
}

impl Store {
    /// The realisation recorded for a key. Its object is registered; [`Store::hold`] it
    /// before relying on that.
    pub fn realisation(&self, key: &RealisationKey) -> Result<Option<Recorded>> {
        for database in self.databases() {
            if let Some(found) = realisation_in(database, key)?
                && (self.inner.lower.is_empty() || self.contains(&found.realisation.path)?)
            {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The path that came out for a key when it was last built, whether or not the object
    /// is still there: what else follows from it can be known without building it again.
    pub fn outcome(&self, key: &RealisationKey) -> Result<Option<StorePath>> {
        let outcomes = self.outcomes()?;
        outcomes.of(key)
    }

    /// All of these, as of one moment. This store cannot be asked anything else meanwhile.
    pub fn outcomes(&self) -> Result<Outcomes<'_>> {
        Ok(Outcomes(self.databases().map(Database::moment).collect::<Result<_>>()?))
    }

    /// What is known to have come out as an object, recorded with it or not.
    pub(crate) fn keys_of(&self, path: &StorePath) -> Result<Vec<RealisationKey>> {
        let database = &self.inner.database;
        let rows: Vec<([u8; 32], String)> = database.read(|connection| {
            connection
                .prepare_cached("SELECT resolved, output FROM outcomes WHERE name = ?1")?
                .query_map([path.base_name()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        })?;
        let key = |(resolved, output): ([u8; 32], String)| {
            let output = OutputName::new(&output)
                .map_err(|_| database.damaged(format!("an outcome has the output '{output}'")))?;
            Ok(RealisationKey { resolved: ResolvedId::from_bytes(resolved), output })
        };
        rows.into_iter().map(key).collect()
    }

    /// The realisations that came out as an object.
    pub fn realisations_of(&self, path: &StorePath) -> Result<Vec<Recorded>> {
        self.realisations("objects.name", path)
    }

    /// The realisations of a derivation, by its object.
    pub fn realisations_by_derivation(&self, derivation: &StorePath) -> Result<Vec<Recorded>> {
        self.realisations("givers.name", derivation)
    }

    /// Of each key what this store knows, or else the first lower one that knows of it.
    fn realisations(&self, column: &str, path: &StorePath) -> Result<Vec<Recorded>> {
        let mut found = Vec::new();
        let mut seen = HashSet::new();
        for database in self.databases() {
            let rows: Vec<_> = database.read(|connection| {
                let sql = format!("{SELECT} WHERE {column} = ?1 ORDER BY resolved, output");
                connection
                    .prepare_cached(&sql)?
                    .query_map([path.base_name()], RealisationRow::read)?
                    .collect()
            })?;
            for row in rows {
                if let Some(recorded) = assemble(database, row)?
                    && seen.insert(recorded.realisation.key.clone())
                {
                    found.push(recorded);
                }
            }
        }
        Ok(found)
    }

    /// Record what others found out, of objects that are here. One that this store found out
    /// itself counts more.
    pub fn record_foreign(&self, builds: Vec<(Signed, Option<StorePath>)>) -> Result<()> {
        self.writer()?;
        self.inner.database.transact(|transaction| {
            builds.into_iter().try_for_each(|(signed, derivation)| {
                let Signed { realisation, signatures } = signed;
                let origin = Origin::Foreign;
                let recorded = Recorded { realisation, derivation, origin, signatures };
                self.record(transaction, &recorded)
            })
        })
    }

    /// Record again what was forgotten.
    pub(crate) fn record_again(&self, builds: &[Recorded]) -> Result<()> {
        self.writer()?;
        self.inner.database.transact(|transaction| {
            builds.iter().try_for_each(|recorded| self.record(transaction, recorded))
        })
    }

    /// Remember what came out elsewhere, where this store knows nothing of it; the objects
    /// need not be here. So what follows from them can be known.
    pub fn remember_outcomes(&self, outcomes: &[(RealisationKey, StorePath)]) -> Result<()> {
        self.writer()?;
        let database = &self.inner.database;
        database.transact(|transaction| {
            let write = || {
                let sql =
                    "INSERT OR IGNORE INTO outcomes (resolved, output, name) VALUES (?1, ?2, ?3)";
                let mut add = transaction.prepare_cached(sql)?;
                for (key, path) in outcomes {
                    let name = path.base_name();
                    add.execute(params![key.resolved.as_bytes(), key.output.as_str(), name])?;
                }
                Ok(())
            };
            write().map_err(|error| database.error(error))
        })
    }

    /// Write a realisation's row, unless one that counts more is there.
    pub(crate) fn record(&self, transaction: &Transaction, recorded: &Recorded) -> Result<()> {
        let database = &self.inner.database;
        let Realisation { key, path, digest, .. } = &recorded.realisation;
        if self.counts_below(key, recorded.origin)? {
            return Ok(());
        }
        let missing = |path: &StorePath| StoreError::NotInStore { path: path.clone() };
        self.row(transaction, path)?;
        let object = row_of(transaction, path).map_err(|error| database.error(error))?;
        let (object, registered, _) = object.ok_or_else(|| missing(path))?;
        if registered != *digest {
            return Err(StoreError::TwoDigests { path: path.clone(), registered, got: *digest });
        }
        let giver = |giver| self.row(transaction, giver)?.ok_or_else(|| missing(giver));
        let derivation = recorded.derivation.as_ref().map(giver).transpose()?;
        write(database, transaction, recorded, object, derivation)
    }

    /// Whether a lower store knows what a key gave, and that counts more than what one of
    /// this origin says.
    fn counts_below(&self, key: &RealisationKey, origin: Origin) -> Result<bool> {
        for lower in &self.inner.lower {
            if let Some(known) = realisation_in(&lower.database, key)?
                && (known.origin == Origin::Local || origin == Origin::Foreign)
                && self.digest_below(&known.realisation.path)?.is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What came out when it was last built, as of one moment.
#[derive(Debug)]
pub struct Outcomes<'a>(Vec<Moment<'a>>);

impl Outcomes<'_> {
    /// The path that came out for a key, as [`Store::outcome`] gives it.
    pub fn of(&self, key: &RealisationKey) -> Result<Option<StorePath>> {
        for moment in &self.0 {
            let name: Option<String> = moment.read(|connection| {
                let sql = "SELECT name FROM outcomes WHERE resolved = ?1 AND output = ?2";
                let values = params![key.resolved.as_bytes(), key.output.as_str()];
                connection.prepare_cached(sql)?.query_row(values, |row| row.get(0)).optional()
            })?;
            if let Some(name) = name {
                return parse(moment.database(), &name).map(Some);
            }
        }
        Ok(None)
    }
}

fn realisation_in(database: &Database, key: &RealisationKey) -> Result<Option<Recorded>> {
    let row = database.read(|connection| {
        let values = params![key.resolved.as_bytes(), key.output.as_str()];
        connection
            .prepare_cached(&format!("{SELECT} WHERE resolved = ?1 AND output = ?2"))?
            .query_row(values, RealisationRow::read)
            .optional()
    })?;
    row.map_or(Ok(None), |row| assemble(database, row))
}

/// `None` if the object has gone since its row was read.
fn assemble(database: &Database, row: RealisationRow) -> Result<Option<Recorded>> {
    let damaged = |what: &str| database.damaged(format!("a realisation has the {what}"));
    let path = parse(database, &row.name)?;
    let Some(info) = info_in(database, &path)? else { return Ok(None) };
    let own = info.self_reference.then(|| path.clone());
    let realisation = Realisation {
        key: RealisationKey {
            resolved: ResolvedId::from_bytes(row.resolved),
            output: OutputName::new(&row.output)
                .map_err(|_| damaged(&format!("output '{}'", row.output)))?,
        },
        path,
        digest: info.digest,
        references: info.references.into_iter().chain(own).collect::<BTreeSet<_>>(),
        isolation: row
            .isolation
            .parse()
            .map_err(|()| damaged(&format!("isolation '{}'", row.isolation)))?,
        builder: row.builder,
    };
    let derivation = row.derivation.map(|name| parse(database, &name)).transpose()?;
    let origin = [Origin::Local, Origin::Foreign]
        .into_iter()
        .find(|origin| origin.as_str() == row.origin)
        .ok_or_else(|| damaged(&format!("origin '{}'", row.origin)))?;
    let signatures = signatures(database, &realisation.key)?;
    Ok(Some(Recorded { realisation, derivation, origin, signatures }))
}

fn signatures(database: &Database, key: &RealisationKey) -> Result<Vec<Signature>> {
    let texts: Vec<String> = database.read(|connection| {
        let sql =
            "SELECT signature FROM signatures WHERE resolved = ?1 AND output = ?2 ORDER BY key";
        connection
            .prepare_cached(sql)?
            .query_map(params![key.resolved.as_bytes(), key.output.as_str()], |row| row.get(0))?
            .collect()
    })?;
    let damaged = |text: &str| database.damaged(format!("the signature '{text}' is none"));
    texts.iter().map(|text| text.parse().map_err(|_| damaged(text))).collect()
}

/// The rows of a realisation, that of its object, and perhaps that of its derivation.
fn write(
    database: &Database,
    transaction: &Transaction,
    recorded: &Recorded,
    object: i64,
    derivation: Option<i64>,
) -> Result<()> {
    let Realisation { key, isolation, builder, .. } = &recorded.realisation;
    let write = || {
        let sql = "
            INSERT INTO realisations
                (resolved, output, object, derivation, isolation, builder, origin)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
            ON CONFLICT DO UPDATE SET
                object = excluded.object, derivation = excluded.derivation,
                isolation = excluded.isolation, builder = excluded.builder,
                origin = excluded.origin
            WHERE (origin = 'foreign' AND excluded.origin = 'local')
                OR (derivation IS NULL AND object = excluded.object AND origin = excluded.origin)";
        transaction.prepare_cached(sql)?.execute(params![
            key.resolved.as_bytes(),
            key.output.as_str(),
            object,
            derivation,
            isolation.as_str(),
            builder,
            recorded.origin.as_str(),
        ])?;
        // Outlives the object, and follows the row above in which one counts.
        let sql = "
            INSERT OR REPLACE INTO outcomes
            SELECT resolved, output, name FROM realisations JOIN objects ON id = object
            WHERE resolved = ?1 AND output = ?2";
        transaction
            .prepare_cached(sql)?
            .execute(params![key.resolved.as_bytes(), key.output.as_str()])?;
        // They say something of this object; what is recorded may be another one.
        let sql = "
            INSERT OR REPLACE INTO signatures SELECT resolved, output, ?3, ?4 FROM realisations
            WHERE resolved = ?1 AND output = ?2 AND object = ?5 AND origin = 'foreign'";
        let mut add = transaction.prepare_cached(sql)?;
        for signature in &recorded.signatures {
            let (name, text) = (signature.key().as_str(), signature.to_string());
            add.execute(params![key.resolved.as_bytes(), key.output.as_str(), name, text, object])?;
        }
        Ok(())
    };
    write().map_err(|error| database.error(error))
}
