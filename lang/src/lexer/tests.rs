//! What is one token and what is several.

use super::{lex, trivia};
use crate::kind::SyntaxKind::{self, *};

/// The kinds and texts of a text's tokens, the end left out.
fn tokens(text: &str) -> Vec<(SyntaxKind, &str)> {
    let mut tokens: Vec<_> = lex(text)
        .into_iter()
        .map(|token| (token.kind, &text[std::ops::Range::<usize>::from(token.span())]))
        .collect();
    assert_eq!(tokens.pop(), Some((End, "")));
    tokens
}

#[test]
fn the_longest_match_decides_between_names_paths_and_addresses() {
    assert_eq!(tokens("a/b"), [(PathStart, "a/b")]);
    assert_eq!(tokens("a /b"), [(Ident, "a"), (PathStart, "/b")]);
    assert_eq!(tokens("a / b"), [(Ident, "a"), (Slash, "/"), (Ident, "b")]);
    assert_eq!(tokens("a//b"), [(Ident, "a"), (Update, "//"), (Ident, "b")]);
    assert_eq!(tokens("x:y"), [(Uri, "x:y")]);
    assert_eq!(tokens("x: y"), [(Ident, "x"), (Colon, ":"), (Ident, "y")]);
    assert_eq!(tokens("a_b:c"), [(Ident, "a_b"), (Colon, ":"), (Ident, "c")]);
    assert_eq!(tokens("a.b:c"), [(Uri, "a.b:c")]);
    assert_eq!(tokens("<a/b>"), [(SearchPath, "<a/b>")]);
    assert_eq!(tokens("in-x in"), [(Ident, "in-x"), (In, "in")]);
}

#[test]
fn numbers_follow_their_odd_rules() {
    assert_eq!(tokens("1. .5 0.5"), [(Float, "1."), (Float, ".5"), (Float, "0.5")]);
    assert_eq!(tokens("00.5"), [(Int, "00"), (Float, ".5")]);
    assert_eq!(tokens("1e5"), [(Int, "1"), (Ident, "e5")]);
    assert_eq!(tokens("1.5e-3"), [(Float, "1.5e-3")]);
}

#[test]
fn modes_nest() {
    assert_eq!(
        tokens(r#""a${"b${c}"}d""#),
        [
            (StringOpen, "\""),
            (Text, "a"),
            (InterpolationOpen, "${"),
            (StringOpen, "\""),
            (Text, "b"),
            (InterpolationOpen, "${"),
            (Ident, "c"),
            (BraceClose, "}"),
            (StringClose, "\""),
            (BraceClose, "}"),
            (Text, "d"),
            (StringClose, "\""),
        ]
    );
    assert_eq!(
        tokens("./a${b}/c d"),
        [
            (PathStart, "./a"),
            (InterpolationOpen, "${"),
            (Ident, "b"),
            (BraceClose, "}"),
            (PathText, "/c"),
            (Ident, "d"),
        ]
    );
}

#[test]
fn dollars_are_text_unless_a_brace_follows() {
    let string = |text| tokens(text).iter().map(|token| token.0).collect::<Vec<_>>();
    assert_eq!(string(r#""$$${a}""#)[1..3], [Text, InterpolationOpen]);
    assert_eq!(string(r#""$${a}""#), [StringOpen, Text, StringClose]);
    assert_eq!(string("''$${a}''"), [IndentedOpen, Text, IndentedClose]);
    assert_eq!(string("''''${a}''"), [IndentedOpen, IndentedEscape, Text, IndentedClose]);
    assert_eq!(string("''$''"), [IndentedOpen, Text, IndentedClose]);
}

#[test]
fn gaps_hold_blanks_and_comments() {
    let gap = " # one\n/* two */\n/** three */ /**/";
    let kinds: Vec<_> = trivia(gap).map(|(kind, _)| kind).filter(|k| *k != Whitespace).collect();
    assert_eq!(kinds, [LineComment, BlockComment, DocComment, BlockComment]);
    assert_eq!(trivia(gap).map(|(_, text)| text).collect::<String>(), gap);
    assert_eq!(tokens("1 /* no end"), [(Int, "1"), (UnclosedComment, "/* no end")]);
}

#[test]
fn bytes_that_begin_nothing_are_whole_characters() {
    assert_eq!(tokens("é`"), [(Unknown, "é"), (Unknown, "`")]);
}

#[test]
fn a_long_chain_of_names_is_read_in_one_go() {
    let text = "a.".repeat(200_000);
    assert_eq!(lex(&text).len(), 400_001);
}

#[test]
fn a_text_that_is_too_long_for_a_token_is_cut_between_characters() {
    // What it begins with lets the cut fall into a character.
    for begin in ["", "a", "ab"] {
        let text = begin.to_owned() + &"\u{20ac}".repeat(12_000_000);
        let literal = format!("\"{text}\"");
        let tokens = tokens(&literal);
        let [(StringOpen, _), inside @ .., (StringClose, _)] = &tokens[..] else { panic!() };
        assert_eq!(inside.len(), 3);
        assert!(inside.iter().all(|(kind, _)| *kind == Text));
        assert!(inside.iter().map(|(_, text)| *text).collect::<String>() == text);
    }
}
