//! `hb fetch`: everything that a recipe fetches, and nothing built.

use clap::Args;

use crate::{
    args::{Global, RecipeArgs},
    building::Work,
    error::Failure,
    exit::Exit,
    output,
};

/// What `hb fetch` takes.
#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
}

/// Fetch.
pub(crate) fn run(global: &Global, args: FetchArgs) -> Result<Exit, Failure> {
    let work = Work::of_recipe(&args.recipe, global.layer())?;
    let fetched = work.fetch_all(global)?;
    if global.json {
        let paths: Vec<_> = fetched.iter().map(|path| path.to_string()).collect();
        output::json(&paths)?;
    } else {
        fetched.iter().for_each(|path| output::result(work.store.physical(path).display()));
        if !global.quiet {
            output::note(format!("{} files are in the store", fetched.len()));
        }
    }
    Ok(Exit::Success)
}
