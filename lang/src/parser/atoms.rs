//! What stands by itself: literals, strings, paths, lists, and everything in brackets.

use super::bindings::Closing;
use super::expressions::{is_operator, starts_operand};
use super::{Height, Parser};
use crate::Span;
use crate::kind::SyntaxKind::{self, *};
use crate::sink::Sink;

impl<S: Sink> Parser<'_, S> {
    /// The smallest whole expression.
    pub(super) fn atom(&mut self) -> Height {
        match self.kind() {
            Ident if !self.at_form() => self.token_node(Variable),
            Ident | If | Assert | With => return self.form_without_parentheses(),
            BraceOpen | Let if self.at_form() => return self.form_without_parentheses(),
            Int | Float => self.token_node(Literal),
            Uri => {
                self.legacy_uri();
                self.token_node(Literal);
            }
            SearchPath => {
                self.legacy_search_path();
                self.token_node(Literal);
            }
            PathStart => return self.path(),
            StringOpen => return self.string(StringClose),
            IndentedOpen => return self.string(IndentedClose),
            ParenOpen => return self.parens(),
            BracketOpen => return self.list(),
            BraceOpen | Rec => return self.attribute_set(),
            Let => return self.legacy_let(),
            _ => {
                self.missing_expression();
                return self.bad_expression();
            }
        }
        1
    }

    /// A form where only an operand may stand.
    #[cold]
    pub(super) fn form_without_parentheses(&mut self) -> Height {
        self.needs_parentheses();
        self.expression()
    }

    /// `"…"` or `''…''`
    pub(super) fn string(&mut self, close: SyntaxKind) -> Height {
        let mark = self.mark();
        let opening = self.span();
        let mut height = 0;
        self.bump();
        loop {
            match self.kind() {
                Text => {
                    self.check_text();
                    self.bump();
                }
                IndentedEscape => self.bump(),
                InterpolationOpen => height = self.interpolation().max(height),
                kind => {
                    if kind == close {
                        self.bump();
                    } else {
                        self.unclosed_string(opening);
                    }
                    break;
                }
            }
        }
        self.node(mark, StringExpr);
        height + 1
    }

    /// `${ … }`
    pub(super) fn interpolation(&mut self) -> Height {
        let mark = self.mark();
        let opening = self.span();
        self.bump();
        let height = if self.at(BraceClose) {
            self.empty_interpolation(opening);
            self.bad_expression()
        } else {
            let in_contract = std::mem::replace(&mut self.in_contract, false);
            let height = self.expression();
            self.in_contract = in_contract;
            height
        };
        self.close_interpolation(opening);
        self.node(mark, Interpolation);
        height + 1
    }

    /// A path, which goes on while its pieces touch.
    fn path(&mut self) -> Height {
        let mark = self.mark();
        let mut height = 0;
        let mut last = self.span();
        // More text without an interpolation before it begins with a second slash.
        let mut doubled = None;
        let mut texts = 0;
        let mut interpolated = false;
        self.bump();
        loop {
            match self.kind() {
                PathText => {
                    last = self.span();
                    if !interpolated {
                        texts += 1;
                        doubled = Some(last);
                    }
                    self.bump();
                }
                InterpolationOpen if self.current.start == self.last_end => {
                    height = self.interpolation().max(height);
                    last = Span { start: self.last_end, end: self.last_end };
                    interpolated = true;
                }
                _ => break,
            }
        }
        match doubled {
            Some(text) if !interpolated || texts > 1 => self.doubled_slash(text),
            _ if self.text_of(last).ends_with('/') => self.trailing_slash(last),
            _ => {}
        }
        self.node(mark, PathExpr);
        height + 1
    }

    /// `( … )`
    fn parens(&mut self) -> Height {
        let mark = self.mark();
        let opening = self.span();
        self.bump();
        let height = self.expression();
        self.close(ParenClose, opening, "parse.unclosed-parenthesis");
        self.node(mark, Parens);
        height + 1
    }

    /// `[ … ]`
    fn list(&mut self) -> Height {
        let mark = self.mark();
        let opening = self.span();
        let mut height = 0;
        self.bump();
        loop {
            let element = match self.kind() {
                _ if self.at_form() => self.form_without_parentheses(),
                kind if starts_operand(kind) && !self.at_definition() => {
                    self.nested(Self::selection)
                }
                Comma => {
                    self.comma_in_list();
                    let error = self.mark();
                    self.bump();
                    self.node(error, Error);
                    0
                }
                kind if is_operator(kind) => {
                    self.operator_in_list();
                    let error = self.mark();
                    self.bump();
                    self.node(error, Error);
                    0
                }
                _ => break,
            };
            height = height.max(element);
        }
        self.close(BracketClose, opening, "parse.unclosed-bracket");
        self.node(mark, List);
        height + 1
    }

    /// `{ … }` or `rec { … }`
    fn attribute_set(&mut self) -> Height {
        let mark = self.mark();
        let recursive = self.eat(Rec);
        let opening = self.span();
        if !self.eat(BraceOpen) {
            self.missing_brace();
            self.node(mark, BadExpr);
            return 1;
        }
        let height = self.bindings(Closing::Brace { recursive }, opening);
        self.close(BraceClose, opening, "parse.unclosed-brace");
        self.node(mark, AttrSet);
        height + 1
    }

    /// `let { … }`
    fn legacy_let(&mut self) -> Height {
        let mark = self.mark();
        self.bump();
        let opening = self.span();
        self.bump();
        let height = self.bindings(Closing::Brace { recursive: true }, opening);
        let inner = Span { start: opening.end, end: self.current.start };
        self.close(BraceClose, opening, "parse.unclosed-brace");
        self.refuse_legacy_let(self.since(mark.start), inner);
        self.node(mark, LegacyLet);
        height + 1
    }

    /// The closing bracket of what `opening` began.
    pub(super) fn close(&mut self, kind: SyntaxKind, opening: Span, code: &'static str) {
        if self.eat(kind) {
            return;
        }
        self.unclosed(kind, opening, code);
        // Something odd on the way to the bracket that is there after all.
        self.skip_until(|found| matches!(found, Semicolon | In | Then | Else | Comma | Assign));
        self.eat(kind);
    }

    /// The `}` of an interpolation. The lexer has paired it with its `${`, so whatever
    /// stands before it is skipped, and the string goes on behind it.
    fn close_interpolation(&mut self, opening: Span) {
        if self.eat(BraceClose) {
            return;
        }
        self.unclosed(BraceClose, opening, "parse.unclosed-interpolation");
        let mark = self.mark();
        let mut open = 0u32;
        while !self.at(End) && (open > 0 || !self.at(BraceClose)) {
            match self.kind() {
                BraceOpen | InterpolationOpen => open += 1,
                BraceClose => open -= 1,
                _ => {}
            }
            self.bump();
        }
        self.node(mark, Error);
        self.eat(BraceClose);
    }
}
