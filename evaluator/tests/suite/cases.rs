//! Cases as data: every file in `tests/cases` is a list of them.
//!
//! A case is an expression, then a line `=> VALUE` with what it prints, or `!> CODE` with
//! the code of its error. A line that begins with `#` is a comment between cases; an
//! empty line ends a case. Each case runs with and without a collection at every
//! safepoint, but for the deepest recursion: there that takes the square of its depth.

use std::path::Path;

use hb_lang::Dialect;

use crate::support::{eval_in, evaluator};

enum Expected {
    Value(String),
    Code(String),
}

/// The cases of a file's text, with the line of each.
fn cases(text: &str) -> Vec<(usize, String, Expected)> {
    let mut all = Vec::new();
    let mut expression: Vec<&str> = Vec::new();
    for (i, line) in text.lines().enumerate() {
        let expected = match (line.strip_prefix("=> "), line.strip_prefix("!> ")) {
            (Some(value), _) => Expected::Value(value.to_owned()),
            (_, Some(code)) => Expected::Code(code.to_owned()),
            _ => {
                if !(expression.is_empty() && (line.is_empty() || line.starts_with('#'))) {
                    expression.push(line);
                }
                continue;
            }
        };
        all.push((i + 1, std::mem::take(&mut expression).join("\n"), expected));
    }
    assert!(expression.is_empty(), "a case without an expectation: {expression:?}");
    all
}

/// What is wrong with a case, if anything is.
fn problem(expression: &str, expected: &Expected) -> Option<String> {
    let is_deep = matches!(expected, Expected::Code(code) if code == "eval.too-deep");
    for collect_always in [false, true] {
        if collect_always && is_deep {
            continue;
        }
        let result =
            eval_in(&mut evaluator(collect_always), expression, Path::new("/"), Dialect::Nix);
        let matches = match (&result, expected) {
            (Ok(printed), Expected::Value(value)) => printed == value,
            (Err(report), Expected::Code(code)) => {
                report.lines().any(|line| line.strip_prefix("diagnostic code: ") == Some(code))
            }
            _ => false,
        };
        if !matches {
            let (Ok(found) | Err(found)) = result;
            return Some(format!("collecting always: {collect_always}\n{found}"));
        }
    }
    None
}

#[test]
fn every_case_gives_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let mut problems = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).expect("a file of cases");
        for (line, expression, expected) in cases(&text) {
            if let Some(problem) = problem(&expression, &expected) {
                problems.push(format!("{}:{line}: {expression}\n{problem}", file.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
