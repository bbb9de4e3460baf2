//! `hb shell`: a shell that finds the pinned tools.

use std::process::ExitCode;

use clap::Args;

use super::run::with_tools;
use crate::{
    args::{Global, PurityArgs},
    error::Failure,
};

/// What `hb shell` takes.
#[derive(Debug, Args)]
pub(crate) struct ShellArgs {
    #[command(flatten)]
    purity: PurityArgs,
}

/// Open a shell; ends as the shell does.
pub(crate) fn run(global: &Global, args: ShellArgs) -> Result<ExitCode, Failure> {
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
    with_tools(global, args.purity, vec![shell.unwrap_or_else(|| "/bin/sh".into())])
}
