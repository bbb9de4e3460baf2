//! How diagnostics look.

use std::fmt;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, ReportHandler};

/// miette's graphical look, but with no bar before the further lines of a report's own message:
/// what a library says in several lines can be searched for and copied as it was written.
pub(super) struct Handler(GraphicalReportHandler);

impl Handler {
    pub(super) fn new(colour: bool) -> Self {
        let theme = match colour {
            true => GraphicalTheme::unicode(),
            false => GraphicalTheme::unicode_nocolor(),
        };
        Self(
            GraphicalReportHandler::new_themed(theme)
                .with_links(false)
                .with_context_lines(1)
                // A path that is broken into lines can't be copied.
                .with_wrap_lines(false),
        )
    }
}

impl ReportHandler for Handler {
    fn debug(&self, diagnostic: &dyn Diagnostic, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut report = String::new();
        self.0.render_report(&mut report, diagnostic)?;
        let message = diagnostic.to_string();
        // The code stands before it, at the beginning of a line.
        let first = report.lines().position(|line| line.starts_with("  "));
        let further = first.map_or(0..0, |first| first + 1..first + message.lines().count());
        for (number, line) in report.split_inclusive('\n').enumerate() {
            match further.contains(&number) {
                true => {
                    let line = line.replacen('│', " ", 1);
                    f.write_str(if line.trim().is_empty() { "\n" } else { &line })?;
                }
                false => f.write_str(line)?,
            }
        }
        Ok(())
    }
}
