//! Everything that is wrong with a text or might be: its problems and the lints.
//!
//! A lint is a file with one function from the tree to diagnostics. Where a text does not
//! parse, lints speak of the rest only: there they would talk about the parser's guesses.

mod empty_let;
mod needless_parens;
mod needless_rec;
mod scopes;
mod shadowing;
mod unused;
mod wide_with;

use crate::syntax::{SyntaxNode, span_of};
use crate::{Diagnostic, Dialect, Span, SyntaxKind, parse_program, parse_tree};

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
    let root = parse_tree(text, dialect).root();
    let broken: Vec<Span> =
        found.iter().flat_map(|problem| &problem.labels).map(|l| l.span).collect();
    let lints = LINTS.iter().flat_map(|lint| lint(&root));
    found.extend(lints.filter(|lint| is_sound(lint, &root, &broken)));
    found.sort_by_key(|problem| problem.labels.first().map(|label| label.span.start));
    found
}

/// Whether nothing is broken in what a lint speaks of: all of the innermost scope around it.
fn is_sound(lint: &Diagnostic, root: &SyntaxNode, broken: &[Span]) -> bool {
    let Some(place) = lint.labels.first().filter(|_| !broken.is_empty()) else { return true };
    let Some(token) = root.token_at_offset(place.span.start.into()).right_biased() else {
        return true;
    };
    let is_scope = |kind| {
        use SyntaxKind::{AttrSet, Lambda, LegacyLet, LetIn, Root, WithExpr};
        matches!(kind, AttrSet | Lambda | LegacyLet | LetIn | Root | WithExpr)
    };
    let scope = token.parent_ancestors().find(|node| is_scope(node.kind()));
    scope.is_none_or(|scope| {
        let scope = span_of(scope.text_range());
        broken.iter().all(|span| span.end < scope.start || span.start > scope.end)
    })
}

#[cfg(test)]
mod tests;
