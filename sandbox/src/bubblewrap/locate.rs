//! Finds the `bwrap` program and checks that it is new enough.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest bubblewrap that has every option hb uses.
pub const MIN_VERSION: Version = Version { major: 0, minor: 8 };

/// A bubblewrap program of a version that hb can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bubblewrap {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says that it is.
    pub version: Version,
}

/// The part of bubblewrap's version that decides what it can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// There is no usable bubblewrap.
#[derive(Debug, thiserror::Error)]
pub enum LocateError {
    /// No folder of `PATH` holds it.
    #[error("the program `bwrap` is not installed; on Debian: apt-get install bubblewrap")]
    Missing,
    /// It could not be started.
    #[error("{path} could not be started", path = path.display())]
    Start {
        /// Where it lies.
        path: PathBuf,
        /// Why it did not start.
        source: io::Error,
    },
    /// It did not say its version as bubblewrap does.
    #[error("{path} gave the version {said:?}, which is not bubblewrap's", path = path.display())]
    Foreign {
        /// Where it lies.
        path: PathBuf,
        /// What it printed.
        said: String,
    },
    /// It lacks options that hb needs.
    #[error("{path} is bubblewrap {found}; hb needs {MIN_VERSION} or later", path = path.display())]
    TooOld {
        /// Where it lies.
        path: PathBuf,
        /// Its version.
        found: Version,
    },
}

impl Bubblewrap {
    /// The first `bwrap` of `PATH`.
    pub fn find() -> Result<Self, LocateError> {
        Self::find_in(&env::var_os("PATH").unwrap_or_default())
    }

    /// The first `bwrap` of a list of folders separated by colons.
    pub fn find_in(folders: &OsStr) -> Result<Self, LocateError> {
        env::split_paths(folders)
            .map(|folder| folder.join("bwrap"))
            .find(|path| is_program(path))
            .ok_or(LocateError::Missing)
            .and_then(Self::check)
    }

    /// The program at `path`, once it has told a version that is new enough.
    fn check(path: PathBuf) -> Result<Self, LocateError> {
        let output = match Command::new(&path).arg("--version").env_clear().output() {
            Ok(output) => output,
            Err(source) => return Err(LocateError::Start { path, source }),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        match parse_version(&said) {
            None => Err(LocateError::Foreign { path, said: said.trim().to_owned() }),
            Some(found) if found < MIN_VERSION => Err(LocateError::TooOld { path, found }),
            Some(version) => Ok(Bubblewrap { path, version }),
        }
    }
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn parse_version(said: &str) -> Option<Version> {
    let mut numbers = said.trim().strip_prefix("bubblewrap ")?.split('.');
    let mut next = || numbers.next()?.parse().ok();
    Some(Version { major: next()?, minor: next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bwrap_that_says(text: &str) -> Result<Bubblewrap, LocateError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        // By a process of its own: a file that is open for writing here cannot be executed,
        // and another test's child may hold it a moment longer.
        let script = r#"printf '#!/bin/sh\necho "%s"\n' "$1" > "$2" && chmod 755 "$2""#;
        let program = folder.path().join("bwrap");
        let written = Command::new("/bin/sh").args(["-c", script, "-", text]).arg(program).status();
        assert!(written.expect("a shell").success());
        Bubblewrap::find_in(folder.path().as_os_str())
    }

    #[test]
    fn a_new_enough_version_is_taken() {
        let found = bwrap_that_says("bubblewrap 0.11.0").expect("usable");
        assert_eq!(found.version, Version { major: 0, minor: 11 });
    }

    #[test]
    fn an_old_version_is_refused_by_number() {
        let error = bwrap_that_says("bubblewrap 0.4.1").expect_err("too old");
        assert!(error.to_string().contains("0.4"), "{error}");
    }

    #[test]
    fn another_program_is_refused() {
        assert!(matches!(bwrap_that_says("wrapper 9"), Err(LocateError::Foreign { .. })));
    }

    #[test]
    fn a_missing_program_is_said_to_be_missing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let found = Bubblewrap::find_in(folder.path().as_os_str());
        assert!(matches!(found, Err(LocateError::Missing)));
    }
}
