//! `hb why`: how one thing in a recipe comes to need another.

use clap::Args;
use hb_build::NodeKey;

use crate::{
    args::{Global, RecipeArgs},
    building::Work,
    error::{CliError, Failure},
    exit::Exit,
    output,
    recipe::Recipe,
};

/// What `hb why` takes.
#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// What is needed: a derivation's name or id, a source's path, or an attribute of
    /// the same recipe, as #a.b
    #[arg(value_name = "NEEDED")]
    needed: String,
    /// Every way, not just the shortest
    #[arg(long)]
    all: bool,
}

/// Show the way from the recipe's attribute to what it needs.
pub(crate) fn run(global: &Global, args: WhyArgs) -> Result<Exit, Failure> {
    let work = Work::of_recipe(&args.recipe, global.layer())?;
    let needed = match args.needed.strip_prefix('#') {
        Some(attribute) => {
            let file = args.recipe.recipe.split('#').next().unwrap_or_default();
            let other = RecipeArgs { recipe: format!("{file}#{attribute}"), ..args.recipe.clone() };
            let evaluated =
                Recipe::find(&other.recipe, global.layer())?.evaluate(&other, &work.store)?;
            evaluated.targets.into_iter().map(|(id, _)| NodeKey::Derivation(id)).collect()
        }
        None => work.graph.find(&args.needed),
    };
    if needed.is_empty() {
        return Err(CliError::usage(format!("nothing here is called '{}'", args.needed))
            .with_help("`hb graph` lists what there is")
            .into());
    }
    let graph = work.graph.data();
    let mut found = false;
    for target in work.graph.targets() {
        let from = NodeKey::Derivation(target.derivation);
        for needed in &needed {
            if args.all || global.json {
                let way = work.graph.between(&from, needed);
                found |= !way.nodes.is_empty();
                match global.json {
                    true => output::json(&way)?,
                    false => output::tree(&way).iter().for_each(output::result),
                }
            } else if let Some(way) = work.graph.why(&target.derivation, needed) {
                found = true;
                let names: Vec<_> = way
                    .iter()
                    .map(|key| graph.nodes.get(key).map_or("?", |node| node.name.as_str()))
                    .collect();
                output::result(names.join("\n  needs "));
            }
        }
    }
    if !found {
        output::note(format!("it does not need '{}'", args.needed));
    }
    Ok(if found { Exit::Success } else { Exit::Evaluation })
}
