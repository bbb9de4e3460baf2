//! Everything that is wrong with a text or might be: its problems and the lints.
//!
//! A lint is a file with one function from the tree to diagnostics. Lints say nothing
//! of a text that does not parse, because they would talk about the parser's guesses.

mod empty_let;
mod needless_parens;
mod needless_rec;
mod scopes;
mod shadowing;
mod unused;
mod wide_with;

use crate::syntax::SyntaxNode;
use crate::{Diagnostic, Dialect, parse_program, parse_tree};

/// All lints.
const LINTS: &[fn(&SyntaxNode) -> Vec<Diagnostic>] = &[
    empty_let::lint,
    needless_parens::lint,
    needless_rec::lint,
    shadowing::lint,
    unused::lint,
    wide_with::lint,
];

/// All problems of a text, in source order.
pub fn check(text: &str, dialect: Dialect) -> Vec<Diagnostic> {
    let mut found = parse_program(text, dialect).problems;
    if found.is_empty() {
        let root = parse_tree(text, dialect).root();
        found.extend(LINTS.iter().flat_map(|lint| lint(&root)));
    }
    found.sort_by_key(|problem| problem.labels.first().map(|label| label.span.start));
    found
}

#[cfg(test)]
mod tests;
