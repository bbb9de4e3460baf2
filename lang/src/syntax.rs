//! The lossless tree: every byte of a text, comments and mistakes included.
//!
//! For what shows or rewrites source: the formatter, the lints, a language server.
//! The evaluator takes the other way, [`crate::parse_program`], which also checks
//! what only the meaning shows (a name defined twice, a number out of range).

mod views;

use crate::kind::SyntaxKind;
use crate::lexer::{lex, trivia};
use crate::program::MAX_TEXT_LENGTH;
use crate::sink::Sink;
use crate::{Diagnostic, Dialect, Span};
use rowan::{Checkpoint, GreenNode, GreenNodeBuilder};

pub use rowan::ast::AstNode;
pub use views::*;

/// The language of the tree, for rowan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hb {}

impl rowan::Language for Hb {
    type Kind = SyntaxKind;

    fn kind_from_raw(raw: rowan::SyntaxKind) -> SyntaxKind {
        SyntaxKind::ALL.get(raw.0 as usize).copied().unwrap_or(SyntaxKind::Error)
    }

    fn kind_to_raw(kind: SyntaxKind) -> rowan::SyntaxKind {
        rowan::SyntaxKind(kind as u16)
    }
}

/// A node of the tree.
pub type SyntaxNode = rowan::SyntaxNode<Hb>;
/// A token of the tree.
pub type SyntaxToken = rowan::SyntaxToken<Hb>;
/// A node or a token.
pub type SyntaxElement = rowan::SyntaxElement<Hb>;

/// A text's tree, and what is wrong with its syntax.
#[derive(Clone, Debug)]
pub struct Parse {
    /// The tree; its text is the text that was parsed.
    pub tree: GreenNode,
    /// What was wrong, in source order.
    pub problems: Vec<Diagnostic>,
}

impl Parse {
    /// The tree's root, to walk from.
    pub fn root(&self) -> SyntaxNode {
        SyntaxNode::new_root(self.tree.clone())
    }
}

/// Parse a text into its lossless tree.
pub fn parse_tree(text: &str, dialect: Dialect) -> Parse {
    // Longer texts are refused by `parse_program`; here they become one wrong token.
    if text.len() > MAX_TEXT_LENGTH {
        let mut builder = GreenNodeBuilder::new();
        builder.start_node(raw(SyntaxKind::Root));
        builder.token(raw(SyntaxKind::Unknown), text);
        builder.finish_node();
        return Parse { tree: builder.finish(), problems: Vec::new() };
    }
    let tokens = lex(text);
    let sink = Builder { text, at: 0, tree: GreenNodeBuilder::new() };
    let (sink, mut problems) = crate::parser::parse(text, &tokens, dialect, sink);
    problems.sort_by_key(|problem| problem.labels.first().map(|label| label.span.start));
    Parse { tree: sink.tree.finish(), problems }
}

fn raw(kind: SyntaxKind) -> rowan::SyntaxKind {
    <Hb as rowan::Language>::kind_to_raw(kind)
}

/// The byte range of a node or token.
pub fn span_of(range: rowan::TextRange) -> Span {
    Span { start: range.start().into(), end: range.end().into() }
}

/// Builds the tree; blanks and comments are what lies between the parser's tokens.
struct Builder<'t> {
    text: &'t str,
    at: u32,
    tree: GreenNodeBuilder<'static>,
}

impl Builder<'_> {
    fn trivia_until(&mut self, next: u32) {
        if self.at < next {
            for (kind, piece) in trivia(&self.text[self.at as usize..next as usize]) {
                self.tree.token(raw(kind), piece);
            }
            self.at = next;
        }
    }
}

impl Sink for Builder<'_> {
    type Mark = (Checkpoint, u32);

    fn mark(&mut self, next: u32) -> Self::Mark {
        self.trivia_until(next);
        (self.tree.checkpoint(), self.at)
    }

    fn token(&mut self, kind: SyntaxKind, span: Span) {
        self.trivia_until(span.start);
        self.tree.token(raw(kind), &self.text[std::ops::Range::<usize>::from(span)]);
        self.at = span.end;
    }

    fn leaf(&mut self, node: SyntaxKind, token: SyntaxKind, span: Span) {
        self.trivia_until(span.start);
        self.tree.start_node(raw(node));
        self.token(token, span);
        self.tree.finish_node();
    }

    fn node(&mut self, (mark, from): Self::Mark, kind: SyntaxKind, _span: Span) {
        // What is missing has no node: an empty one would be in every walk's way.
        if self.at > from || kind == SyntaxKind::Root {
            self.tree.start_node_at(mark, raw(kind));
            self.tree.finish_node();
        }
    }
}
