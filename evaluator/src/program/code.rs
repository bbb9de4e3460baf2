//! A compiled text: code that belongs to no machine yet.
//!
//! It is bytes. The code of each prototype is one piece of them, read when that is first
//! run; the prototypes inside of it come before it. Names and constants are numbers in two
//! tables of the text, of which an entry is read when code first mentions it:
//!
//! | part | what it is |
//! | --- | --- |
//! | pieces | for each prototype its tables and instructions; constants among them |
//! | names | the text of each |
//! | places | where each name is, then where each constant is: four bytes each |
//! | end | where the places begin, how many names there are, where the whole text's prototype is, a checksum of the key and all before, if it is kept: four bytes each |
//!
//! Which number a name has in a machine is different each time, so nothing here depends on
//! their order: sets and patterns are written in the order of the text.

use std::sync::Arc;

use hb_lang::{Dialect, Span};

use super::encoding::{Encode, Reader, put_text};
use super::function::Function;
use super::{Keeper, Pattern, PatternField};
use crate::symbol::Symbol;
use crate::world::CodeKey;

/// The bytes of a number that is found without reading what is before it.
const NUMBER: usize = 4;

/// A compiled text.
#[derive(Clone)]
pub(crate) struct Code(Arc<[u8]>);

/// The key of a text's code.
pub(crate) fn key(text: &str, dialect: Dialect, delay_as_nix: bool) -> CodeKey {
    // What is compiled otherwise by another program has another key.
    let mut how = [0; blake3::KEY_LEN];
    let format = env!("HB_CODE_FORMAT").as_bytes();
    how[..format.len()].copy_from_slice(format);
    how[format.len()..][..2].copy_from_slice(&[dialect as u8, delay_as_nix.into()]);
    CodeKey(blake3::keyed_hash(&how, text.as_bytes()).into())
}

fn checksum(key: &CodeKey, bytes: &[u8]) -> [u8; NUMBER] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key.as_bytes());
    hasher.update(bytes);
    hasher.finalize().to_le_bytes()
}

impl Code {
    /// Code that was kept under a key, unless it is damaged.
    pub(crate) fn kept(bytes: Arc<[u8]>, key: &CodeKey) -> Option<Self> {
        let (code, found) = bytes.split_last_chunk()?;
        (checksum(key, code) == *found).then_some(Self(bytes))
    }

    /// The code, to be kept.
    pub(crate) fn bytes(&self) -> &Arc<[u8]> {
        &self.0
    }

    fn number(&self, at: usize) -> usize {
        let bytes = self.0[at..at + NUMBER].try_into().unwrap_or_default();
        u32::from_le_bytes(bytes) as usize
    }

    /// A number of the end.
    fn end(&self, index: usize) -> usize {
        self.number(self.0.len() - (4 - index) * NUMBER)
    }

    /// How many names and how many constants there are.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let entries = (self.0.len() - 4 * NUMBER - self.end(0)) / NUMBER;
        (self.end(1), entries - self.end(1))
    }

    /// The bytes from a place on.
    pub(crate) fn read(&self, at: usize) -> Reader<'_> {
        Reader { bytes: &self.0, at }
    }

    /// The prototype of the text's value.
    pub(crate) fn root(&self) -> Header {
        self.read(self.end(2)).take()
    }

    /// The text of a name.
    pub(crate) fn name(&self, number: usize) -> &[u8] {
        self.read(self.number(self.end(0) + number * NUMBER)).text()
    }

    /// A constant.
    pub(crate) fn constant(&self, number: usize) -> Entry<'_> {
        let at = self.end(0) + (self.end(1) + number) * NUMBER;
        Entry::take(&mut self.read(self.number(at)))
    }
}

/// A compiled text that is being written.
#[derive(Default)]
pub(super) struct Draft {
    bytes: Vec<u8>,
    constants: Vec<u32>,
}

impl Draft {
    fn here(&self) -> u32 {
        // Code is but a few times as long as its text, of which four gigabytes are refused.
        self.bytes.len() as u32
    }

    /// Add a constant; gives its number.
    pub(super) fn constant(&mut self, entry: Entry<'_>) -> u32 {
        self.constants.push(self.here());
        entry.put(&mut self.bytes);
        self.constants.len() as u32 - 1
    }

    /// Add a prototype's code, which stands for `whole`; gives where it is.
    pub(super) fn body(&mut self, function: &Function, whole: Span) -> u32 {
        let at = self.here();
        let out = &mut self.bytes;
        let tables = [&function.children, &function.shapes, &function.overrides];
        for table in tables {
            table.count.put(out);
            out.extend_from_slice(&table.bytes);
        }
        (function.code.len() as u32).put(out);
        for &op in &function.code {
            op.put(out);
        }
        (function.spans.len() as u32).put(out);
        let mut last = 0;
        for &(ip, span) in &function.spans {
            (ip - last).put(out);
            (i64::from(span.start) - i64::from(whole.start)).put(out);
            (span.end - span.start).put(out);
            last = ip;
        }
        at
    }

    /// The whole, of a text with these names whose value has this prototype; only what has a
    /// key can be kept.
    pub(super) fn finish<'n>(
        mut self,
        key: Option<&CodeKey>,
        names: impl Iterator<Item = &'n str>,
        root: Header,
    ) -> Code {
        let root_at = self.here();
        root.put(&mut self.bytes);
        let mut places = Vec::new();
        for name in names {
            places.push(self.here());
            put_text(name.as_bytes(), &mut self.bytes);
        }
        let (start, names) = (self.here(), places.len() as u32);
        for number in places.into_iter().chain(self.constants).chain([start, names, root_at]) {
            self.bytes.extend_from_slice(&number.to_le_bytes());
        }
        let checksum = key.map(|key| checksum(key, &self.bytes)).unwrap_or_default();
        self.bytes.extend_from_slice(&checksum);
        Code(self.bytes.into())
    }
}

/// Entries of a table, written.
#[derive(Default)]
pub(super) struct Entries {
    count: u32,
    pub(super) bytes: Vec<u8>,
}

impl Entries {
    /// Add an entry, whatever is written; gives its number.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> u32 {
        write(&mut self.bytes);
        self.count += 1;
        self.count - 1
    }

    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.bytes.clear();
    }
}

/// What is known of a prototype whose code is not read; where its captures come from follows.
pub(crate) struct Header {
    /// Where its code is.
    pub(crate) body: u32,
    pub(crate) arity: u16,
    pub(crate) capture_count: u16,
    pub(crate) height: u32,
    pub(crate) name: Option<Symbol>,
    pub(crate) span: Span,
    pub(crate) pattern: Option<Pattern>,
}

impl Encode for Header {
    fn put(self, out: &mut Vec<u8>) {
        self.body.put(out);
        self.arity.put(out);
        self.capture_count.put(out);
        self.height.put(out);
        self.name.put(out);
        self.span.put(out);
        self.pattern.is_some().put(out);
        if let Some(pattern) = self.pattern {
            pattern.ellipsis.put(out);
            (pattern.fields.len() as u32).put(out);
            for field in pattern.fields {
                field.name.put(out);
                field.span.put(out);
                field.has_default.put(out);
            }
        }
    }

    fn take(from: &mut Reader<'_>) -> Self {
        Self {
            body: from.take(),
            arity: from.take(),
            capture_count: from.take(),
            height: from.take(),
            name: from.take(),
            span: from.take(),
            pattern: from.take::<bool>().then(|| Pattern {
                ellipsis: from.take(),
                fields: (0..from.take::<u32>())
                    .map(|slot| PatternField {
                        name: from.take(),
                        span: from.take(),
                        has_default: from.take(),
                        slot,
                    })
                    .collect(),
            }),
        }
    }
}

/// A constant of a text.
pub(crate) enum Entry<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a [u8]),
    /// A path; a relative one begins at the folder of the text.
    Path(&'a [u8]),
    /// The same as a string.
    PathText(&'a [u8]),
    EmptyList,
    EmptyAttrs,
    Builtin(u32),
    Computed(u32),
    Builtins,
    Primitives,
    Scoped(Symbol),
    /// A delayed expression that depends on nothing.
    Thunk(Header),
    /// The number of a contract's declaration: the name that it is about, where it is, and who
    /// keeps it.
    Declaration(Span, Span, Keeper),
}

impl<'a> Entry<'a> {
    fn put(self, out: &mut Vec<u8>) {
        out.push(self.first());
        match self {
            Self::Null | Self::EmptyList | Self::EmptyAttrs | Self::Builtins | Self::Primitives => {
            }
            Self::Bool(truth) => truth.put(out),
            Self::Int(number) => number.put(out),
            Self::Float(number) => number.put(out),
            Self::Text(text) | Self::Path(text) | Self::PathText(text) => put_text(text, out),
            Self::Builtin(number) | Self::Computed(number) => number.put(out),
            Self::Scoped(name) => name.put(out),
            Self::Thunk(header) => header.put(out),
            Self::Declaration(subject, contract, keeper) => {
                subject.put(out);
                contract.put(out);
                keeper.put(out);
            }
        }
    }

    /// What tells it from the others.
    fn first(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) => 2,
            Self::Float(_) => 3,
            Self::Text(_) => 4,
            Self::Path(_) => 5,
            Self::PathText(_) => 6,
            Self::EmptyList => 7,
            Self::EmptyAttrs => 8,
            Self::Builtin(_) => 9,
            Self::Computed(_) => 10,
            Self::Builtins => 11,
            Self::Primitives => 12,
            Self::Scoped(_) => 13,
            Self::Thunk(_) => 14,
            Self::Declaration(..) => 15,
        }
    }

    fn take(from: &mut Reader<'a>) -> Self {
        match from.take::<u8>() {
            0 => Self::Null,
            1 => Self::Bool(from.take()),
            2 => Self::Int(from.take()),
            3 => Self::Float(from.take()),
            4 => Self::Text(from.text()),
            5 => Self::Path(from.text()),
            6 => Self::PathText(from.text()),
            7 => Self::EmptyList,
            8 => Self::EmptyAttrs,
            9 => Self::Builtin(from.take()),
            10 => Self::Computed(from.take()),
            11 => Self::Builtins,
            12 => Self::Primitives,
            13 => Self::Scoped(from.take()),
            14 => Self::Thunk(from.take()),
            15 => Self::Declaration(from.take(), from.take(), from.take()),
            _ => unreachable!("no constant begins so"),
        }
    }
}
