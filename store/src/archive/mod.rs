//! Closures as one stream: objects that leave one store and enter another.
//!
//! The stream is a tar archive in zstd, and the same objects give the same bytes.
//! `docs/store-format.md` specifies its entries. Nothing in it is believed: what an
//! object's path follows from stands beside it, and is computed again before the object is
//! registered.

mod export;
mod holes;
mod import;
mod intake;
mod unpack;

use std::{collections::BTreeSet, fmt::Write as _};

use hb_model::{FixedOutput, StorePath};

use crate::{
    error::{Result, StoreError},
    objects::ObjectInfo,
};

pub use export::{ExportOptions, ExportReport};
pub use holes::Hole;
pub use import::{Believe, ImportReport};
pub use intake::{Intake, Taken};

/// The first entry: it lists what was asked for.
const HEAD: &str = "hb-export-1";
/// The folder of what each object's path follows from.
const FACTS: &str = "facts";
/// The folder of the objects.
const OBJECTS: &str = "objects";
/// What the objects turned out to be the outputs of.
const BUILDS: &str = "builds";
/// The last entry, by which a stream that was cut is known.
const END: &str = "end";

/// Something is wrong with a stream.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It cannot be read at all.
    #[error("it is no export, or its bytes are damaged")]
    Unreadable(#[source] std::io::Error),
    /// It begins with something else.
    #[error("it is no export of hb's, or one of a version that this hb does not know")]
    Foreign,
    /// It ends before its end.
    #[error("it ends too early; what was complete is in the store, and the rest can follow")]
    Cut,
    /// An entry that no hb would have written.
    #[error("the entry '{entry}' {fault}")]
    Entry {
        /// Its name.
        entry: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// An object that is not what its path says.
    #[error("'{path}' is not what its path says")]
    Differs {
        /// The path.
        path: StorePath,
    },
}

/// What an object's path follows from, beside its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The other objects that it refers to.
    pub references: BTreeSet<StorePath>,
    /// Whether it refers to itself.
    pub self_reference: bool,
    /// The declared hash that the path follows from, unless it is the content's.
    pub fixed: Option<FixedOutput>,
}

impl Facts {
    fn of(info: &ObjectInfo) -> Result<Self> {
        let facts = Self {
            references: info.references.clone(),
            self_reference: info.self_reference,
            fixed: info.fixed.clone(),
        };
        let name = info.path.name().clone();
        let by_content = StorePath::of_content(name, info.digest, &facts.references, false);
        if facts.fixed.is_none() && !facts.self_reference && by_content != info.path {
            return Err(StoreError::NoFacts { path: info.path.clone() });
        }
        Ok(facts)
    }

    /// As text: a line each.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for reference in &self.references {
            let _ = writeln!(text, "reference {}", reference.base_name());
        }
        if self.self_reference {
            text.push_str("self\n");
        }
        if let Some(fixed) = &self.fixed {
            let _ = writeln!(text, "fixed {fixed}");
        }
        text
    }

    /// `None` for a text that nobody would have written.
    pub fn parse(text: &str) -> Option<Self> {
        let mut facts = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("reference", name)) => {
                    facts.references.insert(StorePath::from_base_name(name).ok()?);
                }
                Some(("fixed", fixed)) => facts.fixed = Some(fixed.parse().ok()?),
                None if line == "self" => facts.self_reference = true,
                _ => return None,
            }
        }
        (facts.to_text() == text).then_some(facts)
    }
}
