//! `hb cache`: put objects into binary caches, get them, list them, and remove old ones.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use clap::{Args, Subcommand};
use hb_cache::{Address, Cache, CollectOptions, PushOptions, Report, Watch};
use hb_model::StorePath;
use hb_store::Store;
use serde_json::json;

use crate::{
    args::Global,
    building::{caches, open_cache, until_signal},
    config::{Settings, cache_address},
    error::{CliError, Failure},
    exit::Exit,
    output::{self, Progress},
    recipe,
};

/// What `hb cache` takes.
#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    /// Put objects there, with all that they refer to and what is known of their builds
    Push {
        /// Store paths, their physical places, or links to them
        #[arg(required = true)]
        paths: Vec<String>,
        /// The cache; the first one of the settings if it is not said
        #[arg(long, value_name = "ADDRESS")]
        to: Option<String>,
        /// Also everything in the store that they were built from
        #[arg(long)]
        inputs: bool,
        /// Sign what was built in this store with this key of yours
        #[arg(long, value_name = "KEY")]
        sign: Option<String>,
    },
    /// Bring objects, with all that they refer to, into the store
    Pull {
        /// Store paths
        #[arg(required = true)]
        paths: Vec<String>,
        /// The cache; all those of the settings, in their order, if it is not said
        #[arg(long, value_name = "ADDRESS")]
        from: Option<String>,
    },
    /// List what is there
    Ls {
        /// Store paths to look for; everything if none is named
        paths: Vec<String>,
        /// The cache; the first one of the settings if it is not said
        #[arg(long, value_name = "ADDRESS")]
        from: Option<String>,
    },
    /// Remove what was pushed long ago and nothing younger needs
    Gc {
        /// Store paths that stay besides, with all that they refer to
        keep: Vec<String>,
        /// Leave what was pushed, or pushed again, less than so long ago, such as `90d`
        #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
        older_than: Duration,
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
        /// The cache; the first one of the settings if it is not said
        #[arg(long, value_name = "ADDRESS")]
        from: Option<String>,
    },
}

/// Carry the subcommand out.
pub(crate) fn run(global: &Global, args: CacheArgs) -> Result<Exit, Failure> {
    let settings = recipe::settings_here(global)?;
    match args.command {
        CacheCommand::Push { paths, to, inputs, sign } => {
            let store = recipe::open_store(&settings)?;
            let key = sign.as_deref().map(super::key::secret_key).transpose()?;
            let options = PushOptions { inputs, sign_with: key.as_ref() };
            let cache = open_cache(&settings, &one(&settings, to)?)?;
            push(global, &store, &cache, &paths, options)
        }
        CacheCommand::Pull { paths, from } => {
            let store = recipe::open_store(&settings)?;
            let addresses = match from {
                Some(text) => vec![cache_address(&text)?],
                None => some(&settings)?.to_vec(),
            };
            pull(global, &settings, &store, &addresses, &paths)
        }
        CacheCommand::Ls { paths, from } => {
            let cache = open_cache(&settings, &one(&settings, from)?)?;
            list(global, &cache, &paths)
        }
        CacheCommand::Gc { keep, older_than, dry_run, from } => {
            let cache = open_cache(&settings, &one(&settings, from)?)?;
            let keep: Vec<_> = keep.iter().map(|path| named(path)).collect::<Result<_, _>>()?;
            collect(global, &cache, CollectOptions { older_than, keep: &keep, dry_run })
        }
    }
}

fn some(settings: &Settings) -> Result<&[Address], CliError> {
    match &settings.caches[..] {
        [] => Err(CliError::usage("no cache is named, and the settings name none")
            .with_help("name one, or several in the settings: `caches = [\"/srv/cache\"]`")),
        caches => Ok(caches),
    }
}

/// The cache that is named, or the first one of the settings.
fn one(settings: &Settings, named: Option<String>) -> Result<Address, CliError> {
    match named {
        Some(text) => cache_address(&text),
        None => some(settings).map(|caches| caches[0].clone()),
    }
}

/// Do something that takes a while: show how far it is, and stop it on Ctrl-C.
pub(super) fn watched<T>(
    global: &Global,
    verb: &'static str,
    work: impl FnOnce(Watch) -> T,
) -> Result<T, Failure> {
    let progress = Mutex::new(Progress::new(global.quiet, false));
    let report = |report| {
        let mut progress = progress.lock().unwrap_or_else(PoisonError::into_inner);
        match report {
            Report::Progress { done, total } => progress.transfer(verb, done, total),
            Report::LeftOut(error) => progress.warn(&error),
            Report::Waiting => progress.waiting(),
        }
    };
    let stop = Arc::new(AtomicBool::new(false));
    // The runtime takes the signals for as long as it lives.
    let _runtime = until_signal(Arc::clone(&stop))?;
    let cancelled = || stop.load(Ordering::Relaxed);
    Ok(work(Watch { cancelled: &cancelled, report: &report }))
}

fn push(
    global: &Global,
    store: &Store,
    cache: &Cache,
    paths: &[String],
    options: PushOptions<'_>,
) -> Result<Exit, Failure> {
    let roots: Vec<StorePath> =
        paths.iter().map(|path| super::store_path(store, path)).collect::<Result<_, _>>()?;
    let report = watched(global, "pushing", |watch| cache.push(store, &roots, options, watch))??;
    if global.json {
        output::json(&json!({
            "objects": report.objects,
            "new": report.new,
            "bytes": report.bytes,
            "chunks": report.chunks,
            "sent": report.sent,
            "builds": report.builds,
            "unsigned": report.unsigned,
        }))?;
    } else if !global.quiet {
        output::note(format!(
            "{} objects are there, {} of them new: {}, of which {} chunks were sent, {}",
            report.objects,
            report.new,
            output::bytes(report.bytes),
            report.chunks,
            output::bytes(report.sent)
        ));
        if report.unsigned > 0 {
            output::note(format!(
                "{} builds are not there, since nobody has signed them: others will build them \
                 again; `--sign KEY` signs",
                report.unsigned
            ));
        }
    }
    Ok(Exit::Success)
}

fn pull(
    global: &Global,
    settings: &Settings,
    store: &Store,
    addresses: &[Address],
    paths: &[String],
) -> Result<Exit, Failure> {
    let roots: Vec<StorePath> = paths.iter().map(|path| named(path)).collect::<Result<_, _>>()?;
    let caches = caches(settings, addresses)?;
    let failed =
        watched(global, "pulling", |watch| caches.pull(store, &roots, watch, &mut |_| {}))??;
    let here: Vec<_> = roots.iter().filter(|root| !failed.contains_key(root)).collect();
    let physical: Vec<_> = here.iter().map(|root| store.physical(root)).collect();
    match global.json {
        true => output::json(&physical)?,
        false => physical.iter().for_each(|path| output::result(path.display())),
    }
    let mut exit = Exit::Success;
    for error in failed.into_values() {
        exit = output::failure(&error.into());
    }
    Ok(exit)
}

/// A store path that need not be here.
fn named(text: &str) -> Result<StorePath, CliError> {
    let name = text.rsplit('/').next().unwrap_or(text);
    StorePath::from_base_name(name)
        .map_err(|error| CliError::usage(format!("'{text}' is no store path: {error}")))
}

fn list(global: &Global, cache: &Cache, paths: &[String]) -> Result<Exit, Failure> {
    let paths: Vec<StorePath> = match paths {
        [] => cache.objects()?,
        paths => paths.iter().map(|path| named(path)).collect::<Result<_, _>>()?,
    };
    let mut entries = Vec::new();
    let mut missing = Vec::new();
    for path in &paths {
        match cache.contents(path)? {
            Some(contents) => entries.push((path, contents)),
            None => missing.push(path),
        }
    }
    if global.json {
        let entries: Vec<_> = entries
            .iter()
            .map(|(path, contents)| {
                let references: Vec<_> =
                    contents.references.iter().map(ToString::to_string).collect();
                json!({
                    "path": path.to_string(),
                    "bytes": contents.bytes,
                    "chunks": contents.chunks,
                    "references": references,
                })
            })
            .collect();
        output::json(&entries)?;
    } else {
        entries.iter().for_each(|(path, contents)| {
            output::result(format!("{path} {}", output::bytes(contents.bytes)));
        });
    }
    let mut exit = Exit::Success;
    for path in missing {
        exit = output::failure(&hb_cache::Error::Nowhere(path.clone()).into());
    }
    Ok(exit)
}

fn collect(
    global: &Global,
    cache: &Arc<Cache>,
    options: CollectOptions<'_>,
) -> Result<Exit, Failure> {
    let report = watched(global, "removing", |watch| cache.collect(options, watch))??;
    let objects: Vec<_> = report.objects.iter().map(ToString::to_string).collect();
    if global.json {
        output::json(&json!({
            "objects": objects,
            "builds": report.builds,
            "chunks": report.chunks,
            "bytes": report.bytes,
        }))?;
        return Ok(Exit::Success);
    }
    if !global.quiet {
        objects.iter().for_each(output::result);
    }
    output::result(format!(
        "{} {} objects, {} chunks and {} builds, {}",
        if options.dry_run { "would free" } else { "freed" },
        objects.len(),
        report.chunks,
        report.builds,
        output::bytes(report.bytes)
    ));
    Ok(Exit::Success)
}
