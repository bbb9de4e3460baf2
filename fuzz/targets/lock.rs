//! Any text as a lock file. What is read is written, and read back as the same; and whatever
//! stands in it becomes constants of the language, of which nothing is evaluated.
#![no_main]

use std::{fs, path::Path, sync::OnceLock};

use hb_fuzz::Yard;
use hb_lang::{
    Dialect,
    ast::{Expr, StrPart},
    parse_program,
};
use libfuzzer_sys::fuzz_target;
use lock::{LOCK_FILE, Lock, LockedSource};

use error::CliError;

// The lock file is the program's, which is no library. These two modules need little of it,
// and that little stands below.
#[path = "../../cli/src/project/expression.rs"]
mod expression;
#[allow(dead_code, reason = "the program's commands change lock files, and nothing does here")]
#[path = "../../cli/src/project/lock.rs"]
mod lock;

mod error {
    #[allow(dead_code, reason = "errors are only told apart")]
    #[derive(Debug)]
    pub(crate) enum CliError {
        Io { path: std::path::PathBuf, source: std::io::Error },
        LockVersion { path: std::path::PathBuf, found: u32, known: u32 },
        Other(String),
    }

    impl CliError {
        pub(crate) fn usage(message: String) -> Self {
            Self::Other(message)
        }
    }
}

fn parse_toml<T: serde::de::DeserializeOwned>(_: &Path, text: &str) -> Result<T, CliError> {
    toml::from_str(text).map_err(|error| CliError::Other(error.to_string()))
}

fn replace_file(path: &Path, text: &str) -> std::io::Result<()> {
    fs::write(path, text)
}

/// The texts of all strings, in their order; nothing else may be evaluated.
fn constants(text: &str) -> Vec<String> {
    let program = parse_program(text, Dialect::Loose);
    assert!(program.problems.is_empty(), "{text}: {:?}", program.problems);
    let part = |part: &StrPart| match part {
        StrPart::Text(text) => text.to_string(),
        StrPart::Interpolation(_) => panic!("{text} is evaluated"),
    };
    let constant = |expr: &Expr| match expr {
        Expr::Str(parts) => Some(parts.iter().map(part).collect()),
        Expr::Var(name) => {
            assert!(["hb", "builtins"].contains(&program.ast.name(*name)), "{text}");
            None
        }
        _ => None,
    };
    program.ast.exprs.iter().filter_map(constant).collect()
}

fn check_expression(source: &LockedSource) {
    let mut expected = vec![source.name.clone(), source.sha256.clone()];
    let json = |origin: &toml::Table| serde_json::to_string(origin).expect("JSON");
    expected.extend(source.origins.iter().map(json));
    assert_eq!(constants(&format!("{{ {} }}", source.fetch_expression())), expected);
}

fuzz_target!(|text: &str| {
    static YARD: OnceLock<Yard> = OnceLock::new();
    let path = YARD.get_or_init(|| Yard::new(&[])).path().join(LOCK_FILE);
    let write = |lock: &Lock| -> String {
        lock.write(&path).expect("a lock file can be written");
        fs::read_to_string(&path).expect("it is there")
    };
    fs::write(&path, text).expect("a file");
    let Ok(lock) = Lock::read(&path) else { return };
    let written = write(&lock);
    let again = Lock::read(&path).expect("what was written can be read");
    assert_eq!(write(&again), written);
    lock.sources.iter().for_each(check_expression);
});
