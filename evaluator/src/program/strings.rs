//! Strings and paths.

use std::borrow::Cow;

use hb_lang::Span;
use hb_lang::ast::StrPart;

use super::code::Entry;
use super::compile::Compiler;
use super::op::Op;

/// Whether a string has no interpolation.
pub(super) fn is_text(parts: &[StrPart]) -> bool {
    parts.iter().all(|part| matches!(part, StrPart::Text(_)))
}

/// The text of such a string.
pub(super) fn text_of(parts: &[StrPart]) -> Cow<'_, str> {
    let text = |part: &StrPart| match part {
        StrPart::Text(text) => text.clone(),
        StrPart::Interpolation(_) => Box::default(),
    };
    match parts {
        [StrPart::Text(text)] => Cow::Borrowed(text),
        parts => Cow::Owned(parts.iter().map(text).collect()),
    }
}

impl Compiler<'_> {
    pub(super) fn string(&mut self, parts: &[StrPart], span: Span) {
        for part in parts {
            match part {
                StrPart::Text(text) => self.push_entry(Entry::Text(text.as_bytes())),
                StrPart::Interpolation(id) => self.strict(*id),
            }
        }
        let count = parts.len() as i32;
        self.emit_at(Op::Interpolate(count as u32), 1 - count, span);
    }

    pub(super) fn path(&mut self, parts: &[StrPart], span: Span) {
        let mut count = parts.len() as i32;
        for (i, part) in parts.iter().enumerate() {
            match part {
                StrPart::Text(text) if i == 0 => {
                    if let Some(rest) = text.strip_prefix('~') {
                        self.emit_at(Op::HomeFolder, 1, span);
                        self.push_entry(Entry::Text(rest.as_bytes()));
                        count += 1;
                    } else {
                        self.push_entry(Entry::PathText(text.as_bytes()));
                    }
                }
                StrPart::Text(text) => self.push_entry(Entry::Text(text.as_bytes())),
                StrPart::Interpolation(id) => self.strict(*id),
            }
        }
        self.emit_at(Op::InterpolatePath(count as u32), 1 - count, span);
    }
}
