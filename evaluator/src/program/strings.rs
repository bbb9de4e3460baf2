//! Strings and paths.

use std::borrow::Cow;

use hb_lang::Span;
use hb_lang::ast::StrPart;

use super::compile::Compiler;
use super::op::Op;
use crate::machine::canonical;
use crate::value::Value;

/// A string's text, if it has no interpolation.
pub(super) fn constant_text(parts: &[StrPart]) -> Option<Cow<'_, str>> {
    if let [StrPart::Text(text)] = parts {
        return Some(Cow::Borrowed(text));
    }
    let text = |part: &StrPart| match part {
        StrPart::Text(text) => Some(text.clone()),
        StrPart::Interpolation(_) => None,
    };
    parts.iter().map(text).collect::<Option<String>>().map(Cow::Owned)
}

impl Compiler<'_> {
    /// A path's value, if it has no interpolation and does not depend on the home folder.
    pub(super) fn constant_path(&mut self, parts: &[StrPart]) -> Option<Value> {
        let text = constant_text(parts)?;
        if text.starts_with('~') {
            return None;
        }
        let path = canonical(&self.absolute(&text));
        Some(self.machine.heap.path(&path))
    }

    fn absolute(&self, text: &str) -> Vec<u8> {
        if text.starts_with('/') {
            return text.as_bytes().to_vec();
        }
        [self.unit.folder.as_os_str().as_encoded_bytes(), b"/", text.as_bytes()].concat()
    }

    pub(super) fn string(&mut self, parts: &[StrPart], span: Span) {
        for part in parts {
            match part {
                StrPart::Text(text) => {
                    let text = self.machine.string(text.as_bytes());
                    self.push_constant(text);
                }
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
                        let rest = self.machine.string(rest);
                        self.push_constant(rest);
                        count += 1;
                    } else {
                        let text = self.absolute(text);
                        let text = self.machine.string(text);
                        self.push_constant(text);
                    }
                }
                StrPart::Text(text) => {
                    let text = self.machine.string(text.as_bytes());
                    self.push_constant(text);
                }
                StrPart::Interpolation(id) => self.strict(*id),
            }
        }
        self.emit_at(Op::InterpolatePath(count as u32), 1 - count, span);
    }
}
