//! Contracts of arguments and definitions: what was promised, and code that checks it.

use hb_lang::Span;
use hb_lang::ast::{ExprId, Field};

use super::code::Entry;
use super::compile::Compiler;
use super::op::Op;
use super::variables::Known;
use crate::source::{Place, SourceId};
use crate::symbol::Symbol;

/// Who must keep a contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// Whoever calls the function.
    Caller,
    /// The value of the definition.
    Definition(Span),
    /// The default of the argument.
    Default(Span),
}

/// A contract as it was written.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    source: SourceId,
    /// The name that it is about.
    pub(crate) subject: Box<str>,
    contract: Span,
    pub(crate) keeper: Keeper,
}

impl Declaration {
    /// The contract at `contract` of the name `subject`.
    pub(crate) fn new(source: SourceId, subject: Box<str>, contract: Span, keeper: Keeper) -> Self {
        Self { source, subject, contract, keeper }
    }

    /// Where the contract is.
    pub(crate) fn place(&self) -> Place {
        Place { source: self.source, span: self.contract }
    }

    /// Where the value is that must keep it.
    pub(crate) fn value_place(&self) -> Option<Place> {
        match self.keeper {
            Keeper::Caller => None,
            Keeper::Definition(span) | Keeper::Default(span) => {
                Some(Place { source: self.source, span })
            }
        }
    }
}

impl Compiler<'_> {
    /// Code that checks the evaluated value on top.
    pub(super) fn check(&mut self, contract: ExprId, subject: Span, keeper: Keeper) {
        self.promise(contract, subject, keeper);
        self.emit_at(Op::Check, -2, self.ast.span(contract));
    }

    /// Code that lets the argument in a slot be checked when it is needed.
    pub(super) fn check_argument(&mut self, field: &Field, slot: u32) {
        if let Some(contract) = field.contract {
            self.promise(contract, field.span, Keeper::Caller);
            self.emit(Op::CheckArgument(slot), -2);
        }
    }

    /// The prototype of a default, which keeps the argument's contract too.
    pub(super) fn default_prototype(
        &mut self,
        field: &Field,
        default: ExprId,
        name: Symbol,
    ) -> u32 {
        let Some(contract) = field.contract else { return self.delayed(default, Some(name)) };
        let span = self.ast.span(default);
        self.nested(0, Some(name), None, span, |compiler| {
            compiler.strict(default);
            compiler.check(contract, field.span, Keeper::Default(span));
            compiler.emit(Op::Resolve, -1);
        })
    }

    /// Push a contract, and the beginning of its blame: the number of its declaration.
    fn promise(&mut self, contract: ExprId, subject: Span, keeper: Keeper) {
        let outer = std::mem::replace(&mut self.in_contract, true);
        match self.known(contract) {
            Known::Constant(value) => self.push_constant(value),
            _ => {
                let header = self.delayed_header(contract, None);
                // One that depends on nothing is made once.
                match header.capture_count {
                    0 => self.push_entry(Entry::Thunk(header)),
                    _ => {
                        let prototype = self.adopt(header);
                        self.emit(Op::Thunk(prototype), 1);
                    }
                }
            }
        }
        self.in_contract = outer;
        self.push_entry(Entry::Declaration(subject, self.ast.span(contract), keeper));
    }

    /// `from -> to`
    pub(super) fn arrow(&mut self, from: ExprId, to: ExprId, span: Span) {
        let Some(arrow) = self.around.names.contract("Arrow") else { unreachable!("a builtin") };
        self.push_constant(arrow);
        self.lazy(from, None);
        self.lazy(to, None);
        self.emit_at(Op::Call(2), -2, span);
    }
}
