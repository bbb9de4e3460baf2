//! `hb fmt`: format files in place.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::Args;

use crate::{
    args::Global,
    error::{CliError, Failure},
    exit::Exit,
    output,
    recipe::dialect_of,
};

/// What `hb fmt` takes.
#[derive(Debug, Args)]
pub(crate) struct FmtArgs {
    /// Files, or folders whose `.hb` files are meant; `-` formats standard input
    #[arg(value_name = "FILE", default_value = ".")]
    paths: Vec<PathBuf>,
    /// Change nothing; list what would change and fail if anything would
    #[arg(long)]
    check: bool,
}

/// Format.
pub(crate) fn run(global: &Global, args: FmtArgs) -> Result<Exit, Failure> {
    if args.paths == [Path::new("-")] {
        let text = super::read_stdin()?;
        output::result_bytes(hb_lang::format(&text, hb_lang::Dialect::Hb).as_bytes());
        return Ok(Exit::Success);
    }
    let mut changed = Vec::new();
    for path in super::source_files(&args.paths)? {
        let text = super::read_text(&path)?;
        let formatted = hb_lang::format(&text, dialect_of(&path));
        if formatted != text {
            if !args.check {
                fs::write(&path, formatted)
                    .map_err(|source| CliError::Io { path: path.clone(), source })?;
            }
            changed.push(path);
        }
    }
    if !global.quiet {
        changed.iter().for_each(|path| output::result(path.display()));
    }
    Ok(if args.check && !changed.is_empty() { Exit::Evaluation } else { Exit::Success })
}
