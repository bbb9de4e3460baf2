//! The same cases by Nix itself: what `tests/cases` says that values print as is what the
//! newest stable Nix prints.
//!
//! Runs where `HB_NIX_ORACLE` names a `nix-instantiate` of that version, such as
//! `scripts/nix-oracle` gets; elsewhere there is nothing to compare with.

use std::process::Command;

use hb_lang::Dialect;

use crate::cases::{Case, Expected, all_cases};

/// What the cases use of what Nix does only when asked to.
const FEATURES: &str = "pipe-operators ca-derivations impure-derivations";

/// Strict evaluation of one expression; `None` if Nix refuses it.
fn nix(program: &str, state: &std::path::Path, case: &Case) -> Option<String> {
    let expression = &case.expression;
    // A store of its own, that lies elsewhere but has the usual paths.
    let store = format!("local?root={}", state.join("root").display());
    let output = Command::new(program)
        .args(["--eval", "--strict", "--read-write-mode", "--store", &store])
        .args(["--extra-experimental-features", FEATURES])
        // In parentheses, so that it is not taken for an option.
        .args(["-E", &format!("({expression}\n)")])
        .env_clear()
        .env("HOME", state)
        .current_dir(case.folder())
        .output()
        .expect("nix runs");
    let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
    output.status.success().then_some(text)
}

#[test]
fn nix_agrees_with_every_case() {
    let Ok(program) = std::env::var("HB_NIX_ORACLE") else { return };
    let state = std::env::temp_dir().join(format!("hb-nix-oracle-{}", std::process::id()));
    std::fs::create_dir_all(&state).expect("a folder for Nix's state");
    let mut problems = Vec::new();
    for case in all_cases().into_iter().filter(|case| case.dialect == Dialect::Nix) {
        let found = nix(&program, &state, &case);
        let agrees = match (&found, &case.expected) {
            (Some(printed), Expected::Value(value)) => printed == value,
            (None, Expected::Code(_)) => true,
            _ => false,
        };
        if !agrees {
            problems.push(format!("{}:{}: {found:?}", case.file.display(), case.line));
        }
    }
    std::fs::remove_dir_all(&state).expect("the state can be removed");
    assert!(problems.is_empty(), "Nix disagrees:\n{}", problems.join("\n"));
}
