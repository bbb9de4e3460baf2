//! What functions bind: `x:`, `{ a, b | T ? 1, ... }:`, and `@` on either side.

use super::{Height, Parser};
use crate::kind::SyntaxKind::*;
use crate::sink::Sink;

impl<S: Sink> Parser<'_, S> {
    /// Whether the `{` here begins a function's arguments and not a set. A few
    /// tokens decide.
    pub(super) fn at_pattern(&self) -> bool {
        match self.nth(1) {
            Ellipsis | Comma => true,
            Ident => match self.nth(2) {
                Comma | Question => true,
                Bar => self.at_contract_of_argument(3),
                BraceClose => matches!(self.nth(3), Colon | At),
                // No set goes on like that, so a comma is missing.
                Ident => matches!(self.nth(3), Comma | Question | BraceClose),
                _ => false,
            },
            BraceClose => matches!(self.nth(2), Colon | At),
            _ => false,
        }
    }

    /// Everything of a function before its body.
    pub(super) fn parameter(&mut self) -> Height {
        let height = if self.at(Ident) && self.nth(1) == Colon {
            self.token_node(ParamName);
            0
        } else {
            self.pattern()
        };
        if !self.eat(Colon) {
            self.missing_colon();
        }
        height
    }

    fn pattern(&mut self) -> Height {
        let mark = self.mark();
        let before = self.at(Ident);
        if before {
            self.token_node(Alias);
            self.bump();
        }
        let height = if self.at(BraceOpen) {
            self.fields()
        } else {
            self.missing_pattern();
            0
        };
        if self.at(At) && !before {
            self.bump();
            if self.at(Ident) {
                self.token_node(Alias);
            } else {
                self.missing_name("a name for all arguments", "parse.missing-name");
            }
        }
        self.node(mark, Pattern);
        height
    }

    /// `{ a, b ? 1, ... }`
    fn fields(&mut self) -> Height {
        let opening = self.span();
        let mut height = 0;
        self.bump();
        loop {
            match self.kind() {
                Ident => height = self.field().max(height),
                Ellipsis => {
                    self.bump();
                    if self.at(Comma) {
                        self.after_ellipsis();
                    }
                }
                _ => break,
            }
            if !self.eat(Comma) {
                if !matches!(self.kind(), Ident | Ellipsis) {
                    break;
                }
                self.missing_comma();
            }
        }
        if !matches!(self.kind(), BraceClose | End) {
            self.not_an_argument();
            self.skip_until(|kind| kind == BraceClose);
        }
        self.close(BraceClose, opening, "parse.unclosed-brace");
        height
    }

    /// `a`, `a | T` or `a ? default`
    fn field(&mut self) -> Height {
        let mark = self.mark();
        self.bump();
        let mut height = self.contract();
        if self.eat(Question) {
            height = self.expression().max(height);
        }
        self.node(mark, Field);
        height
    }
}
