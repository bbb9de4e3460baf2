//! What every new object of one kind and size begins as.

use super::object::{Header, Kind};
use super::{CELL_WORDS, MAX_CELL_WORDS, MAX_LENGTH};

/// Up to this size there is a class for each number of words.
const SMALL_CELL_WORDS: usize = 8;
const _: () = {
    let mut class = 0;
    while CELL_WORDS[class] as usize != SMALL_CELL_WORDS {
        assert!(CELL_WORDS[class] + 1 == CELL_WORDS[class + 1]);
        class += 1;
    }
};

/// The class of the cells for each number of words.
static CLASS_OF_WORDS: [u8; MAX_CELL_WORDS + 1] = {
    let mut classes = [0; MAX_CELL_WORDS + 1];
    let (mut words, mut class) = (0, 0);
    while words <= MAX_CELL_WORDS {
        if words > CELL_WORDS[class] as usize {
            class += 1;
        }
        classes[words] = class as u8;
        words += 1;
    }
    classes
};

/// The class of what is too large for a cell.
pub(super) const LARGE: u8 = CELL_WORDS.len() as u8;

/// A header, and the cell that an object with it takes. Where many objects are alike, as the
/// thunks of one expression are, it is worked out once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mould {
    pub(super) header: Header,
    pub(super) class: u8,
    /// Of the cell, or of the object where that has memory of its own.
    pub(super) words: u32,
}

impl Mould {
    /// That of an object with a payload of fields.
    #[inline(always)]
    pub(super) fn of_fields(kind: Kind, small: usize, extra: usize, fields: usize) -> Self {
        Self::new(kind, small, extra, fields.div_ceil(2).max(1))
    }

    /// That of an object with a payload of words, with these numbers in its header; see the table
    /// in `object`.
    #[inline(always)]
    pub(super) fn new(kind: Kind, small: usize, extra: usize, payload_words: usize) -> Self {
        debug_assert!(payload_words > 0, "a free cell needs a word for its link");
        assert!(extra <= MAX_LENGTH, "no value has more than four thousand million parts");
        let header = Header { kind, flags: 0, small: small as u16, extra: extra as u32 };
        let words = payload_words + 1;
        // The smallest sizes are found without the tables.
        if words <= SMALL_CELL_WORDS {
            let class = (words - CELL_WORDS[0] as usize) as u8;
            return Self { header, class, words: words as u32 };
        }
        match CLASS_OF_WORDS.get(words) {
            Some(&class) => Self { header, class, words: CELL_WORDS[class as usize].into() },
            None => Self { header, class: LARGE, words: words as u32 },
        }
    }

    /// How many captures an object of a prototype's has.
    #[inline(always)]
    pub(crate) fn captures(&self) -> usize {
        self.header.small.into()
    }

    /// That of a prototype's closures or thunks.
    #[inline(always)]
    pub(crate) fn code(kind: Kind, prototype: u32, captures: usize) -> Self {
        Self::of_fields(kind, captures, prototype as usize, captures)
    }
}
