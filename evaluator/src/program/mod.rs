//! Resolved programs: what the machine runs.
//!
//! Compiling turns a text's tree into instructions with every static name resolved to
//! a slot, a capture or a constant. That is [`Code`], which depends on nothing but the text:
//! it can be kept and used by another machine. The machine links each prototype's code into
//! its program when that is first run. All linked instructions are numbered one after the other,
//! so that an instruction's number says where it comes from.

mod attempt;
mod bindings;
mod code;
mod compile;
mod conditions;
mod constant;
mod contracts;
mod encoding;
mod function;
mod functions;
mod instructions;
mod joined;
mod op;
mod quick;
mod scope;
mod selection;
mod strings;
mod table;
mod variables;

pub(crate) use code::{Code, Entry, Header, key};
pub(crate) use compile::{Surroundings, compile};
pub(crate) use constant::Names;
pub(crate) use contracts::{Declaration, Keeper};
pub(crate) use encoding::Reader;
pub(crate) use instructions::{CodePointer, Instructions};
pub(crate) use op::{Capture, Hint, Infix, Op, Slot};
pub(crate) use quick::Quick;

use table::Table;

use std::num::NonZeroU32;
use std::path::PathBuf;

use hb_lang::Span;

use crate::heap::{Attrs, Kind, Mould, Obj};
use crate::source::{Place, SourceId};
use crate::symbol::Symbol;
use crate::value::Value;

/// A function's or delayed expression's code.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prototype {
    /// Its first instruction; [`Program::load`] until it is first run.
    pub(crate) entry: CodePointer,
    /// The text that it is in, in [`Program::texts`], and where in the text's code it is.
    pub(crate) text: u32,
    pub(crate) body: u32,
    /// How many parameters it has; 0 for a thunk.
    pub(crate) arity: u16,
    /// What its closures or thunks begin as, with how many captures.
    pub(crate) mould: Mould,
    /// Its first capture in [`Program::captures`].
    pub(crate) capture_start: u32,
    /// How many values its frame has on the stack at most.
    pub(crate) height: u32,
    /// What the value is bound to, if it is.
    pub(crate) name: Option<Symbol>,
    /// The pattern of the last parameter, if it is one: one more than its number.
    pub(crate) pattern: Option<NonZeroU32>,
    /// The expression.
    pub(crate) span: Span,
}

/// The text of what has none.
const NO_TEXT: u32 = u32::MAX;

/// What a `{ a, b ? 1, ... }` parameter takes.
#[derive(Debug)]
pub(crate) struct Pattern {
    /// The fields, sorted by symbol where a machine has them.
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
    /// Which of the fields it is in the text.
    pub(crate) slot: u32,
}

/// What the sets of one literal share.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Names, sorted, and positions.
    pub(crate) object: Obj,
    /// Where [`Program::orders`] says which of the values in the text's order is each
    /// name's; nothing where they are in order.
    pub(crate) order: Option<NonZeroU32>,
}

/// A text whose code is being used.
pub(crate) struct Text {
    pub(crate) code: Code,
    pub(crate) source: SourceId,
    /// What relative paths begin at.
    pub(crate) folder: PathBuf,
    /// Variables beside the globals.
    pub(crate) scope: Option<Attrs>,
    /// The symbol of each name that was met.
    pub(crate) symbols: Vec<Option<Symbol>>,
    /// Where in [`Program::constants`] each is that was met.
    pub(crate) constants: Vec<Option<NonZeroU32>>,
}

/// The code of every file so far.
pub(crate) struct Program {
    pub(crate) code: Instructions,
    /// What every entry from native code returns to.
    pub(crate) exit: CodePointer,
    /// What every prototype begins with at first: it loads the prototype's own code.
    pub(crate) load: CodePointer,
    /// What a call of a builtin waits at while an argument is evaluated.
    pub(crate) retry: CodePointer,
    pub(crate) prototypes: Table<Prototype>,
    pub(crate) captures: Table<Capture>,
    pub(crate) constants: Table<Value>,
    pub(crate) shapes: Table<Shape>,
    pub(crate) orders: Vec<u32>,
    pub(crate) patterns: Table<Pattern>,
    pub(crate) declarations: Vec<Declaration>,
    /// The variables of recursive sets with `__overrides`, and their slots.
    pub(crate) overrides: Vec<Box<[(Symbol, Slot)]>>,
    /// The height of the highest prototype.
    pub(crate) max_height: u32,
    pub(crate) texts: Vec<Text>,
    /// Where instructions that can fail come from, sorted by instruction.
    pub(crate) spans: Vec<(u32, Span)>,
    /// Which text the code from an instruction on comes from.
    pub(crate) origins: Vec<(u32, u32)>,
}

impl Program {
    /// A program of nothing yet.
    pub(crate) fn new() -> Self {
        let mut code = Instructions::default();
        Self {
            exit: code.add(&[Op::Exit]),
            load: code.add(&[Op::Load]),
            retry: code.add(&[Op::Retry]),
            code,
            prototypes: Table::default(),
            captures: Table::default(),
            constants: Table::default(),
            shapes: Table::default(),
            orders: Vec::new(),
            patterns: Table::default(),
            declarations: Vec::new(),
            overrides: Vec::new(),
            max_height: 0,
            texts: Vec::new(),
            spans: Vec::new(),
            origins: Vec::new(),
        }
    }

    /// A prototype by its number.
    #[inline(always)]
    pub(crate) fn prototype(&self, index: u32) -> &Prototype {
        self.prototypes.at(index)
    }

    /// Which of a set's values in the text's order is each name's; none where they are in
    /// order.
    #[inline(always)]
    pub(crate) fn order_of(&self, shape: Shape) -> &[u32] {
        match shape.order {
            None => &[],
            Some(start) => {
                let start = start.get() as usize;
                &self.orders[start..start + shape.object.extra() as usize]
            }
        }
    }

    /// Add a constant; gives its number.
    pub(crate) fn add_constant(&mut self, value: Value) -> u32 {
        self.constants.push(value);
        self.constants.len() as u32 - 1
    }

    /// The pattern of a function's last parameter, if it is one.
    pub(crate) fn pattern_of(&self, prototype: u32) -> Option<&Pattern> {
        let number = self.prototype(prototype).pattern?;
        Some(self.patterns.at(number.get() - 1))
    }

    /// Where the instruction before an address comes from.
    pub(crate) fn place_before(&self, next: CodePointer) -> Option<Place> {
        self.place(self.number_before(next.address())?)
    }

    /// The number of the instruction before an address.
    pub(crate) fn number_before(&self, address: usize) -> Option<u32> {
        self.code.number_at(address.checked_sub(size_of::<Op>())?)
    }

    /// Where an instruction comes from.
    pub(crate) fn place(&self, instruction: u32) -> Option<Place> {
        let index = self.spans.binary_search_by_key(&instruction, |entry| entry.0).ok()?;
        Some(Place { source: self.text_of(instruction)?, span: self.spans[index].1 })
    }

    /// Where a prototype's expression is.
    pub(crate) fn prototype_place(&self, index: u32) -> Option<Place> {
        let prototype = self.prototype(index);
        let text = self.texts.get(prototype.text as usize)?;
        Some(Place { source: text.source, span: prototype.span })
    }

    fn text_of(&self, instruction: u32) -> Option<SourceId> {
        let index = self.origins.partition_point(|entry| entry.0 <= instruction).checked_sub(1)?;
        Some(self.texts[self.origins[index].1 as usize].source)
    }

    /// What the closures or thunks of the prototype that is added next begin as.
    pub(crate) fn next_mould(&self, arity: u16, captures: u16) -> Mould {
        let kind = if arity == 0 { Kind::Thunk } else { Kind::Closure };
        Mould::code(kind, self.prototypes.len() as u32, captures.into())
    }

    /// Code that the machine itself needs, without a source.
    pub(crate) fn add_stub(&mut self, code: &[Op], captures: u16) -> u32 {
        self.add_stub_function(code, 0, captures)
    }

    /// The same for a function.
    pub(crate) fn add_stub_function(&mut self, code: &[Op], arity: u16, captures: u16) -> u32 {
        debug_assert!(self.texts.is_empty(), "stubs come before any text");
        let entry = self.code.add(code);
        let mould = self.next_mould(arity, captures);
        self.prototypes.push(Prototype {
            entry,
            text: NO_TEXT,
            body: 0,
            arity,
            mould,
            capture_start: 0,
            // An instruction of a stub leaves one value, or all captures.
            height: u32::from(arity) + code.len() as u32 + u32::from(captures),
            name: None,
            pattern: None,
            span: Span::default(),
        });
        self.prototypes.len() as u32 - 1
    }
}
