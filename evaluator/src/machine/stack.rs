//! The evaluation stack as the run loop uses it: unchecked, its height in a register.
//!
//! A prototype knows how high its frame gets, and a frame begins by reserving that much,
//! so an instruction always finds room for what it pushes; what it takes, the compiler
//! has counted. Checking each time costs a tenth of the run time. Everybody else uses the
//! vector itself, once the run loop has told it the height.

use super::Machine;
use crate::value::Value;

impl Machine {
    /// A value below the height.
    #[inline(always)]
    pub(super) fn at(&self, index: usize) -> Value {
        debug_assert!(index < self.stack.capacity());
        // SAFETY: as said at the top; what lies below the height was put there.
        unsafe { *self.stack.as_ptr().add(index) }
    }

    /// Put a value below the height, or right above it.
    #[inline(always)]
    pub(super) fn put(&mut self, index: usize, value: Value) {
        debug_assert!(index < self.stack.capacity());
        // SAFETY: as said at the top.
        unsafe { self.stack.as_mut_ptr().add(index).write(value) }
    }

    /// Several values below the height, to be copied before anything is put there.
    #[inline(always)]
    pub(super) fn several<'a>(&self, start: usize, count: usize) -> &'a [Value] {
        debug_assert!(start + count <= self.stack.capacity());
        // SAFETY: as said at the top; callers let go of it at once.
        unsafe { std::slice::from_raw_parts(self.stack.as_ptr().add(start), count) }
    }

    /// Tell everybody else how high the stack is.
    #[inline(always)]
    pub(super) fn set_height(&mut self, height: usize) {
        debug_assert!(height <= self.stack.capacity());
        // SAFETY: as said at the top; values below the height were put there.
        unsafe { self.stack.set_len(height) }
    }

    /// Make room for a frame, whose arguments may be there already.
    #[inline(always)]
    pub(super) fn reserve(&mut self, height: u32) {
        if self.stack.capacity() - self.stack.len() < height as usize {
            self.grow(height as usize);
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, height: usize) {
        match cfg!(debug_assertions) {
            // So that a height that is too small is noticed.
            true => self.stack.reserve_exact(height),
            false => self.stack.reserve(height),
        }
    }
}
