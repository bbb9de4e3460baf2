//! Where the bytes of a source can come from, as recipes and locks write it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One place that has a file. Never a registry's host: the clients know theirs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Origin {
    /// `http`, `https` or `file`.
    Url(String),
    /// A file of a Python project, through `pip`.
    Pypi(Pypi),
    /// A file of a Debian package, through `apt-get`.
    Debian(Debian),
}

/// A file of a Python project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pypi {
    /// The project.
    pub project: String,
    /// The release.
    pub version: String,
    /// The file: a wheel, or a source archive.
    pub file: String,
}

/// A file of a Debian package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Debian {
    /// A binary package.
    Binary(DebianBinary),
    /// One file of a source package.
    Source(DebianSource),
}

/// A binary package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianBinary {
    /// The package.
    pub package: String,
    /// Its version, with the epoch.
    pub version: String,
    /// Such as `amd64`.
    pub arch: String,
    /// Such as `bookworm` or `bookworm-security`.
    pub suite: String,
}

/// One file of a source package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebianSource {
    /// The source package.
    pub source: String,
    /// Its version, with the epoch.
    pub version: String,
    /// The file, such as `hello_2.10.orig.tar.gz`.
    pub file: String,
    /// Such as `bookworm` or `bookworm-security`.
    pub suite: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => f.write_str(url),
            Self::Pypi(Pypi { file, .. }) => write!(f, "pypi {file}"),
            Self::Debian(Debian::Binary(DebianBinary { package, version, arch, suite })) => {
                write!(f, "debian {package} {version} {arch} ({suite})")
            }
            Self::Debian(Debian::Source(DebianSource { file, suite, .. })) => {
                write!(f, "debian {file} ({suite})")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_origin_is_read_and_misspelt_keys_are_not() {
        for good in [
            r#"{"url":"file:///x"}"#,
            r#"{"pypi":{"project":"six","version":"1","file":"six-1.tar.gz"}}"#,
            r#"{"debian":{"package":"a","version":"1","arch":"amd64","suite":"sid"}}"#,
            r#"{"debian":{"source":"a","version":"1","file":"a_1.dsc","suite":"sid"}}"#,
        ] {
            let origin: Origin = serde_json::from_str(good).unwrap();
            assert_eq!(serde_json::to_string(&origin).unwrap(), good);
        }
        for bad in [
            r#"{"uri":"file:///x"}"#,
            r#"{"pypi":{"project":"six","version":"1","fil":"six-1.tar.gz"}}"#,
            r#"{"debian":{"package":"a","version":"1","arch":"amd64","suit":"sid"}}"#,
        ] {
            assert!(serde_json::from_str::<Origin>(bad).is_err(), "{bad}");
        }
    }
}
