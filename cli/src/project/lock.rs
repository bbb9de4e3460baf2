//! `hb.lock`: every source that a project's tools are made of, for every platform.
//!
//! Sorted, so that the same pins give the same file, and versioned, so that an older
//! hb refuses what it does not understand.

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

use super::parse_toml;
use crate::error::CliError;

/// The file's name, beside `hb.toml`.
pub(crate) const LOCK_FILE: &str = "hb.lock";

/// The format written and understood.
const VERSION: u32 = 1;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    version: u32,
    /// The sources, sorted by tool, version and name.
    #[serde(default, rename = "source", skip_serializing_if = "Vec::is_empty")]
    pub(crate) sources: Vec<LockedSource>,
}

/// One file to fetch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LockedSource {
    /// Which tool it is for.
    #[serde(deserialize_with = "text")]
    pub(crate) tool: String,
    /// Which version of the tool.
    #[serde(deserialize_with = "text")]
    pub(crate) version: String,
    /// What the tool's recipe calls it.
    #[serde(deserialize_with = "text")]
    pub(crate) name: String,
    /// The platforms that need it.
    pub(crate) platforms: Vec<String>,
    /// Bytes.
    #[serde(deserialize_with = "size")]
    pub(crate) size: u64,
    /// SHA-256, in hexadecimal.
    #[serde(deserialize_with = "text")]
    pub(crate) sha256: String,
    /// Where it can be had, in order, as `hb.fetch` takes it.
    pub(crate) origins: Vec<toml::Table>,
}

/// A text that a string of the language can be: it becomes one.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.contains('\0') {
        true => Err(D::Error::custom("a text has a zero byte")),
        false => Ok(text),
    }
}

/// A size that the language has a number for: it becomes one.
fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    u64::try_from(i64::deserialize(deserializer)?).map_err(D::Error::custom)
}

impl Default for Lock {
    fn default() -> Self {
        Self { version: VERSION, sources: Vec::new() }
    }
}

impl Lock {
    /// Read the file; one that is not there locks nothing.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Self::default());
            }
            Err(source) => return Err(CliError::Io { path: path.to_owned(), source }),
        };
        let lock: Self = parse_toml(path, &text)?;
        if lock.version != VERSION {
            return Err(CliError::LockVersion {
                path: path.to_owned(),
                found: lock.version,
                known: VERSION,
            });
        }
        Ok(lock)
    }

    /// Write the file whole, or leave it as it was.
    pub(crate) fn write(&self, path: &Path) -> Result<(), CliError> {
        let body = toml::to_string_pretty(self)
            .map_err(|error| CliError::usage(format!("{}: {error}", path.display())))?;
        let text = format!("# Written by `hb pin` and `hb update`; do not edit.\n{body}");
        super::replace_file(path, &text)
            .map_err(|source| CliError::Io { path: path.to_owned(), source })
    }

    /// Take `sources` in the place of everything locked for `tool`.
    pub(crate) fn replace_tool(&mut self, tool: &str, sources: Vec<LockedSource>) {
        self.sources.retain(|source| source.tool != tool);
        self.sources.extend(sources);
        self.sources
            .sort_by(|a, b| (&a.tool, &a.version, &a.name).cmp(&(&b.tool, &b.version, &b.name)));
    }

    /// The sources of a tool in a version.
    pub(crate) fn of_tool<'a>(
        &'a self,
        tool: &'a str,
        version: &'a str,
    ) -> impl Iterator<Item = &'a LockedSource> {
        self.sources.iter().filter(move |s| s.tool == tool && s.version == version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(tool: &str, name: &str) -> LockedSource {
        LockedSource {
            tool: tool.into(),
            version: "1".into(),
            name: name.into(),
            platforms: vec!["x86_64-linux".into()],
            size: 3,
            sha256: "00".repeat(32),
            origins: vec![toml::toml! { url = "https://example.org/a" }],
        }
    }

    #[test]
    fn the_file_is_sorted_and_read_back_equal() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK_FILE);
        let mut lock = Lock::default();
        lock.replace_tool("zig", vec![source("zig", "z")]);
        lock.replace_tool("go", vec![source("go", "b"), source("go", "a")]);
        lock.write(&path).unwrap();
        assert_eq!(Lock::read(&path).unwrap(), lock);
        let names: Vec<_> = lock.sources.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["a", "b", "z"]);
    }

    #[test]
    fn a_newer_format_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK_FILE);
        std::fs::write(&path, "version = 2\n").unwrap();
        assert!(matches!(Lock::read(&path), Err(CliError::LockVersion { found: 2, .. })));
    }

    #[test]
    fn a_size_that_the_language_has_no_number_for_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK_FILE);
        let mut lock = Lock::default();
        for (size, is_fine) in [(i64::MAX as u64, true), (u64::MAX, false)] {
            lock.replace_tool("go", vec![LockedSource { size, ..source("go", "a") }]);
            lock.write(&path).unwrap();
            assert_eq!(Lock::read(&path).is_ok(), is_fine, "{size}");
        }
    }

    #[test]
    fn a_text_with_a_zero_byte_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOCK_FILE);
        let zero = || "a\0".to_owned();
        for locked in [
            LockedSource { tool: zero(), ..source("go", "a") },
            LockedSource { version: zero(), ..source("go", "a") },
            LockedSource { name: zero(), ..source("go", "a") },
            LockedSource { sha256: zero(), ..source("go", "a") },
        ] {
            let lock = Lock { sources: vec![locked], ..Lock::default() };
            lock.write(&path).unwrap();
            assert!(Lock::read(&path).is_err(), "{lock:?}");
        }
    }
}
