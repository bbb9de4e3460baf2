//! `hb log`: the log of the build that made a store path.

use clap::Args;

use crate::{args::Global, error::Failure, exit::Exit, output, recipe};

/// What `hb log` takes.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// A store path, its physical place, or a link to it such as `result`
    #[arg(value_name = "PATH")]
    path: String,
}

/// Print the log.
pub(crate) fn run(global: &Global, args: LogArgs) -> Result<Exit, Failure> {
    let store = recipe::open_store(&recipe::settings_here(global)?)?;
    let path = super::store_path(&store, &args.path)?;
    let Some(log) = store.logs_of(&path)?.into_iter().next() else {
        return Err(crate::error::CliError::usage(format!("there is no log of '{path}'"))
            .with_help("sources and fetched files have none, and logs go with the store's gc")
            .into());
    };
    let bytes = std::fs::read(&log)
        .map_err(|source| crate::error::CliError::Io { path: log.clone(), source })?;
    output::result_bytes(&bytes);
    Ok(Exit::Success)
}
