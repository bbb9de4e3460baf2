//! Values as text: coercion, interpolation, and paths.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hb_model::StoreName;

use super::Machine;
use super::access::type_fault;
use crate::builtins::add_source;
use crate::context::{ContextElement, ContextId, ContextParts};
use crate::error::{Error, Eval, Fault};
use crate::heap::MAX_LENGTH;
use crate::nix_world::FETCHURL;
use crate::symbol::well_known;
use crate::value::{Type, Value};
use crate::world::{ImportError, WorldError};

/// What becomes a string, beside strings themselves and sets that say how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Coercion {
    /// A path is put into the store and gives its store path, as in `"${./x}"`; or else
    /// it gives its own text.
    pub copy_paths: bool,
    /// Numbers, truth values, null and lists too, as in `toString`.
    pub any_type: bool,
}

impl Coercion {
    /// As `"${…}"` does.
    pub const INTERPOLATION: Self = Self { copy_paths: true, any_type: false };
    /// As `toString` does.
    pub const TO_STRING: Self = Self { copy_paths: false, any_type: true };
    /// As a derivation's environment does.
    pub const ENVIRONMENT: Self = Self { copy_paths: true, any_type: true };
    /// Strings and paths by their own text.
    pub const PLAIN: Self = Self { copy_paths: false, any_type: false };
}

/// Text being made, with what it refers to.
#[derive(Debug, Default)]
pub struct Text {
    /// The bytes so far.
    pub bytes: Vec<u8>,
    /// What they refer to.
    pub context: ContextParts,
}

impl Machine {
    /// Append a value as text. The value is reachable from a root.
    pub fn coerce(&mut self, value: Value, how: Coercion, to: &mut Text) -> Eval<()> {
        let value = self.force(value)?;
        if let Some(bytes) = value.as_bytes() {
            to.bytes.extend_from_slice(bytes);
            to.context.add(self.context_of(value));
            return Ok(());
        }
        if let Some(path) = value.as_path() {
            if !how.copy_paths {
                to.bytes.extend_from_slice(path);
                return Ok(());
            }
            let (text, context) = self.copy_to_store(path)?;
            to.bytes.extend_from_slice(text.as_bytes());
            to.context.add(context);
            return Ok(());
        }
        if let Some(attrs) = value.as_attrs() {
            if let Some(function) = attrs.get(well_known::TO_STRING) {
                let text = self.call(function, &[value])?;
                let height = self.height();
                self.keep(text);
                let coerced = self.deeper(|m| m.coerce(text, how, to));
                self.forget(height);
                return coerced;
            }
            if let Some(path) = attrs.get(well_known::OUT_PATH) {
                return self.deeper(|m| m.coerce(path, how, to));
            }
        }
        if how.any_type {
            match value {
                Value::NULL | Value::FALSE => return Ok(()),
                Value::TRUE => {
                    to.bytes.push(b'1');
                    return Ok(());
                }
                _ => {}
            }
            if let Some(int) = value.as_int() {
                to.bytes.extend_from_slice(Digits::of(int).as_bytes());
                return Ok(());
            }
            if let Some(float) = value.as_float() {
                to.bytes.extend_from_slice(format!("{float:.6}").as_bytes());
                return Ok(());
            }
            if let Some(items) = value.as_list() {
                return self.deeper(|m| m.coerce_items(items, how, to));
            }
        }
        Err(Fault::NoString { found: value.type_of().unwrap_or(Type::Lambda) }.into())
    }

    /// A list's elements with spaces between, but none after an empty list.
    fn coerce_items(&mut self, items: &[Value], how: Coercion, to: &mut Text) -> Eval<()> {
        for (i, &item) in items.iter().enumerate() {
            self.coerce(item, how, to)?;
            let item = self.force(item)?;
            let is_empty_list = item.as_list().is_some_and(<[Value]>::is_empty);
            if i + 1 < items.len() && !is_empty_list {
                to.bytes.push(b' ');
            }
        }
        Ok(())
    }

    /// A value as a new string value.
    pub fn coerce_to_string(&mut self, value: Value, how: Coercion) -> Eval<Value> {
        let value = self.force(value)?;
        if value.as_bytes().is_some() {
            return Ok(value);
        }
        if let (Some(int), true) = (value.as_int(), how.any_type) {
            return Ok(self.string(Digits::of(int).as_bytes()));
        }
        let mut text = Text::default();
        self.coerce(value, how, &mut text)?;
        self.finish_text(text)
    }

    /// Text that is complete, as a value.
    pub fn finish_text(&mut self, text: Text) -> Eval<Value> {
        self.check_length(text.bytes.len())?;
        let context = self.contexts.union_of(&text.context);
        Ok(self.heap.string(&text.bytes, context))
    }

    /// Put a path into the store: its store path's text, and the context that names it. Asked
    /// again, it says what it said.
    pub fn copy_to_store(&mut self, path: &[u8]) -> Eval<(Arc<str>, ContextId)> {
        if let Some(copied) = self.copied.get(path) {
            return Ok(copied.clone());
        }
        let stored = match self.nix.is_some() {
            true => add_source(self, path)?,
            false => match self.world.add_path(bytes_to_path(path), &source_name(), None) {
                Ok(stored) => stored,
                Err(ImportError::World(error)) => return Err(error.into()),
                Err(ImportError::Filter(_)) => unreachable!("there is no filter"),
            },
        };
        let text = stored.text_in(self.world.store_dir());
        let copied = (text.into(), self.contexts.single(ContextElement::Source(stored)));
        self.copied.insert(path.into(), copied.clone());
        Ok(copied)
    }

    /// The strings that were kept since the stack had a height, with a separator between them.
    pub(crate) fn join_kept(&mut self, height: usize, separator: Value) -> Eval<Value> {
        let Some((length, mut context)) = self.length_and_context(height) else {
            unreachable!("strings were kept")
        };
        context.add(self.context_of(separator));
        let between = separator.as_bytes().unwrap_or_default();
        let length = length + between.len() * (self.stack.len() - height).saturating_sub(1);
        self.check_length(length)?;
        let context = self.contexts.union_of(&context);
        let parts = self.stack[height..].iter().enumerate().flat_map(|(i, part)| {
            let before = if i == 0 { Default::default() } else { between };
            [before, part.as_bytes().unwrap_or_default()]
        });
        Ok(self.heap.string_of_parts(length, context, parts))
    }

    /// Of what lies on the stack from a height on: how long it is together, and its context, if
    /// all of it is strings.
    fn length_and_context(&self, height: usize) -> Option<(usize, ContextParts)> {
        let (mut length, mut context) = (0, ContextParts::default());
        for &part in &self.stack[height..] {
            length += part.as_bytes()?.len();
            context.add(self.context_of(part));
        }
        Some((length, context))
    }

    /// Push the top `count` evaluated values, as one string in their place.
    pub(super) fn interpolate(&mut self, count: usize) -> Eval<()> {
        let start = self.stack.len() - count;
        let result = match self.length_and_context(start) {
            Some((length, context)) => {
                self.check_length(length)?;
                let context = self.contexts.union_of(&context);
                let parts = self.stack[start..].iter().filter_map(Value::as_bytes);
                self.heap.string_of_parts(length, context, parts)
            }
            None => {
                let mut text = Text::default();
                for i in start..start + count {
                    self.coerce(self.stack[i], Coercion::INTERPOLATION, &mut text)?;
                }
                self.finish_text(text)?
            }
        };
        self.stack.truncate(start);
        self.stack.push(result);
        Ok(())
    }

    /// The same as a path; the first part is a path.
    pub(super) fn interpolate_path(&mut self, count: usize) -> Eval<()> {
        let start = self.stack.len() - count;
        let mut text = Text::default();
        for i in start..start + count {
            self.coerce(self.stack[i], Coercion::PLAIN, &mut text)?;
        }
        let result = self.path_of_text(&text)?;
        self.stack.truncate(start);
        self.stack.push(result);
        Ok(())
    }

    /// Refuse what is longer than strings and paths can be, or than there is memory for.
    fn check_length(&self, length: usize) -> Eval<()> {
        match length <= MAX_LENGTH {
            true => self.expect_room(length),
            false => Err(Fault::TextTooLong { length }.into()),
        }
    }

    fn path_of_text(&mut self, text: &Text) -> Eval<Value> {
        if !text.context.is_empty() {
            return Err(Fault::ContextNotAllowed { purpose: "a part of a path" }.into());
        }
        self.check_length(text.bytes.len())?;
        Ok(self.heap.path(&canonical(&text.bytes)))
    }

    /// `left + right` where neither is a number, or only the right one.
    pub(super) fn add_texts(&mut self, left: Value, right: Value) -> Eval<Value> {
        if let (Some(a), Some(b)) = (left.as_bytes(), right.as_bytes()) {
            let context = self.contexts.union(self.context_of(left), self.context_of(right));
            self.check_length(a.len() + b.len())?;
            return Ok(self.heap.string_of_parts(a.len() + b.len(), context, [a, b]));
        }
        let is_path = left.as_path().is_some();
        let is_set = left.as_attrs().is_some();
        if !is_path && !is_set && left.as_bytes().is_none() {
            return Err(Fault::NoString { found: left.type_of().unwrap_or(Type::Lambda) }.into());
        }
        // Paths on the right are copied to the store only beside a string.
        let how = Coercion { copy_paths: left.as_bytes().is_some(), any_type: false };
        let mut text = Text::default();
        self.coerce(left, how, &mut text)?;
        self.coerce(right, how, &mut text)?;
        match is_path {
            true => self.path_of_text(&text),
            false => self.finish_text(text),
        }
    }

    /// Force a path, or a string or set that stands for an absolute one. The value is reachable
    /// from a root.
    pub fn expect_path(&mut self, value: Value) -> Eval<(Vec<u8>, ContextId)> {
        let value = self.force(value)?;
        if let Some(path) = value.as_path() {
            return Ok((path.to_vec(), ContextId::EMPTY));
        }
        let mut text = Text::default();
        self.coerce(value, Coercion::PLAIN, &mut text)?;
        if !text.bytes.starts_with(b"/") {
            return Err(match value.as_bytes() {
                Some(bytes) => {
                    let text = String::from_utf8_lossy(bytes).into_owned();
                    Fault::RelativePath { text }.into()
                }
                None => type_fault("a path", value),
            });
        }
        Ok((canonical(&text.bytes), self.contexts.union_of(&text.context)))
    }

    /// Refuse to read a path that exists only once something is built.
    pub fn check_built(&self, path: &[u8], context: ContextId) -> Eval<()> {
        let waits = |element: &ContextElement| !matches!(element, ContextElement::Source(_));
        match self.contexts.get(context).any(waits) {
            true => {
                let path = String::from_utf8_lossy(path).into_owned();
                Err(WorldError::Unbuilt { path }.into())
            }
            false => Ok(()),
        }
    }

    /// What `~` means.
    #[cold]
    pub(super) fn home_folder(&mut self) -> Eval<Value> {
        let home = self.world.env("HOME")?;
        Ok(self.string(home))
    }

    /// What `<name>` means.
    #[cold]
    pub(crate) fn find_in_search_path(&mut self, name: Value) -> Eval<Value> {
        let name = name.as_bytes().map(|name| String::from_utf8_lossy(name).into_owned());
        let Some(name) = name else { return Err(type_fault("a string", Value::NULL)) };
        let folders = self.world.search_path();
        self.find_in(folders, name)
    }

    /// What `<name>` means with a search path.
    pub(crate) fn find_in(&mut self, folders: Vec<(String, PathBuf)>, name: String) -> Eval<Value> {
        for (prefix, folder) in folders {
            let rest = match name.strip_prefix(&prefix) {
                _ if prefix.is_empty() => Some(name.as_str()),
                Some("") => Some(""),
                Some(rest) => rest.strip_prefix('/'),
                None => None,
            };
            let Some(rest) = rest else { continue };
            let path = if rest.is_empty() { folder } else { folder.join(rest) };
            if self.world.file_type(&path)?.is_some() {
                let bytes = canonical(path.as_os_str().as_encoded_bytes());
                return Ok(self.heap.path(&bytes));
            }
        }
        if self.nix.is_some() && name == "nix/fetchurl.nix" {
            return Ok(self.heap.path(FETCHURL.as_bytes()));
        }
        Err(Fault::NotInSearchPath { name }.into())
    }
}

/// An integer's decimal digits, without an allocation.
struct Digits {
    buffer: [u8; 20],
    start: usize,
}

impl Digits {
    fn of(int: i64) -> Self {
        let mut digits = Self { buffer: [0; 20], start: 20 };
        let mut rest = int.unsigned_abs();
        loop {
            digits.push(b'0' + (rest % 10) as u8);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if int < 0 {
            digits.push(b'-');
        }
        digits
    }

    fn push(&mut self, byte: u8) {
        self.start -= 1;
        self.buffer[self.start] = byte;
    }

    fn as_bytes(&self) -> &[u8] {
        &self.buffer[self.start..]
    }
}

/// The name of an imported path: sources don't carry their folder's name, so that where
/// a project lies does not change what is built from it.
fn source_name() -> StoreName {
    match StoreName::new("source") {
        Ok(name) => name,
        Err(_) => unreachable!("a valid name"),
    }
}

/// Bytes as a path of the system.
pub(crate) fn bytes_to_path(bytes: &[u8]) -> &Path {
    use std::os::unix::ffi::OsStrExt;
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// A path's text without `.`, `..`, and double or trailing slashes.
pub(crate) fn canonical(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&byte| byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    if parts.is_empty() {
        return b"/".to_vec();
    }
    parts.iter().flat_map(|part| std::iter::once(&b'/').chain(*part)).copied().collect()
}

/// Refuse a text that no string of the language can hold: one with a zero byte.
pub(crate) fn without_null(text: &str) -> Eval<&str> {
    match text.contains('\0') {
        true => Err(Fault::NullByte { shown: text.replace('\0', "␀") }.into()),
        false => Ok(text),
    }
}

/// Bytes as text, if they are UTF-8.
pub(crate) fn text_of(bytes: &[u8]) -> Eval<&str> {
    std::str::from_utf8(bytes).map_err(|_| Error::from(Fault::NotUtf8))
}

#[cfg(test)]
mod tests {
    use super::{Digits, canonical};

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for int in [0, 7, -1, 1234567890, i64::MAX, i64::MIN] {
            assert_eq!(Digits::of(int).as_bytes(), int.to_string().as_bytes());
        }
    }

    #[test]
    fn canonical_paths_have_no_detours() {
        assert_eq!(canonical(b"/a/./b//../c/"), b"/a/c");
        assert_eq!(canonical(b"/.."), b"/");
    }
}
