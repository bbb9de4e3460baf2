//! The recognisers of string contents.
//!
//! A dollar is plain text unless a brace follows; `$$` is plain text whatever follows.

use super::Scan;
use nom::Parser;
use nom::branch::alt;
use nom::bytes::complete::{tag, take, take_while1};
use nom::combinator::{not, peek, recognize};
use nom::multi::many1_count;

/// The text of `"…"` up to its end or an interpolation, escapes included.
pub(super) fn text(input: &[u8]) -> Scan<'_> {
    let plain = take_while1(|b| !matches!(b, b'$' | b'"' | b'\\'));
    let escape = recognize((tag("\\"), character));
    let dollar = recognize((tag("$"), not(tag("{"))));
    // A backslash that ends the text is text; the parser misses the closing quote.
    recognize(many1_count(alt((plain, escape, tag("$$"), dollar, tag("\\"))))).parse(input)
}

/// The text of `''…''` up to its end, an interpolation or an escape.
pub(super) fn indented_text(input: &[u8]) -> Scan<'_> {
    let plain = take_while1(|b| !matches!(b, b'$' | b'\''));
    let dollar = recognize((tag("$"), not(alt((tag("{"), tag("'")))), peek(take(1usize))));
    let quote = recognize((tag("'"), not(alt((tag("'"), tag("$")))), peek(take(1usize))));
    recognize(many1_count(alt((plain, tag("$$"), dollar, quote)))).parse(input)
}

/// `''$`, `'''` and `''\` with a character.
pub(super) fn indented_escape(input: &[u8]) -> Scan<'_> {
    alt((tag("''$"), tag("'''"), recognize((tag("''\\"), character)))).parse(input)
}

/// One character of any length.
fn character(input: &[u8]) -> Scan<'_> {
    take(if input.is_empty() { 1 } else { super::scan::character(input) }).parse(input)
}
