//! A `let` that defines nothing.

use crate::Diagnostic;
use crate::syntax::{LetInNode, SyntaxNode, span_of};
use rowan::ast::AstNode;

pub(super) fn lint(root: &SyntaxNode) -> Vec<Diagnostic> {
    let lets = root.descendants().filter_map(LetInNode::cast);
    lets.filter(|node| node.bindings().next().is_none() && node.inherits().next().is_none())
        .filter_map(|node| {
            let span = span_of(node.syntax().text_range());
            let body = node.body()?.text().to_string();
            let problem = Diagnostic::warning("lint.empty-let", "this `let` defines nothing", span);
            Some(problem.help("remove it").fix(span, body))
        })
        .collect()
}
