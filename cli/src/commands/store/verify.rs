//! `hb store verify`: what is wrong in the store, and making it right again.

use std::collections::BTreeSet;

use hb_build::Graph;
use hb_model::{OutputName, StorePath};
use hb_store::{Finding, Store, VerifyOptions};

use crate::{
    args::Global, building::Work, commands::build::HowArgs, config::Settings, error::Failure,
    exit::Exit, output,
};

/// Compare the database with the disk.
pub(super) fn verify(global: &Global, store: &Store, contents: bool) -> Result<Exit, Failure> {
    let findings = store.verify(VerifyOptions { contents }, &|_| {})?;
    report(global, &findings)
}

fn report(global: &Global, findings: &[Finding]) -> Result<Exit, Failure> {
    let lines: Vec<_> = findings.iter().map(output::finding).collect();
    match global.json {
        true => output::json(&lines)?,
        false => lines.iter().for_each(output::result),
    }
    if lines.is_empty() && !global.quiet {
        output::note("the store is as it should be");
    }
    let is_whole = findings.iter().all(Finding::is_leftover);
    Ok(if is_whole { Exit::Success } else { Exit::Store })
}

/// Mend what can be mended: modes and times in their place; content by putting it aside
/// and building or fetching it again, after which it must have the digest that is
/// registered. Ends with what is still wrong.
pub(super) fn repair(global: &Global, settings: &Settings, store: &Store) -> Result<Exit, Failure> {
    let options = VerifyOptions { contents: true };
    let findings = store.verify(options, &|_| {})?;
    let damaged: BTreeSet<_> = findings.iter().filter_map(damaged_object).cloned().collect();
    for path in findings.iter().filter_map(disordered_object).collect::<BTreeSet<_>>() {
        if !damaged.contains(path) {
            store.mend_metadata(path)?;
            note(global, format!("{path}: gave it the modes and times of the store"));
        }
    }
    let mut wanted = Vec::new();
    for path in &damaged {
        wanted.extend(builds_of(store, path)?);
    }
    for path in &damaged {
        if let Some(kept) = store.set_aside(path)? {
            note(global, format!("{path}: put aside as {}", kept.display()));
        }
    }
    // One whose own text was damaged is built again from a recipe only.
    wanted.retain(|(derivation, _)| store.derivation(derivation).is_ok());
    if !wanted.is_empty() {
        build_again(global, settings, store, &wanted)?;
    }
    let left = store.verify(options, &|_| {})?;
    if left.iter().any(|finding| damaged_object(finding).is_some()) {
        output::note(
            "what is missing now comes back when its recipe is built again, or by \
             `hb store import` of a stream that holds it",
        );
    }
    report(global, &left)
}

/// Build outputs of stored derivations; what fails is told, and the rest goes on.
fn build_again(
    global: &Global,
    settings: &Settings,
    store: &Store,
    wanted: &[(StorePath, OutputName)],
) -> Result<(), Failure> {
    let graph = Graph::of_stored(store, wanted)
        .map_err(|error| Failure::plain(Exit::Store, "store.repair", &error, None))?;
    let work = Work::of_graph(settings, store.clone(), graph);
    let failures = work.build_each(global, &HowArgs::default())?;
    failures.iter().flatten().for_each(|failure| {
        output::failure(failure);
    });
    Ok(())
}

/// The derivations that gave an object, with the output that it is.
fn builds_of(store: &Store, path: &StorePath) -> Result<Vec<(StorePath, OutputName)>, Failure> {
    let recorded = store.realisations_of(path)?;
    let build = |recorded: hb_store::Recorded| {
        Some((recorded.derivation?, recorded.realisation.key.output))
    };
    Ok(recorded.into_iter().filter_map(build).collect())
}

/// The object of which the content is wrong or not there.
fn damaged_object(finding: &Finding) -> Option<&StorePath> {
    match finding {
        Finding::Missing { path }
        | Finding::Changed { path, .. }
        | Finding::Unreadable { path, .. } => Some(path),
        _ => None,
    }
}

/// The object of which a mode or a time is wrong.
fn disordered_object(finding: &Finding) -> Option<&StorePath> {
    match finding {
        Finding::WrongMode { path, .. } | Finding::WrongTime { path, .. } => Some(path),
        _ => None,
    }
}

fn note(global: &Global, line: String) {
    if !global.quiet {
        output::note(line);
    }
}
