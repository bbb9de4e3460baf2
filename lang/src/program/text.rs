//! Decoding: escapes, the indentation of indented strings, floats.

use crate::ast::{ExprId, StrPart};

/// A float literal's value; none where it is too large or too small for one.
pub(super) fn float(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let zero = mantissa.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    (zero || number.is_normal()).then_some(number)
}

/// The text of a `"…"`: escapes decoded, line ends made one byte.
pub(super) fn unescape(raw: &str) -> Box<str> {
    if !raw.bytes().any(|byte| matches!(byte, b'\\' | b'\r')) {
        return raw.into();
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw.chars();
    while let Some(char) = rest.next() {
        match char {
            '\\' => text.extend(rest.next().map(escaped)),
            '\r' => {
                if rest.as_str().starts_with('\n') {
                    rest.next();
                }
                text.push('\n');
            }
            char => text.push(char),
        }
    }
    text.into()
}

/// What a character after a backslash stands for.
fn escaped(char: char) -> char {
    match char {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        char => char,
    }
}

/// A token of an indented string.
#[derive(Clone, Copy)]
pub(super) enum Piece<'t> {
    /// Text as it is.
    Text(&'t str),
    /// `''$`, `'''` or `''\` with a character.
    Escape(&'t str),
    Interpolation(ExprId),
}

/// The parts of an indented string without the indentation that its lines share.
///
/// Only spaces count, lines of nothing but spaces don't, and neither does a last line
/// of spaces, which is dropped.
pub(super) fn strip_indentation(pieces: &[Piece<'_>]) -> Vec<StrPart> {
    let indentation = shared_indentation(pieces);
    let mut parts = Vec::with_capacity(pieces.len());
    let mut stripper = Stripper { indentation, at_line_start: true, dropped: 0 };
    for (index, piece) in pieces.iter().enumerate() {
        let text = match *piece {
            Piece::Interpolation(id) => {
                stripper.at_line_start = false;
                stripper.dropped = 0;
                parts.push(StrPart::Interpolation(id));
                continue;
            }
            Piece::Text(text) => stripper.strip(text),
            Piece::Escape(escape) => stripper.strip(&unescape_indented(escape)),
        };
        let last = index + 1 == pieces.len();
        let text = if last { without_blank_last_line(&text) } else { &text };
        if !text.is_empty() {
            parts.push(StrPart::Text(text.into()));
        }
    }
    parts
}

/// The fewest spaces that a line with anything else in it begins with.
fn shared_indentation(pieces: &[Piece<'_>]) -> usize {
    let mut shared = usize::MAX;
    let mut current = 0;
    let mut at_line_start = true;
    for piece in pieces {
        let Piece::Text(text) = piece else {
            if at_line_start {
                at_line_start = false;
                shared = shared.min(current);
            }
            continue;
        };
        for byte in text.bytes() {
            match byte {
                b'\n' => {
                    at_line_start = true;
                    current = 0;
                }
                b' ' if at_line_start => current += 1,
                _ if at_line_start => {
                    at_line_start = false;
                    shared = shared.min(current);
                }
                _ => {}
            }
        }
    }
    shared
}

/// Strips line after line, over all pieces of a string.
struct Stripper {
    indentation: usize,
    at_line_start: bool,
    dropped: usize,
}

impl Stripper {
    fn strip(&mut self, text: &str) -> String {
        let mut stripped = String::with_capacity(text.len());
        for line in text.split_inclusive('\n') {
            let blanks = line.len() - line.trim_start_matches(' ').len();
            let drop = if self.at_line_start {
                blanks.min(self.indentation.saturating_sub(self.dropped))
            } else {
                0
            };
            stripped.push_str(&line[drop..]);
            if line.ends_with('\n') {
                self.at_line_start = true;
                self.dropped = 0;
            } else if blanks < line.len() {
                self.at_line_start = false;
                self.dropped = 0;
            } else if self.at_line_start {
                self.dropped += blanks;
            }
        }
        stripped
    }
}

fn without_blank_last_line(text: &str) -> &str {
    match text.rfind('\n') {
        Some(end) if text[end + 1..].bytes().all(|byte| byte == b' ') => &text[..end + 1],
        _ => text,
    }
}

/// The text that an escape in an indented string stands for.
fn unescape_indented(escape: &str) -> String {
    match escape {
        "''$" => "$".into(),
        "'''" => "''".into(),
        other => other.chars().skip(3).map(escaped).collect(),
    }
}
