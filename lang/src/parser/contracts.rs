//! Contracts: `| T` behind the name of an argument or a definition, in `.hb` files.
//!
//! `T` is an operand or an application, so that `?` and `=` may follow, or `A -> B` of
//! such; whatever else needs parentheses. In a contract, and in its parentheses, lists and
//! sets, `->` is the contract of a function; in functions within it, it is implication.

use super::expressions::{is_operator, starts_operand};
use super::{Height, Parser};
use crate::kind::SyntaxKind::{self, *};
use crate::sink::Sink;
use crate::{Diagnostic, Dialect};

/// How many tokens the contract of a function's first argument may have: a few decide
/// whether `{ a | T` begins a function or a set, except where `T` itself is long.
const MAX_LOOKAHEAD: usize = 1_000;

impl<S: Sink> Parser<'_, S> {
    /// `| T`, if it is there.
    pub(super) fn contract(&mut self) -> Height {
        if !self.at(Bar) {
            return 0;
        }
        let mark = self.mark();
        self.contract_outside_of_hb();
        self.bump();
        let outer = std::mem::replace(&mut self.in_contract, true);
        let height = self.contract_expression();
        self.in_contract = outer;
        if self.at(Bar) || (is_operator(self.kind()) && !self.at(Question)) {
            self.operator_in_contract();
            self.skip_until(|kind| matches!(kind, Assign | Semicolon | Comma | Question | In));
        }
        self.node(mark, Contract);
        height
    }

    /// `T` or `A -> B`
    fn contract_expression(&mut self) -> Height {
        let mark = self.mark();
        let mut height = match self.kind() {
            BraceOpen if self.at_pattern() => self.pattern_as_contract(),
            kind if starts_operand(kind) => self.application(),
            _ => {
                self.missing_contract();
                self.bad_expression()
            }
        };
        if self.eat(Implies) {
            height = self.nested(Self::contract_expression).max(height) + 1;
            self.node(mark, Arrow);
        }
        height
    }

    /// `{ a, b }` where a set belongs.
    fn pattern_as_contract(&mut self) -> Height {
        self.arguments_as_contract();
        let mark = self.mark();
        self.bump();
        self.skip_until(|kind| kind == BraceClose);
        self.eat(BraceClose);
        self.node(mark, BadExpr);
        1
    }

    /// Whether the contract that begins `ahead` tokens further on is that of a function's
    /// argument, and not that of an attribute.
    pub(super) fn at_contract_of_argument(&self, ahead: usize) -> bool {
        matches!(self.contract_end(ahead), Comma | Question | BraceClose)
    }

    /// Whether it is that of a definition.
    pub(super) fn at_contract_of_definition(&self, ahead: usize) -> bool {
        self.contract_end(ahead) == Assign
    }

    /// What comes after the contract that begins `ahead` tokens further on.
    fn contract_end(&self, ahead: usize) -> SyntaxKind {
        let mut open = 0u32;
        for ahead in ahead..ahead + MAX_LOOKAHEAD {
            match self.nth(ahead) {
                BraceOpen | BracketOpen | ParenOpen | InterpolationOpen => open += 1,
                kind @ (Comma | Question | Assign | Semicolon) if open == 0 => return kind,
                kind @ (BraceClose | BracketClose | ParenClose) if open == 0 => return kind,
                BraceClose | BracketClose | ParenClose => open -= 1,
                End => break,
                _ => {}
            }
        }
        End
    }

    /// Where only Nix's language is accepted.
    fn contract_outside_of_hb(&mut self) {
        if self.dialect == Dialect::Nix {
            let problem = Diagnostic::error(
                "parse.contract-in-nix",
                "a `.nix` file has no contracts",
                self.span(),
            )
            .here("a contract begins here")
            .help("give the file a name that ends in `.hb`, or check the value with `assert`");
            self.report(problem);
        }
    }

    fn missing_contract(&mut self) {
        self.missing_name("a contract", "parse.expected-contract");
    }

    fn operator_in_contract(&mut self) {
        let message = format!("{} cannot stand in a contract", self.found());
        let help = match self.kind() {
            Bar | OrOr => "a value that may be one or the other is `Or [ A B ]`",
            _ => "put an expression that gives a contract in parentheses",
        };
        self.report(
            Diagnostic::error("parse.operator-in-contract", message, self.span()).help(help),
        );
    }

    fn arguments_as_contract(&mut self) {
        self.report(
            Diagnostic::error(
                "parse.arguments-as-contract",
                "the contract of a set is a set of contracts",
                self.span(),
            )
            .here("this begins a function's arguments")
            .help("write `{ name = T; other = Optional U; }`"),
        );
    }
}
