//! Cases as data: every file in `tests/cases` is a list of them; those of a file that is
//! named `….hb.txt` are in the language of `.hb` files.
//!
//! A case is an expression, then a line `=> VALUE` with what it prints, or `!> CODE` with
//! the code of its error. A line that begins with `#` is a comment between cases; an
//! empty line ends a case. Those of `*.nix-paths.txt` are evaluated with Nix's paths. Each case runs with and without a collection at every
//! safepoint, but for the deepest recursion: there that takes the square of its depth.

use std::path::{Path, PathBuf};

use hb_lang::Dialect;

use crate::support::{eval_in, evaluator, nix_evaluator};

/// What a case says of its expression.
pub(crate) enum Expected {
    /// It prints as this.
    Value(String),
    /// It fails with an error of this code.
    Code(String),
}

/// One case.
pub(crate) struct Case {
    /// The file that it is in.
    pub(crate) file: PathBuf,
    /// The line of its expectation.
    pub(crate) line: usize,
    /// The language that it is in.
    pub(crate) dialect: Dialect,
    /// Whether it is evaluated with Nix's paths.
    pub(crate) nix_paths: bool,
    /// What is evaluated.
    pub(crate) expression: String,
    /// What that gives.
    pub(crate) expected: Expected,
}

impl Case {
    /// Where its relative paths begin: the sources of cases lie here.
    pub(crate) fn folder(&self) -> &'static Path {
        Path::new(if self.nix_paths { concat!(env!("CARGO_MANIFEST_DIR"), "/tests") } else { "/" })
    }
}

impl Case {
    /// Whether it recurses as deep as is allowed, where collecting always takes the square of
    /// the depth.
    pub(crate) fn is_deep(&self) -> bool {
        matches!(&self.expected, Expected::Code(code) if code == "eval.too-deep")
    }
}

/// The cases of a file.
fn cases(file: &Path, all: &mut Vec<Case>) {
    let text = std::fs::read_to_string(file).expect("a file of cases");
    let is_hb = file.to_string_lossy().ends_with(".hb.txt");
    let dialect = if is_hb { Dialect::Hb } else { Dialect::Nix };
    let nix_paths = file.to_string_lossy().ends_with(".nix-paths.txt");
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
        let expression = std::mem::take(&mut expression).join("\n");
        let (file, line) = (file.to_owned(), i + 1);
        all.push(Case { file, line, dialect, nix_paths, expression, expected });
    }
    assert!(expression.is_empty(), "a case without an expectation: {expression:?}");
}

/// Every case of every file.
pub(crate) fn all_cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut files: Vec<_> = std::fs::read_dir(&folder)
        .expect("the folder of cases")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    let mut all = Vec::new();
    files.iter().for_each(|file| cases(file, &mut all));
    all
}

/// What is wrong with a case, if anything is.
fn problem(case: &Case) -> Option<String> {
    let Case { dialect, nix_paths, expression, expected, .. } = case;
    for collect_always in [false, true] {
        if collect_always && case.is_deep() {
            continue;
        }
        let mut evaluator = match nix_paths {
            true => nix_evaluator(collect_always),
            false => evaluator(collect_always),
        };
        let result = eval_in(&mut evaluator, expression, case.folder(), *dialect);
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
    let mut problems = Vec::new();
    for case in all_cases() {
        if let Some(problem) = problem(&case) {
            let Case { file, line, expression, .. } = case;
            problems.push(format!("{}:{line}: {expression}\n{problem}", file.display()));
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
