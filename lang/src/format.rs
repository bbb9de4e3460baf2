//! The formatter: one layout for every program, in the style of Nix's RFC 166.
//!
//! It moves blanks and line ends and nothing else: every token and every comment of
//! the text is in the result, in the same order. So it may work on broken texts; a
//! part whose shape it does not know stays as it is.

mod blocks;
mod comments;
mod doc;
mod layout;
mod strings;

use crate::syntax::{RootNode, SyntaxNode, SyntaxToken};
use crate::{Dialect, SyntaxKind, parse_tree};
use doc::{Doc, render};
use rowan::ast::AstNode;
use std::cell::RefCell;
use std::collections::HashSet;

/// Format a text. Formatting the result again changes nothing, and both texts are
/// the same program.
pub fn format(text: &str, dialect: Dialect) -> String {
    let parse = parse_tree(text, dialect);
    let formatter = Formatter { done: RefCell::default() };
    match RootNode::cast(parse.root()) {
        Some(root) => formatter.root(&root),
        None => text.to_owned(),
    }
}

/// Turns nodes into layouts.
struct Formatter {
    /// The comments that an outer layout has taken, by where they stand.
    done: RefCell<HashSet<u32>>,
}

impl Formatter {
    fn root(&self, root: &RootNode) -> String {
        let node = root.syntax();
        let Some(last) = last_token(node) else {
            // Nothing but comments.
            let text = node.text().to_string();
            let text = text.trim();
            return if text.is_empty() { String::new() } else { format!("{text}\n") };
        };
        if is_endless(last.kind()) {
            return node.text().to_string();
        }
        let mut docs = Vec::new();
        for element in layout::elements(node) {
            docs.push(match element {
                rowan::NodeOrToken::Node(node) => self.led(&node),
                rowan::NodeOrToken::Token(token) => self.token(&token),
            });
            docs.push(Doc::Hard);
        }
        let end = comments::at_end(&last);
        if end.set_off() {
            docs.push(Doc::Blank);
        }
        docs.extend(end.docs(|_| false));
        docs.push(Doc::Hard);
        render(&Doc::Concat(docs))
    }

    /// A token with its comments.
    fn token(&self, token: &SyntaxToken) -> Doc {
        let mut docs = self.leading(token);
        docs.push(Doc::Text(token.text().to_owned()));
        docs.extend(self.trailing(token));
        Doc::Concat(docs)
    }

    /// The comments before a token that nothing else has taken.
    fn leading(&self, token: &SyntaxToken) -> Vec<Doc> {
        comments::before(token).docs(|at| self.done.borrow().contains(&at))
    }

    fn trailing(&self, token: &SyntaxToken) -> Option<Doc> {
        let comments = comments::trailing(token);
        (!comments.is_empty()).then(|| Doc::Trailing(comments.join(" ")))
    }

    /// Take the comments before a token, to place them apart from it.
    fn take_leading(&self, token: &SyntaxToken) -> Vec<Doc> {
        let gap = comments::before(token);
        let docs = gap.docs(|at| self.done.borrow().contains(&at));
        self.done.borrow_mut().extend(gap.leading.iter().map(|comment| comment.at));
        docs
    }

    /// A node below its comments, which do not break what they stand above.
    fn led(&self, node: &SyntaxNode) -> Doc {
        let mut docs = match node.first_token() {
            Some(first) => self.take_leading(&first),
            None => Vec::new(),
        };
        docs.push(self.node(node));
        Doc::Concat(docs)
    }

    /// A node as it is written.
    fn verbatim(&self, node: &SyntaxNode) -> Doc {
        let (Some(first), Some(last)) = (node.first_token(), last_token(node)) else {
            return Doc::Concat(Vec::new());
        };
        let mut docs = self.leading(&first);
        let end = last.text_range().end() - node.text_range().start();
        let text = node.text().slice(..end).to_string();
        docs.push(Doc::Raw(text));
        docs.extend(self.trailing(&last));
        Doc::Concat(docs)
    }
}

/// Whether a text ends within a string or a comment, as its last token tells. Then
/// nothing says what is text and what is code.
fn is_endless(last: SyntaxKind) -> bool {
    use SyntaxKind::*;
    matches!(last, StringOpen | IndentedOpen | Text | IndentedEscape | UnclosedComment)
}

/// The last token of a node that is not blank or a comment. A file may end in these,
/// and so may a node whose last part is missing.
fn last_token(node: &SyntaxNode) -> Option<SyntaxToken> {
    let mut last = node.last_token()?;
    while last.kind().is_trivia() {
        last = last.prev_token()?;
    }
    Some(last)
}

#[cfg(test)]
mod tests;
