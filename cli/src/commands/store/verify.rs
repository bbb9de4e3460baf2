//! `hb store verify`: what is wrong in the store, and making it right again.

use std::collections::{BTreeMap, BTreeSet};

use hb_build::Graph;
use hb_model::{OutputName, StorePath};
use hb_store::{Aside, Finding, Store, VerifyOptions, VerifyProgress};

use crate::{
    args::Global,
    building::{Work, caches},
    commands::{build::HowArgs, cache::watched},
    config::Settings,
    error::Failure,
    exit::Exit,
    output,
};

/// Compare the database with the disk.
pub(super) fn verify(global: &Global, store: &Store, contents: bool) -> Result<Exit, Failure> {
    report(global, &look(global, store, contents)?)
}

/// Find what is wrong, and show how far that is.
fn look(global: &Global, store: &Store, contents: bool) -> Result<Vec<Finding>, Failure> {
    let bar = match contents {
        true => output::Bar::of_bytes(global.quiet, "verifying", Some(0)),
        false => output::Bar::of_things(global.quiet, "verifying"),
    };
    let progress = |progress: VerifyProgress| match contents {
        true => bar.set(progress.bytes, progress.total_bytes),
        false => bar.set(progress.objects as u64, progress.total_objects as u64),
    };
    Ok(store.verify(VerifyOptions { contents }, &progress)?)
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
/// and pulling, building or fetching it again, after which it must have the digest that is
/// registered. Ends with what is still wrong.
pub(super) fn repair(global: &Global, settings: &Settings, store: &Store) -> Result<Exit, Failure> {
    let findings = look(global, store, true)?;
    let mut damaged: BTreeSet<_> = findings.iter().filter_map(damaged_object).cloned().collect();
    let mut lower = BTreeSet::new();
    for path in findings.iter().filter_map(|it| damaged_object(it).or(disordered_object(it))) {
        if let Some(root) = store.lies_below(path)? {
            lower.insert(path.clone());
            note(global, format!("{path}: lies in the lower store {}", root.display()));
        }
    }
    damaged.retain(|path| !lower.contains(path));
    for path in findings.iter().filter_map(disordered_object).collect::<BTreeSet<_>>() {
        if !damaged.contains(path) && !lower.contains(path) {
            store.mend_metadata(path)?;
            note(global, format!("{path}: gave it the modes and times of the store"));
        }
    }
    let mut aside = BTreeMap::new();
    for path in &damaged {
        aside.insert(path.clone(), store.set_aside(path)?);
    }
    for Aside { path, kept, .. } in aside.values() {
        if let Some(kept) = kept {
            note(global, format!("{path}: put aside as {}", kept.display()));
        }
    }
    for path in pull_again(global, settings, store, Vec::from_iter(damaged))? {
        if let Some(aside) = aside.remove(&path) {
            store.restore(&aside)?;
        }
        note(global, format!("{path}: came from a cache"));
    }
    let builds = aside.into_values().flat_map(|aside| aside.builds);
    // One whose own text was damaged is built again from a recipe only.
    let wanted: Vec<_> = builds
        .filter_map(|recorded| Some((recorded.derivation?, recorded.realisation.key.output)))
        .filter(|(derivation, _)| store.derivation(derivation).is_ok())
        .collect();
    if !wanted.is_empty() {
        build_again(global, settings, store, &wanted)?;
    }
    let left = look(global, store, true)?;
    if left.iter().any(|finding| damaged_object(finding).is_some()) {
        output::note(
            "what is missing now comes back when its recipe is built again, or by \
             `hb store import` of a stream that holds it",
        );
    }
    report(global, &left)
}

/// Bring objects from caches: their paths say what they must be, so nobody need be trusted.
/// Gives those that came.
fn pull_again(
    global: &Global,
    settings: &Settings,
    store: &Store,
    mut damaged: Vec<StorePath>,
) -> Result<Vec<StorePath>, Failure> {
    let caches = caches(settings, &settings.caches)?;
    if damaged.is_empty() || caches.is_empty() {
        return Ok(Vec::new());
    }
    let nowhere =
        watched(global, "pulling", |watch| caches.pull(store, &damaged, watch, &mut |_| {}))??;
    damaged.retain(|path| !nowhere.contains_key(path));
    Ok(damaged)
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
