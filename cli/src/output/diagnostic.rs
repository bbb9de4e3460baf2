//! From the language's problems to reports with source.

use std::sync::Arc;

use hb_lang::{Diagnostic, Severity};
use miette::{LabeledSpan, MietteDiagnostic, NamedSource, Report};

/// A report for each problem of one text.
pub(crate) fn diagnostics(name: &str, text: &str, problems: &[Diagnostic]) -> Vec<Report> {
    let source = Arc::new(NamedSource::new(name, text.to_owned()));
    problems.iter().map(|problem| report(problem).with_source_code(source.clone())).collect()
}

fn report(problem: &Diagnostic) -> Report {
    let labels = problem.labels.iter().enumerate().map(|(index, label)| {
        let text = (!label.text.is_empty()).then(|| label.text.clone());
        let range = std::ops::Range::<usize>::from(label.span);
        match index {
            0 => LabeledSpan::new_primary_with_span(text, range),
            _ => LabeledSpan::new_with_span(text, range),
        }
    });
    let severity = match problem.severity {
        Severity::Error => miette::Severity::Error,
        Severity::Warning => miette::Severity::Warning,
    };
    let report = MietteDiagnostic::new(&problem.message)
        .with_code(problem.code)
        .with_severity(severity)
        .with_labels(labels);
    match &problem.help {
        Some(help) => report.with_help(help).into(),
        None => report.into(),
    }
}

/// `2 errors, 1 warning`.
pub(crate) fn count_line(problems: &[Diagnostic]) -> String {
    let errors = problems.iter().filter(|p| p.severity == Severity::Error).count();
    let count = |number: usize, word: &str| match number {
        1 => format!("1 {word}"),
        _ => format!("{number} {word}s"),
    };
    match (errors, problems.len() - errors) {
        (errors, 0) => count(errors, "error"),
        (0, warnings) => count(warnings, "warning"),
        (errors, warnings) => format!("{}, {}", count(errors, "error"), count(warnings, "warning")),
    }
}
