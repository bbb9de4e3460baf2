//! A store whose database somebody has damaged: bytes of the file, or values in it that no
//! hb would have written. Whatever is asked of the store, it answers or gives an error.
#![no_main]

use std::{collections::BTreeSet, fs, path::Path, sync::OnceLock};

use hb_fuzz::Yard;
use hb_model::{
    Derivation, Isolation, KeyName, Limits, OutputName, Outputs, ResolvedId, SecretKey, StoreName,
    StorePath,
};
use hb_store::{Built, BuiltOutput, Durability, GcOptions, OpenMode, Store, VerifyOptions};
use libfuzzer_sys::fuzz_target;
use rusqlite::{Connection, types::Value};

/// The columns that are written to, by table.
const COLUMNS: [(&str, &[&str]); 6] = [
    ("objects", &["name", "digest", "size", "self_reference", "registered", "fixed"]),
    ("refs", &["referrer", "reference"]),
    (
        "realisations",
        &["resolved", "output", "object", "isolation", "builder", "origin", "derivation"],
    ),
    ("outcomes", &["resolved", "output", "name"]),
    ("sources", &["fingerprint", "object"]),
    ("signatures", &["resolved", "output", "key", "signature"]),
];

/// The bytes of a good database.
fn good() -> &'static [u8] {
    static GOOD: OnceLock<Vec<u8>> = OnceLock::new();
    GOOD.get_or_init(|| {
        let yard = Yard::new(&[("source/file", b"text"), ("made", b"made")]);
        let root = yard.path().join("store");
        let store = Store::open_with(&root, OpenMode::Write, Durability::Relaxed).expect("a store");
        fill(&store, yard.path());
        drop(store);
        let database = Connection::open(root.join("db.sqlite")).expect("the database");
        database.pragma_update(None, "journal_mode", "DELETE").expect("without a log");
        drop(database);
        fs::read(root.join("db.sqlite")).expect("the file")
    })
}

fn fill(store: &Store, folder: &Path) {
    let name = |text: &str| StoreName::new(text).expect("a name");
    let source = store.add_tree(&folder.join("inputs/source"), &name("source"), None);
    let source = source.expect("a source");
    let below = store.add_file(&name("below"), b"x", true, &[source].into()).expect("a file");
    let derivation = Derivation {
        name: name("made"),
        system: "builtin".into(),
        root: None,
        builder: "builtin:root-1".into(),
        args: vec![],
        env: [].into(),
        files: [].into(),
        attrs: None,
        closure_info: [].into(),
        runtime_root: None,
        inputs: Default::default(),
        outputs: Outputs::Floating(vec![OutputName::out()].into()),
        limits: Limits::default(),
    };
    let id = derivation.id();
    let stored = store.add_derivations([(&id, &derivation)].into_iter()).expect("a derivation");
    let resolved = ResolvedId::from_bytes([7; 32]);
    let scratch = StorePath::scratch(&resolved, &OutputName::out(), name("made"), 0);
    let output = BuiltOutput { at: folder.join("inputs/made"), scratch };
    let built = Built {
        resolved,
        derivation: stored.get(&id).cloned(),
        outputs: [(OutputName::out(), output)].into(),
        fixed: None,
        candidates: [below.clone()].into(),
        implied_references: [below].into(),
        isolation: Isolation::Filtered,
        builder: "hb".into(),
    };
    let made = store.publish(&built).expect("published");
    let key = SecretKey::from_seed(KeyName::new("key-1").expect("a name"), &[1; 32]);
    let roots: Vec<_> = made.values().map(|realisation| realisation.path.clone()).collect();
    let options = hb_store::ExportOptions { derivations: true, sign_with: Some(&key) };
    let mut stream = Vec::new();
    store.export(&roots, options, &mut stream, Path::new("-")).expect("an export");
    store.import(&stream[..], hb_store::Believe::Everything).expect("an import");
}

/// Overwrites bytes: two for the place, one for the value, again and again.
fn damage_bytes(database: &mut [u8], input: &[u8]) {
    for damage in input.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([damage[0], damage[1]])) * 4 % database.len();
        database[at] = damage[2];
    }
}

/// Overwrites values: table, column, row, kind, and the value's length and bytes.
fn damage_values(database: &Connection, mut input: &[u8]) {
    database.pragma_update(None, "foreign_keys", false).expect("a setting");
    while let [table, column, row, kind, length, rest @ ..] = input {
        let (table, columns) = COLUMNS[usize::from(*table) % COLUMNS.len()];
        let column = columns[usize::from(*column) % columns.len()];
        let (value, rest) = rest.split_at(rest.len().min(usize::from(*length)));
        input = rest;
        let mut number = [0; 8];
        number[..value.len().min(8)].copy_from_slice(&value[..value.len().min(8)]);
        let value = match kind % 4 {
            0 => Value::Null,
            1 => Value::Integer(i64::from_le_bytes(number)),
            2 => Value::Text(String::from_utf8_lossy(value).into_owned()),
            _ => Value::Blob(value.to_vec()),
        };
        let key = if matches!(table, "objects") { "id" } else { columns[0] };
        let sql = format!(
            "UPDATE {table} SET {column} = ?1 WHERE {key} IN \
             (SELECT {key} FROM {table} ORDER BY 1 LIMIT 1 OFFSET ?2)"
        );
        // Values of another type than the column's are refused.
        let _ = database.execute(&sql, rusqlite::params![value, row % 4]);
    }
}

fn ask_everything(store: &Store) {
    let paths: BTreeSet<_> = store.list().unwrap_or_default().into_iter().collect();
    for path in &paths {
        let _ =
            (store.info(path), store.closure(std::slice::from_ref(path)), store.referrers(path));
        let _ = (store.derivations_of(path), store.derivation(path), store.logs_of(path));
        let _ = (store.realisations_of(path), store.realisations_by_derivation(path));
        let _ = store.export(
            std::slice::from_ref(path),
            hb_store::ExportOptions { derivations: true, sign_with: None },
            std::io::sink(),
            Path::new("-"),
        );
    }
    let _ = store.verify(VerifyOptions { contents: true }, &|_| {});
    let _ = store.roots();
}

fuzz_target!(|input: &[u8]| {
    let Some((how, input)) = input.split_first() else { return };
    let yard = Yard::new(&[]);
    let root = yard.path().join("store");
    fs::create_dir(&root).expect("a folder");
    let file = root.join("db.sqlite");
    let mut database = good().to_vec();
    if how % 2 == 0 {
        damage_bytes(&mut database, input);
        fs::write(&file, database).expect("a database");
    } else {
        fs::write(&file, database).expect("a database");
        damage_values(&Connection::open(&file).expect("the database"), input);
    }
    if let Ok(store) = Store::open_with(&root, OpenMode::Read, Durability::Relaxed) {
        ask_everything(&store);
    }
    if let Ok(store) = Store::open_with(&root, OpenMode::Write, Durability::Relaxed) {
        ask_everything(&store);
        let _ = store.gc(&GcOptions::default(), &|_, _| {});
        ask_everything(&store);
    }
});
