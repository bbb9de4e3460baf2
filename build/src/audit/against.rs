//! Compares an output with a hash that someone published.

use std::{
    fs::File,
    io,
    path::{Component, Path, PathBuf},
    str::FromStr,
};

use hb_model::{Algorithm, DeclaredHash, DeclaredHashError, Hasher, NodeDigest};

/// A published hash, and of which part of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Against {
    /// A file within the output, or else the output itself.
    pub path: Option<PathBuf>,
    /// The hash of the file's bytes; where it is BLAKE3, hb's tree digest will do too.
    pub hash: DeclaredHash,
}

/// Why a text is not something to compare with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgainstError {
    /// The path would leave the output.
    #[error("'{path}' is not a path within the output")]
    Path {
        /// The path.
        path: String,
    },
    /// The hash is none.
    #[error(transparent)]
    Hash(#[from] DeclaredHashError),
}

/// `HASH` or `PATH=HASH`. A hash without its algorithm's name is sha256.
impl FromStr for Against {
    type Err = AgainstError;

    fn from_str(text: &str) -> Result<Self, AgainstError> {
        // Base 64 may end in `=`, but never holds one before its end.
        let (path, hash) = match text.trim_end_matches('=').rfind('=') {
            Some(at) => (Some(&text[..at]), &text[at + 1..]),
            None => (None, text),
        };
        let is_plain = |path: &str| {
            let mut parts = Path::new(path).components();
            !path.is_empty() && parts.all(|part| matches!(part, Component::Normal(_)))
        };
        if let Some(path) = path.filter(|path| !is_plain(path)) {
            return Err(AgainstError::Path { path: path.to_owned() });
        }
        let hash = match hash.parse() {
            Err(DeclaredHashError::Algorithm { .. }) => {
                DeclaredHash::parse(Algorithm::Sha256, hash)?
            }
            parsed => parsed?,
        };
        Ok(Self { path: path.map(PathBuf::from), hash })
    }
}

/// How a comparison with a published hash came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgainstReport {
    /// What was published.
    pub against: Against,
    /// The hash of the file here; none if there is no such file.
    pub actual: Option<DeclaredHash>,
    /// Whether it agrees.
    pub agrees: bool,
}

impl Against {
    /// Compare with an output and its tree digest.
    pub(crate) fn compare(&self, output: &Path, digest: &NodeDigest) -> io::Result<AgainstReport> {
        let file = match &self.path {
            Some(path) => output.join(path),
            None => output.to_owned(),
        };
        let mut actual = None;
        if file.symlink_metadata().is_ok_and(|found| found.is_file()) {
            let mut hasher = Hasher::new(self.hash.algorithm());
            io::copy(&mut File::open(file)?, &mut hasher)?;
            actual = Some(hasher.finish());
        }
        let is_tree = self.path.is_none()
            && self.hash.algorithm() == Algorithm::Blake3
            && self.hash.digest() == digest.as_bytes();
        let agrees = is_tree || actual.as_ref() == Some(&self.hash);
        Ok(AgainstReport { against: self.clone(), actual, agrees })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn hashes_come_alone_and_with_a_path() {
        let alone: Against = EMPTY.parse().unwrap();
        assert_eq!(alone.path, None);
        let sri: Against = format!("dist/go.tar.gz={}", alone.hash.to_sri()).parse().unwrap();
        assert_eq!(sri.path.as_deref(), Some(Path::new("dist/go.tar.gz")));
        assert_eq!(sri.hash, alone.hash);
        assert!(matches!(
            format!("../a={EMPTY}").parse::<Against>(),
            Err(AgainstError::Path { .. })
        ));
        assert!("zz".parse::<Against>().is_err());
    }

    #[test]
    fn a_file_is_compared_by_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("empty"), "").unwrap();
        let digest = NodeDigest::of_symlink(b"");
        let against: Against = format!("empty={EMPTY}").parse().unwrap();
        assert!(against.compare(folder.path(), &digest).unwrap().agrees);
        std::fs::write(folder.path().join("empty"), "x").unwrap();
        let report = against.compare(folder.path(), &digest).unwrap();
        assert!(!report.agrees && report.actual.is_some());
        let against: Against = format!("gone={EMPTY}").parse().unwrap();
        assert_eq!(against.compare(folder.path(), &digest).unwrap().actual, None);
    }
}
