//! Lists whose elements a builtin evaluates one after the other.
//!
//! In `concatLists (map f list)` nobody else sees what `map` gives. So it is not run: the builtin
//! gets the call with all its arguments, and calls `f` itself, where there would be a thunk for each
//! element that is made, evaluated and forgotten.

use super::Machine;
use crate::error::Eval;
use crate::heap::Kind;
use crate::value::Value;

/// The elements of a list: see [`Machine::expect_elements`].
#[derive(Clone, Copy)]
pub(crate) struct Elements {
    /// What makes an element of an item; without it they are the elements themselves.
    function: Option<Value>,
    list: Value,
}

/// An element that may have to be made.
#[derive(Clone, Copy)]
pub(crate) struct Element {
    function: Option<Value>,
    item: Value,
}

impl Elements {
    /// They in order, each for [`Machine::element`].
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = Element> {
        let items = self.list.as_list().unwrap_or_default();
        items.iter().map(|&item| Element { function: self.function, item })
    }
}

impl Machine {
    /// The call of `map`, the builtin of this number, with the function and the list on top, which
    /// stay there, without making it: a partial application that has all its arguments.
    pub(super) fn hold_map(&mut self, map: u32) -> Eval<Value> {
        let start = self.stack.len() - 2;
        let list = self.stack[start + 1];
        match self.mapped_function(self.stack[start], list) {
            Ok(function) => Ok(self.heap.partial(Value::builtin(map), &[function, list])),
            Err(error) => Err(self.in_builtin(error, "map")),
        }
    }

    /// The function that `map` calls, evaluated if there is anything to call it with.
    pub(crate) fn mapped_function(&mut self, function: Value, list: Value) -> Eval<Value> {
        let list = self.expect_list(list)?;
        match list.as_list().unwrap_or_default() {
            [] => Ok(function),
            _ => self.expect_callable(function),
        }
    }

    /// The elements of a list, or of a call of `map` that was not made. The value stays reachable
    /// while they are used, as a builtin's arguments do.
    pub(crate) fn expect_elements(&mut self, value: Value) -> Eval<Elements> {
        // Any other partial application lacks an argument.
        let held = value.of_kind(Kind::Partial).filter(|partial| {
            let builtin = partial.value(0).as_builtin();
            builtin.is_some_and(|number| self.builtin(number).params.len() == partial.small())
        });
        debug_assert!(held.is_none_or(|call| {
            call.value(0).as_builtin().is_some_and(|map| self.builtin(map).name == "map")
        }));
        Ok(match held {
            Some(call) => Elements { function: Some(call.value(1)), list: call.value(2) },
            None => Elements { function: None, list: self.expect_list(value)? },
        })
    }

    /// An element, evaluated. One that `map` makes is reachable from nowhere: [`Machine::keep`] it
    /// before the machine runs again.
    #[inline]
    pub(crate) fn element(&mut self, element: Element) -> Eval<Value> {
        match element.function {
            Some(function) => self.call(function, &[element.item]),
            None => self.force(element.item),
        }
    }
}
