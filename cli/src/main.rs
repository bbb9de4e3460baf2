//! The `hb` command: joins evaluation to building, and is the only one that prints.

mod args;
mod building;
mod commands;
mod config;
mod credentials;
mod error;
mod exit;
mod network;
mod output;
mod project;
mod recipe;
mod repl;
mod search_path;
mod world;

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    // As the process that starts sandboxes, this program goes no further.
    hb_sandbox::Reentry::point();
    let cli = args::Cli::parse();
    output::set_up();
    commands::run(cli).unwrap_or_else(|failure| output::failure(&failure).into())
}
