//! `hb store export` and `hb store import`: closures that leave one store and enter another.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, IsTerminal as _, Read},
    path::Path,
};

use hb_model::StorePath;
use hb_store::{Believe, ExportOptions, Store};
use serde_json::json;

use crate::{
    args::Global,
    commands::store_path,
    error::{CliError, Failure},
    exit::Exit,
    output::{self, Bar},
};

/// Write a closure to a file, which appears when it is complete, or to standard output.
pub(super) fn export(
    global: &Global,
    store: &Store,
    paths: &[String],
    to: Option<&Path>,
    options: ExportOptions<'_>,
) -> Result<Exit, Failure> {
    let roots: Vec<StorePath> =
        paths.iter().map(|path| store_path(store, path)).collect::<Result<_, _>>()?;
    let Some(to) = to else {
        if io::stdout().is_terminal() {
            let message = "a stream of bytes is of no use at a terminal";
            return Err(CliError::usage(message).with_help("name a file with `-o FILE`").into());
        }
        let bar = Bar::of_bytes(global.quiet, "exporting", None);
        let stdout = bar.writing(BufWriter::new(io::stdout().lock()));
        let written = store.export(&roots, options, stdout, Path::new("standard output"))?;
        drop(bar);
        report(&written);
        return Ok(Exit::Success);
    };
    let failed = |source| CliError::Io { path: to.to_owned(), source };
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut unfinished =
        tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    let bar = Bar::of_bytes(global.quiet, "exporting", None);
    let output = bar.writing(BufWriter::new(&mut unfinished));
    let written = store.export(&roots, options, output, to)?;
    drop(bar);
    // Such files are readable by their user alone; this one is to be handed on.
    let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    unfinished.as_file().set_permissions(readable).map_err(failed)?;
    unfinished.persist(to).map_err(|error| failed(error.error))?;
    report(&written);
    Ok(Exit::Success)
}

fn report(written: &hb_store::ExportReport) {
    let (count, bytes) = (written.objects, output::bytes(written.bytes));
    output::note(format!("{count} objects of {bytes} are in the stream"));
}

/// Read a closure from a file or from standard input.
pub(super) fn import(
    global: &Global,
    store: &Store,
    from: Option<&Path>,
    believe: Believe<'_>,
) -> Result<Exit, Failure> {
    let (input, length): (Box<dyn Read>, _) = match from {
        Some(path) => {
            let failed = |source| CliError::Io { path: path.to_owned(), source };
            let file = File::open(path).map_err(failed)?;
            let found = file.metadata().map_err(failed)?;
            (Box::new(file), found.is_file().then_some(found.len()))
        }
        None => (Box::new(io::stdin().lock()), None),
    };
    let bar = Bar::of_bytes(global.quiet, "importing", length);
    let report = store.import(bar.reading(BufReader::new(input)), believe)?;
    drop(bar);
    let roots: Vec<_> = report.roots.iter().map(ToString::to_string).collect();
    if global.json {
        output::json(&json!({
            "roots": roots,
            "new": report.new,
            "known": report.known,
            "builds": report.builds,
            "unbelieved": report.unbelieved,
        }))?;
        return Ok(Exit::Success);
    }
    roots.iter().for_each(output::result);
    if !global.quiet {
        output::note(format!(
            "{} objects are new, {} were here; {} builds are believed, {} are not",
            report.new, report.known, report.builds, report.unbelieved
        ));
    }
    Ok(Exit::Success)
}
