//! How evaluation got to a fault: the user's own steps first, those of libraries folded.

use std::path::{Path, PathBuf};

use crate::error::TraceFrame;
use crate::source::{Place, Sources};

/// Steps that are shown unless all are asked for.
const SHORT_TRACE: usize = 8;

/// The folders that hold libraries, also within a project.
const LIBRARY_FOLDER: &str = "lib";

/// How much of a trace to show.
#[derive(Clone, Debug)]
pub enum Shown {
    /// Every step, innermost first.
    All,
    /// The steps in files below a folder, but for its `lib` folders; the others are
    /// counted, by file.
    Own(PathBuf),
}

impl Shown {
    /// Whether a step is the user's own.
    fn is_own(&self, place: Option<Place>, sources: &Sources) -> bool {
        let (Self::Own(folder), Some(place)) = (self, place) else { return true };
        let source = sources.get(place.source);
        if !source.is_file {
            return true;
        }
        match Path::new(&source.name).strip_prefix(folder) {
            Ok(inside) => inside.iter().all(|part| part != LIBRARY_FOLDER),
            Err(_) => false,
        }
    }

    /// A file's name in a line about it.
    fn file(&self, place: Place, sources: &Sources) -> String {
        let name = &sources.get(place.source).name;
        match self {
            Self::All => name.clone(),
            Self::Own(folder) => Path::new(name)
                .strip_prefix(folder)
                .map_or_else(|_| name.clone(), |inside| inside.display().to_string()),
        }
    }
}

/// The lines of a trace.
pub(super) fn lines(trace: &[TraceFrame], sources: &Sources, shown: &Shown) -> Vec<String> {
    let (own, others): (Vec<_>, Vec<_>) =
        trace.iter().partition(|frame| shown.is_own(frame.place, sources));
    let limit = if matches!(shown, Shown::All) { usize::MAX } else { SHORT_TRACE };
    let mut lines: Vec<String> = own.iter().take(limit).map(|frame| line(frame, sources)).collect();
    let more: usize = own.iter().skip(limit).map(|frame| frame.times).sum();
    let mut hidden = Vec::new();
    if more > 0 {
        hidden.push(format!("… {} more", counted(more)));
    }
    // By file, in the order in which they are met.
    let mut files: Vec<(String, usize)> = Vec::new();
    for frame in others {
        let Some(place) = frame.place else { continue };
        let name = shown.file(place, sources);
        match files.iter_mut().find(|file| file.0 == name) {
            Some(file) => file.1 += frame.times,
            None => files.push((name, frame.times)),
        }
    }
    hidden.extend(files.into_iter().map(|(name, count)| format!("… {} in {name}", counted(count))));
    if let Some(last) = hidden.last_mut() {
        last.push_str(" (show all with --show-trace)");
    }
    lines.extend(hidden);
    lines
}

fn counted(steps: usize) -> String {
    if steps == 1 { "1 step".to_owned() } else { format!("{steps} steps") }
}

fn line(frame: &TraceFrame, sources: &Sources) -> String {
    let mut line = frame.text.clone();
    if let Some(place) = frame.place {
        let source = sources.get(place.source);
        let (number, column) = sources.line_column(place.source, place.span.start);
        line.push_str(&format!(" at {}:{number}:{column}", source.name));
    }
    if frame.times > 1 {
        line.push_str(&format!(", {} times", frame.times));
    }
    line
}
