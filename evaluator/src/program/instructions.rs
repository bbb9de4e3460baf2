//! Where the code lies.

use super::{Hint, Op};

/// How many instructions there is room for at first.
const FIRST_ROOM: usize = 4096;

/// All code so far, one instruction after the other. It never moves: so what waits keeps the
/// place of its next instruction, and asks for the number of that only when something fails.
/// Instructions that look for an attribute change when they have found it: see [`Hint`].
#[derive(Default)]
pub(crate) struct Instructions {
    /// Each twice as large as the one before.
    pieces: Vec<Piece>,
}

/// Some of the code, in memory that it never outgrows.
struct Piece {
    /// The number of its first instruction.
    first: u32,
    code: Vec<Op>,
    /// Where in it the code that was begun last starts.
    begun: usize,
}

impl Instructions {
    /// Begin a prototype's code, of so many instructions; gives the place and the number of the
    /// first, which is pushed next.
    pub(crate) fn begin(&mut self, count: usize) -> (CodePointer, u32) {
        let (number, room, next_room) = match self.pieces.last() {
            Some(Piece { first, code, .. }) => {
                let capacity = code.capacity();
                (first + code.len() as u32, capacity - code.len(), 2 * capacity)
            }
            None => (0, 0, FIRST_ROOM),
        };
        if room < count {
            let code = Vec::with_capacity(count.max(next_room));
            self.pieces.push(Piece { first: number, code, begun: 0 });
        }
        let Some(piece) = self.pieces.last_mut() else { unreachable!("there is one with room") };
        piece.begun = piece.code.len();
        // SAFETY: at most one past the end.
        (CodePointer(unsafe { piece.code.as_mut_ptr().add(piece.code.len()) }), number)
    }

    /// Add an instruction to the code that was begun. What joins it with the one before takes that
    /// one's place.
    pub(crate) fn push(&mut self, op: Op) {
        let Some(piece) = self.pieces.last_mut() else { unreachable!("code was begun") };
        assert!(piece.code.len() < piece.code.capacity(), "code has as much as it began with");
        if let Some(last) = piece.code[piece.begun..].last_mut()
            && let Some(both) = last.joined(op)
        {
            *last = both;
        }
        piece.code.push(op);
    }

    /// Add all of a prototype's code.
    pub(super) fn add(&mut self, code: &[Op]) -> CodePointer {
        let (place, _) = self.begin(code.len());
        for &op in code {
            self.push(op);
        }
        place
    }

    /// The number of the instruction at an address.
    pub(crate) fn number_at(&self, address: usize) -> Option<u32> {
        self.pieces.iter().find_map(|piece| {
            let bytes = address.checked_sub(piece.code.as_ptr().addr())?;
            let index = bytes / size_of::<Op>();
            (index < piece.code.len()).then_some(piece.first + index as u32)
        })
    }
}

/// A place in the code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CodePointer(*mut Op);

impl CodePointer {
    /// The instruction there; afterwards this points to the next.
    #[inline(always)]
    pub(crate) fn take<'a>(&mut self) -> &'a Op {
        let op = self.next();
        *self = self.skip(1);
        op
    }

    /// The instruction there, which comes next.
    #[inline(always)]
    pub(crate) fn next<'a>(self) -> &'a Op {
        // SAFETY: a frame begins at a prototype's entry, jumps stay within a prototype's code,
        // the compiler ends each with an instruction that leaves, and code never moves.
        // Checking costs every instruction a comparison.
        unsafe { &*self.0 }
    }

    /// The place so many instructions later.
    #[inline(always)]
    pub(crate) fn skip(self, count: u32) -> Self {
        // SAFETY: as in `next`; one past the end at most.
        Self(unsafe { self.0.add(count as usize) })
    }

    /// The place so many instructions earlier.
    #[inline(always)]
    pub(crate) fn back(self, count: u32) -> Self {
        // SAFETY: callers have come from there.
        Self(unsafe { self.0.sub(count as usize) })
    }

    /// Note in the instruction before this place, which has just run, what it found.
    pub(crate) fn note(self, found: Hint) {
        // SAFETY: as in `next`; the run loop has copied what the instruction says, and holds no
        // reference to it.
        match unsafe { &mut *self.back(1).0 } {
            Op::Select { hint, .. }
            | Op::SelectOrNext { hint, .. }
            | Op::TrySelect { hint, .. }
            | Op::Has { hint, .. }
            | Op::WithOrSkip { hint, .. }
            | Op::SelectFrom { hint, .. }
            | Op::SelectFromOrNext { hint, .. }
            | Op::TrySelectFrom { hint, .. }
            | Op::WithFromOrSkip { hint, .. } => *hint = found,
            _ => unreachable!("no other looks for an attribute"),
        }
    }

    pub(crate) fn address(self) -> usize {
        self.0.addr()
    }
}
