//! Where the heap's blocks come from, and go back to.
//!
//! Blocks are cut from arenas. Fetching memory page by page was a fifth of a short run: a
//! heap asks for the pages of a block together, and when it outgrows its first arena for huge
//! pages in the others. Memory goes back to the system block by block. Addresses stay, to be used
//! again, until all blocks of an arena are free.

use super::BLOCK_BYTES;
use super::memory::{self, UNIT};

/// An arena is a huge page.
const BLOCKS_IN_ARENA: usize = UNIT / BLOCK_BYTES;
const _: () = assert!(UNIT.is_multiple_of(BLOCK_BYTES), "an arena is cut without a rest");

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
        let offset = UNIT - self.uncut;
        self.uncut -= BLOCK_BYTES;
        // SAFETY: within the arena.
        let start = unsafe { arena.byte_add(offset) };
        if soon_full && self.arenas.len() == 1 {
            memory::populate(start, BLOCK_BYTES);
        }
        start
    }

    fn add_arena(&mut self) {
        let start = memory::map(UNIT);
        // A small heap does without huge pages, of which it would use little.
        if !self.arenas.is_empty() {
            memory::prefer_huge_pages(start, UNIT);
        }
        self.arenas.push(start);
        self.uncut = UNIT;
    }

    /// Take back a block in which nothing is alive.
    pub(super) fn put_back(&mut self, start: *mut u64) {
        self.spare.push(start);
    }

    /// Give the memory of free blocks back to the system, but for so many; says how many kept it.
    pub(super) fn give_back(&mut self, keep: usize) -> usize {
        let keep = keep.min(self.spare.len());
        let mut given: Vec<*mut u64> = self.spare.drain(keep..).collect();
        if given.is_empty() {
            return keep;
        }
        given.sort_unstable();
        for neighbours in given.chunk_by(|a, b| b.addr() - a.addr() == BLOCK_BYTES) {
            // SAFETY: parts of arenas, in which nothing is alive.
            unsafe { memory::clear(neighbours[0], neighbours.len() * BLOCK_BYTES) };
        }
        self.returned.extend(given);
        self.give_arenas_back();
        keep
    }

    /// Give back the arenas of which all blocks have been returned.
    fn give_arenas_back(&mut self) {
        self.returned.sort_unstable();
        let (mut whole, mut rest) = (Vec::new(), Vec::new());
        for blocks in self.returned.chunk_by(|a, b| a.addr() / UNIT == b.addr() / UNIT) {
            match blocks.len() == BLOCKS_IN_ARENA {
                true => whole.push(blocks[0]),
                false => rest.extend_from_slice(blocks),
            }
        }
        self.returned = rest;
        // The last one is not among them while some of it is uncut.
        self.arenas.retain(|arena| whole.binary_search(arena).is_err());
        for arena in whole {
            // SAFETY: nothing is alive in any of its blocks, which are in no list any more.
            unsafe { memory::unmap(arena, UNIT) };
        }
    }

    /// How many bytes of address space all of it takes.
    pub(super) fn bytes(&self) -> usize {
        self.arenas.len() * UNIT
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
            unsafe { memory::unmap(start, UNIT) };
        }
    }
}
