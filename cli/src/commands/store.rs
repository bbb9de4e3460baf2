//! `hb store`: look into the store and tidy it.

mod transfer;
mod verify;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use bytesize::ByteSize;
use clap::{Args, Subcommand};
use hb_model::{StoreName, StorePath};
use hb_store::{
    Believe, ExportOptions, GcOptions, ObjectInfo, OptimiseReport, RootKind, Sharing, Store,
    StoreError,
};
use serde_json::json;

use crate::{
    args::Global,
    error::{CliError, Failure},
    exit::Exit,
    output::{self, StoredDerivation},
    recipe,
};

/// What `hb store` takes.
#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    command: StoreCommand,
}

#[derive(Debug, Subcommand)]
enum StoreCommand {
    /// List the objects
    Ls,
    /// Show what is known of an object
    Path {
        /// A store path, its physical place, or a link to it
        path: String,
    },
    /// List what an object refers to
    Refs {
        /// A store path, its physical place, or a link to it
        path: String,
        /// All that it needs, not just what it names itself
        #[arg(long)]
        closure: bool,
        /// What refers to it instead
        #[arg(long, conflicts_with = "closure")]
        reverse: bool,
    },
    /// Show the derivations that gave an object, the newest first, or the one that it is
    Derivation {
        /// A store path, its physical place, or a link to it
        path: String,
    },
    /// Compare the database with the disk
    Verify {
        /// Read every object and compare its digest
        #[arg(long)]
        contents: bool,
        /// Put what is damaged aside and build or fetch it again; reads every object
        #[arg(long)]
        repair: bool,
    },
    /// Remove what no root needs
    Gc {
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
        /// Remove the derivations that gave what stays, too, and their sources
        #[arg(long)]
        drop_derivations: bool,
        /// Leave what came in less than so long ago, such as `30d`, with all that it needs
        #[arg(long, value_name = "AGE", value_parser = humantime::parse_duration)]
        older_than: Option<Duration>,
        /// Stop when so much is freed, such as `10GiB`; what was needed last goes last
        #[arg(long, value_name = "SIZE")]
        free: Option<ByteSize>,
        /// Stop when no more than so much is left
        #[arg(long, value_name = "SIZE")]
        keep: Option<ByteSize>,
    },
    /// Store equal files of what is there once: as clones, or as hard links with `hard-links`
    Optimise {
        /// Say what would be saved, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Write objects and all that they refer to as one stream, for another store
    Export {
        /// Store paths, their physical places, or links to them
        #[arg(required = true)]
        paths: Vec<String>,
        /// Where to write; standard output if it is not said
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Also the derivations that gave them, with their sources
        #[arg(long)]
        derivations: bool,
        /// Sign what was built in this store with this key of yours
        #[arg(long, value_name = "KEY")]
        sign: Option<String>,
    },
    /// Read what `export` wrote; every object is checked
    Import {
        /// The stream; standard input if it is not said
        file: Option<PathBuf>,
        /// Believe which derivations gave the objects, whoever signed that or nobody
        #[arg(long)]
        trust_builds: bool,
    },
    /// List, add or remove named roots
    Root {
        /// The root's name; without one all roots are listed
        name: Option<String>,
        /// What it keeps; without one the root is removed
        path: Option<String>,
    },
}

/// Carry the subcommand out.
pub(crate) fn run(global: &Global, args: StoreArgs) -> Result<Exit, Failure> {
    let settings = recipe::settings_here(global)?;
    let store = recipe::open_store(&settings)?;
    match args.command {
        StoreCommand::Ls => list(global, &store.list()?),
        StoreCommand::Path { path } => show(global, &store, &super::store_path(&store, &path)?),
        StoreCommand::Refs { path, closure, reverse } => {
            let path = super::store_path(&store, &path)?;
            let found = match (closure, reverse) {
                (true, _) => store.closure(std::slice::from_ref(&path))?,
                (_, true) => store.referrers(&path)?.into_iter().collect(),
                _ => require(&store, &path)?.references.into_iter().collect(),
            };
            list(global, &found)
        }
        StoreCommand::Derivation { path } => {
            derivations(global, &store, &super::store_path(&store, &path)?)
        }
        StoreCommand::Verify { repair: false, contents } => {
            verify::verify(global, &store, contents)
        }
        StoreCommand::Verify { repair: true, .. } => verify::repair(global, &settings, &store),
        StoreCommand::Gc { dry_run, drop_derivations, older_than, free, keep } => {
            let [free, keep] = [free, keep].map(|size| size.map(|size| size.as_u64()));
            let options = GcOptions { dry_run, drop_derivations, older_than, free, keep };
            collect(global, &store, &options)
        }
        StoreCommand::Optimise { dry_run } => optimise(global, &store, dry_run),
        StoreCommand::Export { paths, output, derivations, sign } => {
            let key = sign.as_deref().map(super::key::secret_key).transpose()?;
            let options = ExportOptions { derivations, sign_with: key.as_ref() };
            transfer::export(global, &store, &paths, output.as_deref(), options)
        }
        StoreCommand::Import { file, trust_builds } => {
            let believe = match trust_builds {
                true => Believe::Everything,
                false => Believe::Signed(&settings.trust),
            };
            transfer::import(global, &store, file.as_deref(), believe)
        }
        StoreCommand::Root { name, path } => root(global, &store, name, path),
    }
}

fn list(global: &Global, paths: &[StorePath]) -> Result<Exit, Failure> {
    let texts: Vec<_> = paths.iter().map(ToString::to_string).collect();
    match global.json {
        true => output::json(&texts)?,
        false => texts.iter().for_each(output::result),
    }
    Ok(Exit::Success)
}

fn show(global: &Global, store: &Store, path: &StorePath) -> Result<Exit, Failure> {
    let info = require(store, path)?;
    let references: Vec<_> = info.references.iter().map(ToString::to_string).collect();
    let derivations = store.derivations_of(path)?;
    let derivations: Vec<_> = derivations.iter().map(ToString::to_string).collect();
    if global.json {
        output::json(&json!({
            "path": path.to_string(),
            "physical": store.physical(path),
            "digest": info.digest.to_string(),
            "size": info.size,
            "references": references,
            "derivations": derivations,
        }))?;
        return Ok(Exit::Success);
    }
    output::result(format!("path      {path}"));
    output::result(format!("physical  {}", store.physical(path).display()));
    output::result(format!("digest    {}", info.digest));
    output::result(format!("size      {}", output::bytes(info.size)));
    references.iter().for_each(|path| output::result(format!("refers to {path}")));
    derivations.iter().for_each(|path| output::result(format!("made by   {path}")));
    Ok(Exit::Success)
}

fn derivations(global: &Global, store: &Store, path: &StorePath) -> Result<Exit, Failure> {
    require(store, path)?;
    let mut given = store.derivations_of(path)?;
    if given.is_empty() && path.name().as_str().ends_with(".drv") {
        given.push(path.clone());
    }
    if given.is_empty() {
        return Err(CliError::usage(format!("no derivation in the store gave '{path}'"))
            .with_help("sources have none; of what is built, `hb build --rebuild` records it anew")
            .into());
    }
    let stored = given.into_iter().map(|path| read_derivation(store, path));
    let stored: Vec<_> = stored.collect::<Result<_, _>>()?;
    if global.json {
        output::json(&stored.iter().map(output::derivation_json).collect::<Vec<_>>())?;
        return Ok(Exit::Success);
    }
    let texts = stored.iter().map(|stored| output::derivation_lines(stored).join("\n"));
    output::result(texts.collect::<Vec<_>>().join("\n\n"));
    Ok(Exit::Success)
}

/// A derivation, and what is known of it and of those that it needs.
fn read_derivation(store: &Store, path: StorePath) -> Result<StoredDerivation, StoreError> {
    let derivation = store.derivation(&path)?;
    let needed = store.needed_derivations(&path)?;
    let mut gave = BTreeMap::new();
    for (id, object) in needed.iter().chain([(&derivation.id(), &path)]) {
        for recorded in store.realisations_by_derivation(object)? {
            let realisation = recorded.realisation;
            gave.insert((*id, realisation.key.output.clone()), realisation);
        }
    }
    Ok(StoredDerivation { path, derivation, needed, gave })
}

fn require(store: &Store, path: &StorePath) -> Result<ObjectInfo, Failure> {
    let info = store.info(path)?;
    Ok(info.ok_or_else(|| StoreError::NotInStore { path: path.clone() })?)
}

fn collect(global: &Global, store: &Store, options: &GcOptions) -> Result<Exit, Failure> {
    let bar = output::Bar::of_things(global.quiet, "removing");
    let report = store.gc(options, &|done, total| bar.set(done as u64, total as u64))?;
    drop(bar);
    if global.json {
        let freed: Vec<_> = report.freed.iter().map(ToString::to_string).collect();
        output::json(&json!({ "freed": freed, "strays": report.strays, "bytes": report.bytes }))?;
        return Ok(Exit::Success);
    }
    if !global.quiet {
        report.freed.iter().for_each(output::result);
    }
    let verb = if options.dry_run { "would free" } else { "freed" };
    let count = report.freed.len() + report.strays.len();
    output::result(format!("{verb} {count} objects, {}", output::bytes(report.bytes)));
    Ok(Exit::Success)
}

fn optimise(global: &Global, store: &Store, dry_run: bool) -> Result<Exit, Failure> {
    let bar = output::Bar::of_things(global.quiet, "sharing");
    let report = store.optimise(dry_run, &|done, total| bar.set(done as u64, total as u64))?;
    drop(bar);
    let OptimiseReport { sharing, files, bytes, busy } = report;
    let sharing = match sharing {
        Sharing::Clones => "clones",
        Sharing::Links => "hard links",
    };
    if global.json {
        output::json(&json!({ "sharing": sharing, "files": files, "bytes": bytes, "busy": busy }))?;
        return Ok(Exit::Success);
    }
    let verb = if dry_run { "would share" } else { "shared" };
    output::result(format!("{verb} {files} files as {sharing}, {}", output::bytes(bytes)));
    if busy > 0 && !global.quiet {
        output::note(format!("left {busy} objects that running builds need"));
    }
    Ok(Exit::Success)
}

fn root(
    global: &Global,
    store: &Store,
    name: Option<String>,
    path: Option<String>,
) -> Result<Exit, Failure> {
    let Some(name) = name else { return roots(global, store) };
    let name = StoreName::new(&name).map_err(|error| CliError::usage(error.to_string()))?;
    match path {
        Some(path) => store.add_root(&name, &super::store_path(store, &path)?)?,
        None if !store.remove_root(&name)? => {
            return Err(CliError::usage(format!("there is no root '{name}'")).into());
        }
        None => {}
    }
    Ok(Exit::Success)
}

fn roots(global: &Global, store: &Store) -> Result<Exit, Failure> {
    let roots: Vec<_> = store
        .roots()?
        .into_iter()
        .map(|root| {
            let by = match root.kind {
                RootKind::Named(name) => name.to_string(),
                RootKind::Result(link) => link.display().to_string(),
            };
            (by, root.path.to_string())
        })
        .collect();
    match global.json {
        true => output::json(&roots)?,
        false => roots.iter().for_each(|(by, path)| output::result(format!("{by} → {path}"))),
    }
    Ok(Exit::Success)
}
