-- A database of format 1, with one object that one derivation gave.

PRAGMA application_id = 0x68627374;
PRAGMA user_version = 1;

CREATE TABLE objects (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    digest BLOB NOT NULL,
    size INTEGER NOT NULL,
    self_reference INTEGER NOT NULL,
    derivation TEXT,
    registered INTEGER NOT NULL
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
    derivation TEXT,
    isolation TEXT NOT NULL,
    builder TEXT NOT NULL,
    origin TEXT NOT NULL,
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

INSERT INTO objects VALUES
    (1, '00000000000000000000000000000000-a', zeroblob(32), 1, 0, NULL, 1);
INSERT INTO realisations VALUES
    (zeroblob(32), 'out', 1, NULL, 'filtered', 'hb 0.1.0', 'local');
INSERT INTO outcomes VALUES (zeroblob(32), 'out', '00000000000000000000000000000000-a');
