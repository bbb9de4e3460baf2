//! `hb doctor`: what this machine lacks, and how to mend it.

use clap::Args;
use hb_sandbox::Health;
use serde_json::json;

use crate::{args::Global, error::Failure, exit::Exit, output, recipe};

/// What `hb doctor` takes: nothing.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {}

/// Look at the machine.
pub(crate) fn run(global: &Global, DoctorArgs {}: DoctorArgs) -> Result<Exit, Failure> {
    let settings = recipe::settings_here(global)?;
    let findings = hb_sandbox::diagnose(&settings.store, settings.sandbox.reentry);
    if global.json {
        let findings: Vec<_> = findings
            .iter()
            .map(|finding| {
                json!({
                    "subject": finding.subject,
                    "health": word(finding.health),
                    "found": finding.found,
                    "remedy": finding.remedy,
                })
            })
            .collect();
        output::json(&findings)?;
    } else {
        for finding in &findings {
            output::result(format!(
                "{:<8} {}: {}",
                word(finding.health),
                finding.subject,
                finding.found
            ));
            if !finding.remedy.is_empty() {
                output::result(format!("         → {}", finding.remedy));
            }
        }
    }
    let broken = findings.iter().any(|finding| finding.health == Health::Broken);
    Ok(if broken { Exit::Host } else { Exit::Success })
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Good => "good",
        Health::Limited => "limited",
        Health::Broken => "broken",
    }
}
