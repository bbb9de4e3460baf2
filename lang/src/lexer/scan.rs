//! The recognisers of everything but string contents.

use super::Scan;
use crate::kind::SyntaxKind;
use nom::branch::alt;
use nom::bytes::complete::{tag, take_until, take_while, take_while1};
use nom::character::complete::{digit0, digit1, one_of};
use nom::combinator::{opt, peek, recognize};
use nom::multi::many1_count;
use nom::{IResult, Parser};

/// A token's kind and length.
type Recognised<'t> = IResult<&'t [u8], (SyntaxKind, usize)>;

const NAME_START: u8 = 1;
const NAME: u8 = 2;
const PATH: u8 = 4;
const ADDRESS: u8 = 8;
const BLANK: u8 = 16;

/// What each byte may be part of.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let c = byte as u8;
        classes[byte] = match c {
            b'a'..=b'z' | b'A'..=b'Z' => NAME_START | NAME | PATH | ADDRESS,
            b'0'..=b'9' | b'-' => NAME | PATH | ADDRESS,
            b'_' => NAME_START | NAME | PATH | ADDRESS,
            b'\'' => NAME | ADDRESS,
            b'.' | b'+' => PATH | ADDRESS,
            b'%' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'$' | b',' | b'!' | b'~' | b'*' => {
                ADDRESS
            }
            b' ' | b'\t' | b'\r' | b'\n' => BLANK,
            _ => 0,
        };
        byte += 1;
    }
    classes
};

/// What each byte begins in an expression: a name (or what begins like one), or a token of its
/// own whatever follows. Of the others, unknown here, more than this byte decides.
const STARTS: [SyntaxKind; 256] = {
    let mut starts = [SyntaxKind::Unknown; 256];
    let mut byte = 0;
    while byte < 256 {
        let class = CLASSES[byte];
        starts[byte] = match byte as u8 {
            _ if class & NAME_START != 0 => SyntaxKind::Ident,
            b'[' => SyntaxKind::BracketOpen,
            b']' => SyntaxKind::BracketClose,
            b'(' => SyntaxKind::ParenOpen,
            b')' => SyntaxKind::ParenClose,
            b':' => SyntaxKind::Colon,
            b';' => SyntaxKind::Semicolon,
            b',' => SyntaxKind::Comma,
            b'@' => SyntaxKind::At,
            b'?' => SyntaxKind::Question,
            b'*' => SyntaxKind::Star,
            _ => SyntaxKind::Unknown,
        };
        byte += 1;
    }
    starts
};

/// What a byte begins in an expression; unknown where more than the byte decides.
pub(super) fn start(byte: u8) -> SyntaxKind {
    STARTS[byte as usize]
}

fn is(byte: u8, class: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

pub(super) fn is_name_start(byte: u8) -> bool {
    is(byte, NAME_START)
}

pub(super) fn is_path(byte: u8) -> bool {
    is(byte, PATH)
}

/// How many bytes of a class a text begins with. Names, blanks and what may be a path are
/// most of a text, so these do without a parser.
fn run_of(input: &[u8], class: u8) -> usize {
    input.iter().position(|&byte| !is(byte, class)).unwrap_or(input.len())
}

/// The length of the blanks that a text begins with.
pub(super) fn blanks(input: &[u8]) -> usize {
    run_of(input, BLANK)
}

/// The length of the name that a text begins with.
pub(super) fn name(input: &[u8]) -> usize {
    run_of(input, NAME)
}

/// The length of what may stand in a path.
pub(super) fn path_run(input: &[u8]) -> usize {
    run_of(input, PATH)
}

/// The keywords, each in the place that [`keyword_place`] gives it.
const KEYWORDS: [(&[u8], SyntaxKind); 32] = {
    let words: [(&[u8], SyntaxKind); 10] = [
        (b"if", SyntaxKind::If),
        (b"then", SyntaxKind::Then),
        (b"else", SyntaxKind::Else),
        (b"assert", SyntaxKind::Assert),
        (b"with", SyntaxKind::With),
        (b"let", SyntaxKind::Let),
        (b"in", SyntaxKind::In),
        (b"rec", SyntaxKind::Rec),
        (b"inherit", SyntaxKind::Inherit),
        (b"or", SyntaxKind::Or),
    ];
    let mut places: [(&[u8], SyntaxKind); 32] = [(b"", SyntaxKind::Ident); 32];
    let mut at = 0;
    while at < words.len() {
        let place = keyword_place(words[at].0);
        assert!(places[place].0.is_empty(), "two keywords have one place");
        places[place] = words[at];
        at += 1;
    }
    places
};

/// The only place where a name may be found among the keywords: its length and its last letter
/// tell them apart.
const fn keyword_place(name: &[u8]) -> usize {
    (name.len() + name[name.len() - 1] as usize) % 32
}

/// A name's kind: a keyword or [`SyntaxKind::Ident`].
#[inline]
pub(super) fn keyword(name: &[u8]) -> SyntaxKind {
    match KEYWORDS[keyword_place(name)] {
        (word, kind) if word == name => kind,
        _ => SyntaxKind::Ident,
    }
}

/// An integer, or a number with a point. `0.5` and `.5` are floats and so is `1.`, but
/// `00.5` is two numbers.
pub(super) fn number(input: &[u8]) -> Recognised<'_> {
    let exponent = (one_of("eE"), opt(one_of("+-")), digit1);
    let from_one = recognize((one_of("123456789"), digit0, tag("."), digit0));
    let below_one = recognize((opt(tag("0")), tag("."), digit1));
    let float = recognize((alt((from_one, below_one)), opt(exponent)))
        .map(|matched: &[u8]| (SyntaxKind::Float, matched.len()));
    let int = digit1.map(|matched: &[u8]| (SyntaxKind::Int, matched.len()));
    alt((float, int)).parse(input)
}

fn path_chars(input: &[u8]) -> Scan<'_> {
    take_while(is_path).parse(input)
}

/// `a/b`, `/a`, `./a/`: at least one slash with something behind it.
fn whole_path(input: &[u8]) -> Scan<'_> {
    recognize((path_chars, path_segments)).parse(input)
}

/// `/a/b/`
fn path_segments(input: &[u8]) -> Scan<'_> {
    recognize((many1_count((tag("/"), take_while1(is_path))), opt(tag("/")))).parse(input)
}

/// Whether the slash that a text begins with belongs to a path.
pub(super) fn continues_path(slash: &[u8]) -> bool {
    slash.get(1).is_some_and(|&byte| is_path(byte)) || slash.starts_with(b"/${")
}

/// The beginning of a path: a whole one, or what stands before `${`.
pub(super) fn path_start(input: &[u8]) -> Scan<'_> {
    let before_interpolation =
        recognize((path_chars, tag("/"))).and(peek(tag("${"))).map(|(matched, _)| matched);
    alt((whole_path, before_interpolation)).parse(input)
}

/// More of a path that has begun.
pub(super) fn path_text(input: &[u8]) -> Scan<'_> {
    alt((whole_path, recognize((path_chars, tag("/"))), take_while1(is_path))).parse(input)
}

/// `~/a`
fn home_path(input: &[u8]) -> Scan<'_> {
    let before_interpolation = tag("~/").and(peek(tag("${"))).map(|(matched, _)| matched);
    alt((recognize((tag("~"), path_segments)), before_interpolation)).parse(input)
}

/// `<nixpkgs/lib>`
fn search_path(input: &[u8]) -> Scan<'_> {
    recognize((
        tag("<"),
        take_while1(is_path),
        opt(many1_count((tag("/"), take_while1(is_path)))),
        tag(">"),
    ))
    .parse(input)
}

/// An address from its colon on.
pub(super) fn address_rest(input: &[u8]) -> Scan<'_> {
    recognize((tag(":"), take_while1(|b| is(b, ADDRESS)))).parse(input)
}

/// One stretch of blanks or one comment.
pub(super) fn trivium(input: &[u8]) -> Recognised<'_> {
    match input.first() {
        Some(b'#') => take_while(|b| b != b'\n' && b != b'\r')
            .map(|matched: &[u8]| (SyntaxKind::LineComment, matched.len()))
            .parse(input),
        Some(b'/') => recognize((tag("/*"), take_until("*/"), tag("*/")))
            .map(|matched: &[u8]| (comment_kind(matched), matched.len()))
            .parse(input),
        _ => take_while1(|b| is(b, BLANK))
            .map(|matched: &[u8]| (SyntaxKind::Whitespace, matched.len()))
            .parse(input),
    }
}

/// `/** … */` documents what follows; `/**/` and `/*** … */` do not.
fn comment_kind(comment: &[u8]) -> SyntaxKind {
    match comment {
        [b'/', b'*', b'*', third, _, ..] if *third != b'/' && *third != b'*' => {
            SyntaxKind::DocComment
        }
        _ => SyntaxKind::BlockComment,
    }
}

/// `''` and the rest of its line where that is blank.
fn indented_open(input: &[u8]) -> Scan<'_> {
    let blank_line = recognize((take_while(|b| b == b' '), tag("\n")));
    recognize((tag("''"), opt(blank_line))).parse(input)
}

/// Everything that one to three fixed bytes begin, but what [`start`] knows from one.
pub(super) fn punctuation(input: &[u8]) -> Option<(SyntaxKind, usize)> {
    use SyntaxKind::*;
    Some(match input {
        [b'.', b'.', b'.', ..] => (Ellipsis, 3),
        [b'=', b'=', ..] => (Equal, 2),
        [b'!', b'=', ..] => (NotEqual, 2),
        [b'<', b'=', ..] => (LessEq, 2),
        [b'>', b'=', ..] => (MoreEq, 2),
        [b'&', b'&', ..] => (AndAnd, 2),
        [b'|', b'|', ..] => (OrOr, 2),
        [b'|', b'>', ..] => (PipeInto, 2),
        [b'<', b'|', ..] => (PipeFrom, 2),
        [b'-', b'>', ..] => (Implies, 2),
        [b'+', b'+', ..] => (Concat, 2),
        [b'/', b'/', ..] => (Update, 2),
        [b'/', b'*', ..] => (UnclosedComment, input.len()),
        [b'$', b'{', ..] => (InterpolationOpen, 2),
        [b'\'', b'\'', ..] => (IndentedOpen, indented_open(input).ok()?.1.len()),
        [b'~', ..] => (PathStart, home_path(input).ok()?.1.len()),
        [b'<', ..] => search_path(input).map_or((Less, 1), |(_, path)| (SearchPath, path.len())),
        [b'"', ..] => (StringOpen, 1),
        [b'{', ..] => (BraceOpen, 1),
        [b'}', ..] => (BraceClose, 1),
        [b'.', ..] => (Dot, 1),
        [b'=', ..] => (Assign, 1),
        [b'|', ..] => (Bar, 1),
        [b'!', ..] => (Bang, 1),
        [b'+', ..] => (Plus, 1),
        [b'-', ..] => (Minus, 1),
        [b'/', ..] => (Slash, 1),
        [b'>', ..] => (More, 1),
        _ => (Unknown, character(input)),
    })
}

/// The length of the character that a text begins with.
pub(super) fn character(text: &[u8]) -> usize {
    1 + text.iter().skip(1).take_while(|&&byte| byte & 0xC0 == 0x80).count()
}
