//! Text to tokens, on nom.
//!
//! The longest match wins, as in the language's definition: `a:b` is an address,
//! `a/b` a path. Strings, paths and interpolations nest, so the lexer keeps a stack
//! of modes. It never fails: bytes that begin nothing become [`SyntaxKind::Unknown`].
//! Blanks and comments are the gaps between tokens; [`trivia`] names what is in one.

mod scan;
mod strings;

use crate::kind::SyntaxKind;
use crate::span::Span;
use nom::{IResult, Parser};

/// What a recogniser gives: the rest, and what it matched.
type Scan<'t> = IResult<&'t [u8], &'t [u8]>;

/// One token and where it stands, in eight bytes: at its peak, parsing holds all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) start: u32,
    /// Its length in bytes, as a number of three bytes, the lowest first.
    length: [u8; 3],
    pub(crate) kind: SyntaxKind,
}

const _: () = assert!(size_of::<Token>() == 8, "a token is one word");

impl Token {
    /// What is longer than these bytes is several tokens: a string's text may be several, and
    /// nobody writes such a name.
    const MAX_LENGTH: usize = (1 << 24) - 1;

    fn new(kind: SyntaxKind, start: usize, length: usize) -> Self {
        debug_assert!(length <= Self::MAX_LENGTH);
        let [a, b, c, ..] = length.to_le_bytes();
        Self { start: start as u32, length: [a, b, c], kind }
    }

    /// Where it stands.
    pub(crate) fn span(self) -> Span {
        let [a, b, c] = self.length;
        Span { start: self.start, end: self.start + u32::from_le_bytes([a, b, c, 0]) }
    }
}

/// What the next bytes are part of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// An expression; left by the `}` that matches.
    Expression,
    /// `"…"`
    String,
    /// `''…''`
    Indented,
    /// A path that may go on.
    Path,
}

/// Split a text into its tokens, without blanks and comments. An [`SyntaxKind::End`]
/// closes the list.
pub(crate) fn lex(text: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        text: text.as_bytes(),
        at: 0,
        modes: vec![Mode::Expression],
        tokens: Vec::with_capacity(text.len() / 4 + 1),
        run: Run::default(),
    };
    lexer.run();
    lexer.tokens
}

/// The blanks and comments that a gap between two tokens consists of, in order.
pub(crate) fn trivia(gap: &str) -> impl Iterator<Item = (SyntaxKind, &str)> {
    let mut rest = gap;
    std::iter::from_fn(move || {
        let (_, (kind, length)) = scan::trivium(rest.as_bytes()).ok()?;
        let (piece, after) = rest.split_at(length);
        rest = after;
        Some((kind, piece))
    })
}

/// A run of bytes that may stand in a path, looked at once. Without it, `a.b.c.…`
/// would be scanned to its end for every name in it.
#[derive(Default)]
struct Run {
    start: usize,
    end: usize,
    /// One past the last `_`, which may not stand in an address's scheme; found when a
    /// colon asks for it.
    scheme_from: Option<usize>,
}

struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    modes: Vec<Mode>,
    tokens: Vec<Token>,
    run: Run,
}

impl<'t> Lexer<'t> {
    fn run(&mut self) {
        while self.at < self.text.len() {
            match self.modes.last() {
                Some(Mode::String) => self.string(),
                Some(Mode::Indented) => self.indented(),
                Some(Mode::Path) => self.path(),
                Some(Mode::Expression) | None => self.expression(),
            }
        }
        self.push(SyntaxKind::End, 0);
    }

    fn rest(&self) -> &'t [u8] {
        &self.text[self.at..]
    }

    #[inline]
    fn push(&mut self, kind: SyntaxKind, length: usize) {
        let length = match length <= Token::MAX_LENGTH {
            true => length,
            false => self.push_all_but_the_last(kind, length),
        };
        self.tokens.push(Token::new(kind, self.at, length));
        self.at += length;
    }

    /// Of what is too long for one token, push all tokens but the last; gives its length.
    #[cold]
    fn push_all_but_the_last(&mut self, kind: SyntaxKind, length: usize) -> usize {
        let end = self.at + length;
        while end - self.at > Token::MAX_LENGTH {
            let at_most = self.at + Token::MAX_LENGTH;
            // Between two characters, of which none is longer than four bytes.
            let is_boundary = |at: &usize| self.text[*at] & 0xc0 != 0x80;
            let cut = (at_most - 3..=at_most).rfind(is_boundary).unwrap_or(at_most);
            self.push(kind, cut - self.at);
        }
        end - self.at
    }

    /// `${`, inside of anything.
    fn interpolation(&mut self) {
        self.push(SyntaxKind::InterpolationOpen, 2);
        self.modes.push(Mode::Expression);
    }

    fn string(&mut self) {
        let rest = self.rest();
        match rest[0] {
            b'"' => {
                self.push(SyntaxKind::StringClose, 1);
                self.modes.pop();
            }
            b'$' if rest.get(1) == Some(&b'{') => self.interpolation(),
            _ => self.push(SyntaxKind::Text, length_of(strings::text, rest)),
        }
    }

    fn indented(&mut self) {
        let rest = self.rest();
        let length = length_of(strings::indented_text, rest);
        if length > 0 {
            self.push(SyntaxKind::Text, length);
            return;
        }
        let escape = length_of(strings::indented_escape, rest);
        if escape > 0 {
            self.push(SyntaxKind::IndentedEscape, escape);
        } else if rest.starts_with(b"''") {
            self.push(SyntaxKind::IndentedClose, 2);
            self.modes.pop();
        } else if rest.starts_with(b"${") {
            self.interpolation();
        } else {
            // A lone `$` or `'` right before a quote or a dollar.
            self.push(SyntaxKind::Text, 1);
        }
    }

    fn path(&mut self) {
        let rest = self.rest();
        if rest.starts_with(b"${") {
            return self.interpolation();
        }
        match length_of(scan::path_text, rest) {
            0 => {
                self.modes.pop();
            }
            length => self.push(SyntaxKind::PathText, length),
        }
    }

    /// Tokens of an expression, up to one that may begin or end a mode.
    fn expression(&mut self) {
        loop {
            self.at += scan::blanks(self.rest());
            let Some(&byte) = self.text.get(self.at) else { return };
            match scan::start(byte) {
                SyntaxKind::Ident => {
                    let rest = self.rest();
                    let length = scan::name(rest);
                    // A name, if nothing follows that could make it more.
                    if let Some(b'.' | b'+' | b'/' | b':') = rest.get(length) {
                        return self.word();
                    }
                    self.push(scan::keyword(&rest[..length]), length);
                }
                SyntaxKind::Unknown => return self.other(byte),
                kind => self.push(kind, 1),
            }
        }
    }

    /// What more than its first byte decides about, and what changes the mode.
    fn other(&mut self, byte: u8) {
        let rest = self.rest();
        if (byte == b'#' || rest.starts_with(b"/*"))
            && let Ok((_, (_, length))) = scan::trivium(rest)
        {
            self.at += length;
        } else if scan::is_path(byte) || byte == b'/' {
            self.word();
        } else {
            self.mark();
        }
    }

    /// A token that starts with a byte that may stand in a path: a name, a number, an
    /// address, a path, or an operator such as `-`.
    fn word(&mut self) {
        let rest = self.rest();
        if self.at >= self.run.end {
            let end = self.at + scan::path_run(rest);
            self.run = Run { start: self.at, end, scheme_from: None };
        }
        let after = &self.text[self.run.end..];
        match after.first() {
            Some(b'/') if scan::continues_path(after) => {
                self.push(SyntaxKind::PathStart, length_of(scan::path_start, rest));
                self.modes.push(Mode::Path);
            }
            Some(b':')
                if rest[0].is_ascii_alphabetic()
                    && self.at >= self.scheme_from()
                    && length_of(scan::address_rest, after) > 0 =>
            {
                let scheme = self.run.end - self.at;
                self.push(SyntaxKind::Uri, scheme + length_of(scan::address_rest, after));
            }
            _ if scan::is_name_start(rest[0]) => {
                let length = scan::name(rest);
                self.push(scan::keyword(&rest[..length]), length);
            }
            _ => match scan::number(rest) {
                Ok((_, (kind, length))) => self.push(kind, length),
                Err(_) => self.mark(),
            },
        }
    }

    /// Where the scheme of an address may begin in the run.
    fn scheme_from(&mut self) -> usize {
        let Run { start, end, scheme_from } = self.run;
        let from = scheme_from.unwrap_or_else(|| {
            let run = &self.text[start..end];
            start + run.iter().rposition(|&byte| byte == b'_').map_or(0, |i| i + 1)
        });
        self.run.scheme_from = Some(from);
        from
    }

    /// Punctuation, an operator, or the beginning of a string.
    fn mark(&mut self) {
        let rest = self.rest();
        match scan::punctuation(rest) {
            Some((kind, length)) => {
                self.push(kind, length);
                match kind {
                    SyntaxKind::BraceOpen | SyntaxKind::InterpolationOpen => {
                        self.modes.push(Mode::Expression);
                    }
                    SyntaxKind::BraceClose if self.modes.len() > 1 => {
                        self.modes.pop();
                    }
                    SyntaxKind::StringOpen => self.modes.push(Mode::String),
                    SyntaxKind::IndentedOpen => self.modes.push(Mode::Indented),
                    SyntaxKind::PathStart => self.modes.push(Mode::Path),
                    _ => {}
                }
            }
            None => self.push(SyntaxKind::Unknown, scan::character(rest)),
        }
    }
}

/// How much a recogniser matches; nothing where it fails.
fn length_of<'t>(recogniser: impl Fn(&'t [u8]) -> Scan<'t>, input: &'t [u8]) -> usize {
    let mut recogniser = recogniser;
    recogniser.parse(input).map_or(0, |(_, matched)| matched.len())
}

#[cfg(test)]
mod tests;
