//! A value in half a word.
//!
//! | low bits | meaning |
//! | --- | --- |
//! | `01` | an integer of 30 bits |
//! | `00` | an evaluated heap object: half its address |
//! | `10` | a thunk, perhaps forced by now: half its address, and two |
//! | `11` | an immediate: null, a truth value, a builtin, or [`Value::UNSET`] |
//!
//! Objects lie at multiples of eight in the lowest 8 GiB of the address space (see `heap`), so
//! half of an address fits and leaves two bits. Most of what an evaluation takes time for is
//! getting at memory, and so the heap is as small as it can be.
//!
//! Values are plain copies without a count. What keeps an object alive is being
//! reachable from a root when a collection runs; see `heap` for when that is.

use std::num::NonZeroU32;

use crate::heap::{Attrs, Kind, Obj};

/// Any value of the language, or a thunk of one.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct Value(NonZeroU32);

const TAG_MASK: u32 = 0b11;
const TAG_OBJECT: u32 = 0b00;
const TAG_INT: u32 = 0b01;
const TAG_THUNK: u32 = 0b10;
const TAG_IMMEDIATE: u32 = 0b11;
const TAG_BITS: u32 = 2;

/// What an immediate's lowest bits are, above its tag, if it is a builtin.
const BUILTIN: u32 = 0xF;
const BUILTIN_BITS: u32 = 4;

/// Integers outside this range are boxed on the heap.
const SMALL_MIN: i64 = -(1 << 29);
const SMALL_MAX: i64 = (1 << 29) - 1;

const fn immediate(payload: u32) -> Value {
    match NonZeroU32::new(payload << TAG_BITS | TAG_IMMEDIATE) {
        Some(bits) => Value(bits),
        None => unreachable!(),
    }
}

/// What a value is, once evaluated: the types of the language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// A 64-bit integer.
    Int,
    /// A 64-bit float.
    Float,
    /// `true` or `false`.
    Bool,
    /// A string with its context.
    String,
    /// A path.
    Path,
    /// `null`.
    Null,
    /// An attribute set.
    Set,
    /// A list.
    List,
    /// A function: written, builtin, or partly applied.
    Lambda,
}

impl Type {
    /// Whether a value of this type holds others.
    pub fn has_parts(self) -> bool {
        matches!(self, Self::Set | Self::List)
    }

    /// The name that `typeOf` gives.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::String => "string",
            Self::Path => "path",
            Self::Null => "null",
            Self::Set => "set",
            Self::List => "list",
            Self::Lambda => "lambda",
        }
    }

    /// The name with its article, for messages.
    pub fn described(self) -> &'static str {
        match self {
            Self::Int => "an integer",
            Self::Float => "a float",
            Self::Bool => "a Boolean",
            Self::String => "a string",
            Self::Path => "a path",
            Self::Null => "null",
            Self::Set => "a set",
            Self::List => "a list",
            Self::Lambda => "a function",
        }
    }
}

impl Value {
    /// `null`.
    pub const NULL: Self = immediate(0);
    /// `false`.
    pub const FALSE: Self = immediate(1);
    /// `true`.
    pub const TRUE: Self = immediate(2);
    /// Not a value: a pattern's slot whose argument was left out, or what was tried in vain.
    pub(crate) const UNSET: Self = immediate(3);

    /// A truth value.
    #[inline(always)]
    pub fn bool(truth: bool) -> Self {
        if truth { Self::TRUE } else { Self::FALSE }
    }

    /// An integer, if it fits without a box.
    #[inline(always)]
    pub(crate) fn small_int(number: i64) -> Option<Self> {
        let fits = (SMALL_MIN..=SMALL_MAX).contains(&number);
        fits.then(|| Self::of_scaled_int((number as i32) << TAG_BITS))
    }

    /// Two integers without a box, four times as large as they are: sums, differences and products
    /// with the number itself overflow just where the result needs a box.
    #[inline(always)]
    pub(crate) fn as_scaled_ints(left: Self, right: Self) -> Option<(i32, i32)> {
        // Without their tags both are multiples of four.
        let [left, right] = [left, right].map(|value| (value.bits() ^ TAG_INT) as i32);
        ((left | right) as u32 & TAG_MASK == 0).then_some((left, right))
    }

    /// The integer of which this is four times as much.
    #[inline(always)]
    pub(crate) fn of_scaled_int(scaled: i32) -> Self {
        const { assert!(NonZeroU32::MIN.get() == TAG_INT) };
        debug_assert!(scaled as u32 & TAG_MASK == 0);
        Self(NonZeroU32::MIN | scaled as u32)
    }

    /// The builtin of a table index.
    pub(crate) const fn builtin(index: u32) -> Self {
        immediate(index << BUILTIN_BITS | BUILTIN)
    }

    /// An evaluated object.
    #[inline(always)]
    pub(crate) fn object(object: Obj) -> Self {
        Self(object.bits())
    }

    /// A thunk.
    #[inline(always)]
    pub(crate) fn thunk(object: Obj) -> Self {
        Self(object.bits() | TAG_THUNK)
    }

    #[inline(always)]
    fn has_tag(self, tag: u32) -> bool {
        self.bits() & TAG_MASK == tag
    }

    /// The integer, if it is one without a box.
    #[inline(always)]
    pub(crate) fn as_small_int(self) -> Option<i64> {
        self.has_tag(TAG_INT).then(|| (self.bits() as i32 >> TAG_BITS).into())
    }

    /// Whether this points to a thunk, forced or not.
    #[inline(always)]
    pub(crate) fn is_thunk(self) -> bool {
        self.has_tag(TAG_THUNK)
    }

    /// The thunk, if this is one, forced or not.
    #[inline(always)]
    pub(crate) fn as_thunk(self) -> Option<Obj> {
        self.is_thunk().then(|| self.pointee())
    }

    /// The thunk that this is known to be. Asking with [`Self::is_thunk`] and taking it by this is
    /// one test; with [`Self::as_thunk`] it is two, as the compiler looks for an address of zero.
    #[inline(always)]
    pub(crate) fn pointee(self) -> Obj {
        debug_assert!(self.is_thunk());
        Obj::of_bits(self.bits() & !TAG_MASK)
    }

    /// The evaluated object, if this is one.
    #[inline(always)]
    pub(crate) fn as_object(self) -> Option<Obj> {
        self.has_tag(TAG_OBJECT).then(|| Obj::of_bits(self.bits()))
    }

    /// The evaluated object, if it is of this kind.
    #[inline(always)]
    pub(crate) fn of_kind(self, kind: Kind) -> Option<Obj> {
        self.as_object().filter(|object| object.kind() == kind)
    }

    /// The heap object that this points to, evaluated or not.
    #[inline(always)]
    pub(crate) fn as_any_object(self) -> Option<Obj> {
        const { assert!(TAG_OBJECT & 1 == 0 && TAG_THUNK & 1 == 0) };
        (self.bits() & 1 == 0).then(|| Obj::of_bits(self.bits() & !TAG_MASK))
    }

    /// The value without an indirection, if it is evaluated.
    #[inline(always)]
    pub(crate) fn evaluated(self) -> Option<Self> {
        match self.as_thunk() {
            None => Some(self),
            Some(thunk) => thunk.result(),
        }
    }

    /// The builtin's table index, if this is one.
    #[inline(always)]
    pub(crate) fn as_builtin(self) -> Option<u32> {
        const LOW_BITS: u32 = BUILTIN << TAG_BITS | TAG_IMMEDIATE;
        (self.bits() & LOW_BITS == LOW_BITS).then(|| self.bits() >> (BUILTIN_BITS + TAG_BITS))
    }

    /// The truth value, if this is one.
    #[inline(always)]
    pub fn as_bool(self) -> Option<bool> {
        match self {
            Self::TRUE => Some(true),
            Self::FALSE => Some(false),
            _ => None,
        }
    }

    /// The integer, if this is an evaluated one.
    #[inline(always)]
    pub fn as_int(self) -> Option<i64> {
        self.as_small_int().or_else(|| self.of_kind(Kind::Int).map(|o| o.word(0) as i64))
    }

    /// The float, if this is an evaluated one.
    pub fn as_float(self) -> Option<f64> {
        self.of_kind(Kind::Float).map(|object| f64::from_bits(object.word(0)))
    }

    /// A string's bytes, if this is an evaluated string.
    ///
    /// The bytes are borrowed from the value, not from the heap: they stay good for as
    /// long as the value is reachable from a root (see `builtins`).
    #[inline(always)]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.of_kind(Kind::Str).map(Obj::bytes)
    }

    /// A path's bytes, if this is an evaluated path.
    pub fn as_path(&self) -> Option<&[u8]> {
        self.of_kind(Kind::Path).map(Obj::bytes)
    }

    /// A list's elements, if this is an evaluated list.
    #[inline(always)]
    pub fn as_list(&self) -> Option<&[Value]> {
        let object = self.as_object()?;
        match object.kind() {
            Kind::List | Kind::ListSlice => Some(object.items()),
            _ => None,
        }
    }

    /// The attribute set, if this is an evaluated one.
    #[inline(always)]
    pub(crate) fn as_attrs(self) -> Option<Attrs> {
        let object = self.as_object()?;
        matches!(object.kind(), Kind::Attrs | Kind::Layered).then(|| Attrs::new(object))
    }

    /// The attribute set, if this is an evaluated one that is flat.
    #[inline(always)]
    pub(crate) fn as_flat_attrs(self) -> Option<Attrs> {
        self.of_kind(Kind::Attrs).map(Attrs::new)
    }

    /// The type, if this is evaluated.
    pub fn type_of(self) -> Option<Type> {
        let value = self.evaluated()?;
        if value.as_small_int().is_some() {
            return Some(Type::Int);
        }
        if let Some(object) = value.as_object() {
            return object.kind().type_of();
        }
        Some(match value {
            Self::NULL => Type::Null,
            Self::TRUE | Self::FALSE => Type::Bool,
            _ => Type::Lambda,
        })
    }

    /// What the value is as a number: equal for what is the very same.
    #[inline(always)]
    pub(crate) fn bits(self) -> u32 {
        self.0.get()
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.type_of() {
            None => f.write_str("thunk"),
            Some(Type::Int) => write!(f, "int {}", self.as_int().unwrap_or_default()),
            Some(other) => f.write_str(other.name()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_word_holds_integers_of_30_bits() {
        for number in [0, 1, -1, SMALL_MIN, SMALL_MAX] {
            let value = Value::small_int(number).expect("fits");
            assert_eq!(value.as_small_int(), Some(number));
            assert!(!value.is_thunk());
            assert_eq!(value.as_builtin(), None);
        }
        for (left, right) in [(3, -5), (SMALL_MIN, SMALL_MAX)] {
            let [left_value, right_value] =
                [left, right].map(|n| Value::small_int(n).expect("fits"));
            let (a, b) = Value::as_scaled_ints(left_value, right_value).expect("two integers");
            assert_eq!((i64::from(a), i64::from(b)), (4 * left, 4 * right));
            assert_eq!(Value::of_scaled_int(a), left_value);
            for other in [Value::NULL, Value::TRUE] {
                assert_eq!(Value::as_scaled_ints(left_value, other), None);
                assert_eq!(Value::as_scaled_ints(other, left_value), None);
            }
        }
        assert_eq!(Value::small_int(SMALL_MAX + 1), None);
        assert_eq!(Value::small_int(SMALL_MIN - 1), None);
    }

    #[test]
    fn immediates_differ() {
        let all = [Value::NULL, Value::TRUE, Value::FALSE, Value::UNSET, Value::builtin(0)];
        for (i, a) in all.iter().enumerate() {
            assert!(all[i + 1..].iter().all(|b| a != b));
        }
        assert_eq!(Value::builtin(77).as_builtin(), Some(77));
        assert_eq!(Value::NULL.as_builtin(), None);
    }
}
