//! The machine's two stacks, of values and of frames that wait: by pointers.
//!
//! A prototype knows how high its frame gets, and a frame begins by reserving that much,
//! so an instruction always finds room for what it pushes; what it takes, the compiler
//! has counted. So the run loop uses places, unchecked: checking each time costs a tenth of
//! the run time, and finding a vector's memory and end each time as much again. Everybody
//! else uses the stack as a slice that grows, once the run loop has told it the height;
//! whatever may make it move, the run loop follows by asking again for its places.

use std::ops::{Deref, DerefMut};

use crate::heap::Obj;
use crate::value::Value;

/// How many places more a stack gets at least when it is full.
const MORE: usize = 1024;

/// A stack of values or frames.
pub(super) struct Stack<T> {
    /// The memory. Its length says nothing: what lies below `top` is initialized.
    memory: Vec<T>,
    /// The first free place.
    top: *mut T,
    end: *mut T,
}

impl<T: Copy> Stack<T> {
    pub(super) fn new() -> Self {
        let mut memory = Vec::new();
        let start = memory.as_mut_ptr();
        Self { memory, top: start, end: start }
    }

    #[inline(always)]
    fn height(&self) -> usize {
        // SAFETY: both are of the same memory, whole items apart.
        unsafe { self.top.offset_from_unsigned(self.memory.as_ptr()) }
    }

    /// Whether there is room for one more.
    #[inline(always)]
    pub(super) fn has_room(&self) -> bool {
        self.top != self.end
    }

    #[inline(always)]
    pub(super) fn push(&mut self, item: T) {
        if !self.has_room() {
            self.grow(1);
        }
        // SAFETY: `top` is below `end`, which is one past the memory's end.
        unsafe {
            self.top.write(item);
            self.top = self.top.add(1);
        }
    }

    /// # Safety
    ///
    /// The stack is not empty.
    #[inline(always)]
    pub(super) unsafe fn pop_unchecked(&mut self) -> T {
        debug_assert!(!self.is_empty());
        // SAFETY: an item lies there.
        unsafe {
            self.top = self.top.sub(1);
            self.top.read()
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        // SAFETY: just asked.
        (!self.is_empty()).then(|| unsafe { self.pop_unchecked() })
    }

    /// Put an item where the last few begin.
    pub(super) fn insert(&mut self, index: usize, item: T) {
        self.push(item);
        // One by one: moving so few as a slice is a call.
        for i in (index + 1..self.len()).rev() {
            self[i] = self[i - 1];
        }
        self[index] = item;
    }

    #[inline]
    pub(super) fn extend_from_slice(&mut self, items: &[T]) {
        self.reserve(items.len());
        // SAFETY: there is room, and nobody else has the memory.
        unsafe {
            self.top.copy_from_nonoverlapping(items.as_ptr(), items.len());
            self.top = self.top.add(items.len());
        }
    }

    /// Put so many of an item on it.
    pub(super) fn extend_with(&mut self, item: T, count: usize) {
        self.reserve(count);
        for _ in 0..count {
            self.push(item);
        }
    }

    /// Drop what lies above a height.
    #[inline(always)]
    pub(super) fn truncate(&mut self, height: usize) {
        if height < self.height() {
            // SAFETY: below the top.
            self.top = unsafe { self.memory.as_mut_ptr().add(height) };
        }
    }

    /// Make room for so many more.
    #[inline(always)]
    pub(super) fn reserve(&mut self, count: usize) {
        // SAFETY: both are of the same memory.
        if unsafe { self.end.offset_from_unsigned(self.top) } < count {
            self.grow(count);
        }
    }

    /// Give back the memory of all but so many places.
    pub(super) fn shrink_to(&mut self, places: usize) {
        self.change_memory(|memory| memory.shrink_to(places));
    }

    #[cold]
    #[inline(never)]
    pub(super) fn grow(&mut self, count: usize) {
        self.change_memory(|memory| match cfg!(debug_assertions) {
            // So that a frame's height that is too small is noticed.
            true => memory.reserve_exact(count),
            false => memory.reserve(count.max(MORE)),
        });
    }

    fn change_memory(&mut self, change: impl FnOnce(&mut Vec<T>)) {
        let height = self.height();
        // SAFETY: as much is initialized.
        unsafe { self.memory.set_len(height) };
        change(&mut self.memory);
        let start = self.memory.as_mut_ptr();
        // SAFETY: within the memory, or one past its end.
        unsafe {
            self.top = start.add(height);
            self.end = start.add(self.memory.capacity());
        }
    }
}

impl<T: Copy> Deref for Stack<T> {
    type Target = [T];

    #[inline(always)]
    fn deref(&self) -> &[T] {
        // SAFETY: what lies below the top is initialized.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.height()) }
    }
}

impl<T: Copy> DerefMut for Stack<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: what lies below the top is initialized.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr(), self.height()) }
    }
}

/// A place on the stack of values, good until the stack grows or shrinks its memory.
#[derive(Clone, Copy)]
pub(super) struct StackPointer(*mut Value);

impl StackPointer {
    /// Where the captures of a closure or thunk lie, which are used as what is on the stack is.
    #[inline(always)]
    pub(super) fn of_captures(object: Obj) -> Self {
        Self(object.payload())
    }

    /// The value there, which is below the height. It is read by itself, for it may just have been
    /// put there: see `Obj::set_values`.
    #[inline(always)]
    pub(super) fn get(self) -> Value {
        // SAFETY: as said at the top; what lies below the height was put there.
        unsafe { self.0.read_volatile() }
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
        // SAFETY: as said at the top; within the stack's memory, or one past its end.
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

impl Stack<Value> {
    /// The first free place.
    #[inline(always)]
    pub(super) fn top(&self) -> StackPointer {
        StackPointer(self.top)
    }

    /// Tell everybody else how high the stack is.
    #[inline(always)]
    pub(super) fn set_top(&mut self, top: StackPointer) {
        debug_assert!(top.0 <= self.end);
        self.top = top.0;
    }

    /// The place so many bytes from the start. A number that is none of [`Self::offset_of`]'s
    /// gives a place that is none.
    #[inline(always)]
    pub(super) fn pointer(&mut self, offset: usize) -> StackPointer {
        StackPointer(self.memory.as_mut_ptr().wrapping_byte_add(offset))
    }

    /// How many bytes a place is from the start.
    #[inline(always)]
    pub(super) fn offset_of(&self, place: StackPointer) -> usize {
        place.0.addr().wrapping_sub(self.memory.as_ptr().addr())
    }

    /// How many bytes the value with an index is from the start.
    #[inline(always)]
    pub(super) fn offset(&self, index: usize) -> usize {
        index * size_of::<Value>()
    }

    /// The index of the value so many bytes from the start.
    pub(super) fn index(&self, offset: usize) -> usize {
        offset / size_of::<Value>()
    }

    /// Whether there is room for so many values from a place on.
    #[inline(always)]
    pub(super) fn has_room_from(&self, top: StackPointer, count: u32) -> bool {
        top.0.wrapping_add(count as usize) <= self.end
    }
}
