//! The only module that prints. Results go to standard output, all else to standard
//! error; colour follows the terminal and `NO_COLOR`.

mod audit;
mod bar;
mod derivation;
mod diagnostic;
mod finding;
mod progress;
mod report;
mod tree;

use std::io::{IsTerminal as _, Write as _};

pub(crate) use audit::{audit_json, audit_lines};
pub(crate) use bar::Bar;
pub(crate) use derivation::{StoredDerivation, derivation_json, derivation_lines};
pub(crate) use diagnostic::{count_line, diagnostics};
pub(crate) use finding::finding;
pub(crate) use progress::Progress;
pub(crate) use tree::tree;

use crate::{error::Failure, exit::Exit};

/// Decide once how diagnostics look.
pub(crate) fn set_up() {
    let colour = colour_wanted();
    let set = miette::set_hook(Box::new(move |_| Box::new(report::Handler::new(colour))));
    debug_assert!(set.is_ok(), "the hook is set once");
}

/// Whether standard error takes colour.
pub(crate) fn colour_wanted() -> bool {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !plain && std::io::stderr().is_terminal()
}

/// A line of results. A reader that has gone away ends the program quietly.
pub(crate) fn result(line: impl std::fmt::Display) {
    result_bytes(format!("{line}\n").as_bytes());
}

/// Results as they are.
pub(crate) fn result_bytes(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    if out.write_all(bytes).and_then(|()| out.flush()).is_err() {
        std::process::exit(Exit::Success as i32);
    }
}

/// A result as JSON, indented.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::plain(Exit::Usage, "usage.input", &error, None))?;
    result(text);
    Ok(())
}

/// A line that is not a result.
pub(crate) fn note(line: impl std::fmt::Display) {
    // Nothing can be done where even standard error is gone.
    let _ = writeln!(anstream::stderr(), "{line}");
}

/// Show some problems.
pub(crate) fn reports(reports: &[miette::Report]) {
    for report in reports {
        note(format!("{report:?}").trim_end());
    }
}

/// Show a failure; gives the code to end with.
pub(crate) fn failure(failure: &Failure) -> Exit {
    reports(&failure.reports);
    failure.exit
}

/// Bytes in the unit that reads best.
pub(crate) fn bytes(count: u64) -> String {
    indicatif::HumanBytes(count).to_string()
}
