//! `hb fetch`: everything that a recipe fetches, and nothing built.

use clap::Args;

use crate::{
    args::{Global, RecipeArgs},
    building,
    error::Failure,
    exit::Exit,
    output,
    recipe::Recipe,
};

/// What `hb fetch` takes.
#[derive(Debug, Args)]
pub(crate) struct FetchArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
}

/// Fetch.
pub(crate) fn run(global: &Global, args: FetchArgs) -> Result<Exit, Failure> {
    let recipe = Recipe::find(&args.recipe.recipe, global.layer())?;
    let store = recipe.open_store()?;
    let evaluated = recipe.evaluate(&args.recipe, &store)?;
    let work = building::Work::new(&recipe.settings, store, evaluated)?;
    let fetched = work.fetch_all(global)?;
    if global.json {
        let paths: Vec<_> = fetched.iter().map(|path| path.to_string()).collect();
        output::json(&paths)?;
    } else {
        output::result(format!("{} files are in the store", fetched.len()));
    }
    Ok(Exit::Success)
}
