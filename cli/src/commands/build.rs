//! `hb build`: evaluate, build, link, and print where the outputs are.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use crate::{
    args::{Global, RecipeArgs},
    building::{BuildOutcome, Work},
    config::Layer,
    error::{CliError, Failure},
    exit::Exit,
    output,
};

/// What `hb build` takes.
#[derive(Debug, Args)]
pub(crate) struct BuildArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
    #[command(flatten)]
    how: HowArgs,
    /// Name of the link to the first output; the next get -2, -3, …
    #[arg(short, long, value_name = "LINK", default_value = "result")]
    out_link: PathBuf,
    /// Make no link
    #[arg(long)]
    no_link: bool,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Build the targets although they are in the store, and compare
    #[arg(long)]
    rebuild: bool,
}

/// How to go about building; other commands that build take these too.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct HowArgs {
    /// How many builders run at once
    #[arg(short, long, value_name = "N")]
    pub(crate) jobs: Option<NonZeroUsize>,
    /// Go on with what does not need a build that failed
    #[arg(short, long)]
    pub(crate) keep_going: bool,
    /// Keep the build folder of a build that fails
    #[arg(long)]
    pub(crate) keep_failed: bool,
    /// Print what builders write
    #[arg(long)]
    pub(crate) log: bool,
}

impl HowArgs {
    /// The settings that these options are.
    pub(crate) fn layer(&self, global: &Global) -> Layer {
        Layer {
            jobs: self.jobs.map(NonZeroUsize::get),
            keep_failed: self.keep_failed.then_some(true),
            ..global.layer()
        }
    }
}

/// Build.
pub(crate) fn run(global: &Global, args: BuildArgs) -> Result<Exit, Failure> {
    let work = Work::of_recipe(&args.recipe, args.how.layer(global))?;
    if args.dry_run {
        return dry_run(global, &work);
    }
    let outcome = work.build(global, &args.how, args.rebuild)?;
    if !args.no_link {
        for (index, (_, path)) in outcome.outputs.iter().enumerate() {
            let link = std::path::absolute(numbered(&args.out_link, index))
                .map_err(|source| CliError::Io { path: args.out_link.clone(), source })?;
            work.store.link_result(&link, path)?;
        }
    }
    print_outputs(global, &work, &outcome)
}

/// The name of the link to the output at `index`.
fn numbered(link: &Path, index: usize) -> PathBuf {
    let mut name = link.as_os_str().to_owned();
    if index > 0 {
        name.push(format!("-{}", index + 1));
    }
    name.into()
}

fn print_outputs(global: &Global, work: &Work, outcome: &BuildOutcome) -> Result<Exit, Failure> {
    if !global.json {
        for (_, path) in &outcome.outputs {
            output::result(work.store.physical(path).display());
        }
        return Ok(Exit::Success);
    }
    let mut outputs = Vec::new();
    for (target, path) in &outcome.outputs {
        let info = work.store.info(path)?;
        outputs.push(json!({
            "derivation": target.derivation.to_string(),
            "output": target.output.as_str(),
            "path": path.to_string(),
            "physical": work.store.physical(path),
            "digest": info.as_ref().map(|info| info.digest.to_string()),
            "size": info.as_ref().map(|info| info.size),
        }));
    }
    output::json(&outputs)?;
    Ok(Exit::Success)
}

fn dry_run(global: &Global, work: &Work) -> Result<Exit, Failure> {
    let forecast = work.forecast(global)?;
    let parts = [
        ("pull", "will be pulled from a cache", names(&forecast.pull)),
        ("fetch", "will be fetched", names(&forecast.fetch)),
        ("build", "will be built", names(&forecast.build)),
        ("may_pull", "may be pulled from a cache", names(&forecast.may_pull)),
        ("may_fetch", "may be fetched", names(&forecast.may_fetch)),
        ("may_build", "may be built, unless inputs come out as before", names(&forecast.may_build)),
    ];
    if global.json {
        let parts = parts.into_iter().map(|(key, _, names)| (key.to_owned(), json!(names)));
        output::json(&serde_json::Value::Object(parts.collect()))?;
        return Ok(Exit::Success);
    }
    let parts: Vec<_> = parts.iter().filter(|(_, _, names)| !names.is_empty()).collect();
    if parts.is_empty() {
        output::result("nothing to do: everything is in the store");
    }
    for (_, what, names) in parts {
        // At once: each line by itself is a call of the system's.
        let lines = names.iter().flat_map(|name| ["\n  ", name]);
        output::result(format!("{} {what}:{}", names.len(), String::from_iter(lines)));
    }
    Ok(Exit::Success)
}

fn names(steps: &[hb_build::Forecasted]) -> Vec<&str> {
    steps.iter().map(|step| step.name.as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_numbered_from_the_second_on() {
        let link = Path::new("a/result");
        assert_eq!(numbered(link, 0), Path::new("a/result"));
        assert_eq!(numbered(link, 1), Path::new("a/result-2"));
    }
}
