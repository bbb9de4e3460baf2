//! Traces: the user's own steps first, a library's folded.

use std::path::Path;

use hb_evaluator::{Printing, Report, Shown};
use hb_lang::Dialect;

use crate::support::evaluator;

/// The trace of a fault deep in a library, as lines.
fn trace(shown: impl FnOnce(&Path) -> Shown) -> Vec<String> {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path().canonicalize().expect("it is there");
    let library = "rec { outer = x: inner x + 1; inner = x: deep x + 1; deep = x: x.a; }";
    std::fs::create_dir(root.join("lib")).expect("a folder");
    std::fs::write(root.join("lib/l.nix"), library).expect("a file");
    let own = "let lib = import ./lib/l.nix; mine = x: lib.outer x + 1; in mine { }";
    std::fs::write(root.join("main.nix"), own).expect("a file");
    let mut evaluator = evaluator(false);
    let error = evaluator
        .eval_file(&root.join("main.nix"))
        .and_then(|value| evaluator.print(value, Printing::Strict))
        .expect_err("there is no 'a'");
    let report = Report::new(&error, evaluator.sources(), &shown(&root));
    let help = miette::Diagnostic::help(&report).expect("a trace").to_string();
    help.lines().map(str::to_owned).collect()
}

#[test]
fn own_steps_come_first_and_those_of_a_library_are_counted() {
    let lines = trace(|root| Shown::Own(root.to_owned()));
    let own = lines.iter().position(|line| line.contains("main.nix:1:")).expect("an own step");
    assert_eq!(own, 0, "{lines:?}");
    let last = lines.last().expect("a line");
    assert!(last.ends_with("in lib/l.nix (show all with --show-trace)"), "{last}");
    assert!(lines.iter().all(|line| !line.contains("l.nix:1:")), "{lines:?}");
}

#[test]
fn all_steps_are_shown_from_the_innermost() {
    let lines = trace(|_| Shown::All);
    assert!(lines[0].contains("lib/l.nix:1:"), "{lines:?}");
    assert!(lines.iter().all(|line| !line.starts_with('…')), "{lines:?}");
}

#[test]
fn who_works_on_the_library_sees_its_steps() {
    let lines = trace(|root| Shown::Own(root.join("lib")));
    assert!(lines[0].contains("lib/l.nix:1:"), "{lines:?}");
}

#[test]
fn a_call_that_waits_for_its_argument_is_one_step() {
    let text = "let apply = f: x: f x; bad = throw \"no\";
outer = n: apply builtins.length (if n == 0 then bad else [ ]); in outer 0";
    let mut evaluator = evaluator(false);
    let error = evaluator
        .eval_text(text, Path::new("/"), Dialect::Nix)
        .and_then(|value| evaluator.print(value, Printing::Strict))
        .expect_err("it throws");
    let report = Report::new(&error, evaluator.sources(), &Shown::All);
    let help = miette::Diagnostic::help(&report).expect("a trace").to_string();
    let steps: Vec<_> = help.lines().map(|line| line.split(" at ").next().unwrap()).collect();
    let expected = ["while evaluating 'bad'", "while calling 'apply'", "while calling 'outer'"];
    assert_eq!(steps, expected, "{help}");
}
