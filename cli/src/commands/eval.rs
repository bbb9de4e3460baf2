//! `hb eval`: print a value, to the byte as Nix prints it.

use std::path::{Path, PathBuf};

use clap::Args;
use hb_evaluator::Printing;

use crate::{
    args::{ArgumentArgs, Global, PurityArgs},
    error::{CliError, Failure},
    exit::Exit,
    output,
    project::Project,
    recipe::{Recipe, Session, settings_here},
};

/// What `hb eval` takes.
#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// A file, and which of its attributes; `-` reads standard input
    #[arg(value_name = "FILE[#ATTR]", required_unless_present = "expr")]
    recipe: Option<String>,
    /// An expression instead of a file
    #[arg(short = 'E', long, value_name = "EXPR", conflicts_with = "recipe")]
    expr: Option<String>,
    /// Select an attribute
    #[arg(short = 'A', long, value_name = "ATTR", default_value = "")]
    attribute: String,
    /// Evaluate all of the value
    #[arg(long)]
    strict: bool,
    /// Print a string as it is
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Show every step of how evaluation came to an error
    #[arg(long)]
    show_trace: bool,
    #[command(flatten)]
    arguments: ArgumentArgs,
    #[command(flatten)]
    purity: PurityArgs,
}

/// Evaluate and print.
pub(crate) fn run(global: &Global, args: EvalArgs) -> Result<Exit, Failure> {
    let attribute: Vec<_> =
        args.attribute.split('.').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let text = match (&args.expr, args.recipe.as_deref()) {
        (Some(expression), _) => Some(expression.clone()),
        (None, Some("-")) => Some(super::read_stdin()?),
        _ => None,
    };
    let (mut session, value) = match (text, &args.recipe) {
        (Some(text), _) => {
            let folder = super::current_folder()?;
            let project = Project::find(&folder)?;
            let store = settings_here(global)?.store;
            let mut session = begin(project.as_ref(), &folder, &args, store)?;
            let value = session.eval_text(&text, &folder)?;
            let value = session.apply_and_select(value, &attribute)?;
            (session, value)
        }
        (None, Some(name)) => {
            let recipe = Recipe::find(name, global.layer())?;
            let folder = recipe.name.folder();
            let mut session =
                begin(recipe.project.as_ref(), &folder, &args, recipe.settings.store.clone())?;
            let value = session.eval_recipe(&recipe.name)?;
            let value = session.apply_and_select(value, &attribute)?;
            (session, value)
        }
        (None, None) => return Err(CliError::usage("a file or an expression is needed").into()),
    };
    let printed = if args.raw {
        session.evaluator().raw(value)
    } else if global.json {
        session.evaluator().json(value)
    } else {
        let how = if args.strict { Printing::Strict } else { Printing::AsIs };
        session.evaluator().print(value, how)
    };
    let mut printed = session.reported(printed)?;
    if !args.raw {
        printed.push(b'\n');
    }
    output::result_bytes(&printed);
    Ok(Exit::Success)
}

fn begin(
    project: Option<&Project>,
    folder: &Path,
    args: &EvalArgs,
    store: PathBuf,
) -> Result<Session, Failure> {
    let mut session = Session::new(project, folder, &args.arguments, args.purity, store.into())?;
    if args.show_trace {
        session.show_trace();
    }
    Ok(session)
}
