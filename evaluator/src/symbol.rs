//! Attribute and variable names as numbers.
//!
//! One interner serves a whole evaluation. Symbols compare by identity, so their
//! order is the order of first appearance: whoever shows names to a user sorts by
//! text.

use std::hash::BuildHasher as _;

use hashbrown::hash_table::{Entry, HashTable};
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;

/// An interned name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(pub(crate) u32);

/// The texts behind symbols.
#[derive(Default)]
pub struct Symbols {
    /// All texts, one after the other.
    bytes: Vec<u8>,
    texts: Vec<Text>,
    index: HashTable<Symbol>,
}

/// Where a symbol's text is, and how it begins.
#[derive(Clone, Copy)]
struct Text {
    /// The first bytes as a number that is ordered as they are, with zeros after a shorter text.
    beginning: u128,
    start: usize,
    length: usize,
}

impl Text {
    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start..self.start + self.length]
    }
}

fn hash(text: &[u8]) -> u64 {
    FxBuildHasher.hash_one(text)
}

impl Symbols {
    /// An interner that knows the names in [`well_known`].
    pub fn new() -> Self {
        let mut symbols = Self::default();
        for name in well_known::ALL {
            symbols.intern(name.as_bytes());
        }
        symbols
    }

    /// The symbol of a name, made if it is new.
    pub fn intern(&mut self, text: &[u8]) -> Symbol {
        let Self { bytes, texts, index } = self;
        let of = |symbol: &Symbol| texts[symbol.0 as usize].of(bytes);
        let slot = index.entry(hash(text), |symbol| of(symbol) == text, |symbol| hash(of(symbol)));
        match slot {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(free) => {
                let symbol = Symbol(texts.len() as u32);
                free.insert(symbol);
                let mut beginning = [0; size_of::<u128>()];
                let shown = text.len().min(beginning.len());
                beginning[..shown].copy_from_slice(&text[..shown]);
                let beginning = u128::from_be_bytes(beginning);
                texts.push(Text { beginning, start: bytes.len(), length: text.len() });
                bytes.extend_from_slice(text);
                symbol
            }
        }
    }

    /// The symbol of a name, if anything ever had that name.
    pub fn find(&self, text: &[u8]) -> Option<Symbol> {
        self.index.find(hash(text), |&symbol| self.bytes(symbol) == text).copied()
    }

    /// A symbol's bytes. Names may be any bytes, as strings may.
    pub fn bytes(&self, symbol: Symbol) -> &[u8] {
        self.texts[symbol.0 as usize].of(&self.bytes)
    }

    /// The order of some symbols by their texts, byte by byte: the index of each among those given.
    pub(crate) fn order(&self, symbols: &[u32]) -> impl Iterator<Item = usize> + use<> {
        let beginning = |symbol: u32| self.texts[symbol as usize].beginning;
        let first = symbols.first().map_or(0, |&symbol| beginning(symbol));
        let differences = symbols.iter().fold(0, |all, &symbol| all | (first ^ beginning(symbol)));
        // What all of them begin with says nothing; what follows mostly decides.
        let shared = differences.leading_zeros().min(u64::BITS);
        let key = |symbol| (beginning(symbol) << shared >> u64::BITS) as u64;
        let mut order: SmallVec<[(u64, u32); 24]> =
            symbols.iter().zip(0..).map(|(&symbol, index)| (key(symbol), index)).collect();
        let bytes = |index: u32| self.bytes(Symbol(symbols[index as usize]));
        order.sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| bytes(a.1).cmp(bytes(b.1))));
        order.into_iter().map(|(_, index)| index as usize)
    }

    /// A symbol's text for people.
    pub fn text(&self, symbol: Symbol) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(self.bytes(symbol))
    }
}

/// Names that the evaluator itself looks for, at fixed numbers.
pub(crate) mod well_known {
    use super::Symbol;

    macro_rules! names {
        ($($constant:ident = $text:literal),* $(,)?) => {
            names!(@number 0u32; $($constant)*);
            /// Their texts, in order.
            pub(super) const ALL: &[&str] = &[$($text),*];
        };
        (@number $n:expr; $first:ident $($rest:ident)*) => {
            pub(crate) const $first: Symbol = Symbol($n);
            names!(@number $n + 1; $($rest)*);
        };
        (@number $n:expr;) => {};
    }

    names! {
        FUNCTOR = "__functor",
        TO_STRING = "__toString",
        OUT_PATH = "outPath",
        DRV_PATH = "drvPath",
        TYPE = "type",
        VALUE = "value",
        KEY = "key",
        OPERATOR = "operator",
        START_SET = "startSet",
        SUCCESS = "success",
        FILE = "file",
        LINE = "line",
        COLUMN = "column",
        NAME = "name",
        SYSTEM = "system",
        OUTPUTS = "outputs",
        OUTPUT_NAME = "outputName",
        EVERY_OUTPUT = "all",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn well_known_names_have_their_fixed_numbers() {
        let symbols = Symbols::new();
        assert_eq!(symbols.find(b"__functor"), Some(well_known::FUNCTOR));
        assert_eq!(symbols.find(b"all"), Some(well_known::EVERY_OUTPUT));
    }

    #[test]
    fn a_name_is_interned_once() {
        let mut symbols = Symbols::new();
        let a = symbols.intern(b"a");
        assert_eq!(symbols.intern(b"a"), a);
        assert_eq!(symbols.bytes(a), b"a");
    }

    #[test]
    fn symbols_are_ordered_by_all_of_their_texts() {
        let mut symbols = Symbols::new();
        let in_order: [&[u8]; 9] = [
            b"",
            b"\0",
            b"a",
            b"a\0",
            b"all begin as this one",
            b"all begin as this one does",
            b"all begin as this one\xff",
            b"all begin so",
            b"\xff",
        ];
        for some in [&in_order[..], &in_order[1..4], &in_order[4..8], &in_order[5..6], &[]] {
            let given: Vec<u32> = some.iter().rev().map(|text| symbols.intern(text).0).collect();
            let order: Vec<usize> = symbols.order(&given).collect();
            assert_eq!(order, (0..some.len()).rev().collect::<Vec<_>>(), "{some:?}");
        }
    }
}
