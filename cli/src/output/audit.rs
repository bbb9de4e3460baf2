//! An audit's report: what the rounds were like, whether they agree, and what differs.

use hb_build::audit::{
    AuditReport, Cause, Conditions, ContentDifference, DifferenceKind, EntryType, Excerpt, Factor,
    Found,
};
use serde_json::{Value, json};

/// The bytes of one line of a hex dump.
const DUMP_WIDTH: usize = 16;

/// The report for a person.
pub(crate) fn audit_lines(report: &AuditReport) -> Vec<String> {
    let mut lines = vec![format!("{}, built {} times", report.name, report.rounds.len())];
    for (index, round) in report.rounds.iter().enumerate() {
        lines.push(format!("  round {}: {}", index + 1, conditions(&round.conditions)));
        for missing in &round.conditions.not_varied {
            lines.push(format!(
                "    not varied: {}, because {}",
                factor(missing.factor),
                missing.reason
            ));
        }
    }
    if let Some(round) = report.rounds.first() {
        for (output, digest) in &round.digests {
            lines.push(format!("  output {output}: tree digest {digest}"));
        }
    }
    for (index, round) in report.rounds.iter().enumerate() {
        for found in &round.found {
            lines.push(format!("  round {} differs from round 1 in {}", index + 1, path(found)));
            lines.extend(difference(found).into_iter().map(|line| format!("    {line}")));
        }
    }
    for (output, same) in &report.recorded {
        if !same {
            lines.push(format!("  the output {output} in the store is another than round 1 made"));
        }
    }
    for against in &report.against {
        let of =
            against.against.path.as_ref().map(|p| format!("{}: ", p.display())).unwrap_or_default();
        let hash = &against.against.hash;
        lines.push(match (&against.actual, against.agrees) {
            (_, true) => format!("  {of}the published hash {hash} agrees"),
            (Some(actual), false) => format!("  {of}published is {hash}, built was {actual}"),
            (None, false) => format!("  {of}published is {hash}, and there is no such file"),
        });
    }
    lines.push(if report.is_identical() { "identical".into() } else { "different".into() });
    lines
}

fn path(found: &Found) -> String {
    match found.difference.path.as_os_str().is_empty() {
        true => format!("the output {}", found.output),
        false => format!("{}/{}", found.output, found.difference.path.display()),
    }
}

fn conditions(conditions: &Conditions) -> String {
    let varied: Vec<_> = conditions.varied.iter().map(|f| factor(*f)).collect();
    let what = match varied.is_empty() {
        true => "what the others are compared with".to_owned(),
        false => format!("varied {}", varied.join(", ")),
    };
    format!("{} processors, user {}; {what}", conditions.processors, conditions.user)
}

fn factor(factor: Factor) -> &'static str {
    match factor {
        Factor::Time => "the time",
        Factor::InputListing => "the order in which inputs' folders list",
        Factor::LinkCounts => "how many names inputs' files have",
        Factor::BuildListing => "the order in which the build's own folders list",
        Factor::Processors => "the number of processors",
        Factor::ScratchHash => "the scratch hash",
        Factor::User => "the user",
        Factor::Load => "the load",
        Factor::ProcessIds => "the numbers of processes",
    }
}

fn difference(found: &Found) -> Vec<String> {
    let mut lines = match &found.difference.kind {
        DifferenceKind::Missing => vec!["it is there in round 1 only".to_owned()],
        DifferenceKind::Added => vec!["it is not there in round 1".to_owned()],
        DifferenceKind::Type { left, right } => {
            vec![format!("it is {} in round 1 and {} here", kind(*left), kind(*right))]
        }
        DifferenceKind::Mode { left, .. } => vec![match left {
            true => "it may be executed in round 1 only".to_owned(),
            false => "it may not be executed in round 1".to_owned(),
        }],
        DifferenceKind::Target { left, right } => {
            vec![format!(
                "it leads to {} in round 1 and to {} here",
                left.display(),
                right.display()
            )]
        }
        DifferenceKind::Content(content) => content_lines(content),
    };
    if !found.causes.is_empty() {
        let causes: Vec<_> = found.causes.iter().map(|c| cause(*c)).collect();
        lines.push(format!("looks like {}", causes.join(", or ")));
    }
    lines
}

fn kind(kind: EntryType) -> &'static str {
    match kind {
        EntryType::File => "a file",
        EntryType::Symlink => "a link",
        EntryType::Directory => "a folder",
        EntryType::Other => "a special file",
    }
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::Time => "the time of the build (use SOURCE_DATE_EPOCH)",
        Cause::Order => {
            "an order that is not fixed: of a folder's entries, or of parallel work (sort)"
        }
        Cause::Processors => "the number of processors",
        Cause::User => "the user's number",
        Cause::ScratchPath => {
            "the output's own path, compressed or encoded where it cannot be rewritten"
        }
        Cause::LinkCount => "how many names an input's file has",
        Cause::ProcessId => "a process id",
        Cause::Random => "random bytes",
    }
}

fn content_lines(content: &ContentDifference) -> Vec<String> {
    let mut lines = vec![match content.left_length == content.right_length {
        true => format!("{} of {} bytes differ", content.differing, content.left_length),
        false => format!("{} bytes in round 1, {} here", content.left_length, content.right_length),
    }];
    content.excerpts.iter().for_each(|excerpt| lines.extend(dump(excerpt)));
    lines
}

/// Both sides of an excerpt; lines that are equal are shown once.
fn dump(excerpt: &Excerpt) -> Vec<String> {
    let count = excerpt.left.len().max(excerpt.right.len()).div_ceil(DUMP_WIDTH);
    let part = |bytes: &[u8], index: usize| {
        let start = (index * DUMP_WIDTH).min(bytes.len());
        bytes[start..(start + DUMP_WIDTH).min(bytes.len())].to_vec()
    };
    (0..count)
        .flat_map(|index| {
            let offset = excerpt.offset + (index * DUMP_WIDTH) as u64;
            let (left, right) = (part(&excerpt.left, index), part(&excerpt.right, index));
            match left == right {
                true => vec![dump_line(' ', offset, &left)],
                false => vec![dump_line('-', offset, &left), dump_line('+', offset, &right)],
            }
        })
        .collect()
}

fn dump_line(mark: char, offset: u64, bytes: &[u8]) -> String {
    let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let printable = |byte: &u8| match byte {
        0x20..=0x7e => char::from(*byte),
        _ => '.',
    };
    let text: String = bytes.iter().map(printable).collect();
    format!("{mark} {offset:08x}  {:<48} {text}", hex.join(" "))
}

/// The report for a program.
pub(crate) fn audit_json(report: &AuditReport) -> Value {
    let rounds: Vec<_> = report
        .rounds
        .iter()
        .map(|round| {
            let conditions = &round.conditions;
            let digests: serde_json::Map<_, _> = round
                .digests
                .iter()
                .map(|(output, digest)| (output.to_string(), json!(digest.to_string())))
                .collect();
            let not_varied: Vec<_> = conditions
                .not_varied
                .iter()
                .map(|n| json!({ "factor": factor(n.factor), "reason": n.reason.to_string() }))
                .collect();
            let differences: Vec<_> = round
                .found
                .iter()
                .map(|found| {
                    json!({
                        "path": path(found),
                        "difference": difference(found),
                        "causes": found.causes.iter().map(|c| cause(*c)).collect::<Vec<_>>(),
                    })
                })
                .collect();
            json!({
                "processors": conditions.processors,
                "user": conditions.user,
                "varied": conditions.varied.iter().map(|f| factor(*f)).collect::<Vec<_>>(),
                "not_varied": not_varied,
                "digests": digests,
                "differences": differences,
            })
        })
        .collect();
    let against: Vec<_> = report
        .against
        .iter()
        .map(|against| {
            json!({
                "file": against.against.path,
                "published": against.against.hash.to_string(),
                "built": against.actual.as_ref().map(ToString::to_string),
                "agrees": against.agrees,
            })
        })
        .collect();
    json!({
        "name": report.name.as_str(),
        "identical": report.is_identical(),
        "rounds": rounds,
        "against": against,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dump_shows_equal_lines_once_and_others_twice() {
        let left = b"0123456789abcdefsame".to_vec();
        let mut right = left.clone();
        right[3] = 0;
        let lines = dump(&Excerpt { offset: 32, left, right });
        assert_eq!(lines.len(), 3);
        assert!(
            lines[0].starts_with("- 00000020  30 31 32 33")
                && lines[0].ends_with("0123456789abcdef")
        );
        assert!(
            lines[1].starts_with("+ 00000020  30 31 32 00")
                && lines[1].ends_with("012.456789abcdef")
        );
        assert!(lines[2].starts_with("  00000030") && lines[2].ends_with("same"));
    }
}
