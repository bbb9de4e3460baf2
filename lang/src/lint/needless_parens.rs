//! Parentheses that change nothing: around a name, a literal, a bracket, or other
//! parentheses, and around the whole value of a binding.

use crate::Diagnostic;
use crate::SyntaxKind::*;
use crate::syntax::{ParensNode, SyntaxNode, span_of};
use rowan::ast::AstNode;

pub(super) fn lint(root: &SyntaxNode) -> Vec<Diagnostic> {
    let parens = root.descendants().filter_map(ParensNode::cast);
    parens
        .filter_map(|parens| {
            let node = parens.syntax();
            let inner = parens.inner()?;
            let around = node.parent()?;
            let whole = matches!(around.kind(), Binding | Root | Interpolation);
            let atom = match inner.kind() {
                Variable | StringExpr | List | AttrSet | Parens => true,
                // `(1).a` and `(./a).b` are not `1.a` and `./a.b`.
                Literal | PathExpr => around.kind() != Select,
                _ => false,
            };
            let comments = node.children_with_tokens().any(|child| child.kind().is_comment());
            if !(whole || atom) || comments {
                return None;
            }
            let text = inner.text().to_string();
            let problem = Diagnostic::warning(
                "lint.needless-parens",
                "these parentheses change nothing",
                span_of(node.text_range()),
            );
            Some(
                problem
                    .help("remove them")
                    .fix(span_of(node.text_range()), format!(" {text} ").trim()),
            )
        })
        .collect()
}
