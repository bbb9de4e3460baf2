//! Definitions: `a.b = c;`, `inherit a;`, and the paths on their left sides.

use super::expressions::starts_expression;
use super::{Height, Parser};
use crate::Span;
use crate::kind::SyntaxKind::*;
use crate::sink::Sink;

/// How far ahead a path of attributes is followed to see whether `=` comes after it.
const MAX_LOOKAHEAD: usize = 32;

/// What ends a list of definitions.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Closing {
    /// `}`
    Brace { recursive: bool },
    /// `in`
    In,
}

impl<S: Sink> Parser<'_, S> {
    /// Definitions up to what closes them, which is left to the caller.
    pub(super) fn bindings(&mut self, closing: Closing, opening: Span) -> Height {
        let mut height = 0;
        loop {
            let before = self.at;
            let found = match self.kind() {
                BraceClose | In | End => return height,
                Inherit => self.inherit(),
                Ident | Or | StringOpen | InterpolationOpen => {
                    if closing == Closing::In && self.at_body_without_in() {
                        return height;
                    }
                    self.binding(closing)
                }
                Semicolon => {
                    self.stray_semicolon();
                    self.token_node(Error);
                    0
                }
                Then | Else | ParenClose | BracketClose => return height,
                kind if closing == Closing::In && starts_expression(kind) => return height,
                _ => {
                    self.not_a_definition(closing, opening);
                    self.skip_until(|kind| matches!(kind, Semicolon | In | Inherit));
                    self.eat_into_error(Semicolon);
                    0
                }
            };
            height = height.max(found);
            if self.at == before {
                self.token_node(Error);
            }
        }
    }

    /// `a.b = c;` and `a.b | T = c;`
    fn binding(&mut self, closing: Closing) -> Height {
        let mark = self.mark();
        if closing == (Closing::Brace { recursive: true }) {
            self.legacy_overrides();
        }
        let path = self.attribute_path().max(self.contract());
        if !self.eat(Assign) {
            self.missing_assign();
            if self.at(Semicolon) {
                self.bad_expression();
                self.bump();
                self.node(mark, Binding);
                return path;
            }
            if !self.eat_into_error(Equal) && !self.eat_into_error(Colon) {
                let stop = self.at(BraceClose) || self.at(In) || self.at(End);
                if stop || self.at_definition() {
                    self.bad_expression();
                    self.node(mark, Binding);
                    return path;
                }
            }
        }
        let value = self.expression();
        self.end_definition();
        self.node(mark, Binding);
        path.max(value)
    }

    /// `;`. At the end of the file the bracket is what is missing, and is reported.
    fn end_definition(&mut self) {
        if !self.at(End) {
            self.expect_semicolon();
        }
    }

    /// `inherit a b;` and `inherit (c) a b;`
    fn inherit(&mut self) -> Height {
        let mark = self.mark();
        let mut height = 0;
        self.bump();
        if self.at(ParenOpen) {
            let from = self.mark();
            let opening = self.span();
            self.bump();
            height = self.expression();
            self.close(ParenClose, opening, "parse.unclosed-parenthesis");
            self.node(from, InheritFrom);
        }
        while matches!(self.kind(), Ident | Or | StringOpen | InterpolationOpen)
            && !self.at_definition()
        {
            height = self.attribute_name().max(height);
            if matches!(self.kind(), Dot | Comma) {
                self.separator_in_inherit();
                self.token_node(Error);
            }
        }
        self.end_definition();
        self.node(mark, InheritBinding);
        height
    }

    /// `a."b".${c}`
    pub(super) fn attribute_path(&mut self) -> Height {
        let mark = self.mark();
        let mut height = 0;
        loop {
            if matches!(self.kind(), Ident | Or | StringOpen | InterpolationOpen) {
                height = self.attribute_name().max(height);
            } else {
                self.missing_attribute();
                break;
            }
            if !self.eat(Dot) {
                break;
            }
        }
        self.node(mark, AttrPath);
        height
    }

    fn attribute_name(&mut self) -> Height {
        let mark = self.mark();
        let height = match self.kind() {
            StringOpen => self.string(StringClose),
            InterpolationOpen => self.interpolation(),
            kind => {
                if kind == Or {
                    self.legacy_or_name();
                }
                self.token_node(AttrName);
                return 1;
            }
        };
        self.node(mark, AttrName);
        height
    }

    /// Whether a definition begins here: `a =`, `a.b =`, `"a" =`, `a |`. No expression goes
    /// on like that, so a `;` is missing before it.
    pub(super) fn at_definition(&self) -> bool {
        let mut ahead = 0;
        while ahead < MAX_LOOKAHEAD {
            ahead += match self.nth(ahead) {
                Ident | Or => 1,
                StringOpen if self.nth(ahead + 1) == StringClose => 2,
                StringOpen if self.nth(ahead + 1) == Text && self.nth(ahead + 2) == StringClose => {
                    3
                }
                _ => return false,
            };
            match self.nth(ahead) {
                Assign => return true,
                Bar => return self.at_contract_of_definition(ahead + 1),
                Dot => ahead += 1,
                _ => return false,
            }
        }
        false
    }

    /// Whether a `let`'s body seems to begin here: a name that nothing makes a definition.
    fn at_body_without_in(&self) -> bool {
        match self.kind() {
            Ident => !matches!(self.nth(1), Assign | Bar | Dot | Equal | Semicolon | Colon | In),
            StringOpen => self.nth(1) == Text && self.nth(2) == StringClose && self.nth(3) == End,
            _ => false,
        }
    }

    /// Consume a token of this kind as an error.
    fn eat_into_error(&mut self, kind: crate::kind::SyntaxKind) -> bool {
        let there = self.at(kind);
        if there {
            self.token_node(Error);
        }
        there
    }
}
