//! Resolved programs: what the machine runs.
//!
//! Compiling turns a file's tree into instructions with every static name resolved to
//! a slot, a capture or a constant. All files' code lies in one array, so that an
//! instruction's index says where it comes from.

mod bindings;
mod compile;
mod contracts;
mod function;
mod functions;
mod op;
mod scope;
mod selection;
mod strings;
mod variables;

pub(crate) use compile::{Unit, compile};
pub(crate) use contracts::{Declaration, Keeper};
pub(crate) use op::{Infix, Op, Slot, Source};

use hb_lang::Span;

use crate::heap::Obj;
use crate::source::{Place, SourceId};
use crate::symbol::Symbol;
use crate::value::Value;

/// A function's or delayed expression's code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prototype {
    /// Its first instruction.
    pub(crate) entry: u32,
    /// How many parameters it has; 0 for a thunk.
    pub(crate) arity: u16,
    /// How many captures it has.
    pub(crate) capture_count: u16,
    /// Its first capture in [`Program::captures`].
    pub(crate) capture_start: u32,
    /// How many values its frame has on the stack at most.
    pub(crate) height: u32,
    /// What the value is bound to, if it is.
    pub(crate) name: Option<Symbol>,
    /// The pattern of the last parameter, if it is one.
    pub(crate) pattern: Option<u32>,
    /// The expression.
    pub(crate) span: Span,
}

/// What a `{ a, b ? 1, ... }` parameter takes.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// The fields, sorted by symbol.
    pub(crate) fields: Box<[PatternField]>,
    /// Whether other attributes are allowed.
    pub(crate) ellipsis: bool,
}

/// One field of a pattern.
#[derive(Debug)]
pub(crate) struct PatternField {
    pub(crate) name: Symbol,
    pub(crate) span: Span,
    pub(crate) has_default: bool,
}

/// An operand of an eager operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operand {
    Variable(Source),
    Constant(Value),
}

/// An operation to try at once instead of delaying it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Eager {
    pub(crate) infix: Infix,
    pub(crate) left: Operand,
    pub(crate) right: Operand,
    /// What to delay if it is not known yet.
    pub(crate) thunk: u32,
}

/// A selection to try at once instead of delaying it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EagerSelect {
    pub(crate) base: Source,
    pub(crate) name: Symbol,
    /// What to delay if the set is not evaluated yet.
    pub(crate) thunk: u32,
}

/// The code of every file so far.
#[derive(Default)]
pub(crate) struct Program {
    pub(crate) code: Vec<Op>,
    pub(crate) prototypes: Vec<Prototype>,
    pub(crate) captures: Vec<Source>,
    pub(crate) constants: Vec<Value>,
    pub(crate) shapes: Vec<Obj>,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) eager: Vec<Eager>,
    pub(crate) eager_selects: Vec<EagerSelect>,
    pub(crate) declarations: Vec<Declaration>,
    /// The variables of recursive sets with `__overrides`, and their slots.
    pub(crate) overrides: Vec<Box<[(Symbol, Slot)]>>,
    /// The height of the highest prototype.
    pub(crate) max_height: u32,
    /// Where instructions that can fail come from, sorted by instruction.
    spans: Vec<(u32, Span)>,
    /// Which text the code from an instruction on comes from.
    texts: Vec<(u32, SourceId)>,
}

impl Program {
    /// An instruction.
    #[inline(always)]
    pub(crate) fn op(&self, ip: usize) -> Op {
        debug_assert!(ip < self.code.len());
        // SAFETY: code only grows; a frame begins at a prototype's entry, jumps stay within
        // a prototype's code, and the compiler ends each with an instruction that leaves.
        // Checking costs every instruction a comparison.
        unsafe { *self.code.get_unchecked(ip) }
    }

    /// A prototype by its number.
    #[inline(always)]
    pub(crate) fn prototype(&self, index: u32) -> &Prototype {
        &self.prototypes[index as usize]
    }

    /// A prototype's captures.
    #[inline(always)]
    pub(crate) fn captures_of(&self, prototype: &Prototype) -> &[Source] {
        let start = prototype.capture_start as usize;
        &self.captures[start..start + prototype.capture_count as usize]
    }

    /// Where an instruction comes from.
    pub(crate) fn place(&self, instruction: u32) -> Option<Place> {
        let index = self.spans.binary_search_by_key(&instruction, |entry| entry.0).ok()?;
        Some(Place { source: self.text_of(instruction)?, span: self.spans[index].1 })
    }

    /// Where a prototype's expression is.
    pub(crate) fn prototype_place(&self, index: u32) -> Option<Place> {
        let prototype = self.prototype(index);
        Some(Place { source: self.text_of(prototype.entry)?, span: prototype.span })
    }

    fn text_of(&self, instruction: u32) -> Option<SourceId> {
        let index = self.texts.partition_point(|entry| entry.0 <= instruction).checked_sub(1)?;
        Some(self.texts[index].1)
    }

    /// Code that the machine itself needs, without a source.
    pub(crate) fn add_stub(&mut self, code: &[Op], captures: u16) -> u32 {
        self.add_stub_function(code, 0, captures)
    }

    /// The same for a function.
    pub(crate) fn add_stub_function(&mut self, code: &[Op], arity: u16, captures: u16) -> u32 {
        debug_assert!(self.texts.is_empty(), "stubs come before any text");
        let entry = self.code.len() as u32;
        self.code.extend_from_slice(code);
        self.prototypes.push(Prototype {
            entry,
            arity,
            capture_count: captures,
            capture_start: 0,
            // No instruction of a stub leaves more than one value.
            height: u32::from(arity) + code.len() as u32,
            name: None,
            pattern: None,
            span: Span::default(),
        });
        self.prototypes.len() as u32 - 1
    }
}
