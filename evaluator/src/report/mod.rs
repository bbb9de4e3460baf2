//! Errors as miette diagnostics: the one place where facts become words for people.

mod blame;
mod trace;

pub use trace::Shown;

use std::sync::Arc;

use hb_lang::{Diagnostic as Problem, Severity};
use miette::{Diagnostic, LabeledSpan, NamedSource, SourceCode, SourceSpan};

use crate::error::{Error, EvalError, Fault, PlaceLabel};
use crate::source::{SourceId, Sources};

/// An error ready to be rendered: one per file that has a part in it.
#[derive(Debug)]
pub struct Report {
    message: String,
    code: String,
    help: Option<String>,
    severity: miette::Severity,
    source: Option<NamedSource<Arc<str>>>,
    labels: Vec<LabeledSpan>,
    related: Vec<Report>,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Report {}

impl Diagnostic for Report {
    fn code<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        (!self.code.is_empty()).then(|| Box::new(&self.code) as _)
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(self.severity)
    }

    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let related = self.related.iter().map(|report| report as &dyn Diagnostic);
        (!self.related.is_empty()).then(|| Box::new(related) as _)
    }
}

impl Report {
    /// An error with the texts that it points into, and as much of its trace as is asked for.
    pub fn new(error: &Error, sources: &Sources, shown: &Shown) -> Self {
        let details = error.details();
        if let Fault::Syntax { source_id, problems } = &details.fault {
            return Self::of_problems(*source_id, problems, sources);
        }
        let mut labels = details.labels.clone();
        if let Some(shown) = details.labels.first() {
            labels.extend(blame::definitions(&details.fault, shown.place, sources));
        }
        if let Fault::InfiniteRecursion { cycle } = &details.fault {
            for (i, step) in cycle.iter().enumerate() {
                let Some(place) = step.place else { continue };
                let next = &cycle[(i + 1) % cycle.len()];
                let text = match (&step.name, &next.name) {
                    (Some(name), Some(next)) => format!("'{name}' needs '{next}'"),
                    (Some(name), None) => format!("'{name}' is needed for itself"),
                    (None, Some(next)) => format!("this needs '{next}'"),
                    (None, None) => "this needs itself".to_owned(),
                };
                labels.push(PlaceLabel { place, text });
            }
        }
        // One snippet per file, the fault's own first.
        let mut files: Vec<(SourceId, Vec<PlaceLabel>)> = Vec::new();
        for label in labels {
            match files.iter_mut().find(|file| file.0 == label.place.source) {
                Some(file) => file.1.push(label),
                None => files.push((label.place.source, vec![label])),
            }
        }
        let mut files = files.into_iter();
        let (source, labels) = match files.next() {
            Some((id, labels)) => (Some(named(sources, id)), marked(labels)),
            None => (None, Vec::new()),
        };
        let related = files.map(|(id, labels)| Self {
            message: "the other end of it".to_owned(),
            code: String::new(),
            help: None,
            severity: miette::Severity::Advice,
            source: Some(named(sources, id)),
            labels: marked(labels),
            related: Vec::new(),
        });
        let related = related.collect();
        Self {
            message: details.fault.to_string(),
            code: details.fault.code().to_owned(),
            help: Self::help_text(details, sources, shown),
            severity: miette::Severity::Error,
            source,
            labels,
            related,
        }
    }

    /// What to do next, then how evaluation got there.
    fn help_text(details: &EvalError, sources: &Sources, shown: &Shown) -> Option<String> {
        let mut lines: Vec<String> = details.help.iter().cloned().collect();
        lines.extend(trace::lines(&details.trace, sources, shown));
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    fn of_problems(id: SourceId, problems: &[Problem], sources: &Sources) -> Self {
        let mut reports = problems.iter().map(|problem| Self::of_problem(id, problem, sources));
        let Some(mut first) = reports.next() else {
            return Self {
                message: "syntax error".to_owned(),
                code: "eval.syntax".to_owned(),
                help: None,
                severity: miette::Severity::Error,
                source: Some(named(sources, id)),
                labels: Vec::new(),
                related: Vec::new(),
            };
        };
        first.related = reports.collect();
        first
    }

    fn of_problem(id: SourceId, problem: &Problem, sources: &Sources) -> Self {
        let labels = problem.labels.iter().enumerate().map(|(i, label)| {
            let text = (!label.text.is_empty()).then(|| label.text.clone());
            let span = SourceSpan::from(std::ops::Range::from(label.span));
            match i {
                0 => LabeledSpan::new_primary_with_span(text, span),
                _ => LabeledSpan::new_with_span(text, span),
            }
        });
        Self {
            message: problem.message.clone(),
            code: problem.code.to_owned(),
            help: problem.help.clone(),
            severity: match problem.severity {
                Severity::Error => miette::Severity::Error,
                Severity::Warning => miette::Severity::Warning,
            },
            source: Some(named(sources, id)),
            labels: labels.collect(),
            related: Vec::new(),
        }
    }
}

fn named(sources: &Sources, id: SourceId) -> NamedSource<Arc<str>> {
    let source = sources.get(id);
    NamedSource::new(&source.name, source.text.clone())
}

fn marked(labels: Vec<PlaceLabel>) -> Vec<LabeledSpan> {
    let mark = |(i, label): (usize, PlaceLabel)| {
        let text = (!label.text.is_empty()).then_some(label.text);
        let span = SourceSpan::from(std::ops::Range::from(label.place.span));
        match i {
            0 => LabeledSpan::new_primary_with_span(text, span),
            _ => LabeledSpan::new_with_span(text, span),
        }
    };
    labels.into_iter().enumerate().map(mark).collect()
}
