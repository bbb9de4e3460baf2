//! Reading the argument of a typed primitive, key by key.
//!
//! A primitive names the keys that it takes; any other is refused where it stands, with
//! the near one. Every reader says what it expects and what was given, and marks the
//! attribute.

use std::borrow::Cow;

use hb_lang::suggest::nearest;
use smallvec::SmallVec;

use crate::context::ContextParts;
use crate::error::{Error, Eval, Fault};
use crate::heap::Attrs;
use crate::machine::{Coercion, Machine, Text};
use crate::source::Pos;
use crate::symbol::{Symbol, well_known};
use crate::value::{Type, Value};

/// The set that a primitive was given.
pub(super) struct Arguments {
    primitive: &'static str,
    attrs: Attrs,
    /// Which of the keys are there, and how they are called there.
    given: SmallVec<[(&'static str, Symbol); 12]>,
}

/// A value within the argument: what to call it, and where it was defined.
#[derive(Clone)]
pub(crate) struct Key {
    primitive: &'static str,
    path: Cow<'static, str>,
    /// Which element of the list of that name, if it is one: most are never called by their names.
    item: Option<usize>,
    pos: Pos,
}

impl Arguments {
    /// Take a set that has no other keys than these. It is reachable from a root.
    pub(super) fn of(
        m: &mut Machine,
        primitive: &'static str,
        keys: &'static [&'static str],
        value: Value,
    ) -> Eval<Self> {
        let attrs = m.expect_attrs(value)?;
        let mut given = SmallVec::new();
        for (symbol, pos, _) in m.sorted_attrs(attrs) {
            let name = m.symbols.text(symbol);
            if let Some(key) = keys.iter().find(|key| **key == name) {
                given.push((*key, symbol));
            } else {
                let name = name.into_owned();
                let help = match nearest(&name, keys.iter().copied()) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("it takes {}", keys.join(", ")),
                };
                let place = m.sources.word_at(pos);
                return Err(Error::from(Fault::UnknownKey { primitive, name })
                    .at(place, "not a key of this primitive")
                    .with_help(Some(help)));
            }
        }
        Ok(Self { primitive, attrs, given })
    }

    /// Read a key that must be there.
    pub(super) fn required<T>(
        &self,
        m: &mut Machine,
        key: &'static str,
        read: impl FnOnce(&mut Machine, &Key, Value) -> Eval<T>,
    ) -> Eval<T> {
        match self.find(key) {
            Some((key, value)) => key.reading(m, value, read),
            None => Err(Fault::MissingKey { primitive: self.primitive, name: key }.into()),
        }
    }

    /// Read a key that may be left out, or be null.
    pub(super) fn optional<T>(
        &self,
        m: &mut Machine,
        key: &'static str,
        read: impl FnOnce(&mut Machine, &Key, Value) -> Eval<T>,
    ) -> Eval<Option<T>> {
        let Some((key, value)) = self.find(key) else { return Ok(None) };
        match m.force(value)? {
            Value::NULL => Ok(None),
            value => key.reading(m, value, read).map(Some),
        }
    }

    fn find(&self, name: &'static str) -> Option<(Key, Value)> {
        let &(_, symbol) = self.given.iter().find(|(key, _)| *key == name)?;
        let (value, pos) = self.attrs.find(symbol)?;
        let key = Key { primitive: self.primitive, path: Cow::Borrowed(name), item: None, pos };
        Some((key, value))
    }
}

impl Key {
    /// What to call it.
    fn name(&self) -> String {
        match self.item {
            Some(item) => format!("{}[{item}]", self.path),
            None => self.path.clone().into_owned(),
        }
    }

    /// An attribute of it.
    fn attribute(&self, name: &str, pos: Pos) -> Self {
        let path = Cow::Owned(format!("{}.{name}", self.name()));
        Self { primitive: self.primitive, path, item: None, pos }
    }

    /// An element of it.
    fn element(&self, item: usize) -> Self {
        let path = match self.item {
            Some(_) => Cow::Owned(self.name()),
            None => self.path.clone(),
        };
        Self { path, item: Some(item), ..*self }
    }

    fn reading<T>(
        &self,
        m: &mut Machine,
        value: Value,
        read: impl FnOnce(&mut Machine, &Self, Value) -> Eval<T>,
    ) -> Eval<T> {
        read(m, self, value).map_err(|error| {
            let symbol = m.intern(self.path.as_bytes());
            m.in_attribute(error, symbol, self.pos)
        })
    }

    /// The error of a value of the wrong type.
    pub(super) fn type_fault(&self, m: &Machine, expected: &'static str, found: Value) -> Error {
        let found = found.type_of().unwrap_or(Type::Lambda);
        let (primitive, key) = (self.primitive, self.name());
        let text = format!("this is {}", found.described());
        Error::from(Fault::KeyType { primitive, key, expected, found })
            .at(m.sources.word_at(self.pos), text)
    }

    /// The error of a value that is of the right type but no good.
    pub(super) fn refuse(&self, m: &Machine, reason: impl ToString) -> Error {
        let (primitive, key) = (self.primitive, self.name());
        Error::from(Fault::KeyValue { primitive, key, reason: reason.to_string() })
            .at(m.sources.word_at(self.pos), "given here")
    }

    /// A text that may refer to the store: a string, a path (which is put into the
    /// store), or a derivation (its output's path).
    pub(super) fn text(
        &self,
        m: &mut Machine,
        value: Value,
        context: &mut ContextParts,
    ) -> Eval<String> {
        let value = m.force(value)?;
        let is_text = match value.as_attrs() {
            Some(attrs) => [well_known::OUT_PATH, well_known::TO_STRING]
                .into_iter()
                .any(|name| attrs.get(name).is_some()),
            None => value.as_bytes().is_some() || value.as_path().is_some(),
        };
        if !is_text {
            let error = self.type_fault(m, "a string, a path or a derivation", value);
            let convertible = matches!(value.type_of(), Some(Type::Int | Type::Float));
            let help = convertible.then(|| "toString makes it a string".to_owned());
            return Err(error.with_help(help));
        }
        let mut text = Text::default();
        m.coerce(value, Coercion::INTERPOLATION, &mut text)?;
        context.add_all(&text.context);
        String::from_utf8(text.bytes).map_err(|_| self.refuse(m, "the text is not valid UTF-8"))
    }

    /// A string that refers to nothing.
    pub(super) fn plain(&self, m: &mut Machine, value: Value) -> Eval<String> {
        let value = m.force(value)?;
        let Some(bytes) = value.as_bytes() else {
            return Err(self.type_fault(m, "a string", value));
        };
        if !m.context_of(value).is_empty() {
            return Err(self.refuse(m, "it must not depend on what is in the store"));
        }
        String::from_utf8(bytes.to_vec()).map_err(|_| self.refuse(m, "the text is not valid UTF-8"))
    }

    /// A plain string read by its type's own rule.
    pub(super) fn parsed<T: std::str::FromStr<Err: ToString>>(
        &self,
        m: &mut Machine,
        value: Value,
    ) -> Eval<T> {
        let text = self.plain(m, value)?;
        text.parse().map_err(|error: T::Err| self.refuse(m, error.to_string()))
    }

    /// A number that is not negative.
    pub(super) fn natural(&self, m: &mut Machine, value: Value) -> Eval<u64> {
        let value = m.force(value)?;
        let Some(int) = value.as_int() else {
            return Err(self.type_fault(m, "an integer", value));
        };
        u64::try_from(int).map_err(|_| self.refuse(m, format!("{int} is negative")))
    }

    /// Read every element of a list.
    pub(super) fn list<T>(
        &self,
        m: &mut Machine,
        value: Value,
        mut read: impl FnMut(&mut Machine, &Self, Value) -> Eval<T>,
    ) -> Eval<Vec<T>> {
        let value = m.force(value)?;
        let Some(items) = value.as_list() else {
            return Err(self.type_fault(m, "a list", value));
        };
        let read_item = |(i, &item): (usize, &Value)| read(m, &self.element(i), item);
        items.iter().enumerate().map(read_item).collect()
    }

    /// Read every attribute of a set, sorted by name.
    pub(super) fn attrs<T>(
        &self,
        m: &mut Machine,
        value: Value,
        mut read: impl FnMut(&mut Machine, &Self, Value) -> Eval<T>,
    ) -> Eval<Vec<(String, T)>> {
        let value = m.force(value)?;
        let Some(attrs) = value.as_attrs() else {
            return Err(self.type_fault(m, "a set", value));
        };
        let mut all = Vec::with_capacity(attrs.len());
        for (symbol, pos, item) in m.sorted_attrs(attrs) {
            let Ok(name) = String::from_utf8(m.symbols.bytes(symbol).to_vec()) else {
                return Err(self.refuse(m, "the name of an attribute is not valid UTF-8"));
            };
            let key = self.attribute(&name, pos);
            let item = read(m, &key, item).map_err(|error| m.in_attribute(error, symbol, pos))?;
            all.push((name, item));
        }
        Ok(all)
    }

    /// A set with no other attributes than these: an argument within the argument.
    pub(super) fn record(
        &self,
        m: &mut Machine,
        keys: &'static [&'static str],
        value: Value,
    ) -> Eval<Record> {
        let value = m.force(value)?;
        let Some(attrs) = value.as_attrs() else {
            return Err(self.type_fault(m, "a set", value));
        };
        let mut found = Vec::new();
        for (symbol, pos, item) in m.sorted_attrs(attrs) {
            let name = m.symbols.text(symbol).into_owned();
            let key = self.attribute(&name, pos);
            let Some(&known) = keys.iter().find(|known| **known == name) else {
                let help = match nearest(&name, keys.iter().copied()) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("'{}' takes {}", self.name(), keys.join(", ")),
                };
                let error = key.refuse(m, format!("'{}' takes no '{name}'", self.name()));
                return Err(error.with_help(Some(help)));
            };
            found.push((known, key, item));
        }
        Ok(Record { key: self.clone(), found })
    }
}

/// The attributes of a set whose names were checked.
pub(super) struct Record {
    key: Key,
    found: Vec<(&'static str, Key, Value)>,
}

impl Record {
    /// The attribute's value and what to call it, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<(&Key, Value)> {
        let found = self.found.iter().find(|(known, ..)| *known == name);
        found.map(|(_, key, value)| (key, *value))
    }

    /// The names that are there.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.found.iter().map(|(name, ..)| *name)
    }

    /// The plain string of an attribute that must be there.
    pub(super) fn plain(&self, m: &mut Machine, name: &'static str) -> Eval<String> {
        match self.get(name) {
            Some((key, value)) => key.plain(m, value),
            None => Err(self.key.refuse(m, format!("'{name}' is missing"))),
        }
    }
}
