//! What goes on while building: live on a terminal, plain lines otherwise.

use std::{collections::HashMap, time::Duration};

use hb_build::{Event, Phase, Step, Work};
use hb_cache::CacheError;
use hb_model::DerivationId;
use indicatif::{MultiProgress, ProgressBar};

use super::bar::{TICK, is_live, style, target, transfer_style};

/// Shows the events of one build.
pub(crate) struct Progress {
    bars: MultiProgress,
    live: bool,
    quiet: bool,
    show_log: bool,
    running: HashMap<DerivationId, Running>,
    transfer: Option<ProgressBar>,
}

struct Running {
    name: String,
    work: Work,
    bar: ProgressBar,
    /// The beginning of a log line whose end has not come yet.
    partial: Vec<u8>,
}

impl Progress {
    /// `show_log` prints what builders write.
    pub(crate) fn new(quiet: bool, show_log: bool) -> Self {
        let live = is_live(quiet);
        let bars = MultiProgress::with_draw_target(target(live));
        Self { bars, live, quiet, show_log, running: HashMap::new(), transfer: None }
    }

    /// Show one event.
    pub(crate) fn show(&mut self, event: Event) {
        match event {
            Event::Planned(forecast) => {
                let (fetches, builds) = (forecast.fetch.len(), forecast.build.len());
                let maybe = forecast.may_fetch.len() + forecast.may_build.len();
                let maybe = maybe + forecast.may_pull.len();
                let pulls = match forecast.pull.len() {
                    0 => String::new(),
                    count => format!("{count} to pull, "),
                };
                if !pulls.is_empty() || fetches + builds + maybe > 0 {
                    let perhaps =
                        if maybe > 0 { format!(", {maybe} more perhaps") } else { String::new() };
                    self.line(format!("{pulls}{fetches} to fetch, {builds} to build{perhaps}"));
                }
            }
            Event::Started { step, work, .. } => self.start(step, work),
            Event::Waiting { step, process } => {
                let who = process.map(|id| format!(" (process {id})")).unwrap_or_default();
                self.line(format!("waiting for another hb{who}, which builds {}", step.name));
            }
            Event::Round { number, total, .. } => self.line(format!("round {number} of {total}")),
            Event::Entered { derivation, phase } => self.enter(&derivation, phase),
            Event::Log { derivation, bytes } => self.log(&derivation, &bytes),
            Event::Progress { derivation, received, total } => {
                if let Some(running) = self.running.get(&derivation) {
                    if let Some(total) = total.filter(|_| running.bar.length() != total) {
                        running.bar.set_length(total);
                        running.bar.set_style(transfer_style());
                    }
                    running.bar.set_position(received);
                }
            }
            Event::Pulling { done, total } => self.transfer("pulling", done, total),
            Event::Pulled { step, duration, .. } => {
                self.end(&step.derivation);
                self.line(format!("pulled {} in {}", step.name, seconds(duration)));
            }
            Event::NotPulled { step, reason } => {
                if let Some(reason) = reason {
                    self.line(format!("{} does not come from a cache: {reason}", step.name));
                }
            }
            Event::CacheLeftOut(error) => self.warn(&error),
            Event::Finished { step, duration, reused, .. } => {
                let work = self.end(&step.derivation);
                let verb = match work {
                    Some(Work::Fetch) => "fetched",
                    _ if reused => "reused",
                    _ => "built",
                };
                self.line(format!("{verb} {} in {}", step.name, seconds(duration)));
            }
            Event::Failed(failure) => {
                self.end(&failure.derivation);
                self.line(format!("failed {} after {}", failure.name, seconds(failure.duration)));
            }
            Event::Stopped { derivation } => {
                self.end(&derivation);
            }
        }
    }

    /// A cache is not asked any more.
    pub(crate) fn warn(&self, error: &CacheError) {
        self.line(format!("warning: {error}; it is not asked again"));
    }

    /// What a push waits for.
    pub(crate) fn waiting(&self) {
        self.line("waiting until somebody has removed what is old from the cache".to_owned());
    }

    /// Bytes on their way to or from a cache.
    pub(crate) fn transfer(&mut self, verb: &'static str, done: u64, total: u64) {
        let bars = &self.bars;
        let bar = self.transfer.get_or_insert_with(|| {
            let bar = bars.add(ProgressBar::new(total));
            bar.set_style(transfer_style());
            bar.set_prefix(verb);
            bar
        });
        bar.set_length(total);
        bar.set_position(done);
        if done >= total {
            bar.finish_and_clear();
            self.transfer = None;
        }
    }

    fn start(&mut self, step: Step, work: Work) {
        let name = step.name.to_string();
        let verb = match work {
            Work::Fetch => "fetching",
            Work::Builtin | Work::Build => "building",
        };
        if !self.live {
            self.line(format!("{verb} {name}"));
        }
        let bar = self.bars.add(ProgressBar::new_spinner());
        bar.set_style(style(STEP));
        bar.set_prefix(verb);
        bar.set_message(name.clone());
        if self.live {
            bar.enable_steady_tick(TICK);
        }
        self.running.insert(step.derivation, Running { name, work, bar, partial: Vec::new() });
    }

    fn enter(&mut self, derivation: &DerivationId, phase: Phase) {
        let Some(running) = self.running.get(derivation) else { return };
        running.bar.set_prefix(match (phase, running.work) {
            (Phase::Publishing, _) => "storing",
            (Phase::Running, Work::Fetch) => "fetching",
            (Phase::Running, _) => "building",
        });
    }

    fn log(&mut self, derivation: &DerivationId, bytes: &[u8]) {
        let Some(running) = self.running.get_mut(derivation) else { return };
        running.partial.extend_from_slice(bytes);
        let Some(end) = running.partial.iter().rposition(|&byte| byte == b'\n') else { return };
        let whole: Vec<u8> = running.partial.drain(..=end).collect();
        if self.show_log {
            let text = String::from_utf8_lossy(&whole);
            let lines: Vec<_> =
                text.lines().map(|line| format!("{}> {line}", running.name)).collect();
            lines.into_iter().for_each(|line| self.line(line));
        }
    }

    fn end(&mut self, derivation: &DerivationId) -> Option<Work> {
        let running = self.running.remove(derivation)?;
        if self.show_log && !running.partial.is_empty() {
            let rest = String::from_utf8_lossy(&running.partial).into_owned();
            self.line(format!("{}> {rest}", running.name));
        }
        running.bar.finish_and_clear();
        Some(running.work)
    }

    /// A line above the bars.
    fn line(&self, line: String) {
        if !self.quiet {
            self.bars.suspend(|| super::note(line));
        }
    }
}

const STEP: &str = "{spinner} {prefix} {wide_msg} {elapsed}";

/// A duration as people read it: `0.4 s`, `12 s`, `3 min 5 s`.
pub(crate) fn seconds(duration: Duration) -> String {
    match duration.as_secs() {
        0..10 => format!("{:.1} s", duration.as_secs_f64()),
        whole @ 10..60 => format!("{whole} s"),
        whole => format!("{} min {} s", whole / 60, whole % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        let text = |ms| seconds(Duration::from_millis(ms));
        assert_eq!([text(420), text(12_300), text(185_000)], ["0.4 s", "12 s", "3 min 5 s"]);
    }

    #[test]
    fn the_template_is_valid() {
        assert!(indicatif::ProgressStyle::with_template(STEP).is_ok());
    }
}
