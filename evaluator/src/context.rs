//! String contexts: what a string's text refers to in the store.
//!
//! A context is a set of ids, never text, and each distinct set is kept once: a
//! string holds its number. The empty context is the number zero.

use std::slice;
use std::sync::Arc;

use hb_model::{DerivationId, OutputName, StorePath};
use rustc_hash::FxHashMap;

/// One thing that a string refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ContextElement {
    /// A store object that exists: an imported source or a written text.
    Source(StorePath),
    /// An output of a derivation.
    Output {
        /// The derivation.
        derivation: DerivationId,
        /// Which of its outputs.
        output: OutputName,
    },
    /// A derivation itself; `deep` also means all its outputs and what they need.
    Derivation {
        /// The derivation.
        id: DerivationId,
        /// Whether its closure is meant.
        deep: bool,
    },
}

/// A set of context elements, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ContextId(u32);

impl ContextId {
    /// No context.
    pub const EMPTY: Self = Self(0);

    /// Whether there is none.
    #[inline(always)]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn from_number(number: u32) -> Self {
        Self(number)
    }
}

/// Sorted, each element once. Most have one or two: a tree would take ten times as much.
type Set = Arc<[ContextElement]>;

/// Every context of the evaluation.
pub struct Contexts {
    sets: Vec<Set>,
    index: FxHashMap<Set, ContextId>,
    unions: FxHashMap<(ContextId, ContextId), ContextId>,
}

impl Default for Contexts {
    fn default() -> Self {
        let empty = Set::from([]);
        let index = std::iter::once((empty.clone(), ContextId::EMPTY)).collect();
        Self { sets: vec![empty], index, unions: FxHashMap::default() }
    }
}

impl Contexts {
    /// The number of a set, given in any order.
    pub fn intern(&mut self, mut set: Vec<ContextElement>) -> ContextId {
        set.sort_unstable();
        set.dedup();
        if let Some(&id) = self.index.get(&set[..]) {
            return id;
        }
        self.add(set.into())
    }

    fn add(&mut self, set: Set) -> ContextId {
        let id = ContextId(self.sets.len() as u32);
        self.sets.push(set.clone());
        self.index.insert(set, id);
        id
    }

    /// The number of a set of one.
    pub fn single(&mut self, element: ContextElement) -> ContextId {
        match self.index.get(slice::from_ref(&element)) {
            Some(&id) => id,
            None => self.add(Set::from([element])),
        }
    }

    /// The set of a number, sorted.
    pub fn get(&self, id: ContextId) -> &[ContextElement] {
        &self.sets[id.0 as usize]
    }

    /// Both sets' elements.
    #[inline(always)]
    pub fn union(&mut self, a: ContextId, b: ContextId) -> ContextId {
        if a == b || b.is_empty() {
            return a;
        }
        if a.is_empty() {
            return b;
        }
        self.union_of_distinct(a, b)
    }

    fn union_of_distinct(&mut self, a: ContextId, b: ContextId) -> ContextId {
        let key = if a.0 < b.0 { (a, b) } else { (b, a) };
        if let Some(&id) = self.unions.get(&key) {
            return id;
        }
        let set = [self.get(a), self.get(b)].concat();
        let id = self.intern(set);
        self.unions.insert(key, id);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str) -> ContextElement {
        let path = format!("/hb/store/{}-{name}", "0".repeat(32));
        ContextElement::Source(path.parse().expect("a store path"))
    }

    #[test]
    fn equal_sets_have_one_number() {
        let mut contexts = Contexts::default();
        let a = contexts.single(source("a"));
        let b = contexts.single(source("b"));
        assert_eq!(contexts.single(source("a")), a);
        let both = contexts.union(a, b);
        assert_eq!(contexts.union(b, a), both);
        assert_eq!(contexts.union(both, a), both);
        assert_eq!(contexts.union(a, ContextId::EMPTY), a);
    }
}
