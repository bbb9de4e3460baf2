//! What an audit found: data for whoever shows it.

use std::collections::{BTreeMap, BTreeSet};

use hb_model::{DerivationId, NodeDigest, OutputName, ResolvedId, StoreName};

use super::{AgainstReport, Cause, Conditions, PathDifference};

/// The whole result of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditReport {
    /// Which derivation.
    pub derivation: DerivationId,
    /// What it is called.
    pub name: StoreName,
    /// What it resolved to.
    pub resolved: ResolvedId,
    /// Each round, in order; the first is what the others are compared with.
    pub rounds: Vec<RoundReport>,
    /// The outputs in the store, and whether the first round made the same; none for
    /// outputs that had never been built.
    pub recorded: BTreeMap<OutputName, bool>,
    /// The comparisons with published hashes.
    pub against: Vec<AgainstReport>,
}

/// One round of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoundReport {
    /// What it was like.
    pub conditions: Conditions,
    /// The digest of each output, as it would be in the store.
    pub digests: BTreeMap<OutputName, NodeDigest>,
    /// How its outputs differ from the first round's.
    pub found: Vec<Found>,
}

/// A path that came out otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// In which output.
    pub output: OutputName,
    /// Which path, and how it differs.
    pub difference: PathDifference,
    /// What that looks like; empty if like nothing known.
    pub causes: Vec<Cause>,
}

impl AuditReport {
    /// Whether every round made the same, the store holds the same, and what was
    /// published is the same.
    pub fn is_identical(&self) -> bool {
        self.rounds.iter().all(|round| round.found.is_empty())
            && self.recorded.values().all(|same| *same)
            && self.against.iter().all(|report| report.agrees)
    }

    /// All causes that were recognised, in any round.
    pub fn causes(&self) -> BTreeSet<Cause> {
        let found = self.rounds.iter().flat_map(|round| &round.found);
        found.flat_map(|found| found.causes.iter().copied()).collect()
    }
}
