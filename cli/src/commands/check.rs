//! `hb check`: all problems of some files, in one run.

use std::path::PathBuf;

use clap::Args;
use hb_lang::Severity;

use crate::{
    args::Global,
    error::Failure,
    exit::Exit,
    output,
    recipe::{Session, dialect_of},
};

/// What `hb check` takes.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Files, or folders whose `.hb` files are meant
    #[arg(value_name = "FILE", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Apply the fixes that leave no choice
    #[arg(long)]
    fix: bool,
}

/// Check.
pub(crate) fn run(global: &Global, args: CheckArgs) -> Result<Exit, Failure> {
    let mut all = Vec::new();
    let mut checker = Session::bare()?;
    for path in super::source_files(&args.paths)? {
        let mut text = super::read_text(&path)?;
        let dialect = dialect_of(&path);
        if args.fix {
            let fixed = apply_fixes(&text, checker.evaluator().check(&text, dialect));
            if fixed != text {
                std::fs::write(&path, &fixed)
                    .map_err(|source| crate::error::CliError::Io { path: path.clone(), source })?;
                text = fixed;
            }
        }
        let problems = checker.evaluator().check(&text, dialect);
        output::reports(&output::diagnostics(&path.display().to_string(), &text, &problems));
        all.extend(problems);
    }
    if !all.is_empty() && !global.quiet {
        output::note(output::count_line(&all));
    }
    let failed = all.iter().any(|problem| problem.severity == Severity::Error);
    Ok(if failed { Exit::Evaluation } else { Exit::Success })
}

/// The text with every fix made that no other overlaps.
fn apply_fixes(text: &str, problems: Vec<hb_lang::Diagnostic>) -> String {
    let mut fixes: Vec<_> = problems.into_iter().filter_map(|problem| problem.fix).collect();
    fixes.sort_by_key(|fix| fix.span);
    let mut fixed = String::with_capacity(text.len());
    let mut end = 0;
    for fix in fixes {
        let range = std::ops::Range::<usize>::from(fix.span);
        if range.start >= end {
            fixed.push_str(&text[end..range.start]);
            fixed.push_str(&fix.replacement);
            end = range.end;
        }
    }
    fixed.push_str(&text[end..]);
    fixed
}

#[cfg(test)]
mod tests {
    use hb_lang::{Diagnostic, Fix, Span};

    use super::*;

    #[test]
    fn fixes_that_overlap_are_made_once() {
        let problem = |start, end, replacement: &str| Diagnostic {
            fix: Some(Fix { span: Span::new(start, end), replacement: replacement.into() }),
            ..Diagnostic::warning("lint.test", "", Span::new(start, end))
        };
        let problems = vec![problem(4, 5, "Z"), problem(0, 3, "X"), problem(2, 4, "Y")];
        assert_eq!(apply_fixes("abcdef", problems), "XdZf");
    }
}
