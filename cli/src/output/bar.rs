//! How far one piece of work is: a bar at a terminal, nothing otherwise. It is gone when
//! dropped.

use std::{
    io::{IsTerminal as _, Read, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How often what moves by itself is drawn anew, for its clock.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// Whether what goes on can be shown as it does.
pub(crate) fn is_live(quiet: bool) -> bool {
    !quiet && std::io::stderr().is_terminal()
}

/// Where that is drawn: at the terminal, or nowhere.
pub(super) fn target(live: bool) -> ProgressDrawTarget {
    match live {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    }
}

/// A line as `template` has it.
pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

/// Bytes of which it is known how many there will be.
pub(super) fn transfer_style() -> ProgressStyle {
    style(TRANSFER)
}

const TRANSFER: &str =
    "{spinner} {prefix} {msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
const ENDLESS: &str = "{spinner} {prefix} {msg} {bytes} {bytes_per_sec} {elapsed}";
const COUNT: &str = "{spinner} {prefix} {wide_bar} {human_pos}/{human_len} {eta}";

/// See the module's head.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// Bytes; how many there will be may be unknown.
    pub(crate) fn of_bytes(quiet: bool, verb: &'static str, total: Option<u64>) -> Self {
        match total {
            Some(_) => Self::new(quiet, verb, total, TRANSFER),
            None => Self::new(quiet, verb, total, ENDLESS),
        }
    }

    /// Things that are counted, as many as [`Bar::set`] will say.
    pub(crate) fn of_things(quiet: bool, verb: &'static str) -> Self {
        Self::new(quiet, verb, Some(0), COUNT)
    }

    fn new(quiet: bool, verb: &'static str, total: Option<u64>, template: &str) -> Self {
        let live = is_live(quiet);
        let bar = ProgressBar::with_draw_target(total, target(live)).with_style(style(template));
        bar.set_prefix(verb);
        if live {
            bar.enable_steady_tick(TICK);
        }
        Self(bar)
    }

    /// So far it is, of so much.
    pub(crate) fn set(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done);
    }

    /// Count what is read.
    pub(crate) fn reading(&self, reader: impl Read) -> impl Read {
        self.0.wrap_read(reader)
    }

    /// Count what is written.
    pub(crate) fn writing(&self, writer: impl Write) -> impl Write {
        self.0.wrap_write(writer)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        for template in [TRANSFER, ENDLESS, COUNT] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
