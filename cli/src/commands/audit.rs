//! `hb audit`: rebuild under varied conditions and compare byte for byte.

use std::num::NonZeroUsize;

use clap::Args;
use hb_build::audit::{Against, AuditReport};

use super::build::HowArgs;
use crate::{
    args::{Global, RecipeArgs},
    building::Work,
    error::Failure,
    exit::Exit,
    output,
};

/// What `hb audit` takes.
#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
    #[command(flatten)]
    how: HowArgs,
    /// How many times to build
    #[arg(long, value_name = "N", default_value = "2")]
    rounds: NonZeroUsize,
    /// Compare with a published hash, of the output or of a file in it
    #[arg(long, value_name = "[FILE=]HASH")]
    against: Vec<Against>,
}

/// Audit.
pub(crate) fn run(global: &Global, args: AuditArgs) -> Result<Exit, Failure> {
    let work = Work::of_recipe(&args.recipe, args.how.layer(global))?;
    let reports = work.audit(global, &args.how, args.rounds, &args.against)?;
    if global.json {
        let reports: Vec<_> = reports.iter().map(output::audit_json).collect();
        output::json(&reports)?;
    } else {
        reports.iter().flat_map(output::audit_lines).for_each(output::result);
    }
    let identical = reports.iter().all(AuditReport::is_identical);
    Ok(if identical { Exit::Success } else { Exit::Differs })
}
