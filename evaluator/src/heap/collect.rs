//! Collecting: mark what the roots reach, then sweep every block in which something was
//! marked; of one in which nothing was, no cell is looked at.
//!
//! Marking also cuts indirections: a field that points to a forced thunk is made to
//! hold the thunk's value, so that the thunk itself goes. Native code may hold elements
//! of a list or set that it is going through, or arguments of a partly applied function, so
//! while any runs, only the captures of closures and thunks are cut, which native code never
//! sees.

use std::num::NonZeroUsize;

use super::object::{Header, MARKED, OUTSIDE, Place};
use super::{
    BLOCK_BYTES, BLOCK_HEADER_WORDS, Block, CELL_WORDS, FEW, FIRST_OF_MANY, Heap, Kind, Obj, Run,
    bytes_until_collection, cells_in_block,
};
use crate::Value;

/// How many fields wait: what they point to comes from memory together, as far as it can.
const COMING: usize = 16;

/// Marks roots during a collection.
pub(crate) struct Marker<'a> {
    pending: &'a mut Vec<Obj>,
    /// Whether native code may hold what is in lists, sets, and on the stack.
    natives_run: bool,
    /// Fields that wait while what they point to comes from memory: of a large heap, little is in
    /// the caches, and marking would wait for one object after the other.
    coming: [Option<Field>; COMING],
    /// Which of them has waited longest.
    oldest: usize,
}

/// A field of an object that is alive: where it lies, and in the lowest bit whether it may be made
/// to hold the value of the thunk that it points to.
#[derive(Clone, Copy)]
struct Field(NonZeroUsize);

impl Field {
    #[inline(always)]
    fn new(holder: Obj, index: usize, may_be_cut: bool) -> Self {
        Self(holder.place(index).address() | usize::from(may_be_cut))
    }

    #[inline(always)]
    fn place(self) -> Place {
        Place::at(self.0.get() & !1)
    }

    #[inline(always)]
    fn may_be_cut(self) -> bool {
        self.0.get() & 1 != 0
    }
}

impl<'a> Marker<'a> {
    fn new(pending: &'a mut Vec<Obj>, natives_run: bool) -> Self {
        Self { pending, natives_run, coming: [None; COMING], oldest: 0 }
    }

    /// Something that native code may have copied. Returns what to hold from now on.
    #[inline(always)]
    pub(crate) fn value(&mut self, value: Value) -> Value {
        let value = match self.natives_run {
            false => value.evaluated().unwrap_or(value),
            true => value,
        };
        if let Some(object) = value.as_any_object() {
            self.object(object);
        }
        value
    }

    /// Several roots, made shorter in place.
    pub(crate) fn values(&mut self, values: &mut [Value]) {
        for value in values {
            *value = self.value(*value);
        }
    }

    /// An object that stays.
    #[inline(always)]
    pub(crate) fn object(&mut self, object: Obj) {
        let header = object.header();
        if header.flags & MARKED == 0 {
            object.set_header(Header { flags: header.flags | MARKED, ..header });
            if header.flags & OUTSIDE == 0 {
                object.set_block_alive(true);
            }
            self.pending.push(object);
        }
    }

    /// Mark all that is alive, unless that is much. What was marked is still listed.
    fn finds_few(&mut self) -> bool {
        let mut traced = 0;
        while self.pending.len() <= FEW {
            let Some(&object) = self.pending.get(traced) else {
                self.pending.clear();
                return true;
            };
            self.trace(object);
            self.visit_waiting();
            traced += 1;
        }
        false
    }

    /// Take back the marks of all that is listed.
    fn forget(&mut self) {
        for object in self.pending.drain(..) {
            let header = object.header();
            object.set_header(Header { flags: header.flags & !MARKED, ..header });
            if header.flags & OUTSIDE == 0 {
                object.set_block_alive(false);
            }
        }
    }

    /// Mark all that is alive.
    fn finish(&mut self) {
        while !self.pending.is_empty() {
            while let Some(object) = self.pending.pop() {
                self.trace(object);
            }
            self.visit_waiting();
        }
    }

    /// Visit all that an object points to, soon.
    fn trace(&mut self, object: Obj) {
        let length = object.extra() as usize;
        let (fields, only_the_machine_sees) = match object.kind() {
            Kind::Int | Kind::Float | Kind::Str | Kind::Path | Kind::Shape => return,
            Kind::List => (0..length, false),
            Kind::ListSlice => (0..1, false),
            Kind::Attrs => (0..length + 1, false),
            // Once the flat form is known, the layers are never looked at again.
            Kind::Layered if object.object_if_any(0).is_some() => (0..1, false),
            Kind::Layered => (1..object.small() + 1, false),
            Kind::Closure | Kind::Thunk => (0..object.small(), true),
            // A contract is one: checking reads what it is made of.
            Kind::Partial => (0..object.small() + 1, false),
            Kind::Forced => (0..1, true),
            Kind::Free => unreachable!("nothing points to a free cell"),
        };
        let may_be_cut = only_the_machine_sees || !self.natives_run;
        for index in fields {
            self.visit_soon(Field::new(object, index, may_be_cut));
        }
    }

    /// Visit a field once what it points to has come from memory.
    #[inline(always)]
    fn visit_soon(&mut self, field: Field) {
        let mut next = Some(field);
        // Where a field is cut, it waits again for what it points to now.
        while let Some(field) = next
            && let Some(target) = field.place().value().as_any_object()
        {
            target.fetch();
            let longest = self.coming[self.oldest].replace(field);
            self.oldest = (self.oldest + 1) % COMING;
            next = longest.and_then(|field| self.visit(field));
        }
    }

    /// Mark what a field points to; gives the field if it was cut instead.
    #[inline(always)]
    fn visit(&mut self, field: Field) -> Option<Field> {
        let value = field.place().value();
        let object = value.as_any_object()?;
        if value.is_thunk()
            && field.may_be_cut()
            && let Some(result) = object.result()
        {
            field.place().set_value(result);
            return Some(field);
        }
        self.object(object);
        None
    }

    /// Visit all fields that still wait.
    fn visit_waiting(&mut self) {
        for i in 0..COMING {
            let mut next = self.coming[i].take();
            while let Some(field) = next {
                next = self.visit(field);
            }
        }
    }
}

impl Heap {
    /// Free everything that `roots` does not mark. `natives_run` says whether native code
    /// waits for the machine.
    ///
    /// As much memory stays as is filled until the next collection: getting fresh memory
    /// from the system costs more than all else here.
    pub(crate) fn collect(&mut self, natives_run: bool, roots: impl FnOnce(&mut Marker<'_>)) {
        let mut pending = std::mem::take(&mut self.marking);
        let mut marker = Marker::new(&mut pending, natives_run);
        for value in [self.empty_list, self.empty_attrs] {
            marker.value(value);
        }
        for &value in self.single_bytes.iter().flatten() {
            marker.value(value);
        }
        roots(&mut marker);
        if std::mem::take(&mut self.tentative) && !marker.finds_few() {
            marker.forget();
            self.marking = pending;
            self.threshold = FIRST_OF_MANY.min(self.since_collection + self.room_for_garbage());
            self.due = false;
            return;
        }
        marker.finish();
        self.marking = pending;
        self.merged_shapes.clear();
        let alive = self.sweep();
        self.before += std::mem::take(&mut self.since_collection);
        self.threshold = bytes_until_collection(alive, self.before).min(self.room_for_garbage());
        self.due = self.stress;
        self.give_spare_back(self.threshold / BLOCK_BYTES);
    }

    /// Rebuild the free runs, give empty blocks back, and return the bytes alive.
    fn sweep(&mut self) -> usize {
        let mut alive = 0;
        // The rest of a run being filled holds no headers: give it one.
        for (class, run) in self.runs.iter_mut().enumerate() {
            if run.next != run.end {
                let bytes = run.end as usize - run.next as usize;
                make_run(Obj::at(run.next), bytes / 8 / CELL_WORDS[class] as usize, None);
            }
            *run = Run::NONE;
        }
        let mut blocks = std::mem::take(&mut self.blocks);
        blocks.retain(|block| {
            let live = self.sweep_block(block);
            alive += live;
            if live == 0 {
                // `sweep_block` links no run of such a block.
                self.memory.put_back(block.start);
            }
            live != 0
        });
        self.blocks = blocks;
        self.large.retain(|large| {
            let header = large.object.header();
            let live = header.flags & MARKED != 0;
            if live {
                large.object.set_header(Header { flags: header.flags & !MARKED, ..header });
                alive += large.bytes;
            } else {
                self.large_bytes -= large.bytes;
                self.spans.put_back(large.object.pointer(), large.bytes);
            }
            live
        });
        alive
    }

    /// Join a block's free cells into runs; returns the bytes alive.
    fn sweep_block(&mut self, block: &Block) -> usize {
        let class = block.class as usize;
        // SAFETY: the block's own word.
        if unsafe { block.start.replace(0) } == 0 {
            return 0;
        }
        let cell_bytes = CELL_WORDS[class] as usize * 8;
        let mut alive = 0;
        let mut waiting = self.runs[class].waiting;
        // SAFETY: within the block.
        let start = unsafe { block.start.add(BLOCK_HEADER_WORDS) };
        let start = start.expose_provenance();
        let end = start + cells_in_block(class) * cell_bytes;
        // Where the run that may become one began, and the cell that is looked at.
        let (mut run, mut cell) = (start, start);
        let mut end_run = |run: usize, end: usize| {
            if run < end {
                let first = Obj::at_address(run);
                make_run(first, (end - run) / cell_bytes, waiting);
                waiting = Some(first);
            }
        };
        while cell < end {
            let object = Obj::at_address(cell);
            let header = object.header();
            if header.flags & MARKED != 0 {
                object.set_header(Header { flags: header.flags & !MARKED, ..header });
                end_run(run, cell);
                alive += 1;
                cell += cell_bytes;
                run = cell;
            } else if header.kind == Kind::Free {
                cell += header.extra as usize * cell_bytes;
            } else {
                cell += cell_bytes;
            }
        }
        end_run(run, end);
        debug_assert!(alive > 0, "a block without anything alive was not to be looked at");
        self.runs[class].waiting = waiting;
        alive * cell_bytes
    }
}

/// Make a run of free cells, linked to the next one.
fn make_run(first: Obj, cells: usize, next: Option<Obj>) {
    first.set_header(Header { kind: Kind::Free, flags: 0, small: 0, extra: cells as u32 });
    first.set_object_if_any(0, next);
}
