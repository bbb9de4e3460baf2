//! The network that this machine is in, as the settings and the environment describe it.

use std::path::PathBuf;

use hb_cache::{Network, NetworkError};

use crate::error::CliError;

/// The authorities in some files, and the proxies that the variables `http_proxy`,
/// `https_proxy`, `all_proxy` and `no_proxy` name, in lower case or else in upper case.
pub(crate) fn network(
    authorities: &[PathBuf],
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Network, CliError> {
    let mut network = Network::default();
    for path in authorities {
        let text =
            std::fs::read(path).map_err(|source| CliError::Io { path: path.clone(), source })?;
        network = network.with_authorities(&text).map_err(|error| {
            CliError::usage(format!("the setting `certificates`: {}: {error}", path.display()))
        })?;
    }
    let set = |name: &str| {
        let names = [name.to_owned(), name.to_ascii_uppercase()];
        let values = names.into_iter().filter_map(|name| Some((variable(&name)?, name)));
        values.into_iter().find(|(value, _)| !value.is_empty())
    };
    let proxy = |name: &str| set(name).or_else(|| set("all_proxy"));
    let refused = |name: String| {
        move |error: NetworkError| CliError::usage(format!("the variable {name}: {error}"))
    };
    if let Some((address, name)) = proxy("http_proxy") {
        network = network.with_http_proxy(&address).map_err(refused(name))?;
    }
    if let Some((address, name)) = proxy("https_proxy") {
        network = network.with_https_proxy(&address).map_err(refused(name))?;
    }
    match set("no_proxy") {
        Some((hosts, _)) => Ok(network.without_proxy(&hosts)),
        None => Ok(network),
    }
}
