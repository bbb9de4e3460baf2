//! What the parser says of strings and paths.

use super::Parser;
use crate::kind::SyntaxKind::*;
use crate::sink::Sink;
use crate::{Diagnostic, Span};

impl<S: Sink> Parser<'_, S> {
    pub(super) fn unclosed_string(&mut self, opening: Span) {
        let place = self.quotes_at(opening.start);
        let quotes = self.text_of(place).to_owned();
        let mut problem =
            Diagnostic::error("parse.unclosed-string", "this string is never closed", place)
                .here("opened here")
                .help(format!("close it with `{quotes}`; an earlier string may also lack its end"));
        if let Some(suspect) = self.swallowing_string() {
            let start = Span { start: suspect.start, end: suspect.start + 1 };
            let line = self.text_of(suspect).lines().next().unwrap_or_default().trim_end();
            let end = suspect.start + line.len() as u32;
            problem = Diagnostic::error(
                "parse.unclosed-string",
                "this string goes on over the end of its line",
                start,
            )
            .here("opened here")
            .label(Span { start: end, end }, "perhaps `\"` is missing on this line")
            .label(place, "so that this one is never closed");
        }
        self.report(problem);
    }

    /// The quotes of a string that begins here.
    fn quotes_at(&self, start: u32) -> Span {
        let is_plain = self.text_of(Span { start, end: start + 1 }) == "\"";
        Span { start, end: start + if is_plain { 1 } else { 2 } }
    }

    /// The first string before this that ends on a later line, with a word right behind
    /// its end: that word was meant to be inside of another string.
    fn swallowing_string(&self) -> Option<Span> {
        let tokens = self.tokens.get(..self.at)?;
        tokens.windows(4).find_map(|tokens| {
            let [open, text, close, next] = tokens else { return None };
            let span = Span { start: open.start, end: close.span().end };
            let is_whole = (open.kind, text.kind, close.kind) == (StringOpen, Text, StringClose);
            let touches = next.start == span.end
                && matches!(next.kind, Ident | Int | Float | PathStart | Uri);
            (is_whole && touches && self.text_of(span).contains('\n')).then_some(span)
        })
    }

    pub(super) fn empty_interpolation(&mut self, opening: Span) {
        let span = Span { start: opening.start, end: self.span().end };
        self.report(
            Diagnostic::error("parse.empty-interpolation", "this interpolation is empty", span)
                .here("expected an expression between `${` and `}`")
                .help("a plain `${` is written `\\${` in a string and `''${` in an indented one"),
        );
    }

    pub(super) fn check_text(&mut self) {
        let span = self.span();
        if let Some(at) = self.text_of(span).find('\0') {
            let start = span.start + at as u32;
            self.report_aside(Diagnostic::error(
                "parse.null-byte",
                "a string cannot hold a null byte",
                Span { start, end: start + 1 },
            ));
        }
    }

    pub(super) fn trailing_slash(&mut self, last: Span) {
        let slash = Span { start: last.end - 1, end: last.end };
        self.report_aside(
            Diagnostic::error("parse.trailing-slash", "a path does not end in a slash", slash)
                .here("remove this slash")
                .fix(slash, ""),
        );
    }

    pub(super) fn doubled_slash(&mut self, text: Span) {
        let slash = Span { start: text.start, end: text.start + 1 };
        self.report_aside(
            Diagnostic::error("parse.doubled-slash", "a path has single slashes", slash)
                .here("remove this slash")
                .fix(slash, ""),
        );
    }
}
