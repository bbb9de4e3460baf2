//! How Nix names store objects.

use std::{collections::BTreeSet, fmt, str::FromStr};

use super::{Algorithm, Hash};
use crate::{OutputName, StoreName, StorePath, name::NameError};

/// How the content of a store object is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The bytes of one file.
    Flat,
    /// The archive of a tree.
    Archive,
    /// The bytes of one file that may refer to others.
    Text,
    /// As Git does.
    Git,
}

impl Method {
    /// What stands before the algorithm's name in derivations.
    pub(super) fn prefix(self) -> &'static str {
        match self {
            Self::Flat => "",
            Self::Archive => "r:",
            Self::Text => "text:",
            Self::Git => "git:",
        }
    }
}

impl FromStr for Method {
    type Err = ();

    /// As `outputHashMode` has it.
    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "flat" => Ok(Self::Flat),
            "recursive" | "nar" => Ok(Self::Archive),
            "text" => Ok(Self::Text),
            "git" => Ok(Self::Git),
            _ => Err(()),
        }
    }
}

/// The folder that a store's paths are below; it is part of every hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreDir(String);

impl Default for StoreDir {
    fn default() -> Self {
        Self("/nix/store".to_owned())
    }
}

impl StoreDir {
    /// A store in a folder.
    pub fn new(folder: &str) -> Self {
        Self(folder.trim_end_matches('/').to_owned())
    }

    /// The folder.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A path's whole text.
    pub fn print(&self, path: &StorePath) -> String {
        path.text_in(&self.0)
    }

    /// The texts of some paths, each once, in Nix's order.
    pub(super) fn print_sorted<'a>(
        &self,
        paths: impl IntoIterator<Item = &'a StorePath>,
    ) -> Vec<String> {
        let texts: BTreeSet<String> = paths.into_iter().map(|path| self.print(path)).collect();
        texts.into_iter().collect()
    }

    fn make(&self, kind: &str, hash: &Hash, name: StoreName) -> StorePath {
        let text = format!("{kind}:{hash}:{}:{name}", self.0);
        let digest = Algorithm::Sha256.hash(text.as_bytes());
        let mut folded = [0; 20];
        for (i, byte) in digest.digest().iter().enumerate() {
            folded[i % 20] ^= byte;
        }
        StorePath::from_parts(folded, name)
    }

    /// The path of content with a known hash. References count for [`Method::Text`], and for
    /// [`Method::Archive`] with SHA-256.
    pub fn of_content<'a>(
        &self,
        name: StoreName,
        method: Method,
        hash: &Hash,
        references: impl IntoIterator<Item = &'a StorePath>,
    ) -> StorePath {
        let kind = match method {
            Method::Text => Some("text"),
            Method::Archive if hash.algorithm() == Algorithm::Sha256 => Some("source"),
            _ => None,
        };
        if let Some(kind) = kind {
            let references = self.print_sorted(references);
            let references: String =
                references.iter().flat_map(|path| [":", path.as_str()]).collect();
            return self.make(&format!("{kind}{references}"), hash, name);
        }
        let text = format!("fixed:out:{}{hash}:", method.prefix());
        self.make("output:out", &Algorithm::Sha256.hash(text.as_bytes()), name)
    }

    /// The path of an output that is named by what it is built from.
    pub(super) fn of_output(
        &self,
        output: &OutputName,
        hash: &Hash,
        derivation: &StoreName,
    ) -> Result<StorePath, NameError> {
        Ok(self.make(&format!("output:{output}"), hash, output.object_name(derivation)?))
    }
}

impl fmt::Display for StoreDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What `placeholder "out"` is within the derivation's own texts.
pub fn own_output_placeholder(output: &str) -> String {
    placeholder(&format!("nix-output:{output}"))
}

/// What stands for the output of a derivation whose path is known only once it is built.
pub fn output_placeholder(
    derivation: &StorePath,
    output: &OutputName,
) -> Result<String, NameError> {
    let name = derivation.name().as_str();
    let name = StoreName::new(name.strip_suffix(".drv").unwrap_or(name))?;
    let object = output.object_name(&name)?;
    Ok(placeholder(&format!("nix-upstream-output:{}:{object}", derivation.hash_part())))
}

fn placeholder(text: &str) -> String {
    format!("/{}", Algorithm::Sha256.hash(text.as_bytes()).to_base32())
}
