//! Nix itself, to compare with: what `tests/cases` says that values print as is what the
//! newest stable Nix prints.
//!
//! Runs where `HB_NIX_ORACLE` names a `nix-instantiate` of that version, such as
//! `scripts/nix-oracle` gets; elsewhere there is nothing to compare with.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use hb_lang::Dialect;

use crate::cases::{Expected, all_cases};

/// What the cases use of what Nix does only when asked to.
const FEATURES: &str = "pipe-operators ca-derivations impure-derivations flakes";

/// Stands behind the value of each expression.
const END: &str = "the end of a value";

/// A file of programs, and how Nix prints what it read there.
pub(crate) struct Programs {
    pub(crate) path: PathBuf,
    pub(crate) text: String,
    pub(crate) parsed: String,
    pub(crate) count: usize,
}

/// A `nix-instantiate` with a store of its own, that lies elsewhere but has the usual paths.
pub(crate) struct Nix {
    program: String,
    state: tempfile::TempDir,
}

impl Nix {
    /// The one that `HB_NIX_ORACLE` names.
    #[allow(clippy::print_stderr, reason = "who runs the tests is told what they left out")]
    pub(crate) fn find() -> Option<Self> {
        let Ok(program) = std::env::var("HB_NIX_ORACLE") else {
            eprintln!("not compared with Nix: HB_NIX_ORACLE names none (see scripts/nix-oracle)");
            return None;
        };
        Some(Self { program, state: tempfile::tempdir().expect("a folder for Nix's state") })
    }

    fn run(&self, folder: &Path, arguments: &[&str]) -> Output {
        let store = format!("local?root={}", self.state.path().join("root").display());
        Command::new(&self.program)
            .args(["--eval", "--read-write-mode", "--store", &store])
            .args(["--extra-experimental-features", FEATURES])
            .args(arguments)
            .env_clear()
            .env("HOME", self.state.path())
            .current_dir(folder)
            .output()
            .expect("nix runs")
    }

    /// Strict evaluation of one expression; nothing if Nix refuses it.
    fn eval(&self, folder: &Path, expression: &str) -> Option<String> {
        // In parentheses, so that it is not taken for an option.
        let output = self.run(folder, &["--strict", "-E", &format!("({expression}\n)")]);
        let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        output.status.success().then_some(text)
    }

    /// Write expressions into a file, each as an attribute of the set that the file is, and
    /// read it as a program.
    pub(crate) fn write(&self, expressions: &[String]) -> Programs {
        let attributes = expressions.iter().enumerate();
        let attributes: String =
            attributes.map(|(i, expression)| format!("p{i} = {expression};\n")).collect();
        let text = format!("{{\nend = \"{END}\";\n{attributes}}}\n");
        let path = self.state.path().join("programs.nix");
        std::fs::write(&path, &text).expect("a file for Nix");
        // One text that cannot be read would hide all others.
        let output = self.run(Path::new("/"), &["--parse", &path.display().to_string()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let parsed = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        Programs { path, text, parsed, count: expressions.len() }
    }

    /// What each of the programs prints, with these options; nothing if Nix refuses it.
    pub(crate) fn eval_all(&self, programs: &Programs, options: &[&str]) -> Vec<Option<String>> {
        let file = programs.path.display().to_string();
        let names: Vec<String> = (0..programs.count).map(|i| format!("p{i}")).collect();
        let end = match options {
            ["--xml", ..] => {
                format!(
                    "<?xml version='1.0' encoding='utf-8'?>\n<expr>\n  <string value=\"{END}\" />\n</expr>\n"
                )
            }
            _ => format!("\"{END}\"\n"),
        };
        let mut values = Vec::new();
        // It stops at the first that fails: go on behind that one.
        while values.len() < names.len() {
            let mut arguments = options.to_vec();
            arguments.push(&file);
            let left = names[values.len()..].iter();
            arguments.extend(left.flat_map(|name| ["-A", name, "-A", "end"]));
            let output = self.run(Path::new("/"), &arguments);
            let printed = String::from_utf8_lossy(&output.stdout);
            let mut texts: Vec<&str> = printed.split(&end).collect();
            // What was begun of one that fails is beside the point.
            texts.pop();
            values.extend(texts.into_iter().map(|text| Some(text.to_owned())));
            if !output.status.success() {
                values.push(None);
            }
        }
        values
    }
}

#[test]
fn nix_agrees_with_every_case() {
    let Some(nix) = Nix::find() else { return };
    let mut problems = Vec::new();
    for case in all_cases().into_iter().filter(|case| case.dialect == Dialect::Nix) {
        let found = nix.eval(case.folder(), &case.expression);
        let agrees = match (&found, &case.expected) {
            (Some(printed), Expected::Value(value)) => printed == value,
            (None, Expected::Code(_)) => true,
            _ => false,
        };
        if !agrees {
            problems.push(format!("{}:{}: {found:?}", case.file.display(), case.line));
        }
    }
    assert!(problems.is_empty(), "Nix disagrees:\n{}", problems.join("\n"));
}
