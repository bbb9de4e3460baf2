//! A name that hides one further out: whoever reads it takes the one for the other.

use super::scopes::{Origin, definitions};
use crate::Diagnostic;
use crate::syntax::SyntaxNode;

pub(super) fn lint(root: &SyntaxNode) -> Vec<Diagnostic> {
    let all = definitions(root);
    let hiding = all.iter().filter(|found| {
        // `inherit` hides on purpose, and a set's attributes are named for its users.
        !matches!(found.origin, Origin::Inherit | Origin::Rec) && !found.name.starts_with('_')
    });
    hiding
        .filter_map(|found| {
            let outer = found.shadows?;
            let message = format!("`{}` hides another `{}`", found.name, found.name);
            let problem = Diagnostic::warning("lint.shadowing", message, found.span);
            Some(problem.here("this one hides").label(outer, "this one"))
        })
        .collect()
}
