//! The evaluator's memory: cells of a few sizes in blocks, collected by mark and sweep.
//!
//! Allocation takes the next cell of a run of free cells. Objects never move. No
//! count is kept per value: a collection marks what the roots reach, and free cells
//! join into runs again. Blocks without a live cell are given back to the system.
//!
//! Everything lies at addresses of which half fits into the 32 bits of a value (`memory`): blocks,
//! and spans for what is larger than a cell. So a heap has room for 7 GiB ([`MAX_HEAP`]), of
//! objects that are about two thirds as large as with values of 64 bits.
//!
//! **When things may be freed.** Allocating never collects; it only notes that a
//! collection is due. The machine collects at a safepoint between two instructions,
//! when its stack and frames hold all that is needed. So code that does not re-enter
//! the machine may keep values wherever it likes.

mod attrs;
mod blocks;
mod collect;
mod memory;
mod merged_shapes;
mod mould;
mod object;
mod spans;
#[cfg(test)]
mod tests;

pub use attrs::Attrs;
pub(crate) use collect::Marker;
pub(crate) use mould::Mould;
pub(crate) use object::{Kind, Obj};

use blocks::Blocks;
use memory::{ADDRESSES, HIGHEST};
use merged_shapes::MergedShapes;
use mould::LARGE;
use object::{Header, OUTSIDE, fetch};
use spans::Spans;

use crate::Value;
use crate::context::ContextId;

/// Bytes in a block: some pages.
const BLOCK_BYTES: usize = 64 * 1024;

/// How far ahead of a new object memory is asked for.
const WORDS_AHEAD: usize = 32;

/// Cells hold at most this many words; what is larger has an allocation of its own.
const MAX_CELL_WORDS: usize = 1024;

/// Elements of a list or bytes of a string: a header holds 32 bits.
pub(crate) const MAX_LENGTH: usize = u32::MAX as usize;

/// The sizes of cells in words: no more than a quarter of a cell is wasted.
const CELL_WORDS: [u16; 30] = [
    2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 128, 160, 192,
    256, 320, 384, 512, 768, 1024,
];

/// All values of one evaluation may take so many bytes, or as many as the machine has. A heap has no
/// other memory than what lies below [`HIGHEST`]: this leaves some for what is allocated until the
/// next safepoint, and some addresses are always taken.
pub const MAX_HEAP: usize = HIGHEST / 8 * 7;

/// A heap of which no more than this part is free is full: it would do little but collect.
const SPARE: usize = 16;

/// For so many bytes there is always room.
const SURELY_POSSIBLE: usize = 1 << 16;

/// A collection is due after this many bytes where nothing stays alive, so that such a heap is
/// kept within what the caches of one core hold.
const LEAST: usize = 2 * 1024 * 1024;

/// Where much stays alive, marking it often costs more than fresh memory does: the next one is due
/// after this many times what is alive, or after [`ENOUGH`] where that is less.
const TIMES_ALIVE: usize = 16;

/// The first collection is given up when more objects than these turn out to be alive, and is due
/// again once so many bytes have been allocated in all: a short evaluation ends before.
const FEW: usize = 4096;
const FIRST_OF_MANY: usize = 28 * 1024 * 1024;

/// As many bytes as are always worth a collection.
const ENOUGH: usize = 32 * 1024 * 1024;

/// A heap that has become much smaller than one that never collects may grow by up to this many
/// times what is alive, and by no more than this beyond what is.
const MOST_TIMES_ALIVE: usize = 3;
const MOST_BEYOND_ALIVE: usize = 64 * 1024 * 1024;

/// After how many bytes the next collection is due where so many are alive of so many that were
/// ever allocated: after as many as are alive at least, so that collecting costs a bounded share
/// of allocating.
fn bytes_until_collection(alive: usize, allocated: usize) -> usize {
    // Then the heap is two thirds of what is allocated by then.
    let until_two_thirds = (2 * allocated).saturating_sub(3 * alive);
    let most = (MOST_TIMES_ALIVE * alive).min(alive + MOST_BEYOND_ALIVE);
    let more = until_two_thirds.min(most).max(alive);
    (LEAST + TIMES_ALIVE * alive).min(ENOUGH).max(more)
}

/// Cells of one size, in a block. Its first word says whether the collection that is running
/// has found one of them alive.
struct Block {
    start: *mut u64,
    class: u8,
}

/// The words of a block before its cells.
const BLOCK_HEADER_WORDS: usize = 1;

/// How many cells of a class a block has.
const fn cells_in_block(class: usize) -> usize {
    (BLOCK_BYTES / 8 - BLOCK_HEADER_WORDS) / CELL_WORDS[class] as usize
}

/// A large object.
struct Large {
    object: Obj,
    bytes: usize,
}

/// Free cells of one size: the run being filled, and the ones after it.
#[derive(Clone, Copy)]
struct Run {
    next: *mut u64,
    end: *mut u64,
    /// Runs that wait, linked through their first field.
    waiting: Option<Obj>,
}

impl Run {
    const NONE: Self =
        Self { next: std::ptr::null_mut(), end: std::ptr::null_mut(), waiting: None };
}

/// The heap; dropping it frees everything.
pub(crate) struct Heap {
    runs: [Run; CELL_WORDS.len()],
    blocks: Vec<Block>,
    memory: Blocks,
    spans: Spans,
    large: Vec<Large>,
    large_bytes: usize,
    /// Bytes handed to runs and large objects since the last collection.
    since_collection: usize,
    /// The same, until then.
    before: usize,
    threshold: usize,
    /// How many bytes it may take.
    limit: usize,
    /// Whether the next collection is given up if many objects are alive.
    tentative: bool,
    stress: bool,
    due: bool,
    marking: Vec<Obj>,
    empty_list: Value,
    empty_shape: Obj,
    empty_attrs: Value,
    /// The strings of one byte, once they are made.
    single_bytes: Box<[Option<Value>; 256]>,
    merged_shapes: MergedShapes,
}

impl Heap {
    /// An empty heap, full at so many bytes. With `stress`, a collection is due at every safepoint.
    pub(crate) fn new(stress: bool, limit: usize) -> Self {
        let limit = limit.min(MAX_HEAP).min(memory::of_the_machine());
        let nothing = Value::NULL;
        let mut heap = Self {
            runs: [Run::NONE; CELL_WORDS.len()],
            blocks: Vec::new(),
            memory: Blocks::default(),
            spans: Spans::default(),
            large: Vec::new(),
            large_bytes: 0,
            since_collection: 0,
            before: 0,
            tentative: !stress,
            threshold: LEAST.min(limit / 2),
            limit,
            stress,
            due: stress,
            marking: Vec::new(),
            empty_list: nothing,
            empty_shape: Obj::of_bits(4),
            empty_attrs: nothing,
            single_bytes: Box::new([None; 256]),
            merged_shapes: MergedShapes::new(),
        };
        heap.empty_list = Value::object(heap.allocate_fields(Kind::List, 0, 0, 0));
        heap.empty_shape = heap.shape(&[], true);
        let attrs = heap.allocate_fields(Kind::Attrs, 0, 0, 1);
        attrs.set_object(0, heap.empty_shape);
        heap.empty_attrs = Value::object(attrs);
        heap
    }

    /// Whether the machine should collect at its next safepoint.
    #[inline(always)]
    pub(crate) fn collection_is_due(&self) -> bool {
        self.due
    }

    /// Whether much may have become garbage since the last collection.
    pub(crate) fn is_worth_collecting(&self) -> bool {
        self.stress || self.since_collection >= LEAST
    }

    /// Whether so little room is left after a collection that there is no point in going on.
    pub(crate) fn is_full(&self) -> bool {
        self.room() <= self.limit / SPARE
    }

    /// Whether something of so many bytes can be had before the next collection.
    pub(crate) fn has_room_for(&self, bytes: usize) -> bool {
        let mapped = || self.memory.bytes() + self.spans.bytes();
        bytes <= SURELY_POSSIBLE
            || bytes <= self.room()
                && (self.spans.has(bytes) || bytes <= ADDRESSES.saturating_sub(mapped()))
    }

    /// How many bytes it may take at most.
    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    /// How many bytes more it may take.
    fn room(&self) -> usize {
        self.limit.saturating_sub(self.blocks.len() * BLOCK_BYTES + self.large_bytes)
    }

    /// How many bytes of garbage there may be after a collection, so that something large still
    /// finds room.
    fn room_for_garbage(&self) -> usize {
        self.room() / 2
    }

    /// Let the next collection be one, however much is alive.
    pub(crate) fn insist(&mut self) {
        self.tentative = false;
    }

    /// A new object with a payload of words. The caller writes all of them before anything else.
    #[inline(always)]
    fn allocate(&mut self, kind: Kind, small: usize, extra: usize, payload_words: usize) -> Obj {
        self.cast(Mould::new(kind, small, extra, payload_words))
    }

    /// A new object with a payload of fields. The caller writes all fields before anything else.
    #[inline(always)]
    fn allocate_fields(&mut self, kind: Kind, small: usize, extra: usize, fields: usize) -> Obj {
        self.cast(Mould::of_fields(kind, small, extra, fields))
    }

    /// A new object of a mould. The caller writes all of its payload before anything else.
    #[inline(always)]
    pub(crate) fn cast(&mut self, mould: Mould) -> Obj {
        let Mould { header, class, words } = mould;
        let Some(mut run) = self.runs.get_mut(class as usize) else {
            debug_assert!(class == LARGE);
            return self.allocate_large(header, words as usize);
        };
        if run.next == run.end {
            run = self.next_run(class as usize);
        }
        let cell = run.next;
        // SAFETY: the run is not empty, and runs are whole cells of one block.
        run.next = unsafe { cell.add(words as usize) };
        fetch(cell.wrapping_add(WORDS_AHEAD));
        let object = Obj::at(cell);
        object.set_header(header);
        object
    }

    /// Make the run of a class non-empty.
    #[cold]
    #[inline(never)]
    fn next_run(&mut self, class: usize) -> &mut Run {
        let cell_words = CELL_WORDS[class] as usize;
        let cells = if let Some(first) = self.runs[class].waiting {
            debug_assert!(first.kind() == Kind::Free);
            let cells = first.extra() as usize;
            let next = first.pointer();
            // SAFETY: sweeping made a run of that many cells there.
            let end = unsafe { next.add(cells * cell_words) };
            let waiting = first.object_if_any(0);
            // Between cells that are alive runs are short: the one after is needed soon.
            if let Some(waiting) = waiting {
                waiting.fetch();
            }
            self.runs[class] = Run { next, end, waiting };
            cells
        } else {
            // Of the first cells of a class there may never be more than a few.
            let start = self.memory.take(!self.runs[class].end.is_null());
            let cells = cells_in_block(class);
            // SAFETY: the first is the block's own word, the others are within the block or one
            // past its end.
            let (first, end) = unsafe {
                start.write(0);
                let first = start.add(BLOCK_HEADER_WORDS);
                (first, first.add(cells * cell_words))
            };
            self.blocks.push(Block { start, class: class as u8 });
            self.runs[class] = Run { next: first, end, waiting: None };
            cells
        };
        self.note_allocation(cells * cell_words * 8);
        &mut self.runs[class]
    }

    fn note_allocation(&mut self, bytes: usize) {
        self.since_collection += bytes;
        if self.since_collection >= self.threshold {
            self.due = true;
        }
    }

    /// Give free memory back to the system, but for so many blocks and what is as large.
    pub(crate) fn give_spare_back(&mut self, keep: usize) {
        let kept = self.memory.give_back(keep);
        self.spans.give_back((keep - kept) * BLOCK_BYTES);
    }

    #[cold]
    fn allocate_large(&mut self, header: Header, words: usize) -> Obj {
        let (start, bytes) = self.spans.take(words * 8);
        let object = Obj::at(start);
        object.set_header(Header { flags: OUTSIDE, ..header });
        self.large.push(Large { object, bytes });
        self.large_bytes += bytes;
        self.note_allocation(bytes);
        object
    }

    // Values.

    /// An integer.
    #[inline(always)]
    pub(crate) fn int(&mut self, number: i64) -> Value {
        match Value::small_int(number) {
            Some(value) => value,
            None => self.boxed(Kind::Int, number as u64),
        }
    }

    /// A float.
    pub(crate) fn float(&mut self, number: f64) -> Value {
        self.boxed(Kind::Float, number.to_bits())
    }

    fn boxed(&mut self, kind: Kind, word: u64) -> Value {
        let object = self.allocate(kind, 0, 0, 1);
        object.set_word(0, word);
        Value::object(object)
    }

    /// A string. Of each that is a single byte there is one: going through a text makes many.
    pub(crate) fn string(&mut self, bytes: &[u8], context: ContextId) -> Value {
        match *bytes {
            [byte] if context.is_empty() => self.single_byte(byte),
            _ => self.string_of_parts(bytes.len(), context, [bytes]),
        }
    }

    fn single_byte(&mut self, byte: u8) -> Value {
        if let Some(string) = self.single_bytes[byte as usize] {
            return string;
        }
        let string = self.string_of_parts(1, ContextId::EMPTY, [&[byte][..]]);
        self.single_bytes[byte as usize] = Some(string);
        string
    }

    /// A string made of parts, whose lengths add up to `length`.
    pub(crate) fn string_of_parts<'a>(
        &mut self,
        length: usize,
        context: ContextId,
        parts: impl IntoIterator<Item = &'a [u8]>,
    ) -> Value {
        let has_context = usize::from(!context.is_empty());
        let words = (has_context + length.div_ceil(8)).max(1);
        let object = self.allocate(Kind::Str, has_context, length, words);
        // What the bytes leave of it stays zero.
        object.set_word(words - 1, 0);
        if has_context == 1 {
            object.set_word(0, context.number() as u64);
        }
        let mut offset = 0;
        for part in parts {
            debug_assert!(offset + part.len() <= length);
            object.write_bytes(offset, part);
            offset += part.len();
        }
        debug_assert_eq!(offset, length);
        Value::object(object)
    }

    /// A path, absolute and without `.` or `..`.
    pub(crate) fn path(&mut self, bytes: &[u8]) -> Value {
        let words = bytes.len().div_ceil(8).max(1);
        let object = self.allocate(Kind::Path, 0, bytes.len(), words);
        object.set_word(words - 1, 0);
        object.write_bytes(0, bytes);
        Value::object(object)
    }

    /// A list.
    pub(crate) fn list(&mut self, items: &[Value]) -> Value {
        if items.is_empty() {
            return self.empty_list;
        }
        let object = self.allocate_fields(Kind::List, 0, items.len(), items.len());
        object.set_values(0, items);
        Value::object(object)
    }

    /// A list of two lists' elements.
    pub(crate) fn concat(&mut self, left: &[Value], right: &[Value]) -> Value {
        let length = left.len() + right.len();
        let object = self.allocate_fields(Kind::List, 0, length, length);
        object.set_values(0, left);
        object.set_values(left.len(), right);
        Value::object(object)
    }

    /// A list of elements made one by one, each of which may allocate.
    pub(crate) fn list_with(
        &mut self,
        length: usize,
        mut element: impl FnMut(&mut Self, usize) -> Value,
    ) -> Value {
        if length == 0 {
            return self.empty_list;
        }
        let object = self.allocate_fields(Kind::List, 0, length, length);
        for i in 0..length {
            let item = element(self, i);
            object.set_value(i, item);
        }
        Value::object(object)
    }

    /// The elements of a list from `start`, at most `count`, without copying them.
    /// A short piece of a long list is copied, so as not to hold the whole.
    pub(crate) fn slice(&mut self, list: Value, start: usize, count: usize) -> Value {
        let Some(items) = list.as_list() else { unreachable!("callers checked the type") };
        let start = start.min(items.len());
        let count = count.min(items.len() - start);
        if count == 0 {
            return self.empty_list;
        }
        if count <= 4 || count * 4 < items.len() {
            return self.list(&items[start..start + count]);
        }
        let Some(mut base) = list.as_object() else { unreachable!("lists are objects") };
        let mut offset = start;
        if base.kind() == Kind::ListSlice {
            offset += base.field(1) as usize;
            base = base.object(0);
        }
        let object = self.allocate_fields(Kind::ListSlice, 0, count, 2);
        object.set_object(0, base);
        // A list's length fits, and so does what is less.
        object.set_field(1, offset as u32);
        Value::object(object)
    }

    /// `[ ]`.
    pub(crate) fn empty_list(&self) -> Value {
        self.empty_list
    }

    /// A closure or thunk whose captures are null until they are filled in.
    #[inline(always)]
    pub(crate) fn blank(&mut self, mould: Mould) -> Obj {
        let object = self.cast(mould);
        for i in 0..object.small().max(1) {
            object.set_value(i, Value::NULL);
        }
        object
    }

    /// A thunk that is marked as not having its captures yet.
    pub(crate) fn unfilled_thunk(&mut self, mould: Mould) -> Obj {
        let thunk = self.blank(mould);
        thunk.set_unfilled();
        thunk
    }

    /// A thunk of a prototype that calls its first capture with the others.
    pub(crate) fn delayed_call(
        &mut self,
        prototype: u32,
        function: Value,
        arguments: &[Value],
    ) -> Value {
        let captures = arguments.len() + 1;
        let thunk = self.allocate_fields(Kind::Thunk, captures, prototype as usize, captures);
        thunk.set_value(0, function);
        thunk.set_values(1, arguments);
        Value::thunk(thunk)
    }

    /// A function with some of its arguments.
    pub(crate) fn partial(&mut self, function: Value, arguments: &[Value]) -> Value {
        let object = self.allocate_fields(Kind::Partial, arguments.len(), 0, arguments.len() + 1);
        object.set_value(0, function);
        object.set_values(1, arguments);
        Value::object(object)
    }
}
