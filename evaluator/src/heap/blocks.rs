//! Where the heap's blocks come from, and go back to.
//!
//! Blocks are cut from arenas. Fetching memory page by page was a fifth of a short run: a
//! heap asks for the pages of a block together, and when it outgrows its first arena for huge
//! pages in the others. Memory goes back to the system block by block; its addresses stay, to
//! be used again.

use super::BLOCK_BYTES;
use super::memory::{self, UNIT};

/// A huge page.
const ARENA_BYTES: usize = UNIT;

/// The memory of all blocks.
#[derive(Default)]
pub(super) struct Blocks {
    arenas: Vec<*mut u64>,
    /// What is left of the last arena.
    uncut: usize,
    /// Free blocks that still have memory.
    spare: Vec<*mut u64>,
    /// Free blocks that have none, and get it when they are written to.
    returned: Vec<*mut u64>,
}

impl Blocks {
    /// A block of any content. One that is `soon_full` gets its memory at once.
    pub(super) fn take(&mut self, soon_full: bool) -> *mut u64 {
        if let Some(start) = self.spare.pop().or_else(|| self.returned.pop()) {
            return start;
        }
        if self.uncut == 0 {
            self.add_arena();
        }
        let Some(&arena) = self.arenas.last() else { unreachable!("added above") };
        let offset = ARENA_BYTES - self.uncut;
        self.uncut -= BLOCK_BYTES;
        // SAFETY: within the arena.
        let start = unsafe { arena.byte_add(offset) };
        if !cfg!(miri) && soon_full && self.arenas.len() == 1 {
            use rustix::mm::{Advice, madvise};
            // SAFETY: all of the block, and only advice: failing changes nothing.
            let _ = unsafe { madvise(start.cast(), BLOCK_BYTES, Advice::LinuxPopulateWrite) };
        }
        start
    }

    fn add_arena(&mut self) {
        let start = memory::map(ARENA_BYTES);
        // A small heap does without huge pages, of which it would use little.
        #[cfg(not(miri))]
        if !self.arenas.is_empty() {
            use rustix::mm::{Advice, madvise};
            // SAFETY: all of the arena, and only advice: failing changes nothing.
            let _ = unsafe { madvise(start.cast(), ARENA_BYTES, Advice::LinuxHugepage) };
        }
        self.arenas.push(start);
        self.uncut = ARENA_BYTES;
    }

    /// Take back a block in which nothing is alive.
    pub(super) fn put_back(&mut self, start: *mut u64) {
        self.spare.push(start);
    }

    /// Give the memory of free blocks back to the system, but for so many.
    pub(super) fn give_back(&mut self, keep: usize) {
        let mut given: Vec<*mut u64> = self.spare.drain(keep.min(self.spare.len())..).collect();
        given.sort_unstable();
        #[cfg(not(miri))]
        for neighbours in given.chunk_by(|a, b| b.addr() - a.addr() == BLOCK_BYTES) {
            use rustix::mm::{Advice, madvise};
            let (start, bytes) = (neighbours[0], neighbours.len() * BLOCK_BYTES);
            // SAFETY: whole pages of arenas, in which nothing is alive. Where this fails, the
            // memory merely stays.
            let _ = unsafe { madvise(start.cast(), bytes, Advice::LinuxDontNeed) };
        }
        self.returned.extend(given);
    }

    /// How many free blocks have memory.
    #[cfg(test)]
    pub(super) fn spare(&self) -> usize {
        self.spare.len()
    }
}

impl Drop for Blocks {
    fn drop(&mut self) {
        for &start in &self.arenas {
            // SAFETY: an arena, of which nothing is used once the heap goes.
            unsafe { memory::unmap(start, ARENA_BYTES) };
        }
    }
}

const _: () = assert!(ARENA_BYTES.is_multiple_of(BLOCK_BYTES), "an arena is cut without a rest");
