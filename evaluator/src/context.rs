//! String contexts: what a string's text refers to in the store.
//!
//! A context is a set of ids, never text, and each distinct set is kept once: a
//! string holds its number. The empty context is the number zero.

use std::hash::BuildHasher as _;
use std::slice;

use hashbrown::hash_table::HashTable;
use hb_model::{DerivationId, OutputName, StorePath};
use rustc_hash::{FxBuildHasher, FxHashMap};

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

/// Every context of the evaluation.
pub struct Contexts {
    /// The elements of all sets, one set after the other. In each they are sorted, and there once:
    /// most have one or two.
    elements: Vec<ContextElement>,
    sets: Vec<Set>,
    index: HashTable<ContextId>,
    unions: FxHashMap<(ContextId, ContextId), ContextId>,
}

/// One set of elements.
struct Set {
    /// Where they end. They begin where those of the set before it end.
    end: usize,
    hash: u64,
}

impl Default for Contexts {
    fn default() -> Self {
        let (elements, sets, index) = (Vec::new(), Vec::new(), HashTable::new());
        let mut contexts = Self { elements, sets, index, unions: FxHashMap::default() };
        contexts.intern(Vec::new());
        contexts
    }
}

impl Contexts {
    /// The number of a set, given in any order.
    pub fn intern(&mut self, mut set: Vec<ContextElement>) -> ContextId {
        set.sort_unstable();
        set.dedup();
        let hash = FxBuildHasher.hash_one(&set[..]);
        self.find(&set, hash).unwrap_or_else(|| self.add(set, hash))
    }

    /// The number of a set of one.
    pub fn single(&mut self, element: ContextElement) -> ContextId {
        let set = slice::from_ref(&element);
        let hash = FxBuildHasher.hash_one(set);
        self.find(set, hash).unwrap_or_else(|| self.add([element], hash))
    }

    fn find(&self, set: &[ContextElement], hash: u64) -> Option<ContextId> {
        self.index.find(hash, |&id| self.get(id) == set).copied()
    }

    /// Add a set that is new.
    fn add(&mut self, set: impl IntoIterator<Item = ContextElement>, hash: u64) -> ContextId {
        let id = ContextId(self.sets.len() as u32);
        self.elements.extend(set);
        self.sets.push(Set { end: self.elements.len(), hash });
        self.index.insert_unique(hash, id, |id| self.sets[id.0 as usize].hash);
        id
    }

    /// The set of a number, sorted.
    pub fn get(&self, id: ContextId) -> &[ContextElement] {
        let number = id.0 as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.sets[before].end);
        &self.elements[start..self.sets[number].end]
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
        assert_eq!(contexts.get(both), [source("a"), source("b")]);
        assert_eq!(contexts.intern(Vec::new()), ContextId::EMPTY);
    }
}
