//! `hb key`: the keys by which builds are signed and believed.

use std::{
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use hb_model::{KeyName, PublicKey, SecretKey};

use crate::{
    args::Global,
    config::{USER_FILE, user_folder},
    error::{CliError, Failure},
    exit::Exit,
    output,
    project::replace_file,
};

/// What `hb key` takes.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key that signs builds, and print the public one
    New {
        /// What signatures will call it
        name: String,
    },
    /// Print the public ones of your keys
    Show {
        /// Which; without it all of them
        name: Option<String>,
    },
    /// Believe what builds of a key's owner gave
    Trust {
        /// The public key, as `hb key show` prints it
        key: String,
    },
}

/// Carry the subcommand out.
pub(crate) fn run(global: &Global, args: KeyArgs) -> Result<Exit, Failure> {
    match args.command {
        KeyCommand::New { name } => print(global, &[new(&name)?]),
        KeyCommand::Show { name: Some(name) } => print(global, &[secret_key(&name)?.public()]),
        KeyCommand::Show { name: None } => print(global, &own_keys()?),
        KeyCommand::Trust { key } => trust(&key),
    }
}

fn print(global: &Global, keys: &[PublicKey]) -> Result<Exit, Failure> {
    let texts: Vec<_> = keys.iter().map(ToString::to_string).collect();
    match global.json {
        true => output::json(&texts)?,
        false => texts.iter().for_each(output::result),
    }
    Ok(Exit::Success)
}

/// The key that signs, by the name that `hb key new` was given.
pub(crate) fn secret_key(name: &str) -> Result<SecretKey, CliError> {
    read(&place(&key_name(name)?)?)
}

fn read(path: &Path) -> Result<SecretKey, CliError> {
    let text = fs::read_to_string(path).map_err(io_error(path))?;
    text.parse().map_err(|error| CliError::usage(format!("{}: {error}", path.display())))
}

fn key_name(name: &str) -> Result<KeyName, CliError> {
    KeyName::new(name).map_err(|error| CliError::usage(error.to_string()))
}

fn place(name: &KeyName) -> Result<PathBuf, CliError> {
    Ok(folder()?.join(format!("{name}{SUFFIX}")))
}

fn folder() -> Result<PathBuf, CliError> {
    Ok(user_folder()?.join("keys"))
}

const SUFFIX: &str = ".secret";

fn new(name: &str) -> Result<PublicKey, CliError> {
    let name = key_name(name)?;
    let path = place(&name)?;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)
        .map_err(|error| CliError::usage(format!("the system gives no random bytes: {error}")))?;
    let key = SecretKey::from_seed(name, &seed);
    fs::create_dir_all(folder()?).map_err(io_error(&path))?;
    // Never in the place of another one, and never readable by others.
    let mut file = OpenOptions::new();
    let mut file =
        file.write(true).create_new(true).mode(0o600).open(&path).map_err(io_error(&path))?;
    writeln!(file, "{}", key.to_secret_text())
        .and_then(|()| file.sync_all())
        .map_err(io_error(&path))?;
    Ok(key.public())
}

fn own_keys() -> Result<Vec<PublicKey>, CliError> {
    let folder = folder()?;
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let mut paths: Vec<_> = fs::read_dir(&folder)
        .and_then(|entries| entries.map(|entry| entry.map(|entry| entry.path())).collect())
        .map_err(io_error(&folder))?;
    paths.retain(|path: &PathBuf| path.to_string_lossy().ends_with(SUFFIX));
    paths.sort();
    paths.iter().map(|path| Ok(read(path)?.public())).collect()
}

/// Add a key to the user's settings, and leave the rest of that file as it is.
fn trust(key: &str) -> Result<Exit, Failure> {
    let key: PublicKey =
        key.parse().map_err(|error| CliError::usage(format!("'{key}': {error}")))?;
    let folder = user_folder()?;
    let path = folder.join(USER_FILE);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.map_err(io_error(&path))?,
    };
    let mut document: toml_edit::DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| {
            CliError::usage(format!("{}: {error}", path.display()))
        })?;
    let keys = document["trusted-keys"].or_insert(toml_edit::value(toml_edit::Array::new()));
    let Some(keys) = keys.as_array_mut() else {
        return Err(CliError::usage(format!("{}: trusted-keys is no list", path.display())).into());
    };
    if keys.iter().all(|known| known.as_str() != Some(&key.to_string())) {
        keys.push(key.to_string());
        fs::create_dir_all(&folder).map_err(io_error(&folder))?;
        replace_file(&path, &document.to_string()).map_err(io_error(&path))?;
    }
    Ok(Exit::Success)
}

fn io_error(path: &Path) -> impl FnOnce(std::io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::Io { path, source }
}
