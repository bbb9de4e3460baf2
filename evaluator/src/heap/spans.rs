//! Memory for objects that are too large for a cell.

use std::collections::{BTreeMap, BTreeSet};

use super::memory::{self, UNIT};

/// A span is a multiple of this: a page or a few on most machines.
const GRAIN: usize = 16 * 1024;

/// Regions are multiples of this: few large objects share one.
const REGION: usize = 2 * UNIT;

/// Spans of any length, cut from regions: from the smallest free one that is large enough.
#[derive(Default)]
pub(super) struct Spans {
    /// Where regions begin, and their bytes.
    regions: BTreeMap<usize, usize>,
    /// Where free spans begin. No two of one region touch.
    free: BTreeMap<usize, Free>,
    /// Their bytes, and where they begin.
    by_size: BTreeSet<(usize, usize)>,
}

/// A free span.
#[derive(Clone, Copy)]
struct Free {
    bytes: usize,
    /// Whether any of it may have memory.
    is_backed: bool,
}

impl Spans {
    /// So many bytes, and perhaps some more; says how many.
    pub(super) fn take(&mut self, bytes: usize) -> (*mut u64, usize) {
        let bytes = bytes.next_multiple_of(GRAIN);
        let start = match self.by_size.range((bytes, 0)..).next() {
            Some(&(_, start)) => start,
            None => self.add_region(bytes),
        };
        let Some(span) = self.remove(start) else { unreachable!("both say what is free") };
        if span.bytes > bytes {
            self.insert(start + bytes, Free { bytes: span.bytes - bytes, ..span });
        }
        (std::ptr::with_exposed_provenance_mut(start), bytes)
    }

    /// Take back what [`Self::take`] gave, and nobody uses any more.
    pub(super) fn put_back(&mut self, start: *mut u64, bytes: usize) {
        let (mut start, mut span) = (start.addr(), Free { bytes, is_backed: true });
        let end = start + bytes;
        if !self.regions.contains_key(&end)
            && let Some(next) = self.remove(end)
        {
            span.bytes += next.bytes;
        }
        if !self.regions.contains_key(&start)
            && let Some((&before, &other)) = self.free.range(..start).next_back()
            && before + other.bytes == start
        {
            self.remove(before);
            span.bytes += other.bytes;
            start = before;
        }
        self.insert(start, span);
    }

    /// Give the memory of free spans back to the system, but for so many bytes.
    pub(super) fn give_back(&mut self, keep: usize) {
        let mut kept = 0;
        let Self { regions, free, by_size } = self;
        free.retain(|&start, span| {
            if !span.is_backed || kept + span.bytes <= keep {
                kept += if span.is_backed { span.bytes } else { 0 };
                return true;
            }
            let memory: *mut u64 = std::ptr::with_exposed_provenance_mut(start);
            if regions.get(&start) == Some(&span.bytes) {
                regions.remove(&start);
                by_size.remove(&(span.bytes, start));
                // SAFETY: all of a region, and all of it is free.
                unsafe { memory::unmap(memory, span.bytes) };
                return false;
            }
            // SAFETY: a part of a region, and nothing is alive there.
            unsafe { memory::clear(memory, span.bytes) };
            span.is_backed = false;
            true
        });
    }

    /// Whether so many bytes can be had without another region.
    pub(super) fn has(&self, bytes: usize) -> bool {
        self.by_size.last().is_some_and(|&(largest, _)| largest >= bytes)
    }

    /// How many bytes of address space all of it takes.
    pub(super) fn bytes(&self) -> usize {
        self.regions.values().sum()
    }

    /// How many regions there are.
    #[cfg(test)]
    pub(super) fn regions(&self) -> usize {
        self.regions.len()
    }

    fn add_region(&mut self, bytes: usize) -> usize {
        let bytes = bytes.next_multiple_of(REGION);
        let start = memory::map(bytes).expose_provenance();
        self.regions.insert(start, bytes);
        self.insert(start, Free { bytes, is_backed: false });
        start
    }

    fn insert(&mut self, start: usize, span: Free) {
        self.free.insert(start, span);
        self.by_size.insert((span.bytes, start));
    }

    fn remove(&mut self, start: usize) -> Option<Free> {
        let span = self.free.remove(&start)?;
        self.by_size.remove(&(span.bytes, start));
        Some(span)
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        for (&start, &bytes) in &self.regions {
            // SAFETY: a region, of which nothing is used once the heap goes.
            unsafe { memory::unmap(std::ptr::with_exposed_provenance_mut(start), bytes) };
        }
    }
}
