//! Tokens to events: a hand-written recursive-descent parser.
//!
//! It never fails and consumes every token. What is wrong becomes a [`Diagnostic`]
//! and an error node, and the parser goes on where something familiar starts. The
//! grammar is split by area: `expressions` (forms and operators), `atoms`,
//! `bindings` (sets), `patterns` (function arguments), `contracts`. `problems` has the
//! messages.
//!
//! Invariant: recursion is bounded by [`MAX_NESTING_DEPTH`] and the height of what is
//! built by [`MAX_TREE_HEIGHT`], so neither parsing nor walking a tree can exhaust
//! the stack.

mod atoms;
mod bindings;
mod contracts;
mod expressions;
mod legacy;
mod patterns;
mod problems;
mod text;

use crate::kind::SyntaxKind;
use crate::lexer::Token;
use crate::sink::Sink;
use crate::{Diagnostic, Dialect, Span};

/// How deep expressions may stand in one another.
pub const MAX_NESTING_DEPTH: u32 = 700;

/// The stack that parsing takes at most, in bytes. A level takes up to two kilobytes in an
/// unoptimised build, and up to four in an optimised one, where functions are parts of others.
/// A thread may have less: whoever parses elsewhere than near the bottom of a main thread's stack
/// asks for as much.
pub const PARSER_STACK: usize = 4 * 1024 * 1024;

/// How high a tree may become through chains such as `a + b + …` or `x: y: …`, which
/// need no recursion here but do wherever a tree is walked or freed.
pub const MAX_TREE_HEIGHT: u32 = 5_000;

/// Parse tokens, all of them, into a sink.
pub(crate) fn parse<S: Sink>(
    text: &str,
    tokens: &[Token],
    dialect: Dialect,
    sink: S,
) -> (S, Vec<Diagnostic>) {
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        current: tokens[0],
        last_end: 0,
        sink,
        dialect,
        depth: 0,
        in_contract: false,
        problems: Vec::new(),
        last_problem: None,
        gave_up: false,
        forms: Vec::new(),
    };
    parser.root();
    (parser.sink, parser.problems)
}

/// A place where a node may begin.
#[derive(Clone, Copy)]
struct Mark<M> {
    sink: M,
    start: u32,
}

/// How many levels a piece of the tree has.
type Height = u32;

struct Parser<'t, S: Sink> {
    text: &'t str,
    tokens: &'t [Token],
    at: usize,
    /// The token at that place, which is asked for most.
    current: Token,
    /// Where the last consumed token ended.
    last_end: u32,
    sink: S,
    dialect: Dialect,
    depth: u32,
    /// Whether `->` means a function's contract here.
    in_contract: bool,
    problems: Vec<Diagnostic>,
    /// The token at which the last problem was found: one is enough for each.
    last_problem: Option<usize>,
    /// Whether a limit was hit, after which nothing more is said.
    gave_up: bool,
    /// The forms whose last expression is not complete, those of all levels in one list.
    forms: Vec<(Mark<S::Mark>, SyntaxKind)>,
}

impl<'t, S: Sink> Parser<'t, S> {
    fn root(&mut self) {
        let mark = Mark { sink: self.sink.mark(0), start: 0 };
        self.expression();
        if !self.at(SyntaxKind::End) {
            self.stray_rest();
            let rest = self.mark();
            while !self.at(SyntaxKind::End) {
                self.bump();
            }
            self.node(rest, SyntaxKind::Error);
        }
        // Trailing blanks and comments belong to the file.
        self.sink.mark(self.text.len() as u32);
        self.last_end = self.text.len() as u32;
        self.node(mark, SyntaxKind::Root);
    }

    fn kind(&self) -> SyntaxKind {
        self.current.kind
    }

    /// The kind of the token `ahead` places further on.
    fn nth(&self, ahead: usize) -> SyntaxKind {
        self.tokens.get(self.at + ahead).map_or(SyntaxKind::End, |token| token.kind)
    }

    fn at(&self, kind: SyntaxKind) -> bool {
        self.kind() == kind
    }

    /// Where the current token stands.
    fn span(&self) -> Span {
        self.current.span()
    }

    /// The empty place right after the last consumed token.
    fn after_last(&self) -> Span {
        Span { start: self.last_end, end: self.last_end }
    }

    fn text_of(&self, span: Span) -> &'t str {
        &self.text[std::ops::Range::<usize>::from(span)]
    }

    fn mark(&mut self) -> Mark<S::Mark> {
        let start = self.current.start;
        Mark { sink: self.sink.mark(start), start }
    }

    /// Consume the current token, whatever it is; the end stays.
    #[inline]
    fn bump(&mut self) {
        if !self.at(SyntaxKind::End) {
            self.sink.token(self.kind(), self.span());
            self.advance();
        }
    }

    /// Go on to the next token.
    #[inline]
    fn advance(&mut self) {
        self.last_end = self.span().end;
        self.at += 1;
        self.current = self.tokens[self.at];
    }

    /// Consume the current token if it is of this kind.
    fn eat(&mut self, kind: SyntaxKind) -> bool {
        let there = self.at(kind);
        if there {
            self.bump();
        }
        there
    }

    /// The span of what was consumed from a place on; empty where nothing was.
    fn since(&self, start: u32) -> Span {
        Span { start: start.min(self.last_end), end: self.last_end }
    }

    // Nearly everywhere the kind is known, and of what a sink does for it one case remains.
    #[inline(always)]
    fn node(&mut self, mark: Mark<S::Mark>, kind: SyntaxKind) {
        let span = if self.last_end > mark.start {
            Span { start: mark.start, end: self.last_end }
        } else {
            self.after_last()
        };
        self.sink.node(mark.sink, kind, span);
    }

    /// Wrap the current token in a node.
    #[inline(always)]
    fn token_node(&mut self, kind: SyntaxKind) {
        if !self.at(SyntaxKind::End) {
            self.sink.leaf(kind, self.kind(), self.span());
            self.advance();
        }
    }

    /// The place of an expression that is not there.
    fn bad_expression(&mut self) -> Height {
        let mark = self.mark();
        self.node(mark, SyntaxKind::BadExpr);
        1
    }

    /// Skip tokens that fit nowhere, brackets with all they hold, up to one that
    /// `stop` names or that closes something further out.
    fn skip_until(&mut self, stop: impl Fn(SyntaxKind) -> bool) {
        use SyntaxKind::*;
        let mark = self.mark();
        let from = self.at;
        let mut open = 0u32;
        while !self.at(End) {
            let kind = self.kind();
            if open == 0 && stop(kind) {
                break;
            }
            match kind {
                BraceOpen | BracketOpen | ParenOpen | StringOpen | IndentedOpen
                | InterpolationOpen => open += 1,
                BraceClose | BracketClose | ParenClose | StringClose | IndentedClose => {
                    if open == 0 {
                        break;
                    }
                    open -= 1;
                }
                _ => {}
            }
            self.bump();
        }
        if self.at > from {
            self.node(mark, Error);
        }
    }
}

#[cfg(test)]
mod tests;
