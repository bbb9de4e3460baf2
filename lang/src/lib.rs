//! The hb language: text to tree, diagnostics, formatter. No I/O.
//!
//! The core is the Nix expression language. A file's [`Dialect`] says whether hb's
//! additions and its refusal of legacy forms apply. Parsing never fails: it gives a
//! tree and a list of problems.

pub mod ast;
mod diagnostic;
pub mod docs;
mod format;
mod kind;
mod lexer;
mod lint;
mod literals;
mod parser;
pub mod print;
mod program;
mod sink;
mod span;
pub mod suggest;
pub mod syntax;

pub use diagnostic::{Diagnostic, Fix, Label, Severity};
pub use format::format;
pub use kind::SyntaxKind;
pub use lint::check;
pub use literals::LiteralRules;
pub use parser::{MAX_NESTING_DEPTH, MAX_TREE_HEIGHT, PARSER_STACK};
pub use program::{MAX_TEXT_LENGTH, parse_program};
pub use span::Span;
pub use syntax::{Parse, parse_tree};

/// Which language a text is in; that of a file is known by its extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// `.nix`: whatever the newest stable Nix accepts.
    Nix,
    /// `.hb`: the same core with hb's additions, legacy forms refused.
    Hb,
    /// A text that is no file, such as an argument of a command: whatever either accepts.
    Loose,
}

/// A parsed program: always something, with what was wrong beside it.
#[derive(Clone, Debug)]
pub struct Program {
    /// The compact program; where there were errors it has [`ast::Expr::Error`]s.
    pub ast: ast::Ast,
    /// Everything that was wrong, in source order.
    pub problems: Vec<Diagnostic>,
}
