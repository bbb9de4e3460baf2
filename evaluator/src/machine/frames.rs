//! The frames that wait, as the run loop uses them: by a pointer to the first free place.
//!
//! A vector would look for its end by its length, at each call and return.

use super::Frame;

/// How many more frames there is room for when there was none.
const MORE: usize = 1024;

/// A stack of frames.
pub(super) struct Frames {
    /// The memory. Its length says nothing: what lies below `top` are frames.
    memory: Vec<Frame>,
    /// The first free place.
    top: *mut Frame,
    end: *mut Frame,
}

impl Frames {
    pub(super) fn new() -> Self {
        let mut memory = Vec::new();
        let start = memory.as_mut_ptr();
        Self { memory, top: start, end: start }
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        // SAFETY: both are of the same memory.
        (unsafe { self.top.offset_from(self.memory.as_ptr()) }) as usize
    }

    /// Whether a frame can be pushed without making room for it.
    #[inline(always)]
    pub(super) fn has_room(&self) -> bool {
        self.top != self.end
    }

    #[inline(always)]
    pub(super) fn push(&mut self, frame: Frame) {
        if !self.has_room() {
            self.grow();
        }
        // SAFETY: `top` is below `end`, which is one past the memory's end.
        unsafe {
            self.top.write(frame);
            self.top = self.top.add(1);
        }
    }

    #[inline(always)]
    pub(super) fn pop(&mut self) -> Option<Frame> {
        if self.top.cast_const() == self.memory.as_ptr() {
            return None;
        }
        // SAFETY: a frame lies there.
        unsafe {
            self.top = self.top.sub(1);
            Some(self.top.read())
        }
    }

    /// The frames, the last one at the end.
    pub(super) fn all(&self) -> &[Frame] {
        // SAFETY: what lies below `top` was pushed.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr(), self.len()) }
    }

    /// Give back the memory of all but so many places.
    pub(super) fn shrink_to(&mut self, places: usize) {
        self.change_memory(|memory| memory.shrink_to(places));
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        self.change_memory(|memory| memory.reserve(MORE));
    }

    fn change_memory(&mut self, change: impl FnOnce(&mut Vec<Frame>)) {
        let length = self.len();
        // SAFETY: as many were pushed.
        unsafe { self.memory.set_len(length) };
        change(&mut self.memory);
        let start = self.memory.as_mut_ptr();
        // SAFETY: within the memory, or one past its end.
        unsafe {
            self.top = start.add(length);
            self.end = start.add(self.memory.capacity());
        }
    }
}
