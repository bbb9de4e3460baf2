//! `with` over a set that the file does not show: where its names come from, nobody
//! can tell, and neither can a tool.

use crate::Diagnostic;
use crate::SyntaxKind::*;
use crate::syntax::{SyntaxNode, WithNode, span_of};
use rowan::ast::AstNode;

pub(super) fn lint(root: &SyntaxNode) -> Vec<Diagnostic> {
    let withs = root.descendants().filter_map(WithNode::cast);
    withs
        .filter_map(|with| {
            let scope = with.scope()?;
            // A set that is written out shows its names; a list of a few elements from
            // one place is what `with` is good for.
            if scope.kind() == AttrSet || with.body()?.kind() == List {
                return None;
            }
            let problem = Diagnostic::warning(
                "lint.wide-with",
                "the names that this `with` brings are not to be seen",
                span_of(scope.text_range()),
            );
            let help =
                format!("take the names you need: `inherit ({}) …;` in a `let`", scope.text());
            Some(problem.here("which names does this have?").help(help))
        })
        .collect()
}
