//! Realisations: what a resolved derivation turned out to make.

use std::{collections::BTreeSet, fmt, fmt::Write as _, str::FromStr};

use crate::{NodeDigest, OutputName, ResolvedId, StorePath};

/// What a realisation is recorded under.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealisationKey {
    /// What was built.
    pub resolved: ResolvedId,
    /// Which of its outputs.
    pub output: OutputName,
}

/// How far a build was kept from everything it does not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isolation {
    /// Namespaces hid the host and the network.
    Namespaces,
    /// Namespaces, and a filter on system calls.
    Filtered,
    /// hb carried the step out itself; no foreign program ran.
    Builtin,
}

impl Isolation {
    const ALL: [Self; 3] = [Self::Namespaces, Self::Filtered, Self::Builtin];

    /// The word for it in records.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Namespaces => "namespaces",
            Self::Filtered => "filtered",
            Self::Builtin => "builtin",
        }
    }
}

impl FromStr for Isolation {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|level| level.as_str() == text).ok_or(())
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One output of one build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realisation {
    /// What was built.
    pub key: RealisationKey,
    /// The store object that came out.
    pub path: StorePath,
    /// Its whole digest, self-references as they stand.
    pub digest: NodeDigest,
    /// What it refers to, itself included if it does.
    pub references: BTreeSet<StorePath>,
    /// How it was built.
    pub isolation: Isolation,
    /// Who built it, such as `hb 0.1.0`.
    pub builder: String,
}

impl Realisation {
    /// The canonical text: what is signed.
    pub fn canonical_text(&self) -> String {
        let mut text = format!(
            "hb-realisation-1\nresolved {}\noutput {}\npath {}\ndigest {}\n",
            self.key.resolved,
            self.key.output,
            self.path.base_name(),
            self.digest,
        );
        for reference in &self.references {
            let _ = writeln!(text, "reference {}", reference.base_name());
        }
        let _ = write!(text, "isolation {}\nbuilder {}\n", self.isolation, self.builder);
        text
    }

    /// Whether another one says that the same came out of the same, however it was made.
    pub fn gives_what(&self, other: &Self) -> bool {
        let Self { key, path, digest, references, isolation: _, builder: _ } = self;
        (key, path, digest, references)
            == (&other.key, &other.path, &other.digest, &other.references)
    }

    /// Read a canonical text; `None` for any other.
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_prefix("hb-realisation-1\n")?.lines();
        // Whether all is in its place shows at the end.
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let mut realisation = Self {
            key: RealisationKey {
                resolved: field("resolved")?.parse().ok()?,
                output: OutputName::new(field("output")?).ok()?,
            },
            path: StorePath::from_base_name(field("path")?).ok()?,
            digest: field("digest")?.parse().ok()?,
            references: BTreeSet::new(),
            isolation: Isolation::Namespaces,
            builder: String::new(),
        };
        for line in lines {
            let (name, value) = line.split_once(' ')?;
            match name {
                "reference" => {
                    realisation.references.insert(StorePath::from_base_name(value).ok()?);
                }
                "isolation" => realisation.isolation = value.parse().ok()?,
                "builder" => value.clone_into(&mut realisation.builder),
                _ => return None,
            }
        }
        (realisation.canonical_text() == text).then_some(realisation)
    }
}
