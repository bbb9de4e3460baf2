//! The syntax suite: each case is a text with the program that it is, as Nix prints
//! it, or with its problems.
//!
//! A case in `tests/syntax/*.case` is `==== name`, the text, `----`, and the result. A
//! name that begins with `hb:` is read as a `.hb` file. `\r` and `\t` stand for those
//! bytes. `HB_UPDATE=1` writes the results anew.

use hb_lang::{Diagnostic, Dialect, parse_program, print};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

struct Case {
    name: String,
    text: String,
    expected: String,
}

impl Case {
    fn source(&self) -> String {
        self.text.replace("\\r", "\r").replace("\\t", "\t")
    }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/syntax");
    let entries = std::fs::read_dir(folder).expect("the folder of cases");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.sort();
    files
}

fn cases(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).expect("a file of cases");
    let cases = text.split("==== ").skip(1).map(|case| {
        let (name, rest) = case.split_once('\n').expect("a name");
        let (text, expected) = rest.split_once("\n----\n").expect("a result");
        Case { name: name.into(), text: text.into(), expected: expected.trim_end().into() }
    });
    cases.collect()
}

fn result(case: &Case) -> String {
    let text = case.source();
    let dialect = if case.name.starts_with("hb:") { Dialect::Hb } else { Dialect::Nix };
    let program = parse_program(&text, dialect);
    if program.problems.is_empty() {
        let places = print::Places { base: Path::new("/base"), home: Path::new("/home") };
        return print::print(&program.ast, places);
    }
    program
        .problems
        .iter()
        .map(|problem| describe(problem, &text))
        .collect::<String>()
        .trim_end()
        .into()
}

/// A problem's code and message, and where its labels are.
fn describe(problem: &Diagnostic, text: &str) -> String {
    let mut out = format!("{}: {}\n", problem.code, problem.message);
    for label in &problem.labels {
        let before = &text[..label.span.start as usize];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|char| *char != '\n').count() + 1;
        let place = &text[std::ops::Range::<usize>::from(label.span)];
        let _ = writeln!(out, "  {line}:{column} `{}` {}", place.escape_debug(), label.text);
    }
    if let Some(help) = &problem.help {
        let _ = writeln!(out, "  help: {help}");
    }
    if let Some(fix) = &problem.fix {
        let _ = writeln!(out, "  fix: `{}`", fix.replacement.escape_debug());
    }
    out
}

#[test]
fn every_case_gives_its_result() {
    let update = std::env::var_os("HB_UPDATE").is_some();
    let mut wrong = Vec::new();
    for file in files() {
        let cases = cases(&file);
        if update {
            let write = |case: &Case| {
                format!("==== {}\n{}\n----\n{}\n\n", case.name, case.text, result(case))
            };
            let text: String = cases.iter().map(write).collect();
            std::fs::write(&file, text.trim_end().to_owned() + "\n").expect("a writable case");
            continue;
        }
        for case in &cases {
            let found = result(case);
            if found != case.expected {
                let name = &case.name;
                wrong.push(format!("{name}: {}\nis\n{found}\nnot\n{}", case.text, case.expected));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Nix itself, where `HB_NIX_ORACLE` names a current one.
#[test]
#[allow(clippy::print_stderr, reason = "who runs the tests is told what they left out")]
fn every_case_is_what_nix_makes_of_it() {
    let Some(nix) = std::env::var_os("HB_NIX_ORACLE") else {
        eprintln!("not compared with Nix: HB_NIX_ORACLE names none (see scripts/nix-oracle)");
        return;
    };
    let mut wrong = Vec::new();
    for case in files().iter().flat_map(|file| cases(file)) {
        if case.name.starts_with("hb:") {
            continue;
        }
        // An undefined name is no syntax error: `with` hides it.
        let text = format!("with {{}};\n{}", case.source());
        let mut child = Command::new(&nix)
            .args(["--extra-experimental-features", "pipe-operators", "--parse", "-"])
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("a program that runs");
        let mut stdin = child.stdin.take().expect("a pipe");
        std::io::Write::write_all(&mut stdin, text.as_bytes()).expect("an open pipe");
        drop(stdin);
        let output = child.wait_with_output().expect("an end");
        let theirs = output.status.success().then(|| String::from_utf8_lossy(&output.stdout));
        let program = parse_program(&text, Dialect::Nix);
        let home = std::env::var("HOME").unwrap_or_default();
        let places = print::Places { base: Path::new("/"), home: Path::new(&home) };
        let ours = program.problems.is_empty().then(|| print::print(&program.ast, places));
        if theirs.as_deref().map(str::trim_end) != ours.as_deref() {
            wrong.push(format!("{}: {}\n{theirs:?}\n{ours:?}", case.name, case.text));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
