//! The shapes of sets that `//` made.
//!
//! Module systems update sets that the same few literals made, again and again. What two shapes give
//! together is remembered, so that it is made once, and all those sets share it.

use super::object::Obj;

/// How many shapes are remembered: a power of two.
const PLACES: usize = 256;

/// Two shapes, each as a number, and what they give.
#[derive(Clone, Copy)]
struct Entry {
    older: u32,
    newer: u32,
    merged: Obj,
}

/// Some of the shapes of merged sets. Each has but one place, and a later one takes it. They are not
/// kept alive by it: a collection forgets all.
pub(super) struct MergedShapes(Box<[Option<Entry>; PLACES]>);

impl MergedShapes {
    pub(super) fn new() -> Self {
        Self(Box::new([None; PLACES]))
    }

    /// The shape of a set in which one with the newer shape has updated one with the older.
    #[inline(always)]
    pub(super) fn get(&self, older: u32, newer: u32) -> Option<Obj> {
        let entry = self.0[place(older, newer)]?;
        (entry.older == older && entry.newer == newer).then_some(entry.merged)
    }

    pub(super) fn insert(&mut self, older: u32, newer: u32, merged: Obj) {
        self.0[place(older, newer)] = Some(Entry { older, newer, merged });
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(None);
    }
}

/// By multiplication: the upper bits depend on all of both numbers.
fn place(older: u32, newer: u32) -> usize {
    let mixed = (older ^ newer.rotate_left(u32::BITS / 2)).wrapping_mul(0x9e37_79b9);
    mixed as usize >> (u32::BITS - PLACES.ilog2())
}
