//! `hb parse`: how a file is understood.

use std::path::{Path, PathBuf};

use clap::Args;
use hb_lang::{Diagnostic, Dialect, Severity, print::Places};

use crate::{
    error::{CliError, Failure},
    exit::Exit,
    output,
    recipe::{Session, dialect_of},
};

/// What `hb parse` takes.
#[derive(Debug, Args)]
pub(crate) struct ParseArgs {
    /// A file, or `-` for standard input
    #[arg(value_name = "FILE")]
    path: PathBuf,
    /// Print the lossless syntax tree instead
    #[arg(long)]
    tree: bool,
}

/// Parse and print.
pub(crate) fn run(args: ParseArgs) -> Result<Exit, Failure> {
    let stdin = args.path.as_os_str() == "-";
    let (text, dialect) = match stdin {
        true => (super::read_stdin()?, Dialect::Nix),
        false => (super::read_text(&args.path)?, dialect_of(&args.path)),
    };
    let name = if stdin { "«stdin»".to_owned() } else { args.path.display().to_string() };
    let problems = if args.tree {
        let parse = hb_lang::parse_tree(&text, dialect);
        output::result(format!("{:#?}", parse.root()).trim_end());
        parse.problems
    } else {
        let program = hb_lang::parse_program(&text, dialect);
        let mut problems = program.problems;
        if !problems.iter().any(is_error) {
            // As Nix has it, a name that nothing binds is an error of parsing too.
            problems.extend(Session::bare()?.evaluator().errors(&text, dialect));
        }
        if !problems.iter().any(is_error) {
            // Standard input is as a file here.
            let file = std::path::absolute(&args.path)
                .map_err(|source| CliError::Io { path: args.path.clone(), source })?;
            let base = file.parent().unwrap_or(Path::new("/"));
            let home = etcetera::home_dir().unwrap_or_else(|_| "/".into());
            let places = Places { base, home: &home };
            output::result(hb_lang::print::print(&program.ast, places));
        }
        problems
    };
    let failed = problems.iter().any(is_error);
    output::reports(&output::diagnostics(&name, &text, &problems));
    Ok(if failed { Exit::Evaluation } else { Exit::Success })
}

fn is_error(problem: &Diagnostic) -> bool {
    problem.severity == Severity::Error
}
