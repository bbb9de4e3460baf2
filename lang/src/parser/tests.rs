//! Limits, and that they keep the stack safe.

use std::thread;

use super::{MAX_NESTING_DEPTH, MAX_TREE_HEIGHT, PARSER_STACK};
use crate::{Dialect, parse_program, parse_tree};

/// The codes of a text's problems; the tree must hold the text as well.
fn codes(text: &str) -> Vec<&'static str> {
    let tree = parse_tree(text, Dialect::Nix);
    assert_eq!(tree.root().text(), text);
    parse_program(text, Dialect::Nix).problems.iter().map(|problem| problem.code).collect()
}

#[test]
fn nesting_beyond_the_limit_is_a_problem_and_no_crash() {
    let parser = thread::Builder::new().stack_size(PARSER_STACK).spawn(nest_too_deep);
    parser.unwrap().join().unwrap();
}

fn nest_too_deep() {
    let depth = 10 * MAX_NESTING_DEPTH as usize;
    for (open, close) in [
        ("(", ")"),
        ("[", "]"),
        ("{ a = ", "; }"),
        ("let a = ", "; in a"),
        ("\"${", "}\""),
        ("a.b or ", ""),
        ("a.${", "}"),
        ("-", ""),
        ("!", ""),
        ("1 ++ ", ""),
        ("{ a ? ", " }: a"),
        ("{ inherit (", ") a; }"),
        ("if ", " then 1 else 2"),
        ("with ", "; a"),
    ] {
        let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert!(codes(&text).contains(&"parse.too-deep"), "{open}");
        let fine = MAX_NESTING_DEPTH as usize / 3;
        let text = format!("{}1{}", open.repeat(fine), close.repeat(fine));
        assert_eq!(codes(&text), [""; 0], "{open}");
    }
}

#[test]
fn chains_beyond_the_limit_are_a_problem_and_no_crash() {
    let length = 2 * MAX_TREE_HEIGHT as usize;
    for link in ["x: ", "1 + ", "f ", "with a; ", "if a then b else ", "a |> ", "a <| ", "let in "]
    {
        let text = format!("{}1", link.repeat(length));
        assert_eq!(codes(&text), ["parse.too-deep"], "{link}");
        let text = format!("{}1", link.repeat(length / 3));
        assert_eq!(codes(&text), [""; 0], "{link}");
    }
}
