//! `rec` on a set whose attributes do not use one another.

use super::scopes::{Origin, definitions, in_with};
use crate::syntax::{AttrSetNode, SyntaxNode, span_of};
use crate::{Diagnostic, Span};
use rowan::ast::AstNode;

pub(super) fn lint(root: &SyntaxNode) -> Vec<Diagnostic> {
    let all = definitions(root);
    let sets = root.descendants().filter_map(AttrSetNode::cast);
    sets.filter_map(|set| {
        let rec = set.rec_token()?;
        let own = |node: &SyntaxNode| node.parent().as_ref() == Some(set.syntax());
        let mut names = all.iter().filter(|found| found.origin == Origin::Rec && own(&found.node));
        // A `with` around it may give a name that an attribute is meant to hide.
        if names.any(|found| found.uses > 0 || found.name == "__overrides") || in_with(set.syntax())
        {
            return None;
        }
        let span = span_of(rec.text_range());
        let next =
            rec.next_token().filter(|next| next.kind().is_trivia() && !next.kind().is_comment());
        let end = next.map_or(span.end, |blank| span_of(blank.text_range()).end);
        let problem = Diagnostic::warning(
            "lint.needless-rec",
            "no attribute of this set uses another one",
            span,
        );
        Some(problem.help("remove `rec`").fix(Span { start: span.start, end }, ""))
    })
    .collect()
}
