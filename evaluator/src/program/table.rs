//! What instructions refer to by number.

use std::ops::{Deref, DerefMut};

/// A vector that only grows, whose entries are found unchecked: checking each number that
/// an instruction holds would cost every one of them a comparison.
#[derive(Debug)]
pub(crate) struct Table<T>(Vec<T>);

impl<T> Table<T> {
    /// The entry of a number that this table gave.
    #[inline(always)]
    pub(crate) fn at(&self, number: u32) -> &T {
        debug_assert!((number as usize) < self.0.len());
        // SAFETY: nothing is ever taken out, and the numbers in instructions and objects are
        // those that linking got when it put the entries in. Code that was kept is the code that
        // was compiled: its checksum says so.
        unsafe { self.0.get_unchecked(number as usize) }
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Deref for Table<T> {
    type Target = Vec<T>;

    fn deref(&self) -> &Vec<T> {
        &self.0
    }
}

impl<T> DerefMut for Table<T> {
    fn deref_mut(&mut self) -> &mut Vec<T> {
        &mut self.0
    }
}
