//! Attribute and variable names as numbers.
//!
//! One interner serves a whole evaluation. Symbols compare by identity, so their
//! order is the order of first appearance: whoever shows names to a user sorts by
//! text.

use rustc_hash::FxHashMap;

/// An interned name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(pub(crate) u32);

/// The texts behind symbols.
#[derive(Default)]
pub struct Symbols {
    texts: Vec<Box<[u8]>>,
    index: FxHashMap<Box<[u8]>, Symbol>,
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
        if let Some(&symbol) = self.index.get(text) {
            return symbol;
        }
        let symbol = Symbol(self.texts.len() as u32);
        self.texts.push(text.into());
        self.index.insert(text.into(), symbol);
        symbol
    }

    /// The symbol of a name, if anything ever had that name.
    pub fn find(&self, text: &[u8]) -> Option<Symbol> {
        self.index.get(text).copied()
    }

    /// A symbol's bytes. Names may be any bytes, as strings may.
    pub fn bytes(&self, symbol: Symbol) -> &[u8] {
        &self.texts[symbol.0 as usize]
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
}
