//! `hb eval`: print a value, to the byte as Nix prints it.

use std::path::Path;

use clap::Args;
use hb_evaluator::{Held, Options, Printing, Type};
use hb_lang::{Dialect, LiteralRules, Severity};
use hb_model::nix::StoreDir;

use crate::{
    args::{ArgumentArgs, EvaluationArgs, Global},
    config::Settings,
    error::{CliError, Failure},
    exit::Exit,
    output,
    project::Project,
    recipe::{Evaluation, Recipe, Session, attribute_path, dialect_of, settings_here},
    search_path,
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
    #[arg(long, overrides_with = "strict")]
    strict: bool,
    /// Print a string as it is
    #[arg(long, conflicts_with_all = ["json", "xml"], overrides_with = "raw")]
    raw: bool,
    /// Print the value as XML, with the places of its parts
    #[arg(long, conflicts_with = "json", overrides_with = "xml")]
    xml: bool,
    /// Leave the places out of XML
    #[arg(long, requires = "xml", overrides_with = "no_location")]
    no_location: bool,
    /// Where `<…>` looks, before NIX_PATH, which is heeded with --impure
    #[arg(short = 'I', long, value_name = "[PREFIX=]PATH")]
    include: Vec<String>,
    /// Make the derivations and store paths that Nix would make, instead of hb's
    #[arg(long, overrides_with = "nix_paths")]
    nix_paths: bool,
    /// How many calls may wait for each other
    #[arg(long, value_name = "N")]
    max_call_depth: Option<usize>,
    /// Let a warning end the evaluation; so does NIX_ABORT_ON_WARN=1, which is heeded with --impure
    #[arg(long, overrides_with = "abort_on_warn")]
    abort_on_warn: bool,
    /// Show the messages of `traceVerbose`
    #[arg(long, overrides_with = "trace_verbose")]
    trace_verbose: bool,
    /// Features of Nix to turn on: `parse-toml-timestamps` is heeded; hb has the others, or not
    #[arg(long, value_name = "NAMES")]
    extra_experimental_features: Vec<String>,
    /// What `nix-instantiate` must be told, for those who write it here as well
    #[arg(long = "eval", id = "eval", overrides_with = "eval", hide = true)]
    _eval: bool,
    #[command(flatten)]
    literals: LiteralArgs,
    #[command(flatten)]
    arguments: ArgumentArgs,
    #[command(flatten)]
    evaluation: EvaluationArgs,
}

/// Literals that recipes can do without, as Nix's options of these names have it.
#[derive(Clone, Copy, Debug, Args)]
struct LiteralArgs {
    /// What to make of addresses without quotes
    #[arg(long, value_name = "LEVEL", default_value = "ignore")]
    lint_url_literals: Level,
    /// What to make of paths that begin with `/` or `~`
    #[arg(long, value_name = "LEVEL", default_value = "ignore")]
    lint_absolute_path_literals: Level,
    /// What to make of paths such as `a/b`
    #[arg(long, value_name = "LEVEL", default_value = "ignore")]
    lint_short_path_literals: Level,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Level {
    Ignore,
    Warn,
    Fatal,
}

impl Level {
    fn severity(self) -> Option<Severity> {
        match self {
            Self::Ignore => None,
            Self::Warn => Some(Severity::Warning),
            Self::Fatal => Some(Severity::Error),
        }
    }
}

/// Evaluate and print.
pub(crate) fn run(global: &Global, args: EvalArgs) -> Result<Exit, Failure> {
    let text = match (&args.expr, args.recipe.as_deref()) {
        (Some(expression), _) => Some(expression.clone()),
        (None, Some("-")) => Some(super::read_stdin()?),
        _ => None,
    };
    let (mut session, mut value) = eval(global, &args, text.as_deref(), false)?;
    let may_show_delays = !(args.strict || args.raw || global.json);
    if may_show_delays && session.evaluator().force(value).is_ok_and(Type::has_parts) {
        // What of it is evaluated shows: once more, with every delay that Nix makes.
        (session, value) = eval(global, &args, text.as_deref(), true)?;
    }
    let how = if args.strict { Printing::Strict } else { Printing::AsIs };
    let evaluator = session.evaluator();
    let (printed, end) = if args.raw {
        (evaluator.raw(value), "")
    } else if args.xml {
        (evaluator.xml(value, how, !args.no_location), "")
    } else if global.json {
        (evaluator.json(value), "\n")
    } else {
        (evaluator.print(value, how), "\n")
    };
    let mut printed = session.reported(printed)?;
    printed.extend_from_slice(end.as_bytes());
    output::result_bytes(&printed);
    Ok(Exit::Success)
}

/// The value that is meant, in a session of its own.
fn eval(
    global: &Global,
    args: &EvalArgs,
    text: Option<&str>,
    again: bool,
) -> Result<(Session, Held), Failure> {
    let (mut session, value) = match (text, &args.recipe) {
        (Some(text), _) => eval_text(global, args, text, again)?,
        (None, Some(name)) => eval_recipe(global, args, name, again)?,
        (None, None) => return Err(CliError::usage("a file or an expression is needed").into()),
    };
    let value = session.select(value, &attribute_path(&args.attribute))?;
    // Nix leaves a function alone that is given nothing.
    match args.arguments.arg.is_empty() && args.arguments.argstr.is_empty() {
        true => Ok((session, value)),
        false => session.apply(value).map(|value| (session, value)),
    }
}

fn eval_text(
    global: &Global,
    args: &EvalArgs,
    text: &str,
    again: bool,
) -> Result<(Session, Held), Failure> {
    let folder = super::current_folder()?;
    let project = Project::find(&folder)?;
    let settings = settings_here(global)?;
    let mut session = begin(project.as_ref(), &folder, args, &settings, again)?;
    let value = session.eval_text(text, &folder)?;
    Ok((session, value))
}

fn eval_recipe(
    global: &Global,
    args: &EvalArgs,
    name: &str,
    again: bool,
) -> Result<(Session, Held), Failure> {
    let recipe = Recipe::find(name, global.layer())?;
    let folder = recipe.name.folder();
    let mut session = begin(recipe.project.as_ref(), &folder, args, &recipe.settings, again)?;
    let mut value = session.eval_file(&recipe.name.file)?;
    if dialect_of(&recipe.name.file) == Dialect::Hb {
        value = session.apply(value)?;
    }
    let value = session.select(value, &recipe.name.attribute)?;
    Ok((session, value))
}

/// Whether a variable turns something on, as Nix reads it.
fn turns_on(variable: Option<String>) -> bool {
    matches!(variable.as_deref(), Some("1" | "true" | "yes"))
}

fn begin(
    project: Option<&Project>,
    folder: &Path,
    args: &EvalArgs,
    settings: &Settings,
    again: bool,
) -> Result<Session, Failure> {
    let here = super::current_folder()?;
    let mut search_path = search_path::given(&args.include, &here)?;
    let variable = |name| std::env::var(name).ok().filter(|_| args.evaluation.impure);
    if let Some(more) = variable("NIX_PATH") {
        search_path.extend(search_path::from_environment(&more, &here));
    }
    let mut features = args.extra_experimental_features.iter().flat_map(|list| list.split(' '));
    let mut options = Options {
        abort_on_warn: args.abort_on_warn || turns_on(variable("NIX_ABORT_ON_WARN")),
        trace_verbose: args.trace_verbose,
        toml_timestamps: features.any(|feature| feature == "parse-toml-timestamps"),
        literals: LiteralRules {
            url: args.literals.lint_url_literals.severity(),
            absolute_path: args.literals.lint_absolute_path_literals.severity(),
            short_path: args.literals.lint_short_path_literals.severity(),
        },
        delay_as_nix: again,
        ..Options::default()
    };
    if args.nix_paths {
        let store = variable("NIX_STORE_DIR");
        options.nix_paths = Some(store.map_or_else(StoreDir::default, |dir| StoreDir::new(&dir)));
    }
    if let Some(depth) = args.max_call_depth {
        options.max_call_depth = depth;
    }
    let compiled = settings.compiled.clone();
    let how = Evaluation { options, search_path, silent: again, compiled };
    let store = settings.into();
    Session::with(project, folder, &args.arguments, args.evaluation, store, how)
}
