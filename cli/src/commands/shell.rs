//! `hb shell`: a shell that finds the pinned tools, or one inside a build's sandbox.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

use super::run::{execute, with_tools};
use crate::{
    args::{ArgumentArgs, EvaluationArgs, Global, RecipeArgs},
    building::Work,
    error::{CliError, Failure},
};

/// What `hb shell` takes.
#[derive(Debug, Args)]
pub(crate) struct ShellArgs {
    /// Look into the sandbox of this build instead of using the pinned tools
    #[arg(value_name = "FILE[#ATTR]")]
    recipe: Option<String>,
    /// The folder that a failed build of it left (see --keep-failed)
    #[arg(long, value_name = "DIR", requires = "recipe")]
    kept: Option<PathBuf>,
    #[command(flatten)]
    arguments: ArgumentArgs,
    #[command(flatten)]
    evaluation: EvaluationArgs,
}

/// Open a shell; ends as the shell does.
pub(crate) fn run(global: &Global, args: ShellArgs) -> Result<ExitCode, Failure> {
    let Some(name) = args.recipe else {
        let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
        return with_tools(
            global,
            args.evaluation,
            vec![shell.unwrap_or_else(|| "/bin/sh".into())],
        );
    };
    let recipe =
        RecipeArgs { recipe: name.clone(), arguments: args.arguments, evaluation: args.evaluation };
    let work = Work::of_recipe(&recipe, global.layer())?;
    match work.look_inside(global, args.kept.as_deref())? {
        Some(inside) => execute(&work.settings, inside.spec.clone()),
        None => {
            Err(CliError::usage(format!("hb carries '{name}' out by itself, without a sandbox"))
                .into())
        }
    }
}
