//! What heap objects look like, and the only code that reads and writes them.
//!
//! An object is a header word and a payload: words, or fields of half a word each.
//!
//! | kind | small | extra | payload |
//! | --- | --- | --- | --- |
//! | Int, Float | | | a word: the 64 bits |
//! | Str | 1 if it has a context; twice its symbol and two more, if known | length | words: the context's id if any, bytes |
//! | Path | 0 | length | words: bytes |
//! | List | | length | elements |
//! | ListSlice | | length | the list, the offset |
//! | Shape | 1 if it is never freed | length | names, then positions |
//! | Attrs | | length | the shape, values in the shape's order |
//! | Layered | layers | length | the flat form if known, layers from the newest |
//! | Closure, Thunk | captures | prototype | captured values |
//! | Partial | arguments | | the function, its arguments so far |
//! | Forced | | | the value |
//!
//! Bytes end with a whole word, filled up with zeros.
//!
//! Why the unsafe code here is sound: an [`Obj`] is made only by the heap, from a cell
//! big enough for its kind and length, with its payload initialised before anyone else
//! sees it; and a collection, the only thing that frees cells, runs only between two
//! instructions of the machine, when everything that will be used again is reachable
//! from a root.

use std::num::{NonZeroU32, NonZeroUsize};

use super::BLOCK_BYTES;
use super::memory::HIGHEST;
use crate::Value;
use crate::symbol::Symbol;
use crate::value::Type;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    /// The first cell of an unused run.
    Free,
    Int,
    Float,
    Str,
    Path,
    List,
    ListSlice,
    Shape,
    Attrs,
    Layered,
    Closure,
    Partial,
    Thunk,
    Forced,
}

impl Kind {
    /// The type of an evaluated value that is an object of this kind.
    #[inline(always)]
    pub(crate) fn type_of(self) -> Option<Type> {
        // Looked up: asking for a type is frequent, and a branch for each kind hard to guess.
        const TYPES: [Option<Type>; Kind::Forced as usize + 1] = {
            let mut types = [None; Kind::Forced as usize + 1];
            types[Kind::Int as usize] = Some(Type::Int);
            types[Kind::Float as usize] = Some(Type::Float);
            types[Kind::Str as usize] = Some(Type::String);
            types[Kind::Path as usize] = Some(Type::Path);
            types[Kind::List as usize] = Some(Type::List);
            types[Kind::ListSlice as usize] = Some(Type::List);
            types[Kind::Attrs as usize] = Some(Type::Set);
            types[Kind::Layered as usize] = Some(Type::Set);
            types[Kind::Closure as usize] = Some(Type::Lambda);
            types[Kind::Partial as usize] = Some(Type::Lambda);
            types
        };
        TYPES[self as usize]
    }
}

/// The first word of each object.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) flags: u8,
    pub(super) small: u16,
    pub(super) extra: u32,
}

/// Reachable in the collection that is running.
pub(super) const MARKED: u8 = 1;
/// In memory of its own, not in a block.
pub(super) const OUTSIDE: u8 = 8;

/// So many words of two texts are compared faster one by one than by a call.
const FEW_WORDS: usize = 4;

/// So many values are copied faster one by one than by a call.
const FEW_VALUES: usize = 8;

/// How many words of an object are had from memory together.
const FETCHED_WORDS: usize = 4;

/// A thunk that is being evaluated.
const BUSY: u8 = 2;
/// A thunk whose captures are not there yet.
const UNFILLED: u8 = 4;

/// Have a line of the cache come from memory, to be used soon: a hint, for any address.
#[inline(always)]
pub(super) fn fetch(pointer: *const u64) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: nothing is read.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(pointer.cast()) };
    }
    #[cfg(any(not(target_arch = "x86_64"), miri))]
    let _ = pointer;
}

/// A heap object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Obj(NonZeroUsize);

impl Obj {
    /// The object that [`Self::bits`] gave.
    #[inline(always)]
    pub(crate) fn of_bits(bits: u32) -> Self {
        Self::at_address(bits as usize * 2)
    }

    /// Half the object's address, a multiple of four: how fields and values name it.
    #[inline(always)]
    pub(crate) fn bits(self) -> NonZeroU32 {
        // SAFETY: the address is at least eight, and below the highest one.
        unsafe { NonZeroU32::new_unchecked((self.0.get() / 2) as u32) }
    }

    /// The object in a cell.
    #[inline(always)]
    pub(super) fn at(cell: *mut u64) -> Self {
        Self::at_address(cell.expose_provenance())
    }

    /// The object in the cell at an address whose provenance is exposed.
    #[inline(always)]
    pub(super) fn at_address(address: usize) -> Self {
        debug_assert!(address.is_multiple_of(8) && address != 0 && address < HIGHEST);
        // SAFETY: no object is at zero. Asking would be the most frequent of all tests.
        Self(unsafe { NonZeroUsize::new_unchecked(address) })
    }

    /// Where the object lies.
    #[inline(always)]
    pub(super) fn pointer(self) -> *mut u64 {
        std::ptr::with_exposed_provenance_mut(self.0.get())
    }

    /// Have the object's first words come from memory, to be looked at soon. Most objects have no
    /// more, but may lie in two lines of the cache.
    #[inline(always)]
    pub(super) fn fetch(self) {
        fetch(self.pointer());
        fetch(self.pointer().wrapping_add(FETCHED_WORDS - 1));
    }

    #[inline(always)]
    pub(super) fn header(self) -> Header {
        // SAFETY: the module's invariant; a header is one initialised word.
        unsafe { *self.pointer().cast::<Header>() }
    }

    #[inline(always)]
    pub(super) fn set_header(self, header: Header) {
        // SAFETY: as above; nothing holds a reference to a header.
        unsafe { *self.pointer().cast::<Header>() = header }
    }

    /// Note whether the block that this lies in has something that is alive.
    #[inline(always)]
    pub(super) fn set_block_alive(self, is_alive: bool) {
        let block = self.pointer().map_addr(|address| address & !(BLOCK_BYTES - 1));
        // SAFETY: blocks begin at multiples of their size, with a word that is not of a cell.
        unsafe { block.write(is_alive.into()) };
    }

    /// What this is.
    #[inline(always)]
    pub(crate) fn kind(self) -> Kind {
        self.header().kind
    }

    /// The header's small number; see the table.
    #[inline(always)]
    pub(crate) fn small(self) -> usize {
        self.header().small as usize
    }

    /// The header's big number; see the table.
    #[inline(always)]
    pub(crate) fn extra(self) -> u32 {
        self.header().extra
    }

    /// A word of a payload of words.
    #[inline(always)]
    pub(crate) fn word(self, index: usize) -> u64 {
        // SAFETY: the module's invariant; callers stay within their kind's payload.
        unsafe { *self.pointer().add(1 + index) }
    }

    #[inline(always)]
    pub(super) fn set_word(self, index: usize, word: u64) {
        // SAFETY: as above; nothing holds a reference to a payload word that changes.
        unsafe { *self.pointer().add(1 + index) = word }
    }

    /// Where the payload begins.
    #[inline(always)]
    pub(crate) fn payload(self) -> *mut Value {
        // SAFETY: every object has a payload.
        unsafe { self.pointer().add(1).cast() }
    }

    /// A field of a payload of fields.
    #[inline(always)]
    pub(crate) fn field(self, index: usize) -> u32 {
        // SAFETY: as `word`.
        unsafe { *self.payload().cast::<u32>().add(index) }
    }

    #[inline(always)]
    pub(super) fn set_field(self, index: usize, field: u32) {
        // SAFETY: as `set_word`.
        unsafe { *self.payload().cast::<u32>().add(index) = field }
    }

    /// Where a field that is a value lies. Fields that are objects are values too, but for
    /// a flat form that is not known.
    #[inline(always)]
    pub(super) fn place(self, index: usize) -> Place {
        // SAFETY: as `word`.
        Place(unsafe { self.payload().add(index) })
    }

    /// A field that is a value.
    #[inline(always)]
    pub(crate) fn value(self, index: usize) -> Value {
        self.place(index).value()
    }

    #[inline(always)]
    pub(crate) fn set_value(self, index: usize, value: Value) {
        self.place(index).set_value(value);
    }

    /// Put values into the fields from one on. A few are read one by one, as they were written,
    /// perhaps just now: a processor that is to read several together waits for each to arrive.
    #[inline(always)]
    pub(super) fn set_values(self, start: usize, values: &[Value]) {
        if values.len() > FEW_VALUES {
            // SAFETY: as `set_word`; no object that is being made holds what it is made of.
            unsafe {
                let to = self.payload().add(start);
                to.copy_from_nonoverlapping(values.as_ptr(), values.len());
            }
            return;
        }
        for (i, value) in values.iter().enumerate() {
            // SAFETY: a reference is good to read from. Volatile, so that it stays one by one.
            self.set_value(start + i, unsafe { std::ptr::read_volatile(value) });
        }
    }

    /// A field that is an object.
    #[inline(always)]
    pub(crate) fn object(self, index: usize) -> Obj {
        Obj::of_bits(self.field(index))
    }

    #[inline(always)]
    pub(super) fn set_object(self, index: usize, object: Obj) {
        self.set_field(index, object.bits().get());
    }

    /// A field that may be an object.
    #[inline(always)]
    pub(super) fn object_if_any(self, index: usize) -> Option<Obj> {
        (self.field(index) != 0).then(|| self.object(index))
    }

    #[inline(always)]
    pub(super) fn set_object_if_any(self, index: usize, object: Option<Obj>) {
        self.set_field(index, object.map_or(0, |object| object.bits().get()));
    }

    /// Put one capture of a closure or thunk in.
    #[inline(always)]
    pub(crate) fn capture(self, index: usize, value: Value) {
        debug_assert!(index < self.small());
        self.set_value(index, value);
    }

    /// Fields as values.
    #[inline(always)]
    pub(crate) fn values<'a>(self, start: usize, count: usize) -> &'a [Value] {
        // SAFETY: as `value`; a root holds the object for as long as native code uses the
        // slice, and while any runs, a collection changes no list and no set.
        unsafe { std::slice::from_raw_parts(self.payload().add(start), count) }
    }

    // Strings and paths.

    /// Whether a string has a context.
    #[inline(always)]
    pub(crate) fn has_context(self) -> bool {
        self.small() & 1 == 1
    }

    /// The symbol of a string as a name, if it was looked up before.
    #[inline(always)]
    pub(crate) fn symbol(self) -> Option<Symbol> {
        (self.small() >> 1).checked_sub(1).map(|number| Symbol(number as u32))
    }

    /// Note the symbol of a string, if there is room for its number.
    pub(crate) fn set_symbol(self, symbol: Symbol) {
        let header = self.header();
        if let Ok(small) = u16::try_from((symbol.0 as u64 + 1) << 1) {
            self.set_header(Header { small: small | header.small & 1, ..header });
        }
    }

    /// A string's or path's bytes.
    #[inline(always)]
    pub(crate) fn bytes<'a>(self) -> &'a [u8] {
        let header = self.header();
        // SAFETY: the layout of Str and Path; their bytes never change.
        unsafe {
            let start = self.pointer().add(1 + (header.small & 1) as usize).cast::<u8>();
            std::slice::from_raw_parts(start, header.extra as usize)
        }
    }

    /// Whether two strings, or two paths, have the same bytes.
    #[inline(always)]
    pub(crate) fn has_bytes_of(self, other: Self) -> bool {
        let (a, b) = (self.header(), other.header());
        if a.extra != b.extra {
            return false;
        }
        let words = (a.extra as usize).div_ceil(8);
        if words > FEW_WORDS {
            return self.bytes() == other.bytes();
        }
        let (a, b) = ((a.small & 1) as usize, (b.small & 1) as usize);
        (0..words).all(|i| self.word(a + i) == other.word(b + i))
    }

    pub(super) fn write_bytes(self, offset: usize, bytes: &[u8]) {
        // SAFETY: called while a string is being made, within its cell.
        unsafe {
            let start = self.pointer().add(1 + self.small()).cast::<u8>().add(offset);
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), start, bytes.len());
        }
    }

    /// A list's elements.
    #[inline(always)]
    pub(crate) fn items<'a>(self) -> &'a [Value] {
        let length = self.extra() as usize;
        match self.kind() {
            Kind::ListSlice => self.object(0).values(self.field(1) as usize, length),
            _ => self.values(0, length),
        }
    }

    /// A shape's names (`part` 0) or positions (`part` 1).
    #[inline(always)]
    pub(super) fn part<'a>(self, part: usize) -> &'a [u32] {
        let length = self.extra() as usize;
        // SAFETY: the layout of Shape; its payload never changes.
        unsafe {
            let start = self.payload().cast::<u32>().add(part * length);
            std::slice::from_raw_parts(start, length)
        }
    }

    /// Put something into a part of a shape that is being made.
    #[inline(always)]
    pub(super) fn set_in_part(self, part: usize, index: usize, field: u32) {
        self.set_field(part * self.extra() as usize + index, field);
    }

    // Thunks.

    /// A forced thunk's value.
    #[inline(always)]
    pub(crate) fn result(self) -> Option<Value> {
        (self.kind() == Kind::Forced).then(|| self.value(0))
    }

    /// Mark the thunk as being evaluated; false if it already is.
    #[inline(always)]
    pub(crate) fn enter(self) -> bool {
        let header = self.header();
        if header.flags & BUSY != 0 {
            return false;
        }
        self.set_header(Header { flags: header.flags | BUSY, ..header });
        true
    }

    /// Whether the thunk is being evaluated.
    pub(crate) fn is_entered(self) -> bool {
        self.header().flags & BUSY != 0
    }

    /// The evaluation failed: it may be tried again.
    pub(crate) fn leave(self) {
        let header = self.header();
        self.set_header(Header { flags: header.flags & !BUSY, ..header });
    }

    /// The evaluation gave a value: keep it and let the captures go.
    #[inline(always)]
    pub(crate) fn resolve(self, value: Value) {
        let header = self.header();
        debug_assert!(header.flags & MARKED == 0, "no code runs during a collection");
        self.set_header(Header { kind: Kind::Forced, flags: header.flags & OUTSIDE, ..header });
        self.set_value(0, value);
    }

    /// Make the thunk's value that of another: `alias` is the prototype that forces its
    /// only capture.
    pub(crate) fn redirect(self, alias: u32, value: Value) {
        debug_assert!(self.kind() == Kind::Thunk);
        let flags = self.header().flags & OUTSIDE;
        self.set_header(Header { kind: Kind::Thunk, flags, small: 1, extra: alias });
        self.set_value(0, value);
    }

    /// Whether this thunk still waits for its captures.
    pub(crate) fn is_unfilled(self) -> bool {
        let header = self.header();
        header.kind == Kind::Thunk && header.flags & UNFILLED != 0
    }

    pub(super) fn set_unfilled(self) {
        let header = self.header();
        self.set_header(Header { flags: header.flags | UNFILLED, ..header });
    }

    /// The captures are there.
    pub(crate) fn set_filled(self) {
        let header = self.header();
        self.set_header(Header { flags: header.flags & !UNFILLED, ..header });
    }
}

/// Where an object keeps a value.
#[derive(Clone, Copy)]
pub(super) struct Place(*mut Value);

impl Place {
    /// The place at an address that [`Place::address`] gave.
    #[inline(always)]
    pub(super) fn at(address: usize) -> Self {
        Self(std::ptr::with_exposed_provenance_mut(address))
    }

    #[inline(always)]
    pub(super) fn address(self) -> NonZeroUsize {
        // SAFETY: no object is at zero.
        unsafe { NonZeroUsize::new_unchecked(self.0.expose_provenance()) }
    }

    #[inline(always)]
    pub(super) fn value(self) -> Value {
        // SAFETY: a place is made of a field that is a value, of an object that is alive.
        unsafe {
            debug_assert!(*self.0.cast::<u32>() != 0, "no value is zero");
            *self.0
        }
    }

    #[inline(always)]
    pub(super) fn set_value(self, value: Value) {
        // SAFETY: as above; nothing holds a reference to it.
        unsafe { *self.0 = value }
    }
}
