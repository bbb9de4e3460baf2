//! What servers want to be shown: the user's `hb/credentials.toml`.
//!
//! A table for each address, or beginning of addresses, with `user` and `password`. The file is
//! its user's alone, and nothing of it is ever printed.

use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt as _, path::Path};

use hb_cache::{Address, Credential, Secret};
use serde::Deserialize;

use crate::{config::user_folder, error::CliError};

/// The file, in the user's folder of settings.
const FILE: &str = "credentials.toml";

/// The permissions of others.
const OTHERS: u32 = 0o077;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    user: String,
    password: String,
}

/// What the cache at an address may be shown.
pub(crate) fn of(address: &Address) -> Result<Option<Credential>, CliError> {
    if address.is_local() {
        return Ok(None);
    }
    // Without a home folder there are none.
    let Ok(folder) = user_folder() else { return Ok(None) };
    let path = folder.join(FILE);
    let failed = |source| CliError::Io { path: path.clone(), source };
    let found = match fs::metadata(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        found => found.map_err(failed)?,
    };
    if found.mode() & OTHERS != 0 {
        let message = format!("{} can be read by others", path.display());
        return Err(CliError::usage(message).with_help(format!("chmod 600 {}", path.display())));
    }
    select(&path, &fs::read_to_string(&path).map_err(failed)?, &address.to_string())
}

/// The credential of the longest beginning of an address.
fn select(path: &Path, text: &str, address: &str) -> Result<Option<Credential>, CliError> {
    // The text is secret, so its problem is not shown in it.
    let logins: BTreeMap<String, Login> = toml::from_str(text).map_err(|_| {
        CliError::usage(format!("{} is not what it should be", path.display()))
            .with_help("it has a table for each address: `[\"oci://host\"]`, `user`, `password`")
    })?;
    let begins = |start: &str| {
        let rest = address.strip_prefix(start.trim_end_matches('/'));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    };
    let fitting = logins.into_iter().filter(|(start, _)| begins(start));
    let longest = fitting.max_by_key(|(start, _)| start.len());
    Ok(longest.map(|(_, Login { user, password })| Credential::Password {
        user,
        password: Secret::new(password),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_beginning_counts_and_hosts_are_told_apart() {
        let text = "[\"oci://host\"]\nuser = \"a\"\npassword = \"1\"\n\
                    [\"oci://host/team\"]\nuser = \"b\"\npassword = \"2\"\n";
        let user = |address| {
            let found = select(Path::new("file"), text, address).unwrap();
            found.map(|Credential::Password { user, .. }| user)
        };
        assert_eq!(user("oci://host/team/cache").as_deref(), Some("b"));
        assert_eq!(user("oci://host/teams").as_deref(), Some("a"));
        assert_eq!(user("oci://host.evil/team"), None);
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said_without_its_text() {
        let error = select(Path::new("file"), "secret", "oci://host").unwrap_err();
        assert!(!format!("{error:?} {error}").contains("secret"));
    }
}
