//! The command line as data: one variant per command, each command's own arguments
//! in its file under `commands/`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::{
    commands,
    config::{Layer, SandboxMaker},
};

/// Build, pin and audit, with nothing but what is named.
#[derive(Debug, Parser)]
#[command(name = "hb", version, about, max_term_width = 100, subcommand_required = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Global {
    /// The folder that holds the store
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) store: Option<PathBuf>,
    /// A store that is only read, and what it has used in its place; may be given again
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) lower_store: Vec<PathBuf>,
    /// Never fetch; what is missing is an error that lists all of it
    #[arg(long, global = true, overrides_with = "offline")]
    pub(crate) offline: bool,
    /// Who makes sandboxes
    #[arg(long, global = true, value_name = "MAKER")]
    pub(crate) sandbox: Option<SandboxMaker>,
    /// Print results as JSON
    #[arg(long, global = true, overrides_with = "json")]
    pub(crate) json: bool,
    /// Say nothing but results and errors
    #[arg(short, long, global = true, overrides_with = "quiet")]
    pub(crate) quiet: bool,
}

impl Global {
    /// What these options say as a layer of settings.
    pub(crate) fn layer(&self) -> Layer {
        Layer {
            store: self.store.clone(),
            lower_stores: Some(self.lower_store.clone()).filter(|stores| !stores.is_empty()),
            offline: self.offline.then_some(true),
            sandbox: self.sandbox,
            ..Layer::default()
        }
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(crate) enum Command {
    /// Build a recipe's outputs and link them as `result`
    Build(commands::build::BuildArgs),
    /// Bring everything that a recipe fetches into the store
    Fetch(commands::fetch::FetchArgs),
    /// Rebuild under varied conditions and compare byte for byte
    Audit(commands::audit::AuditArgs),
    /// Evaluate line by line
    Repl(commands::repl::ReplArgs),
    /// Run a recipe's tests
    Test(commands::test::TestArgs),
    /// Evaluate a recipe or an expression and print the value
    Eval(commands::eval::EvalArgs),
    /// Print the reference of the builtins, or of a library
    Doc(commands::doc::DocArgs),
    /// Report every problem of some files
    Check(commands::check::CheckArgs),
    /// Format files
    Fmt(commands::fmt::FmtArgs),
    /// Print a file's parsed form
    Parse(commands::parse::ParseArgs),
    /// Show the derivations that a recipe consists of
    Graph(commands::graph::GraphArgs),
    /// Show how one derivation comes to need another
    Why(commands::why::WhyArgs),
    /// Pin a tool's version for this project
    Pin(commands::pin::PinArgs),
    /// Bring the lock file up to date with `hb.toml`
    Update(commands::update::UpdateArgs),
    /// Run a pinned tool
    Run(commands::run::RunArgs),
    /// Open a shell with the pinned tools
    Shell(commands::shell::ShellArgs),
    /// Show a build's log
    Log(commands::log::LogArgs),
    /// Look into the store and tidy it
    Store(commands::store::StoreArgs),
    /// Share what is built by way of binary caches
    Cache(commands::cache::CacheArgs),
    /// Make, show and trust the keys by which builds are signed
    Key(commands::key::KeyArgs),
    /// Say what a diagnostic's code means, and the way out
    Explain(commands::explain::ExplainArgs),
    /// Say what this machine lacks and how to mend it
    Doctor(commands::doctor::DoctorArgs),
}

/// Which recipe, and what it is given.
#[derive(Clone, Debug, Args)]
pub(crate) struct RecipeArgs {
    /// A recipe, and which of its attributes: FILE or FILE#a.b
    #[arg(value_name = "FILE[#ATTR]")]
    pub(crate) recipe: String,
    #[command(flatten)]
    pub(crate) arguments: ArgumentArgs,
    #[command(flatten)]
    pub(crate) evaluation: EvaluationArgs,
}

/// Arguments for a recipe that is a function.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ArgumentArgs {
    /// Give a recipe's argument, as an expression
    #[arg(long, num_args = 2, value_names = ["NAME", "EXPR"], action = clap::ArgAction::Append)]
    pub(crate) arg: Vec<String>,
    /// Give a recipe's argument, as a string
    #[arg(long, num_args = 2, value_names = ["NAME", "TEXT"], action = clap::ArgAction::Append)]
    pub(crate) argstr: Vec<String>,
    /// The system to build on, such as x86_64-linux
    #[arg(long, value_name = "SYSTEM")]
    pub(crate) system: Option<String>,
}

/// What evaluation may reach, and how much it says.
#[derive(Clone, Copy, Debug, Default, Args)]
pub(crate) struct EvaluationArgs {
    /// Let the recipe read outside its project
    #[arg(long, overrides_with = "impure")]
    pub(crate) impure: bool,
    /// Refuse every fetch that the lock file does not list
    #[arg(long, overrides_with = "locked")]
    pub(crate) locked: bool,
    /// Show every step of how evaluation came to an error
    #[arg(long, overrides_with_all = ["show_trace", "no_show_trace"])]
    pub(crate) show_trace: bool,
    /// Count the steps in libraries, whatever was said before
    #[arg(long = "no-show-trace", id = "no_show_trace", hide = true)]
    #[arg(overrides_with_all = ["show_trace", "no_show_trace"])]
    pub(crate) _no_show_trace: bool,
}
