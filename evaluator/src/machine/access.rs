//! What builtins ask of the machine: typed values in, new values out.

use smallvec::SmallVec;

use super::Machine;
use crate::context::ContextId;
use crate::error::{Error, Eval, Fault};
use crate::heap::{Attrs, Heap, Kind};
use crate::source::Pos;
use crate::symbol::{Symbol, well_known};
use crate::value::{Type, Value};

/// A set's attributes in some order: most have so few that they need no memory of their own.
pub(crate) type SortedAttrs = SmallVec<[(Symbol, Pos, Value); 12]>;

macro_rules! expectation {
    ($(#[$doc:meta])* $name:ident -> $result:ty, $expected:literal, $get:expr) => {
        $(#[$doc])*
        pub fn $name(&mut self, value: Value) -> Eval<$result> {
            let value = self.force(value)?;
            let get: fn(Value) -> Option<$result> = $get;
            get(value).ok_or_else(|| type_fault($expected, value))
        }
    };
}

/// Of an element that is a delayed call: what the list has of it, and what it is.
const BYTES_OF_A_CALL: usize = size_of::<Value>() + 16;

/// The fault of a value that has another type than expected.
#[cold]
pub(crate) fn type_fault(expected: &'static str, found: Value) -> Error {
    let literal = crate::print::literal(found);
    Fault::Type { expected, found: found.type_of().unwrap_or(Type::Lambda), literal }.into()
}

impl Machine {
    expectation! {
        /// Force an integer.
        expect_int -> i64, "an integer", Value::as_int
    }
    expectation! {
        /// Force a truth value.
        expect_bool -> bool, "a Boolean", Value::as_bool
    }
    expectation! {
        /// Force a string, whatever its context; read it with `as_bytes`.
        expect_string -> Value, "a string", |value| value.of_kind(Kind::Str).map(Value::object)
    }
    expectation! {
        /// Force a list; read it with `as_list`.
        expect_list -> Value, "a list", |value| value.as_list().map(|_| value)
    }
    expectation! {
        /// Force a function: written, builtin or partly applied, but not a functor.
        expect_function -> Value, "a function", |value| {
            (value.type_of() == Some(Type::Lambda)).then_some(value)
        }
    }

    /// Force something that can be called: a function or a functor.
    pub fn expect_callable(&mut self, value: Value) -> Eval<Value> {
        let value = self.force(value)?;
        let is_functor = |set: Attrs| set.get(well_known::FUNCTOR).is_some();
        match value.type_of() == Some(Type::Lambda) || value.as_attrs().is_some_and(is_functor) {
            true => Ok(value),
            false => Err(type_fault("a function", value)),
        }
    }

    /// Force a set; it comes flat, so that it can be iterated.
    pub fn expect_attrs(&mut self, value: Value) -> Eval<Attrs> {
        let value = self.force(value)?;
        match value.as_attrs() {
            Some(attrs) => Ok(self.heap.flat(attrs)),
            None => Err(type_fault("a set", value)),
        }
    }

    /// Force an integer or a float, as a float.
    pub fn expect_number(&mut self, value: Value) -> Eval<f64> {
        let value = self.force(value)?;
        value
            .as_float()
            .or_else(|| value.as_int().map(|int| int as f64))
            .ok_or_else(|| type_fault("a number", value))
    }

    /// Force a string that may not have a context.
    pub fn expect_plain_string(&mut self, value: Value, purpose: &'static str) -> Eval<Value> {
        let value = self.expect_string(value)?;
        match self.context_of(value).is_empty() {
            true => Ok(value),
            false => Err(Fault::ContextNotAllowed { purpose }.into()),
        }
    }

    /// Force a plain string that is UTF-8 and own it.
    pub fn expect_text(&mut self, value: Value, purpose: &'static str) -> Eval<String> {
        let value = self.expect_plain_string(value, purpose)?;
        let bytes = value.as_bytes().unwrap_or_default();
        String::from_utf8(bytes.to_vec()).map_err(|_| Fault::NotUtf8.into())
    }

    /// An evaluated string's context; empty for other values.
    #[inline]
    pub fn context_of(&self, value: Value) -> ContextId {
        match value.of_kind(Kind::Str) {
            Some(object) if object.has_context() => ContextId::from_number(object.word(0) as u32),
            _ => ContextId::EMPTY,
        }
    }

    /// An integer.
    pub fn int(&mut self, number: i64) -> Value {
        self.heap.int(number)
    }

    /// A float.
    pub fn float(&mut self, number: f64) -> Value {
        self.heap.float(number)
    }

    /// A string without context.
    pub fn string(&mut self, bytes: impl AsRef<[u8]>) -> Value {
        self.heap.string(bytes.as_ref(), ContextId::EMPTY)
    }

    /// A string with a context.
    pub fn string_with_context(&mut self, bytes: &[u8], context: ContextId) -> Value {
        self.heap.string(bytes, context)
    }

    /// A path, of canonical bytes.
    pub(crate) fn path(&mut self, bytes: &[u8]) -> Value {
        self.heap.path(bytes)
    }

    /// A list.
    pub fn list(&mut self, items: &[Value]) -> Value {
        self.heap.list(items)
    }

    /// Part of an evaluated list, without copying it if it is a large part.
    pub fn slice(&mut self, list: Value, start: usize, count: usize) -> Value {
        self.heap.slice(list, start, count)
    }

    /// A set of attributes in any order; of a name given twice, the last counts.
    pub fn attrs(&mut self, attributes: Vec<(Symbol, Pos, Value)>) -> Value {
        self.heap.attrs(attributes)
    }

    /// The symbol of a name.
    pub fn intern(&mut self, name: &[u8]) -> Symbol {
        self.symbols.intern(name)
    }

    /// The symbol of an evaluated string; looked up once for each.
    pub(crate) fn symbol_of(&mut self, string: Value) -> Symbol {
        let Some(object) = string.of_kind(Kind::Str) else { unreachable!("callers ask for one") };
        object.symbol().unwrap_or_else(|| {
            let symbol = self.symbols.intern(object.bytes());
            object.set_symbol(symbol);
            symbol
        })
    }

    /// A symbol's name as a string value; made once per symbol.
    pub fn symbol_string(&mut self, symbol: Symbol) -> Value {
        let index = symbol.0 as usize;
        if let Some(&Some(value)) = self.symbol_strings.get(index) {
            return value;
        }
        let value = self.heap.string(self.symbols.bytes(symbol), ContextId::EMPTY);
        if let Some(string) = value.as_object() {
            string.set_symbol(symbol);
        }
        if self.symbol_strings.len() <= index {
            self.symbol_strings.resize(index + 1, None);
        }
        self.symbol_strings[index] = Some(value);
        value
    }

    /// A delayed call: what `map f` puts into its list.
    #[inline]
    pub fn delay_call(&mut self, function: Value, arguments: &[Value]) -> Value {
        let prototype = self.delayed_calls[arguments.len() - 1];
        self.heap.delayed_call(prototype, function, arguments)
    }

    /// A list of delayed calls of a function with one argument each.
    pub(crate) fn list_of_calls(
        &mut self,
        length: usize,
        function: Value,
        argument: impl Fn(&mut Heap, usize) -> Value,
    ) -> Eval<Value> {
        self.expect_room(length.saturating_mul(BYTES_OF_A_CALL))?;
        let prototype = self.delayed_calls[0];
        Ok(self.heap.list_with(length, |heap, i| {
            let argument = argument(heap, i);
            heap.delayed_call(prototype, function, &[argument])
        }))
    }

    /// A set with each value replaced by a delayed call with its name and old value.
    pub(crate) fn attrs_of_calls(&mut self, attrs: Attrs, function: Value) -> Value {
        for &name in attrs.names() {
            self.symbol_string(Symbol(name));
        }
        let prototype = self.delayed_calls[1];
        let Self { heap, symbol_strings, .. } = self;
        heap.attrs_like(attrs, |heap, name, value| {
            let name = symbol_strings[name.0 as usize].unwrap_or(Value::NULL);
            heap.delayed_call(prototype, function, &[name, value])
        })
    }

    /// A set's attributes, sorted by the text of their names, as users see them.
    pub(crate) fn sorted_attrs(&mut self, attrs: Attrs) -> SortedAttrs {
        let attrs = self.heap.flat(attrs);
        self.symbols.order(attrs.names()).map(|index| attrs.at(index)).collect()
    }

    /// Keep a value alive until the builtin that runs returns; see `builtins`.
    #[inline]
    pub fn keep(&mut self, value: Value) -> Value {
        self.stack.push(value);
        value
    }

    /// The same for several.
    pub(crate) fn keep_all(&mut self, values: &[Value]) {
        self.stack.extend_from_slice(values);
    }

    /// Forget what was kept since the stack had a height.
    pub(crate) fn forget(&mut self, height: usize) {
        self.stack.truncate(height);
    }

    /// How high the stack is: what is kept from now on lies above.
    pub(crate) fn height(&self) -> usize {
        self.stack.len()
    }

    /// A list of what was kept since the stack had a height.
    pub(crate) fn list_of_kept(&mut self, height: usize) -> Eval<Value> {
        let kept = &self.stack[height..];
        self.expect_room(size_of_val(kept))?;
        Ok(self.heap.list(kept))
    }
}
