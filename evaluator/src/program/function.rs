//! Code being made for one function or delayed expression.

use hb_lang::Span;
use rustc_hash::FxHashMap;

use super::code::{Entries, Header};
use super::encoding::Encode as _;
use super::op::{Op, Slot, Source};
use crate::symbol::Symbol;

/// A variable of some function that encloses the code being compiled, or of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Variable {
    /// How many functions enclose the one that has it.
    pub(super) level: usize,
    pub(super) slot: Slot,
}

/// Code under construction. What instructions name by number is in tables of its own.
#[derive(Default)]
pub(super) struct Function {
    pub(super) code: Vec<Op>,
    /// Where instructions come from, of those that can fail.
    pub(super) spans: Vec<(u32, Span)>,
    pub(super) captures: Vec<Source>,
    pub(super) captured: FxHashMap<Variable, u32>,
    /// How many values are on the stack above the base.
    pub(super) height: Slot,
    /// The most that there ever are.
    pub(super) max_height: Slot,
    /// The prototypes inside.
    pub(super) children: Entries,
    /// The captures of all of them, and where those of each end.
    child_captures: Vec<Source>,
    child_ends: Vec<u32>,
    /// Names and places of sets.
    pub(super) shapes: Entries,
    pub(super) overrides: Entries,
}

/// Jumps to one place that is not known yet: the last of them. Each holds how far before it
/// the one before lies, and the first holds 0.
#[must_use]
pub(super) struct Jump(usize);

impl Function {
    /// Forget all but the memory.
    pub(super) fn clear(&mut self) {
        self.code.clear();
        self.spans.clear();
        self.captures.clear();
        self.captured.clear();
        self.child_captures.clear();
        self.child_ends.clear();
        let Self { children, shapes, overrides, .. } = self;
        for table in [children, shapes, overrides] {
            table.clear();
        }
    }

    /// Add an instruction after which the stack is `delta` values higher.
    pub(super) fn emit(&mut self, op: Op, delta: i32) {
        self.code.push(op);
        self.height = self.height.wrapping_add_signed(delta);
        self.max_height = self.max_height.max(self.height);
    }

    /// The same for one that can fail at a place.
    pub(super) fn emit_at(&mut self, op: Op, delta: i32, span: Span) {
        self.spans.push((self.code.len() as u32, span));
        self.emit(op, delta);
    }

    /// Add a jump to be completed by [`Function::land`].
    pub(super) fn jump(&mut self, op: fn(u32) -> Op, delta: i32) -> Jump {
        self.emit(op(0), delta);
        Jump(self.code.len() - 1)
    }

    /// The same for one that can fail at a place.
    pub(super) fn jump_at(&mut self, op: fn(u32) -> Op, delta: i32, span: Span) -> Jump {
        self.spans.push((self.code.len() as u32, span));
        self.jump(op, delta)
    }

    /// Let jumps lead to the next instruction.
    pub(super) fn land(&mut self, jump: Jump) {
        let target = self.code.len();
        let mut at = jump.0;
        loop {
            let link = self.distance(at);
            let back = std::mem::replace(link, (target - at - 1) as u32);
            if back == 0 {
                break;
            }
            at -= back as usize;
        }
    }

    /// Jumps that lead to the same place as those after them.
    pub(super) fn join(&mut self, earlier: Jump, later: Jump) -> Jump {
        let mut at = later.0;
        loop {
            match *self.distance(at) {
                0 => break,
                back => at -= back as usize,
            }
        }
        *self.distance(at) = (at - earlier.0) as u32;
        later
    }

    fn distance(&mut self, jump: usize) -> &mut u32 {
        match &mut self.code[jump] {
            Op::Jump(distance) | Op::JumpIfFalse(distance) | Op::JumpIfTrue(distance) => distance,
            _ => unreachable!("made by `jump`"),
        }
    }

    /// Add a prototype; gives its number.
    pub(super) fn adopt(&mut self, header: Header, captures: &[Source]) -> u32 {
        self.child_captures.extend_from_slice(captures);
        self.child_ends.push(self.child_captures.len() as u32);
        self.children.push(|out| {
            header.put(out);
            captures.iter().for_each(|capture| capture.put(out));
        })
    }

    /// What a prototype captures.
    pub(super) fn captures_of(&self, child: u32) -> &[Source] {
        let child = child as usize;
        let start = child.checked_sub(1).map_or(0, |before| self.child_ends[before]);
        &self.child_captures[start as usize..self.child_ends[child] as usize]
    }

    /// Add the names of a set, each with where it stands; gives its number.
    pub(super) fn shape(&mut self, names: impl ExactSizeIterator<Item = (Symbol, u32)>) -> u32 {
        self.shapes.push(|out| {
            (names.len() as u32).put(out);
            for (name, start) in names {
                name.put(out);
                start.put(out);
            }
        })
    }

    /// Let a jump to a jump lead to where that leads, and one to the end be the end.
    pub(super) fn shorten_jumps(&mut self) {
        // Jumps lead forward: what is behind one is short already.
        for at in (0..self.code.len()).rev() {
            let (Op::Jump(distance) | Op::JumpIfFalse(distance) | Op::JumpIfTrue(distance)) =
                self.code[at]
            else {
                continue;
            };
            match (self.code[at], self.code[at + 1 + distance as usize]) {
                (_, Op::Jump(further)) => *self.distance(at) += further + 1,
                (Op::Jump(_), end @ (Op::Return | Op::Resolve)) => self.code[at] = end,
                _ => {}
            }
        }
    }
}
