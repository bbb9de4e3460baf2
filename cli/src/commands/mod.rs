//! One file per command: its arguments, the call, the rendering of what came out.

pub(crate) mod audit;
pub(crate) mod build;
pub(crate) mod cache;
pub(crate) mod check;
pub(crate) mod doc;
pub(crate) mod doctor;
pub(crate) mod eval;
pub(crate) mod explain;
pub(crate) mod fetch;
pub(crate) mod fmt;
pub(crate) mod graph;
pub(crate) mod key;
pub(crate) mod log;
pub(crate) mod parse;
pub(crate) mod pin;
pub(crate) mod repl;
pub(crate) mod run;
pub(crate) mod shell;
pub(crate) mod store;
pub(crate) mod test;
pub(crate) mod update;
pub(crate) mod why;

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    process::ExitCode,
    str::FromStr as _,
};

use hb_model::{STORE_DIR, StorePath};
use hb_store::Store;

use crate::{
    args::{Cli, Command},
    error::{CliError, Failure},
};

/// Carry out a command.
pub(crate) fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let global = &cli.global;
    let exit = match cli.command {
        Command::Run(args) => return run::run(global, args),
        Command::Shell(args) => return shell::run(global, args),
        Command::Build(args) => build::run(global, args),
        Command::Fetch(args) => fetch::run(global, args),
        Command::Audit(args) => audit::run(global, args),
        Command::Repl(args) => repl::run(global, args),
        Command::Test(args) => test::run(global, args),
        Command::Eval(args) => eval::run(global, args),
        Command::Check(args) => check::run(global, args),
        Command::Fmt(args) => fmt::run(global, args),
        Command::Parse(args) => parse::run(args),
        Command::Graph(args) => graph::run(global, args),
        Command::Why(args) => why::run(global, args),
        Command::Pin(args) => pin::run(global, args),
        Command::Update(args) => update::run(global, args),
        Command::Log(args) => log::run(global, args),
        Command::Store(args) => store::run(global, args),
        Command::Cache(args) => cache::run(global, args),
        Command::Key(args) => key::run(global, args),
        Command::Doc(args) => doc::run(global, args),
        Command::Explain(args) => explain::run(global, args),
        Command::Doctor(args) => doctor::run(global, args),
    };
    exit.map(ExitCode::from)
}

/// The files named, and the `.hb` files below the folders named; ignored files and
/// version control's folders stay out.
fn source_files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        for entry in ignore::WalkBuilder::new(path).sort_by_file_name(|a, b| a.cmp(b)).build() {
            let entry = entry.map_err(|error| CliError::usage(error.to_string()))?;
            let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
            if is_file && entry.path().extension().is_some_and(|extension| extension == "hb") {
                files.push(entry.into_path());
            }
        }
    }
    Ok(files)
}

fn read_text(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|source| CliError::Io { path: path.to_owned(), source })
}

/// Where the command was typed.
pub(crate) fn current_folder() -> Result<PathBuf, CliError> {
    std::env::current_dir().map_err(|source| CliError::Io { path: ".".into(), source })
}

fn read_stdin() -> Result<String, CliError> {
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|source| CliError::Io { path: "-".into(), source })?;
    Ok(text)
}

/// What a user means by a store path: the path itself, where it physically lies, or a
/// link that leads there. What lies below an object means the object.
fn store_path(store: &Store, text: &str) -> Result<StorePath, Failure> {
    if text.starts_with(STORE_DIR)
        && let Ok(path) = StorePath::from_str(text)
    {
        return Ok(path);
    }
    let place =
        std::fs::canonicalize(text).map_err(|source| CliError::Io { path: text.into(), source })?;
    let mut folders =
        store.object_folders().filter_map(|folder| std::fs::canonicalize(folder).ok());
    folders
        .find_map(|folder| place.strip_prefix(&folder).ok())
        .and_then(|below| below.components().next())
        .and_then(|first| StorePath::from_base_name(&first.as_os_str().to_string_lossy()).ok())
        .ok_or_else(|| CliError::usage(format!("'{text}' does not lead into the store")).into())
}
