//! Builtins: a table of documented functions.
//!
//! Each area has a file with a `TABLE`; [`ALL`] joins them. An entry names the builtin,
//! describes its parameters, and points to a Rust function. The reference page, the
//! editor's hover and the messages all come from these entries.
//!
//! # Writing one
//!
//! ```ignore
//! Builtin {
//!     name: "substring",
//!     params: &[forced("start", "the first byte"), forced("count", "…"), forced("text", "…")],
//!     doc: "Bytes `start` to `start + count` of a string.",
//!     run: substring,
//! }
//!
//! fn substring(m: &mut Machine, args: &[Value]) -> Eval<Value> { … }
//! ```
//!
//! - **Arguments** come in order. One declared [`forced`] is evaluated before the
//!   function runs (and, where the call is direct, without a thunk ever being made for
//!   it); one declared [`lazy`] may be a thunk and stays one unless the function forces
//!   it. The result may be a thunk too (`head` returns the element as it is).
//! - **A list** of which every element is evaluated, one after the other, is declared
//!   [`streamed`] and taken by [`Machine::expect_elements`] and [`Machine::element`].
//! - **Types** are asked for with `m.expect_*(value)`, which force the value and raise
//!   the type fault: [`Machine::expect_int`], [`Machine::expect_string`], and so on. The
//!   machine adds which builtin was called and where.
//! - **Texts and lists** are borrowed from the `Value` (`value.as_bytes()`,
//!   `value.as_list()`), not from the machine, so the machine stays free to be used.
//! - **Results** are made with `m.int`, `m.string`, `m.list`, `m.attrs`, …. Several
//!   attributes: collect `(Symbol, Pos, Value)` and give them to [`Machine::attrs`].
//! - **Calling back**: [`Machine::force`], [`Machine::call`], [`Machine::equal`],
//!   [`Machine::coerce`] re-enter the machine. That is bounded by a named depth and
//!   grows the native stack as needed.
//! - **Faults**: `Err(Fault::….into())`; facts, not prose. Add a variant for a new cause.
//!
//! # What keeps values alive
//!
//! Memory is collected only while the machine runs code, that is inside a call that
//! re-enters it (`force`, `expect_*`, `call`, `equal`, `coerce`). Over such a call, what
//! is reachable from the arguments stays alive, and nothing else does: a value that the
//! function made itself, and needs afterwards, is given to [`Machine::keep`] first
//! (forgotten by itself when the builtin returns). Plain builtins need not care. What is
//! gathered for a list is kept one after the other: [`Machine::height`] says where it begins,
//! and [`Machine::list_of_kept`] makes the list.
//! The elements of a [`streamed`] argument may be made one by one, and are then reachable from
//! nowhere.
//! Forcing an element of a list or set keeps the result in the element, so afterwards it
//! is reachable from there; the list or set itself does not change meanwhile.
//! `Options::collect_always` runs a collection at every safepoint: tests run with it on,
//! and a forgotten `keep` shows.
//!
//! # The three styles
//!
//! - plain: `lists::length`
//! - forcing what it looks at: `lists::elem`, `strings::concat_strings_sep`
//! - calling back: `lists::filter`, `lists::foldl_strict`

mod attrs;
mod contexts;
mod control;
mod derivation;
mod files;
mod flakes;
mod git;
mod hashes;
mod hb;
mod impure;
mod instantiate;
mod json;
pub(crate) use json::write as write_json;
mod lists;
mod nix;
mod numbers;
pub(crate) use nix::{NixScheme, add_source};
pub(crate) mod regex;
mod sources;
mod store;
mod strings;
mod structured;
mod toml;
mod types;
mod versions;
mod xml;
pub(crate) use xml::{Style as XmlStyle, write as write_xml};

pub(crate) use hb::PREFIX as HB_PREFIX;

use crate::error::Eval;
use crate::machine::Machine;
use crate::value::Value;

/// The most parameters that a builtin has.
pub(crate) const MAX_PARAMS: usize = 4;

/// A builtin's code.
pub type Native = fn(&mut Machine, &[Value]) -> Eval<Value>;

/// One entry of the table.
#[derive(Clone, Copy)]
pub struct Builtin {
    /// Its name in `builtins`. Those in [`GLOBAL`] have it at the top level as well.
    pub name: &'static str,
    /// Its parameters. None makes it a constant that is computed once.
    pub params: &'static [Param],
    /// What it gives, for people: the first sentence stands alone.
    pub doc: &'static str,
    /// The function.
    pub run: Native,
}

/// A parameter of a builtin.
#[derive(Clone, Copy)]
pub struct Param {
    /// What the documentation calls it.
    pub name: &'static str,
    /// What it must be.
    pub doc: &'static str,
    /// How the function gets it.
    pub passing: Passing,
}

/// How a builtin gets an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// As it is.
    Lazy,
    /// Evaluated.
    Forced,
    /// As a list, evaluated, or as a call of `map` that is not made: for
    /// [`Machine::expect_elements`].
    Streamed,
}

impl Param {
    /// Whether it is evaluated before the function runs.
    #[inline(always)]
    pub(crate) fn is_forced(&self) -> bool {
        self.passing != Passing::Lazy
    }
}

/// A parameter that is evaluated before the function runs.
pub const fn forced(name: &'static str, doc: &'static str) -> Param {
    Param { name, doc, passing: Passing::Forced }
}

/// A parameter that the function gets as it is.
pub const fn lazy(name: &'static str, doc: &'static str) -> Param {
    Param { name, doc, passing: Passing::Lazy }
}

/// A list of which the function evaluates every element, one after the other: those of
/// `map f list` come one by one then, and there is no list of them.
pub const fn streamed(name: &'static str, doc: &'static str) -> Param {
    Param { name, doc, passing: Passing::Streamed }
}

/// Every area's table.
const TABLES: &[&[Builtin]] = &[
    control::TABLE,
    files::TABLE,
    lists::TABLE,
    attrs::TABLE,
    strings::TABLE,
    numbers::TABLE,
    types::TABLE,
    regex::TABLE,
    versions::TABLE,
    contexts::TABLE,
    json::TABLE,
    toml::TABLE,
    xml::TABLE,
    hashes::TABLE,
    store::TABLE,
    flakes::TABLE,
    sources::TABLE,
    impure::TABLE,
    git::TABLE,
    hb::TABLE,
    hb::CONTRACTS,
];

/// Every builtin, in the order of the tables: an index is a builtin's number.
pub fn all() -> impl Iterator<Item = &'static Builtin> {
    TABLES.iter().copied().flatten()
}

/// The builtins that are variables at the top level too, as in Nix.
pub const GLOBAL: &[&str] = &[
    "abort",
    "baseNameOf",
    "break",
    "derivation",
    "derivationStrict",
    "dirOf",
    "fetchGit",
    "fetchMercurial",
    "fetchTarball",
    "fetchTree",
    "fromTOML",
    "import",
    "isNull",
    "map",
    "placeholder",
    "removeAttrs",
    "scopedImport",
    "throw",
    "toString",
    // Not functions.
    "true",
    "false",
    "null",
    "builtins",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_is_documented_and_named_once() {
        let mut names = std::collections::BTreeSet::new();
        for builtin in all() {
            assert!(names.insert(builtin.name), "{} is in the table twice", builtin.name);
            assert!(builtin.doc.ends_with('.'), "{} has no sentence", builtin.name);
            assert!(builtin.params.len() <= MAX_PARAMS, "{}", builtin.name);
        }
    }
}
