//! `hb graph`: what a recipe consists of.

use clap::{Args, ValueEnum};
use hb_build::{GraphData, NodeKey};

use crate::{
    args::{Global, RecipeArgs},
    building::Work,
    error::Failure,
    exit::Exit,
    output,
};

/// What `hb graph` takes.
#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
    /// How to show it
    #[arg(long, value_enum, default_value_t = Format::Tree)]
    format: Format,
}

/// The forms of a graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Indented text
    Tree,
    /// For Graphviz
    Dot,
    /// For programs
    Json,
}

/// Show the graph.
pub(crate) fn run(global: &Global, args: GraphArgs) -> Result<Exit, Failure> {
    let work = Work::of_recipe(&args.recipe, global.layer())?;
    show(&work.graph.data(), if global.json { Format::Json } else { args.format })?;
    Ok(Exit::Success)
}

fn show(graph: &GraphData, format: Format) -> Result<(), Failure> {
    match format {
        Format::Tree => output::tree(graph).iter().for_each(output::result),
        Format::Dot => dot(graph).iter().for_each(output::result),
        Format::Json => output::json(graph)?,
    }
    Ok(())
}

/// The lines of a Graphviz file; an arrow leads from what needs to what is needed.
fn dot(graph: &GraphData) -> Vec<String> {
    let id = |key: &NodeKey| format!("{:?}", key.to_string());
    let mut lines = vec!["digraph recipe {".to_owned()];
    for (key, node) in &graph.nodes {
        let shape = match node.kind {
            "source" => "note",
            "fetch" => "cds",
            _ => "box",
        };
        lines.push(format!("  {} [label={:?}, shape={shape}];", id(key), node.name));
    }
    for edge in &graph.edges {
        lines.push(format!("  {} -> {};", id(&edge.from), id(&edge.to)));
    }
    lines.push("}".to_owned());
    lines
}
