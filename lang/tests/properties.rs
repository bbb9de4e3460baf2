//! What holds for every text, sensible or not.
//!
//! More and other texts than usual: `PROPTEST_CASES=1000000 PROPTEST_RNG_SEED=7 cargo test -p
//! hb-lang --release --test properties any_`.

use hb_lang::syntax::SyntaxNode;
use hb_lang::{Dialect, SyntaxKind, check, format, parse_program, parse_tree, print};
use proptest::prelude::*;
use std::path::Path;

/// The pieces that texts are made of: enough to reach every rule of the grammar.
const PIECES: &[&str] = &[
    "a", "b", "or", "x.y", "{", "}", "[", "]", "(", ")", "${", "\"", "''", "''$", "'''", "''\\n",
    "$", "$$", ";", ":", ",", "=", "==", "!=", "<", "<=", ">", "&&", "||", "->", "//", "/", "++",
    "+", "-", "*", "!", "?", "@", ".", "...", "if", "then", "else", "let", "in", "rec", "with",
    "assert", "inherit", "1", "1.5", "./p", "~/p", "<n/p>", "http://x", "|>", "<|", "# c\n",
    "/* c */", "/*", "\n", "\n\n", "  ", "\t", "\r\n", "\\", "é", "\0", "x:", "a = 1;", "{ a }:",
    "|", "a | T",
];

fn soup() -> impl Strategy<Value = String> {
    let piece = (prop::sample::select(PIECES), prop::sample::select(&["", " ", "\n"][..]));
    prop::collection::vec(piece, 0..40)
        .prop_map(|pieces| pieces.iter().map(|(piece, gap)| format!("{piece}{gap}")).collect())
}

/// A program that has no problems.
fn program() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(
        &[
            "a",
            "b",
            "1",
            "2.5",
            "\"s\"",
            "./p",
            "''\n  x\n    ${y}\n  ''",
            "{ }",
            "[ ]",
            "a.b",
            "a.b or c",
            "<n>",
            "# c\na",
            "/* c */ a",
            "null",
            "\"${a}\"",
            "__curPos",
        ][..],
    );
    leaf.prop_map(str::to_owned).prop_recursive(6, 60, 4, |inner| {
        let two = (inner.clone(), inner.clone());
        let operator = prop::sample::select(
            &["+", "-", "*", "/", "++", "//", "&&", "||", "->", "|>", "==", "<"][..],
        );
        prop_oneof![
            (two.clone(), operator).prop_map(|((a, b), op)| format!("({a}) {op} ({b})")),
            two.clone().prop_map(|(a, b)| format!("({a}) ({b})")),
            two.clone().prop_map(|(a, b)| format!("{{ x = {a};\n\n# c\ny.z = {b}; # d\n}}")),
            two.clone().prop_map(|(a, b)| format!("[ ({a})\n({b}) ]")),
            two.clone().prop_map(|(a, b)| format!("let x = {a}; in {b}")),
            two.clone().prop_map(|(a, b)| format!("with {a}; {b}")),
            two.clone().prop_map(|(a, b)| format!("if {a} then {b} else a")),
            two.clone().prop_map(|(a, b)| format!("{{ m ? {a}, n, ... }}@all: {b}")),
            two.prop_map(|(a, b)| format!("rec {{ inherit ({a}) p q; r = {b}; }}")),
            inner.clone().prop_map(|a| format!("x: {a}")),
            inner.clone().prop_map(|a| format!("-({a})")),
            inner.prop_map(|a| format!("({a}).b.${{\"c d\"}} or 1")),
        ]
    })
}

/// A program that lost a piece, or has one twice.
fn damaged() -> impl Strategy<Value = String> {
    let place = any::<prop::sample::Index>;
    (program_with_contracts(), place(), place(), any::<bool>()).prop_map(|(text, a, b, twice)| {
        let chars: Vec<char> = text.chars().collect();
        let (a, b) = (a.index(chars.len()), b.index(chars.len()));
        let (start, end) = (a.min(b), a.max(b).min(a.min(b) + 12));
        let piece = if twice { &chars[start..end] } else { &[] };
        [&chars[..start], piece, piece, &chars[end..]].concat().into_iter().collect()
    })
}

/// A program with contracts, for a `.hb` file.
fn program_with_contracts() -> impl Strategy<Value = String> {
    let leaf = prop::sample::select(&["Int", "a.b", "Enum [ \"x\" ]", "# c\nList\nInt"][..]);
    let contract = leaf.prop_map(str::to_owned).prop_recursive(3, 12, 3, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            two.clone().prop_map(|(a, b)| format!("{a} -> {b}")),
            two.prop_map(|(a, b)| format!("{{ p = {a}; q = ({b}); }}")),
            inner.clone().prop_map(|a| format!("List ({a})")),
            inner.prop_map(|a| format!("Where ({a}) \"w\" (v: v -> true)")),
        ]
    });
    (program(), contract.clone(), contract, program()).prop_map(|(value, a, b, default)| {
        // `.hb` files have no search path.
        let [value, default] = [value, default].map(|text| text.replace("<n>", "a"));
        format!("{{ m | {a} ? {default}, n | {b}, ... }}: {{ x | {b} = {value};\ny.z | {a} = 1; }}")
    })
}

fn printed(text: &str) -> String {
    printed_in(Dialect::Nix, text)
}

fn printed_in(dialect: Dialect, text: &str) -> String {
    let program = parse_program(text, dialect);
    assert_eq!(program.problems, [], "{text}");
    let places = print::Places { base: Path::new("/base"), home: Path::new("/home") };
    print::print(&program.ast, places)
}

/// Everything of a text but its blanks.
fn solid(root: &SyntaxNode) -> Vec<String> {
    let tokens = root.descendants_with_tokens().filter_map(|element| element.into_token());
    tokens
        .filter(|token| token.kind() != SyntaxKind::Whitespace)
        .map(|token| token.text().split_whitespace().collect())
        .filter(|text: &String| !text.is_empty())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_text_gives_a_program_and_a_tree_with_that_text(text in any::<String>()) {
        check_text(&text);
    }

    #[test]
    fn any_pieces_give_a_program_and_a_tree_with_that_text(text in soup()) {
        check_text(&text);
    }

    #[test]
    fn any_bytes_give_a_program_and_a_tree_with_that_text(
        bytes in prop::collection::vec(any::<u8>(), 0..200)
    ) {
        check_text(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_damaged_program_gives_a_program_and_a_tree_with_that_text(text in damaged()) {
        check_text(&text);
    }

    #[test]
    fn formatting_loses_nothing_of_a_broken_text(text in soup()) {
        let formatted = format(&text, Dialect::Nix);
        let before = parse_tree(&text, Dialect::Nix);
        let after = parse_tree(&formatted, Dialect::Nix);
        prop_assert_eq!(solid(&before.root()), solid(&after.root()), "{}", formatted);
    }

    #[test]
    fn formatting_keeps_the_meaning_and_is_idempotent(text in program()) {
        let formatted = format(&text, Dialect::Nix);
        prop_assert_eq!(printed(&text), printed(&formatted), "{}", formatted);
        prop_assert_eq!(&format(&formatted, Dialect::Nix), &formatted);
    }

    #[test]
    fn formatting_keeps_contracts_and_is_idempotent(text in program_with_contracts()) {
        let formatted = format(&text, Dialect::Hb);
        let [before, after] = [&text, &formatted].map(|text| printed_in(Dialect::Hb, text));
        prop_assert_eq!(before, after, "{}", formatted);
        prop_assert_eq!(&format(&formatted, Dialect::Hb), &formatted);
    }

    #[test]
    fn contracts_print_as_what_parses_to_them(text in program_with_contracts()) {
        let printed = |text: &str| printed_in(Dialect::Hb, text);
        let again = printed(&printed(&text));
        prop_assert_eq!(&printed(&again), &again);
    }

    #[test]
    fn printing_and_parsing_again_gives_the_same_program(text in program()) {
        // What was a string with an interpolation comes back as a sum, and stays one.
        let again = printed(&printed(&text));
        prop_assert_eq!(&printed(&again), &again);
    }
}

fn check_text(text: &str) {
    for dialect in [Dialect::Nix, Dialect::Hb] {
        let program = parse_program(text, dialect);
        let parse = parse_tree(text, dialect);
        assert_eq!(parse.root().text(), text);
        assert!(program.problems.len() >= parse.problems.len());
        assert!(program.ast.root.is_some());
        for problem in &check(text, dialect) {
            for label in &problem.labels {
                let range = std::ops::Range::<usize>::from(label.span);
                assert!(text.get(range).is_some(), "{problem:?}");
            }
        }
    }
}
