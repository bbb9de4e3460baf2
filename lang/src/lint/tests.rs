//! What each lint finds, and what it leaves alone.

use super::check;
use crate::Dialect;

/// The lints of a text: each with the text of its place. Applying its fix must give
/// a text without that problem.
fn check_lints(text: &str, expected: &[(&str, &str)]) {
    let found = check(text, Dialect::Nix);
    let places: Vec<_> = found
        .iter()
        .map(|problem| (problem.code, &text[std::ops::Range::from(problem.labels[0].span)]))
        .collect();
    assert_eq!(places, expected, "{text}");
    for fix in found.iter().filter_map(|problem| problem.fix.as_ref()) {
        let mut fixed = text.to_owned();
        fixed.replace_range(std::ops::Range::<usize>::from(fix.span), &fix.replacement);
        let left = check(&fixed, Dialect::Nix);
        assert!(left.len() < found.len(), "{text} became {fixed}: {left:?}");
    }
}

#[test]
fn unused_names_are_found() {
    check_lints("let a = 1; b = 2; in b", &[("lint.unused-binding", "a")]);
    check_lints("let inherit (x) a b; in b", &[("lint.unused-binding", "a")]);
    check_lints("x: 1", &[("lint.unused-argument", "x")]);
    check_lints("{ a, ... }: 1", &[("lint.unused-argument", "a")]);
    check_lints("{ a }@all: a", &[("lint.unused-argument", "all")]);
}

#[test]
fn used_and_deliberately_unused_names_are_left_alone() {
    check_lints("let a = b; b = a; in a", &[]);
    check_lints("_: 1", &[]);
    check_lints("_x: 1", &[]);
    check_lints("{ a }: 1", &[]);
    check_lints("{ a ? 1, b ? a, ... }: b", &[]);
    check_lints("let a = 1; in { inherit a; }", &[]);
    check_lints("let a.b = 1; a.c = 2; in a", &[]);
    check_lints("x: \"${x}\"", &[]);
}

#[test]
fn shadowing_is_found_but_not_by_inherit() {
    check_lints("x: map (x: x) x", &[("lint.shadowing", "x")]);
    check_lints("x: let inherit x; in x", &[]);
    check_lints("x: [ x (_: x) ]", &[]);
}

#[test]
fn rec_is_needless_where_no_attribute_uses_another() {
    check_lints("rec { a = 1; b = 2; }", &[("lint.needless-rec", "rec")]);
    check_lints("rec { a = 1; b = a; }", &[]);
    check_lints("a: rec { inherit a; b = a; }", &[]);
}

#[test]
fn parentheses_are_needless_around_what_is_whole() {
    check_lints(
        "f: f (f) ([ 1 ])",
        &[("lint.needless-parens", "(f)"), ("lint.needless-parens", "([ 1 ])")],
    );
    check_lints("{ a = (1 + 2); }", &[("lint.needless-parens", "(1 + 2)")]);
    check_lints("f: (f 1) (f (-1)) (1).a", &[]);
}

#[test]
fn with_hides_names_unless_they_are_few_or_shown() {
    check_lints("lib: with lib; id 1", &[("lint.wide-with", "lib")]);
    check_lints("p: with p; [ a b ]", &[]);
    check_lints("with { a = 1; }; a", &[]);
}

#[test]
fn a_text_that_does_not_parse_has_its_problems_and_no_lints() {
    check_lints("x: {", &[("parse.unclosed-brace", "{")]);
}

#[test]
fn lints_stand_beside_syntax_errors_but_not_within_what_is_broken() {
    let codes = |text: &str| -> Vec<&str> {
        check(text, Dialect::Nix).into_iter().map(|problem| problem.code).collect()
    };
    let text = "[ (let a = 1; in 2) (let b = 1; in [ , ]) (c: 3) ]";
    let wanted = ["lint.unused-binding", "parse.comma-in-list", "lint.unused-argument"];
    assert_eq!(codes(text), wanted);
    // What is missing might use it.
    assert_eq!(codes("let a = 1; in"), ["parse.expected-expression"]);
    assert_eq!(codes("x: { y = "), ["parse.expected-expression"]);
}
