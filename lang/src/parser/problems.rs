//! What the parser says: one function for each kind of problem.
//!
//! A missing token is marked right after the one before it, where it should be
//! written, and not at the next one, which may be lines further down.

use super::bindings::Closing;
use super::{Height, MAX_NESTING_DEPTH, MAX_TREE_HEIGHT, Parser};
use crate::kind::SyntaxKind::{self, *};
use crate::sink::Sink;
use crate::{Diagnostic, Span};

impl<S: Sink> Parser<'_, S> {
    /// Keep a problem, unless one was found at this token already.
    pub(super) fn report(&mut self, problem: Diagnostic) {
        if self.last_problem != Some(self.at) && !self.gave_up {
            self.last_problem = Some(self.at);
            self.problems.push(problem);
        }
    }

    /// Keep a problem that leaves the parser where it was.
    pub(super) fn report_aside(&mut self, problem: Diagnostic) {
        if !self.gave_up {
            self.problems.push(problem);
        }
    }

    /// The current token, to be named in a message.
    pub(super) fn found(&self) -> String {
        let text = self.text_of(self.span());
        match self.kind() {
            End => "the end of the file".into(),
            Ident => format!("the name `{text}`"),
            If | Then | Else | Assert | With | Let | In | Rec | Inherit | Or => {
                format!("the keyword `{text}`")
            }
            StringOpen | IndentedOpen => "a string".into(),
            PathStart | SearchPath => "a path".into(),
            UnclosedComment => "a comment without an end".into(),
            Unknown => format!("the character `{}`", text.escape_debug()),
            _ => format!("`{}`", text.chars().take(20).collect::<String>()),
        }
    }

    /// Whether the current token is on a later line than the last one, or ends a scope.
    fn line_ends_here(&self) -> bool {
        let gap = Span { start: self.last_end, end: self.current.start };
        matches!(self.kind(), End | BraceClose | In | Inherit) || self.text_of(gap).contains('\n')
    }

    fn missing(&self, code: &'static str, message: String, token: &str) -> Diagnostic {
        let place = self.after_last();
        Diagnostic::error(code, message, place).here(format!("`{token}` is missing here"))
    }

    /// The wrong token that stands here, by itself.
    fn odd_token(&mut self) -> bool {
        let problem = match self.kind() {
            UnclosedComment => {
                let start = self.span().start;
                let opening = Span { start, end: start + 2 };
                Diagnostic::error("parse.unclosed-comment", "this comment has no end", opening)
                    .here("opened here")
                    .help("close it with `*/`")
            }
            Unknown => Diagnostic::error(
                "parse.unknown-character",
                format!("{} means nothing here", self.found()),
                self.span(),
            ),
            _ => return false,
        };
        self.report(problem);
        // The comment is all the rest.
        self.gave_up |= self.at(UnclosedComment);
        true
    }

    pub(super) fn expect_semicolon(&mut self) {
        if self.eat(Semicolon) {
            return;
        }
        if !self.odd_token() {
            if self.line_ends_here() || self.at_definition() {
                let place = self.after_last();
                let problem = self
                    .missing("parse.missing-semicolon", "a `;` is missing".into(), ";")
                    .fix(place, ";");
                self.report(problem);
            } else {
                self.unexpected("`;` or an operator");
            }
        }
        if !self.at_definition() {
            self.skip_until(|kind| matches!(kind, Semicolon | Inherit | In | Then | Else));
            self.eat(Semicolon);
        }
    }

    pub(super) fn expect_keyword(&mut self, kind: SyntaxKind, code: &'static str, word: &str) {
        if self.eat(kind) || self.odd_token() {
            return;
        }
        let problem = self.missing(code, format!("this `if` has no `{word}`"), word);
        self.report(problem);
    }

    pub(super) fn expect_in(&mut self, opening: Span) {
        if self.eat(In) || self.odd_token() {
            return;
        }
        let problem = self
            .missing("parse.missing-in", "this `let` has no `in`".into(), "in")
            .label(opening, "the `let`");
        self.report(problem);
    }

    fn unexpected(&mut self, expected: &str) {
        if !self.odd_token() {
            let message = format!("{} cannot stand here", self.found());
            let problem = Diagnostic::error("parse.unexpected-token", message, self.span())
                .here(format!("expected {expected}"));
            self.report(problem);
        }
    }

    /// Something after the end of the file's expression.
    pub(super) fn stray_rest(&mut self) {
        if matches!(self.kind(), BraceClose | ParenClose | BracketClose) {
            let message = format!("{} closes nothing", self.found());
            let problem = Diagnostic::error("parse.stray-bracket", message, self.span())
                .help("remove it, or look for a bracket that was closed too early");
            self.report(problem);
        } else {
            self.unexpected("an operator or the end of the file");
        }
    }

    pub(super) fn missing_expression(&mut self) {
        if self.odd_token() {
            return;
        }
        let message = format!("expected an expression, found {}", self.found());
        let place = if self.at(End) { self.after_last() } else { self.span() };
        let mut problem = Diagnostic::error("parse.expected-expression", message, place)
            .here("expected an expression");
        if self.at(InterpolationOpen) {
            problem = problem.help("`${…}` stands inside a string, a path or an attribute's name");
        }
        self.report(problem);
    }

    pub(super) fn unclosed(&mut self, kind: SyntaxKind, opening: Span, code: &'static str) {
        if self.odd_token() {
            return;
        }
        let (open, close) = match kind {
            BracketClose => ("[", "]"),
            ParenClose => ("(", ")"),
            _ if code == "parse.unclosed-interpolation" => ("${", "}"),
            _ => ("{", "}"),
        };
        let mut problem =
            Diagnostic::error(code, format!("this `{open}` is never closed"), opening)
                .here("opened here")
                .label(self.after_last(), format!("`{close}` is missing here"));
        if !self.at(End) {
            problem = problem.help(format!("found {} instead", self.found()));
        }
        self.report(problem);
    }

    pub(super) fn missing_brace(&mut self) {
        let problem = self.missing("parse.missing-brace", "`rec` begins a set".into(), "{");
        self.report(problem);
    }

    pub(super) fn needs_parentheses(&mut self) {
        let what = match self.kind() {
            If => "an `if`",
            Let => "a `let`",
            With => "a `with`",
            Assert => "an `assert`",
            _ => "a function",
        };
        let problem = Diagnostic::error(
            "parse.needs-parentheses",
            format!("{what} needs parentheses here"),
            self.span(),
        )
        .here("begins here")
        .help("put it in `(…)`, because it reaches as far as it can");
        self.report(problem);
    }

    pub(super) fn chained_comparison(&mut self) {
        let problem =
            Diagnostic::error("parse.chained-comparison", "comparisons do not chain", self.span())
                .here("a second comparison")
                .help("say which comes first with parentheses, or join two with `&&`");
        self.report(problem);
    }

    pub(super) fn mixed_pipes(&mut self) {
        let problem =
            Diagnostic::error("parse.mixed-pipes", "`|>` and `<|` do not mix", self.span())
                .here("the other direction")
                .help("say which comes first with parentheses");
        self.report(problem);
    }

    pub(super) fn dot_after_default(&mut self) {
        self.unexpected("the end of this selection; put it in parentheses to select from it");
    }

    pub(super) fn comma_in_list(&mut self) {
        let span = self.span();
        self.report(
            Diagnostic::error("parse.comma-in-list", "a list has no commas", span)
                .here("remove this comma")
                .fix(span, ""),
        );
    }

    pub(super) fn operator_in_list(&mut self) {
        let message = format!("{} in a list needs parentheses", self.found());
        self.report(
            Diagnostic::error("parse.operator-in-list", message, self.span())
                .help("a list's elements stand side by side: write `(a + b)` for one element"),
        );
    }

    pub(super) fn missing_colon(&mut self) {
        let problem = self.missing(
            "parse.missing-colon",
            "a `:` separates a function's arguments from its body".into(),
            ":",
        );
        self.report(problem);
    }

    pub(super) fn missing_pattern(&mut self) {
        self.missing_name("`{ … }` beside the `@`", "parse.missing-pattern");
    }

    pub(super) fn missing_name(&mut self, expected: &str, code: &'static str) {
        let message = format!("expected {expected}, found {}", self.found());
        let place = if self.at(End) { self.after_last() } else { self.span() };
        self.report(Diagnostic::error(code, message, place));
    }

    pub(super) fn after_ellipsis(&mut self) {
        let span = self.span();
        self.report(
            Diagnostic::error("parse.after-ellipsis", "`...` comes last", span)
                .here("nothing may follow `...`"),
        );
    }

    pub(super) fn missing_comma(&mut self) {
        let place = self.after_last();
        let problem = self
            .missing("parse.missing-comma", "named arguments are separated by commas".into(), ",")
            .fix(place, ",");
        self.report(problem);
    }

    pub(super) fn not_an_argument(&mut self) {
        self.missing_name("a named argument or `}`", "parse.expected-argument");
    }

    pub(super) fn missing_assign(&mut self) {
        if self.odd_token() {
            return;
        }
        let place = self.after_last();
        let mut problem =
            self.missing("parse.missing-equals", "a definition is `name = value;`".into(), "=");
        if matches!(self.kind(), Equal | Colon) {
            let span = self.span();
            problem = Diagnostic::error(
                "parse.missing-equals",
                format!("a definition takes `=`, not {}", self.found()),
                span,
            )
            .fix(span, if span.start == place.end { " =" } else { "=" });
        }
        self.report(problem);
    }

    pub(super) fn missing_attribute(&mut self) {
        if self.odd_token() {
            return;
        }
        let message = format!("expected an attribute's name, found {}", self.found());
        let place = if self.line_ends_here() { self.after_last() } else { self.span() };
        let mut problem = Diagnostic::error("parse.expected-attribute", message, place)
            .here("expected a name here");
        problem.help = self.quoted_keyword();
        self.report(problem);
    }

    /// How to use the keyword that stands here as a name.
    fn quoted_keyword(&self) -> Option<String> {
        let word = self.text_of(self.span());
        matches!(self.kind(), If | Then | Else | Assert | With | Let | In | Rec | Inherit)
            .then(|| format!("a keyword is a name only in quotes: `\"{word}\"`"))
    }

    pub(super) fn separator_in_inherit(&mut self) {
        let span = self.span();
        self.report(
            Diagnostic::error(
                "parse.separator-in-inherit",
                "the names of an `inherit` stand side by side",
                span,
            )
            .here("no separator here")
            .help("to inherit from a set, write `inherit (set) name;`"),
        );
    }

    pub(super) fn stray_semicolon(&mut self) {
        let span = self.span();
        self.report(
            Diagnostic::error("parse.stray-semicolon", "this `;` ends nothing", span)
                .here("remove it")
                .fix(span, ""),
        );
    }

    pub(super) fn not_a_definition(&mut self, closing: Closing, opening: Span) {
        if self.odd_token() {
            return;
        }
        let message = format!("expected a definition, found {}", self.found());
        let place = match closing {
            Closing::Brace { .. } => "in this set",
            Closing::In => "in this `let`",
        };
        let mut problem = Diagnostic::error("parse.expected-definition", message, self.span())
            .here("expected `name = value;` or `inherit …;`")
            .label(opening, place);
        problem.help = self.quoted_keyword();
        self.report(problem);
    }

    /// Give up on the rest: it stands too deep.
    pub(super) fn too_deep(&mut self) -> Height {
        let problem = Diagnostic::error(
            "parse.too-deep",
            format!("more than {MAX_NESTING_DEPTH} levels stand in one another"),
            self.span(),
        )
        .here("the rest is not read")
        .help("give the inner part a name with `let`, or a file of its own");
        self.give_up(problem);
        self.bad_expression()
    }

    /// Give up on the rest: the chain is too long.
    pub(super) fn too_high(&mut self, chain: Span) {
        let problem = Diagnostic::error(
            "parse.too-deep",
            format!("a chain of more than {MAX_TREE_HEIGHT} parts"),
            Span { start: chain.start, end: chain.start + 1 },
        )
        .here("begins here")
        .help("build it from parts that have names, or from a list");
        self.give_up(problem);
    }

    fn give_up(&mut self, problem: Diagnostic) {
        self.report_aside(problem);
        self.gave_up = true;
        let mark = self.mark();
        while !self.at(End) {
            self.bump();
        }
        self.node(mark, Error);
    }
}
