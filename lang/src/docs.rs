//! Documentation in a text: the `/** … */` before a definition or a function, and how a
//! function is called.

use rowan::TextSize;
use rowan::ast::AstNode as _;

use crate::kind::SyntaxKind::*;
use crate::syntax::{LambdaNode, SyntaxNode, SyntaxToken, expressions};

/// A comment that documents something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocComment {
    /// Where it begins.
    pub start: u32,
    /// What it says: Markdown, without the indentation that all its lines share.
    pub text: String,
}

/// The documentation of what begins at a byte: a definition, or a function that is the
/// whole of one.
pub fn comment_at(root: &SyntaxNode, offset: u32) -> Option<DocComment> {
    let mut node = root.token_at_offset(TextSize::from(offset)).right_biased()?.parent()?;
    loop {
        if let Some(comment) = comment_before(&node.first_token()?) {
            let start = comment.text_range().start().into();
            return Some(DocComment { start, text: text_of(comment.text()) });
        }
        let parent = node.parent()?;
        let is_whole = match parent.kind() {
            AttrName | AttrPath | ParamName | Pattern | Parens | Root => true,
            Binding => node.kind() == AttrPath || expressions(&parent).last()? == node,
            InheritBinding => true,
            Lambda | LetIn | WithExpr | AssertExpr => {
                is_parameter(&node) || expressions(&parent).last()? == node
            }
            _ => false,
        };
        if !is_whole || matches!(node.kind(), Binding | InheritBinding) {
            return None;
        }
        node = parent;
    }
}

/// How the function that begins at a byte is called: `x: { a, b ? 1, ... }:`.
pub fn signature_at(root: &SyntaxNode, offset: u32) -> Option<String> {
    let token = root.token_at_offset(TextSize::from(offset)).right_biased()?;
    let mut lambda = token
        .parent_ancestors()
        .filter_map(LambdaNode::cast)
        .find(|lambda| u32::from(lambda.syntax().text_range().start()) == offset)?;
    let mut parameters = Vec::new();
    loop {
        let body = lambda.body()?;
        let end = body.text_range().start();
        let start = lambda.syntax().text_range().start();
        let head = lambda.syntax().text().slice(TextSize::from(0)..end - start).to_string();
        parameters.push(head.split_whitespace().collect::<Vec<_>>().join(" "));
        match LambdaNode::cast(body) {
            Some(inner) => lambda = inner,
            None => return Some(parameters.join(" ")),
        }
    }
}

fn is_parameter(node: &SyntaxNode) -> bool {
    matches!(node.kind(), ParamName | Pattern)
}

/// The last comment before a token, if it is one that documents.
fn comment_before(token: &SyntaxToken) -> Option<SyntaxToken> {
    let mut before = token.prev_token()?;
    while before.kind() == Whitespace {
        before = before.prev_token()?;
    }
    (before.kind() == DocComment).then_some(before)
}

/// What a comment says, without its marks and its indentation.
fn text_of(comment: &str) -> String {
    let inner = comment.trim_start_matches("/**").trim_end_matches("*/");
    let mut lines: Vec<&str> = inner.lines().map(str::trim_end).collect();
    let indentation = |line: &&str| line.len() - line.trim_start().len();
    let rest = lines.get(1..).unwrap_or_default();
    let shared = rest.iter().filter(|line| !line.is_empty()).map(indentation).min().unwrap_or(0);
    for (number, line) in lines.iter_mut().enumerate() {
        *line = match number {
            0 => line.trim_start(),
            _ => line.get(shared..).unwrap_or_default(),
        };
    }
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Dialect, parse_tree};

    const TEXT: &str = "/** The whole. */\n{ lib }:\nrec {\n  /**\n    Twice.\n\n      code\n  */\n  \
         twice = n: { times ? 2, ... }: n * times;\n  /** Made. */\n  made = let a = 1; in (x: x);\n  \
         plain = map (y: y) [ ];\n  /* no */ other = z: z;\n  /** Two. */ a.b = 1;\n}";

    fn comment(of: &str) -> Option<String> {
        let offset = TEXT.find(of).expect("it is there") as u32;
        comment_at(&parse_tree(TEXT, Dialect::Hb).root(), offset).map(|comment| comment.text)
    }

    #[test]
    fn a_definition_and_its_function_have_the_comment_before_it() {
        let twice = Some("Twice.\n\n  code".to_owned());
        assert_eq!(comment("twice ="), twice);
        assert_eq!(comment("n: {"), twice);
        assert_eq!(comment("x: x"), Some("Made.".to_owned()));
        assert_eq!(comment("{ lib }"), Some("The whole.".to_owned()));
        assert_eq!(comment("a.b"), Some("Two.".to_owned()));
    }

    #[test]
    fn what_only_occurs_in_a_definition_is_not_documented_by_it() {
        assert_eq!(comment("y: y"), None);
        assert_eq!(comment("z: z"), None);
        assert_eq!(comment("a = 1"), None);
    }

    #[test]
    fn a_signature_has_every_parameter() {
        let root = parse_tree(TEXT, Dialect::Hb).root();
        let offset = TEXT.find("n: {").expect("it is there") as u32;
        assert_eq!(signature_at(&root, offset).as_deref(), Some("n: { times ? 2, ... }:"));
        assert_eq!(signature_at(&root, 20), None);
    }
}
