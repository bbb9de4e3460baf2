//! `hb repl`: evaluate line by line.

use std::path::PathBuf;

use clap::Args;

use crate::{
    args::{ArgumentArgs, EvaluationArgs, Global},
    error::Failure,
    exit::Exit,
    repl::{self, Setting},
};

/// What `hb repl` takes.
#[derive(Debug, Args)]
pub(crate) struct ReplArgs {
    /// Files whose attributes become variables
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    arguments: ArgumentArgs,
    #[command(flatten)]
    evaluation: EvaluationArgs,
}

/// Read, evaluate, print.
pub(crate) fn run(global: &Global, args: ReplArgs) -> Result<Exit, Failure> {
    let setting = Setting {
        global: global.clone(),
        arguments: args.arguments,
        evaluation: args.evaluation,
        folder: super::current_folder()?,
    };
    repl::run(setting, &args.files)
}
