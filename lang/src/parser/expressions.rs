//! Expressions from the outside in: forms that reach as far as they can, pipes,
//! operators by precedence, application.

use super::{Height, MAX_NESTING_DEPTH, MAX_TREE_HEIGHT, Parser};
use crate::kind::SyntaxKind::{self, *};
use crate::sink::Sink;

/// How an operator groups with its like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Grouping {
    Left,
    Right,
    /// Not at all: `a == b == c` is an error.
    None,
}

/// Binding strengths, weakest first. Pipes are weaker than all of them and do not mix.
const NOT: u8 = 7;
const HAS_ATTR: u8 = 11;
const NEGATE: u8 = 12;

fn infix(kind: SyntaxKind) -> Option<(u8, Grouping)> {
    Some(match kind {
        Implies => (1, Grouping::Right),
        OrOr => (2, Grouping::Left),
        AndAnd => (3, Grouping::Left),
        Equal | NotEqual => (4, Grouping::None),
        Less | LessEq | More | MoreEq => (5, Grouping::None),
        Update => (6, Grouping::Right),
        Plus | Minus => (8, Grouping::Left),
        Star | Slash => (9, Grouping::Left),
        Concat => (10, Grouping::Right),
        Question => (HAS_ATTR, Grouping::Left),
        _ => return None,
    })
}

/// Whether this stands between two operands.
pub(super) fn is_operator(kind: SyntaxKind) -> bool {
    infix(kind).is_some() || matches!(kind, PipeInto | PipeFrom | Bang)
}

/// Whether an expression can begin with this.
pub(super) fn starts_expression(kind: SyntaxKind) -> bool {
    starts_operand(kind) || starts_form(kind) || matches!(kind, Bang | Minus)
}

/// Whether an argument of a function can begin with this.
pub(super) fn starts_operand(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        Ident
            | Int
            | Float
            | Uri
            | SearchPath
            | PathStart
            | StringOpen
            | IndentedOpen
            | BraceOpen
            | BracketOpen
            | ParenOpen
            | Rec
            | Let
    )
}

fn starts_form(kind: SyntaxKind) -> bool {
    matches!(kind, If | Assert | With | Let)
}

impl<S: Sink> Parser<'_, S> {
    /// Any expression; where there is none, a problem and a [`BadExpr`].
    ///
    /// Forms whose last part is an expression (`x: …`, `let … in …`, `… else …`) are
    /// a loop and not a recursion, because people write long chains of them.
    pub(super) fn expression(&mut self) -> Height {
        if self.depth >= MAX_NESTING_DEPTH {
            return self.too_deep();
        }
        self.depth += 1;
        let start = self.current.start;
        let height = if self.at_form() { self.forms() } else { self.pipe() };
        self.depth -= 1;
        self.checked(start, height)
    }

    /// Forms within one another, the last of which ends in what is none.
    fn forms(&mut self) -> Height {
        let in_contract = std::mem::replace(&mut self.in_contract, false);
        let outer = self.forms.len();
        let mut inner = 0;
        while self.at_form() && self.forms.len() - outer < MAX_TREE_HEIGHT as usize {
            let mark = self.mark();
            let (kind, height) = self.form_head();
            self.forms.push((mark, kind));
            inner = inner.max(height);
        }
        let is_too_deep = self.forms.len() - outer >= MAX_TREE_HEIGHT as usize;
        let mut height = if is_too_deep { self.too_deep() } else { self.pipe().max(inner) };
        while self.forms.len() > outer
            && let Some((mark, kind)) = self.forms.pop()
        {
            height += 1;
            self.node(mark, kind);
        }
        self.in_contract = in_contract;
        height
    }

    /// Whether a form begins here.
    pub(super) fn at_form(&self) -> bool {
        match self.kind() {
            Ident => matches!(self.nth(1), Colon | At),
            BraceOpen => self.at_pattern(),
            Let => self.nth(1) != BraceOpen,
            kind => starts_form(kind),
        }
    }

    /// A form up to where its last expression begins.
    fn form_head(&mut self) -> (SyntaxKind, Height) {
        match self.kind() {
            If => (IfElse, self.if_head()),
            Assert => (AssertExpr, self.scoped_head()),
            With => (WithExpr, self.scoped_head()),
            Let => (LetIn, self.let_head()),
            _ => (Lambda, self.parameter()),
        }
    }

    /// `if condition then yes else`
    fn if_head(&mut self) -> Height {
        self.bump();
        let condition = self.expression();
        self.expect_keyword(Then, "parse.missing-then", "then");
        let yes = self.expression();
        self.expect_keyword(Else, "parse.missing-else", "else");
        condition.max(yes)
    }

    /// `assert condition;` and `with scope;`
    fn scoped_head(&mut self) -> Height {
        self.bump();
        let height = self.expression();
        self.expect_semicolon();
        height
    }

    /// `let … in`
    fn let_head(&mut self) -> Height {
        let opening = self.span();
        self.bump();
        let height = self.bindings(super::bindings::Closing::In, opening);
        self.expect_in(opening);
        height
    }

    /// `a |> f |> g`, `g <| f <| a`, or an operand.
    fn pipe(&mut self) -> Height {
        let mark = self.mark();
        let mut height = self.operators(0);
        match self.kind() {
            PipeInto => {
                while self.at(PipeInto) {
                    self.bump();
                    height = self.operators(0).max(height) + 1;
                    self.node(mark, Binary);
                    height = self.checked(mark.start, height);
                }
                if self.at(PipeFrom) {
                    self.mixed_pipes();
                }
            }
            PipeFrom => {
                let mut open = vec![mark];
                let mut inner = height;
                while self.eat(PipeFrom) {
                    let next = self.mark();
                    inner = self.operators(0).max(inner);
                    if self.at(PipeFrom) {
                        open.push(next);
                    }
                }
                height = inner + open.len() as u32;
                for mark in open.into_iter().rev() {
                    self.node(mark, Binary);
                }
                height = self.checked(mark.start, height);
                if self.at(PipeInto) {
                    self.mixed_pipes();
                }
            }
            _ => {}
        }
        height
    }

    /// Operators that bind at least as strongly as `weakest`.
    fn operators(&mut self, weakest: u8) -> Height {
        let mark = self.mark();
        let mut height = match self.kind() {
            Bang => self.prefix(NOT),
            Minus => self.prefix(NEGATE),
            _ => self.application(),
        };
        // Two of these side by side have no meaning.
        let mut ungrouped = None;
        while let Some((strength, grouping)) = infix(self.kind()) {
            if strength < weakest {
                break;
            }
            if ungrouped == Some(strength) {
                self.chained_comparison();
            }
            ungrouped = (grouping == Grouping::None).then_some(strength);
            let right = if self.at(Question) {
                self.bump();
                self.attribute_path();
                self.node(mark, HasAttr);
                1
            } else {
                let is_arrow = self.in_contract && self.at(Implies);
                self.bump();
                let right = self.right_side(strength, grouping);
                self.node(mark, if is_arrow { Arrow } else { Binary });
                right
            };
            height = self.checked(mark.start, height.max(right) + 1);
        }
        height
    }

    fn right_side(&mut self, strength: u8, grouping: Grouping) -> Height {
        let weakest = if grouping == Grouping::Right { strength } else { strength + 1 };
        self.nested(|parser| parser.operators(weakest))
    }

    fn prefix(&mut self, strength: u8) -> Height {
        let mark = self.mark();
        self.bump();
        let height = self.nested(|parser| parser.operators(strength)) + 1;
        self.node(mark, Unary);
        height
    }

    /// `f a b`
    pub(super) fn application(&mut self) -> Height {
        let mark = self.mark();
        let mut height = self.selection();
        loop {
            let argument = match self.kind() {
                kind if !starts_operand(kind) && !starts_form(kind) => return height,
                _ if self.at_form() => self.form_without_parentheses(),
                _ if self.in_contract || !self.at_definition() => self.selection(),
                _ => return height,
            };
            self.node(mark, Apply);
            height = self.checked(mark.start, height.max(argument) + 1);
        }
    }

    /// `a.b.c or d`
    pub(super) fn selection(&mut self) -> Height {
        let mark = self.mark();
        let mut height = self.atom();
        if self.eat(Dot) {
            height = self.attribute_path().max(height) + 1;
            if self.eat(Or) {
                height = height.max(self.nested(Self::selection) + 1);
            }
            self.node(mark, Select);
            if self.at(Dot) {
                self.dot_after_default();
            }
        } else if self.at(Or) {
            // A function may be called `or`; it then is the last argument.
            self.legacy_or();
            self.token_node(Variable);
            self.node(mark, Apply);
            height += 1;
        }
        height
    }

    /// One level of recursion that does not pass through [`Self::expression`].
    pub(super) fn nested(&mut self, parse: impl FnOnce(&mut Self) -> Height) -> Height {
        if self.depth >= MAX_NESTING_DEPTH {
            return self.too_deep();
        }
        self.depth += 1;
        let height = parse(self);
        self.depth -= 1;
        height
    }

    /// The height of what began there, with a problem where it is too much.
    #[inline]
    fn checked(&mut self, start: u32, height: Height) -> Height {
        if height >= MAX_TREE_HEIGHT {
            self.too_high(self.since(start));
        }
        height
    }
}
