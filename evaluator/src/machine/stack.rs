//! The evaluation stack as the run loop uses it: by pointers, unchecked.
//!
//! A prototype knows how high its frame gets, and a frame begins by reserving that much,
//! so an instruction always finds room for what it pushes; what it takes, the compiler
//! has counted. Checking each time costs a tenth of the run time, and finding the vector
//! each time as much again. Everybody else uses the vector itself, once the run loop has
//! told it the height; whatever may make it move, the run loop follows by asking again
//! for its pointers.

use super::Machine;
use crate::heap::Obj;
use crate::value::Value;

/// A place on the stack, good until the stack grows or shrinks its memory.
#[derive(Clone, Copy)]
pub(super) struct StackPointer(*mut Value);

impl StackPointer {
    /// Where the captures of a closure or thunk lie, which are read as what is on the stack is.
    #[inline(always)]
    pub(super) fn of_captures(object: Obj) -> Self {
        Self(object.payload())
    }

    /// The value there, which is below the height.
    #[inline(always)]
    pub(super) fn get(self) -> Value {
        // SAFETY: as said at the top; what lies below the height was put there.
        unsafe { *self.0 }
    }

    /// Put a value there.
    #[inline(always)]
    pub(super) fn put(self, value: Value) {
        // SAFETY: as said at the top.
        unsafe { self.0.write(value) }
    }

    /// The place so many values higher.
    #[inline(always)]
    pub(super) fn up(self, count: usize) -> Self {
        // SAFETY: as said at the top; within the vector's memory, or one past its end.
        Self(unsafe { self.0.add(count) })
    }

    /// The place so many values lower.
    #[inline(always)]
    pub(super) fn down(self, count: usize) -> Self {
        // SAFETY: as said at the top.
        Self(unsafe { self.0.sub(count) })
    }

    /// Several values from here on, all below the height, to be copied before anything is
    /// put there.
    #[inline(always)]
    pub(super) fn several<'a>(self, count: usize) -> &'a [Value] {
        // SAFETY: as said at the top; callers let go of it at once.
        unsafe { std::slice::from_raw_parts(self.0, count) }
    }
}

impl Machine {
    /// The place of the value with an index; the height's is the first free one.
    #[inline(always)]
    pub(super) fn stack_at(&mut self, index: usize) -> StackPointer {
        debug_assert!(index <= self.stack.capacity());
        // SAFETY: within the vector's memory, or one past its end.
        StackPointer(unsafe { self.stack.as_mut_ptr().add(index) })
    }

    /// The index of a place.
    #[inline(always)]
    pub(super) fn stack_index(&self, place: StackPointer) -> usize {
        // SAFETY: a place lies in the vector's memory, whole values from its start.
        let index = unsafe { place.0.offset_from(self.stack.as_ptr()) };
        debug_assert!((0..=self.stack.capacity() as isize).contains(&index));
        index as usize
    }

    /// Tell everybody else how high the stack is.
    #[inline(always)]
    pub(super) fn set_top(&mut self, top: StackPointer) {
        let height = self.stack_index(top);
        // SAFETY: as said at the top; values below the height were put there.
        unsafe { self.stack.set_len(height) }
    }

    /// Whether there is room for so many values from a place on.
    #[inline(always)]
    pub(super) fn has_room(&self, top: StackPointer, count: u32) -> bool {
        self.stack.capacity() - self.stack_index(top) >= count as usize
    }

    /// Make room for a frame, whose arguments may be there already.
    #[inline(always)]
    pub(super) fn reserve(&mut self, height: u32) {
        if self.stack.capacity() - self.stack.len() < height as usize {
            self.grow(height);
        }
    }

    /// Make room for a frame where there is none.
    #[cold]
    #[inline(never)]
    pub(super) fn grow(&mut self, height: u32) {
        let height = height as usize;
        match cfg!(debug_assertions) {
            // So that a height that is too small is noticed.
            true => self.stack.reserve_exact(height),
            false => self.stack.reserve(height),
        }
    }
}
