//! Where a cache is.

use std::{fmt, path::PathBuf, str::FromStr};

use url::Url;

use crate::S3Address;

/// The address of a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A folder: `/path` or `file:///path`.
    Folder(PathBuf),
    /// A plain server: `http://…` or `https://…`. It can only be read.
    Web(Url),
    /// A repository of an OCI registry, as the address of its API: `oci://host/repository`, or
    /// `oci+http://…` for one without certificates.
    Registry(Url),
    /// A bucket of an S3-compatible server: `s3://bucket/prefix?endpoint=…&region=…`.
    S3(S3Address),
}

/// A text is no address of a cache.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// None of the kinds.
    #[error("'{0}' is no address of a cache: /path, file:, http:, https:, s3: or oci: is expected")]
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
            "s3" => bucket(&url).ok_or_else(unknown),
            "oci" => registry("https", &url).ok_or_else(unknown),
            "oci+http" => registry("http", &url).ok_or_else(unknown),
            "file" => url.to_file_path().map(Self::Folder).map_err(|()| unknown()),
            _ => Err(unknown()),
        }
    }
}

fn bucket(url: &Url) -> Option<Address> {
    let mut region = "us-east-1".to_owned();
    let mut endpoint = None;
    for (name, value) in url.query_pairs() {
        match &*name {
            "endpoint" => endpoint = Some(Url::parse(&value).ok()?),
            "region" => region = value.into_owned(),
            _ => return None,
        }
    }
    let own = || Url::parse(&format!("https://s3.{region}.amazonaws.com")).ok();
    let endpoint = endpoint.or_else(own)?;
    let is_fine = matches!(endpoint.scheme(), "http" | "https") && endpoint.username().is_empty();
    let prefix = match url.path().trim_matches('/') {
        "" => String::new(),
        prefix => format!("{prefix}/"),
    };
    let bucket = url.host_str()?.to_owned();
    is_fine.then_some(Address::S3(S3Address { endpoint, bucket, prefix, region }))
}

fn registry(scheme: &str, url: &Url) -> Option<Address> {
    let repository = url.path().trim_matches('/');
    let authority = url.as_str().split_once("://")?.1.split('/').next()?;
    let base = format!("{scheme}://{authority}/v2/{repository}/");
    let is_plain = !repository.is_empty() && url.query().is_none();
    Url::parse(&base).ok().filter(|_| is_plain).map(Address::Registry)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::Web(url) => url.fmt(f),
            Self::S3(S3Address { endpoint, bucket, prefix, region }) => {
                let prefix = prefix.trim_end_matches('/');
                write!(f, "s3://{bucket}/{prefix}?endpoint={endpoint}&region={region}")
            }
            Self::Registry(url) => {
                let text = url.as_str().replacen("/v2/", "/", 1).replacen("https:", "oci:", 1);
                f.write_str(text.replacen("http:", "oci+http:", 1).trim_end_matches('/'))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_shown_as_they_are_written() {
        for text in [
            "/srv/cache",
            "https://host/a%20b/",
            "oci://host:5000/team/cache",
            "s3://bucket/a/b?endpoint=http://127.0.0.1:1/&region=here",
            "oci+http://127.0.0.1:5000/cache",
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), text);
        }
        assert_eq!("file:///a%20b".parse(), Ok(Address::Folder("/a b".into())));
        for text in ["", "relative", "ftp://host/", "oci://host", "oci://host/x?y"] {
            assert!(matches!(text.parse::<Address>(), Err(AddressError::Kind(_))), "{text}");
        }
        let secret = "https://user:password@host/".parse::<Address>();
        assert_eq!(secret, Err(AddressError::Credentials));
    }
}
