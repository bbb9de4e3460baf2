//! Where a cache is.

use std::{fmt, path::PathBuf, str::FromStr};

use url::Url;

/// The address of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A folder: `/path` or `file:///path`.
    Folder(PathBuf),
    /// A plain server: `http://…` or `https://…`. It can only be read.
    Web(Url),
}

/// A text is no address of a cache.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// None of the kinds.
    #[error("‘{0}’ is no address of a cache: /path, file:, http: or https: is expected")]
    Kind(String),
    /// It holds a user's name or password.
    #[error(
        "an address of a cache holds no user and no password; credentials have a file of their own"
    )]
    Credentials,
}

impl Address {
    /// Whether it can be reached without a network.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Folder(_))
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let unknown = || AddressError::Kind(text.to_owned());
        if text.starts_with('/') {
            return Ok(Self::Folder(text.into()));
        }
        let url = Url::parse(text).map_err(|_| unknown())?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(AddressError::Credentials);
        }
        match url.scheme() {
            "http" | "https" => Ok(Self::Web(url)),
            "file" => url.to_file_path().map(Self::Folder).map_err(|()| unknown()),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Web(url) => url.fmt(f),
        }
    }
}
