//! String contexts: what a string's text refers to in the store.
//!
//! A string holds the number of its context, of which each is kept once. A context is a set of
//! numbers again, those of its elements: package sets make millions of unions of hundreds of
//! elements, and numbers are merged and compared where they lie. The empty context is the number
//! zero.

use hb_model::{DerivationId, OutputName, StorePath};
use indexmap::IndexSet;
use rustc_hash::{FxBuildHasher, FxHashMap};
use smallvec::{SmallVec, smallvec};

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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

/// Numbers of elements in order, each there once. Most contexts have one or two.
type Set = SmallVec<[u32; 4]>;

/// The contexts of what is to become one text, until all of them are known: what is made of
/// hundreds of texts would have hundreds of unions on the way, each with more in it.
#[derive(Clone, Debug, Default)]
pub struct ContextParts(SmallVec<[ContextId; 4]>);

impl ContextParts {
    /// Add what one part refers to.
    #[inline(always)]
    pub fn add(&mut self, context: ContextId) {
        if !context.is_empty() && self.0.last() != Some(&context) {
            self.0.push(context);
        }
    }

    /// Add what something else that is being made refers to.
    pub fn add_all(&mut self, parts: &Self) {
        parts.0.iter().for_each(|&part| self.add(part));
    }

    /// Whether nothing refers to anything.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<ContextId> for ContextParts {
    fn from(context: ContextId) -> Self {
        let mut parts = Self::default();
        parts.add(context);
        parts
    }
}

/// Every context of the evaluation.
pub struct Contexts {
    /// Every element that is in some set, by number.
    elements: IndexSet<ContextElement, FxBuildHasher>,
    /// Every set, by number.
    sets: IndexSet<Set, FxBuildHasher>,
    /// The unions of two sets that were asked for.
    unions: FxHashMap<(ContextId, ContextId), ContextId>,
    /// By number of an element: which union last met it.
    met: Vec<u32>,
    /// How many unions there were.
    round: u32,
}

impl Default for Contexts {
    fn default() -> Self {
        Self {
            elements: IndexSet::default(),
            sets: IndexSet::from_iter([Set::new()]),
            unions: FxHashMap::default(),
            met: Vec::new(),
            round: 0,
        }
    }
}

impl Contexts {
    /// The number of a set, given in any order.
    pub fn intern(&mut self, elements: impl IntoIterator<Item = ContextElement>) -> ContextId {
        let numbers = elements.into_iter().map(|element| number_in(&mut self.elements, element));
        let mut set: Set = numbers.collect();
        set.sort_unstable();
        set.dedup();
        ContextId(number_in(&mut self.sets, set))
    }

    /// The number of a set of one.
    pub fn single(&mut self, element: ContextElement) -> ContextId {
        let element = number_in(&mut self.elements, element);
        ContextId(number_in(&mut self.sets, smallvec![element]))
    }

    /// The set of a number, in no order that says anything.
    pub fn get(&self, id: ContextId) -> impl ExactSizeIterator<Item = &ContextElement> {
        self.sets[id.0 as usize].iter().map(|&element| &self.elements[element as usize])
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

    /// The elements of all parts.
    #[inline]
    pub fn union_of(&mut self, parts: &ContextParts) -> ContextId {
        match parts.0[..] {
            [] => ContextId::EMPTY,
            [part] => part,
            [a, b] => self.union(a, b),
            ref parts => {
                let mut parts = SmallVec::<[_; 16]>::from_slice(parts);
                parts.sort_unstable();
                parts.dedup();
                match parts[..] {
                    [a, b] => self.union(a, b),
                    ref parts => self.union_of_many(parts),
                }
            }
        }
    }

    #[inline(never)]
    fn union_of_distinct(&mut self, a: ContextId, b: ContextId) -> ContextId {
        let key = if a.0 < b.0 { (a, b) } else { (b, a) };
        if let Some(&id) = self.unions.get(&key) {
            return id;
        }
        let id = self.union_of_many(&[a, b]);
        self.unions.insert(key, id);
        id
    }

    #[inline(never)]
    fn union_of_many(&mut self, parts: &[ContextId]) -> ContextId {
        let Self { elements, sets, met, round, .. } = self;
        met.resize(elements.len(), 0);
        *round = round.checked_add(1).unwrap_or_else(|| {
            met.fill(0);
            1
        });
        let round = *round;
        let members = |id: &ContextId| &sets[id.0 as usize];
        // Often the largest has all that the others have.
        let Some(&largest) = parts.iter().max_by_key(|id| members(id).len()) else {
            return ContextId::EMPTY;
        };
        for &element in members(&largest) {
            met[element as usize] = round;
        }
        let mut set = Set::new();
        for &element in parts.iter().flat_map(members) {
            if met[element as usize] != round {
                met[element as usize] = round;
                set.push(element);
            }
        }
        if set.is_empty() {
            return largest;
        }
        set.extend_from_slice(members(&largest));
        set.sort_unstable();
        set.shrink_to_fit();
        ContextId(number_in(sets, set))
    }
}

/// The number of an item, which is new if it is not there.
fn number_in<T: Eq + std::hash::Hash>(items: &mut IndexSet<T, FxBuildHasher>, item: T) -> u32 {
    let (number, _) = items.insert_full(item);
    number as u32
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
        assert!(contexts.get(both).eq(&[source("a"), source("b")]));
        assert_eq!(contexts.intern(Vec::new()), ContextId::EMPTY);
    }

    #[test]
    fn many_parts_become_one_set_and_none_on_the_way() {
        let mut contexts = Contexts::default();
        let names = ["a", "b", "c", "d"];
        let singles = names.map(|name| contexts.single(source(name)));
        let before = contexts.sets.len();
        let mut parts = ContextParts::default();
        for id in [singles[3], singles[0], singles[0], ContextId::EMPTY, singles[1], singles[2]] {
            parts.add(id);
        }
        let all = contexts.union_of(&parts);
        assert_eq!(contexts.sets.len(), before + 1);
        let mut found: Vec<_> = contexts.get(all).cloned().collect();
        found.sort();
        assert_eq!(found, names.map(source));
        let pairwise = singles.into_iter().reduce(|a, b| contexts.union(a, b));
        assert_eq!(pairwise, Some(all));

        // The largest has all the others.
        let before = contexts.sets.len();
        parts.add(all);
        assert_eq!(contexts.union_of(&parts), all);
        assert_eq!(contexts.sets.len(), before);
    }

    #[test]
    fn unions_are_right_when_their_count_begins_again() {
        let mut contexts = Contexts::default();
        let [a, b, c] = ["a", "b", "c"].map(|name| contexts.single(source(name)));
        let both = contexts.union(a, b);
        contexts.round = u32::MAX;
        let all = contexts.union(both, c);
        assert_eq!(contexts.get(all).len(), 3);
        assert_eq!(contexts.round, 1);
    }
}
