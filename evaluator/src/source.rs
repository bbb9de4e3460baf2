//! The texts of an evaluation and positions in them.
//!
//! Every text gets a range of one number line, so that a position of any file is one
//! 32-bit number: attributes carry one each.

use std::sync::Arc;

use hb_lang::{Dialect, Span};

/// A byte of some text of the evaluation; zero is no place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pos(pub(crate) u32);

impl Pos {
    /// No place.
    pub const NONE: Self = Self(0);
}

/// One text of the evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(u32);

/// A range of one text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which text.
    pub source: SourceId,
    /// Which bytes of it.
    pub span: Span,
}

/// A text and where it came from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The file's path, or a description such as `«string»`.
    pub name: String,
    /// Whether `name` is the path of a file.
    pub is_file: bool,
    /// The text.
    pub text: Arc<str>,
    /// The language that it is in.
    pub dialect: Dialect,
    base: u32,
}

/// All texts of the evaluation.
#[derive(Clone, Default)]
pub struct Sources {
    all: Vec<Source>,
    end: u32,
}

impl Sources {
    /// Add a text; `None` once all texts together exceed four gigabytes.
    pub fn add(
        &mut self,
        name: String,
        is_file: bool,
        text: Arc<str>,
        dialect: Dialect,
    ) -> Option<SourceId> {
        let base = self.end.checked_add(1)?;
        let length = u32::try_from(text.len()).ok()?;
        self.end = base.checked_add(length)?.checked_add(1)?;
        self.all.push(Source { name, is_file, text, dialect, base });
        Some(SourceId(self.all.len() as u32 - 1))
    }

    /// The text behind an id.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.all[id.0 as usize]
    }

    /// The position of a byte of a text.
    pub fn pos(&self, id: SourceId, offset: u32) -> Pos {
        Pos(self.get(id).base + offset)
    }

    /// The text and byte of a position.
    pub fn locate(&self, pos: Pos) -> Option<(SourceId, u32)> {
        if pos == Pos::NONE {
            return None;
        }
        let index = self.all.partition_point(|source| source.base <= pos.0).checked_sub(1)?;
        Some((SourceId(index as u32), pos.0 - self.all[index].base))
    }

    /// The word that begins at a position: an attribute's name, for marking it.
    pub fn word_at(&self, pos: Pos) -> Option<Place> {
        let (source, start) = self.locate(pos)?;
        let rest = &self.get(source).text.as_bytes()[start as usize..];
        let length = match rest.first() {
            Some(b'"') => rest[1..].iter().position(|&b| b == b'"').map_or(1, |end| end + 2),
            _ => rest
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'\''))
                .count()
                .max(1),
        };
        let span = Span { start, end: start + length as u32 };
        Some(Place { source, span })
    }

    /// Line and column of a byte, both from 1; columns count bytes, as Nix's do.
    pub fn line_column(&self, id: SourceId, offset: u32) -> (usize, usize) {
        let before = &self.get(id).text.as_bytes()[..offset as usize];
        let line = before.iter().filter(|&&byte| byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|&&byte| byte != b'\n').count() + 1;
        (line, column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_finds_its_text_and_byte() {
        let mut sources = Sources::default();
        let a = sources.add("a".into(), true, "one".into(), Dialect::Nix).expect("fits");
        let b = sources.add("b".into(), true, "x\ny = 1".into(), Dialect::Nix).expect("fits");
        assert_eq!(sources.locate(sources.pos(a, 3)), Some((a, 3)));
        assert_eq!(sources.locate(sources.pos(b, 0)), Some((b, 0)));
        assert_eq!(sources.locate(Pos::NONE), None);
        assert_eq!(sources.line_column(b, 2), (2, 1));
        let word = sources.word_at(sources.pos(b, 2)).expect("a place");
        assert_eq!(word.span, Span { start: 2, end: 3 });
    }
}
