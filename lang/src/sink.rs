//! What the parser reports to, while it goes.
//!
//! The events are in postfix order: tokens as they are consumed, and for each node,
//! once it is complete, "everything since that mark is one". Two sinks listen: the
//! lossless tree (`syntax`) and the compact program (`program`). The parser is
//! compiled once for each, so that no list of events is ever built.

use crate::Span;
use crate::kind::SyntaxKind;

/// A listener.
pub(crate) trait Sink {
    /// A place between two events.
    type Mark: Copy;

    /// The current place; the next token starts at this byte.
    fn mark(&mut self, next: u32) -> Self::Mark;

    /// One token.
    fn token(&mut self, kind: SyntaxKind, span: Span);

    /// A node of one token.
    fn leaf(&mut self, node: SyntaxKind, token: SyntaxKind, span: Span);

    /// All since the mark is one node; the span runs from its first token to its last.
    fn node(&mut self, mark: Self::Mark, kind: SyntaxKind, span: Span);
}
