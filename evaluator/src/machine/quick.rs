//! Operators and builtins in their plain cases: those that cannot fail, run no other code,
//! and so need nothing of the machine but its heap. `None` sends the run loop the long way.

use crate::context::ContextId;
use crate::heap::{Heap, Kind, Obj};
use crate::program::{Infix, Quick};
use crate::symbol::Symbol;
use crate::value::Value;

/// The value without an indirection, if there is one that is evaluated.
#[inline(always)]
pub(super) fn at_hand(value: Value) -> Option<Value> {
    value.evaluated().filter(|&value| value != Value::UNSET)
}

/// How many bytes of text are compared at once.
const MAX_COMPARED: u32 = 64;

/// An infix operator that is tried, on values as they are. Out of line: what is tried most is
/// arithmetic, and done by [`infix`].
#[inline(never)]
pub(super) fn infix_at_once(
    heap: &mut Heap,
    infix: Infix,
    left: Value,
    right: Value,
) -> Option<Value> {
    let (left, right) = (at_hand(left)?, at_hand(right)?);
    match infix {
        Infix::Equal | Infix::NotEqual if is_long(left) => None,
        Infix::Equal | Infix::NotEqual => equality(infix, left, right),
        _ => integers(heap, infix, left, right),
    }
}

/// Whether a value is a text that takes longer to compare than to delay comparing it.
fn is_long(value: Value) -> bool {
    value.as_object().is_some_and(|object| {
        matches!(object.kind(), Kind::Str | Kind::Path) && object.extra() > MAX_COMPARED
    })
}

/// A builtin of evaluated arguments, each found by its place among them.
#[inline(always)]
pub(super) fn builtin(
    heap: &mut Heap,
    quick: Quick,
    argument: impl Fn(usize) -> Value,
) -> Option<Value> {
    let first = argument(0);
    match quick {
        Quick::Is(expected) => Some(Value::bool(first.type_of() == Some(expected))),
        Quick::Length => Value::small_int(first.as_list()?.len() as i64),
        Quick::Head => first.as_list()?.first().copied(),
        Quick::Tail => match first.as_list()?.len() {
            0 => None,
            length => Some(heap.slice(first, 1, length - 1)),
        },
        Quick::ElemAt => {
            let index = usize::try_from(argument(1).as_small_int()?).ok()?;
            first.as_list()?.get(index).copied()
        }
        Quick::StringLength => Value::small_int(first.as_bytes()?.len() as i64),
        Quick::Substring => {
            let start = usize::try_from(first.as_small_int()?).ok()?;
            let count = usize::try_from(argument(1).as_small_int()?).ok()?;
            let text = argument(2).of_kind(Kind::Str).filter(|text| !text.has_context())?;
            let rest = text.bytes().get(start..)?;
            Some(heap.string(&rest[..count.min(rest.len())], ContextId::EMPTY))
        }
    }
}

/// The symbol of an attribute's computed name, if that is a string that was one before.
#[inline(always)]
pub(super) fn symbol(name: Value) -> Option<Symbol> {
    name.of_kind(Kind::Str).filter(|text| !text.has_context())?.symbol()
}

/// An infix operator on integers that need no box.
#[inline(always)]
pub(super) fn infix(infix: Infix, left: Value, right: Value) -> Option<Value> {
    let (left, right) = Value::as_scaled_ints(left, right)?;
    match infix {
        Infix::Add => left.checked_add(right).map(Value::of_scaled_int),
        Infix::Sub => left.checked_sub(right).map(Value::of_scaled_int),
        Infix::Mul => left.checked_mul(right >> 2).map(Value::of_scaled_int),
        Infix::Div if right != 0 => Value::small_int((left / right).into()),
        Infix::Less => Some(Value::bool(left < right)),
        Infix::LessEq => Some(Value::bool(left <= right)),
        Infix::More => Some(Value::bool(left > right)),
        Infix::MoreEq => Some(Value::bool(left >= right)),
        Infix::Equal => Some(Value::bool(left == right)),
        Infix::NotEqual => Some(Value::bool(left != right)),
        Infix::Div | Infix::Concat | Infix::Update => None,
    }
}

/// An infix operator on values of other types.
#[inline(always)]
pub(super) fn other_infix(
    heap: &mut Heap,
    infix: Infix,
    left: Value,
    right: Value,
) -> Option<Value> {
    match infix {
        Infix::Equal | Infix::NotEqual => equality(infix, left, right),
        Infix::Concat => concat(heap, left, right),
        Infix::Update => Some(heap.update(left.as_attrs()?, right.as_attrs()?)),
        _ => integers(heap, infix, left, right),
    }
}

/// Arithmetic and order of integers, of which some may have a box.
#[inline(never)]
fn integers(heap: &mut Heap, infix: Infix, left: Value, right: Value) -> Option<Value> {
    let (left, right) = (left.as_int()?, right.as_int()?);
    let number = match infix {
        Infix::Add => left.checked_add(right)?,
        Infix::Sub => left.checked_sub(right)?,
        Infix::Mul => left.checked_mul(right)?,
        Infix::Div => left.checked_div(right)?,
        Infix::Less => return Some(Value::bool(left < right)),
        Infix::LessEq => return Some(Value::bool(left <= right)),
        Infix::More => return Some(Value::bool(left > right)),
        Infix::MoreEq => return Some(Value::bool(left >= right)),
        Infix::Equal | Infix::NotEqual | Infix::Concat | Infix::Update => return None,
    };
    Some(heap.int(number))
}

/// `left == right` or `left != right`, as [`equal`] knows it.
#[inline(always)]
fn equality(infix: Infix, left: Value, right: Value) -> Option<Value> {
    let is_equal = equal(left, right)?;
    Some(Value::bool(is_equal == (infix == Infix::Equal)))
}

/// `left ++ right`.
#[inline(never)]
fn concat(heap: &mut Heap, left: Value, right: Value) -> Option<Value> {
    let (a, b) = (left.as_list()?, right.as_list()?);
    Some(match (a.is_empty(), b.is_empty()) {
        (true, _) => right,
        (_, true) => left,
        _ if !heap.has_room_for(size_of_val(a) + size_of_val(b)) => return None,
        _ => heap.concat(a, b),
    })
}

/// Whether two evaluated values are equal, if that shows without looking into them.
///
/// Contexts don't count, and functions are never equal.
#[inline(never)]
pub(super) fn equal(left: Value, right: Value) -> Option<bool> {
    let (Some(a), Some(b)) = (left.as_object(), right.as_object()) else {
        return Some(match (left.as_small_int(), right.as_small_int()) {
            (Some(int), None) => right.as_float().is_some_and(|float| int as f64 == float),
            (None, Some(int)) => left.as_float().is_some_and(|float| float == int as f64),
            _ => left == right && left.as_builtin().is_none(),
        });
    };
    let float = |object: Obj| match object.kind() {
        Kind::Float => f64::from_bits(object.word(0)),
        _ => object.word(0) as i64 as f64,
    };
    match (a.kind(), b.kind()) {
        (Kind::Str, Kind::Str) | (Kind::Path, Kind::Path) => Some(a.has_bytes_of(b)),
        (Kind::Int, Kind::Int) => Some(a.word(0) == b.word(0)),
        (Kind::Int | Kind::Float, Kind::Int | Kind::Float) => Some(float(a) == float(b)),
        (Kind::List | Kind::ListSlice, Kind::List | Kind::ListSlice) if a.extra() != b.extra() => {
            Some(false)
        }
        (Kind::List | Kind::ListSlice, Kind::List | Kind::ListSlice)
        | (Kind::Attrs | Kind::Layered, Kind::Attrs | Kind::Layered) => None,
        _ => Some(false),
    }
}
