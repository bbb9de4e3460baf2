//! Names that nothing uses: `let` bindings and functions' arguments.
//!
//! A name that begins with `_` says that this is meant. The named arguments of a
//! function without `...` are part of what callers may pass, so those are left alone.

use super::scopes::{Definition, Origin, definitions};
use crate::syntax::{PatternNode, SyntaxNode, span_of};
use crate::{Diagnostic, Span, SyntaxKind};
use rowan::ast::AstNode;

pub(super) fn lint(root: &SyntaxNode) -> Vec<Diagnostic> {
    let all = definitions(root);
    let unused = all.iter().filter(|found| found.uses == 0 && !found.name.starts_with('_'));
    unused.filter_map(problem).collect()
}

fn problem(unused: &Definition) -> Option<Diagnostic> {
    let name = &unused.name;
    let warning = |code, what: &str| {
        Diagnostic::warning(code, format!("{what} `{name}` is never used"), unused.span)
    };
    Some(match unused.origin {
        Origin::Let => {
            let range = span_of(unused.node.text_range());
            let simple = defines_one_name(&unused.node);
            let problem = warning("lint.unused-binding", "the binding").help("remove it");
            if simple { problem.fix(range, "") } else { problem }
        }
        Origin::Inherit => {
            let blank = u32::from(unused.span.start > 0);
            let range = Span { start: unused.span.start - blank, end: unused.span.end };
            warning("lint.unused-binding", "the inherited name").help("remove it").fix(range, "")
        }
        Origin::Argument => warning("lint.unused-argument", "the argument")
            .help(format!("call it `_{name}` to say that this is meant"))
            .fix(unused.span, format!("_{name}")),
        Origin::Alias => warning("lint.unused-argument", "the name of all arguments")
            .help("remove it and the `@`"),
        Origin::Field => {
            let pattern = PatternNode::cast(unused.node.parent()?)?;
            pattern.ellipsis()?;
            warning("lint.unused-argument", "the argument")
                .help("remove it: `...` accepts it anyway")
        }
        Origin::Rec => return None,
    })
}

/// Whether a binding's path is a single name, so that removing it removes the name.
fn defines_one_name(binding: &SyntaxNode) -> bool {
    let path = binding.children().find(|child| child.kind() == SyntaxKind::AttrPath);
    path.is_some_and(|path| path.children().count() == 1)
}
