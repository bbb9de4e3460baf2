//! Applies the hunks of one file, exactly or not at all.
//!
//! Every line of a hunk's old side must be there. A hunk may lie at another line than
//! its header says, if the same lines stand there; of several places the nearest is
//! taken. Hunks follow one another and do not overlap.

use super::parse::{Hunk, lines};
use crate::builders::name::text;

/// The first line at which a hunk does not fit.
#[derive(Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The hunk's `@@` line.
    pub hunk: String,
    /// The line in the file, counted from 1.
    pub line: usize,
    /// What the patch expects there.
    pub expected: String,
    /// What is there; `None` at the end of the file.
    pub found: Option<String>,
}

/// The file with its hunks applied.
pub(super) fn apply(content: &[u8], hunks: &[Hunk]) -> Result<Vec<u8>, Mismatch> {
    let old: Vec<&[u8]> = lines(content).collect();
    let mut new = Vec::with_capacity(content.len() + 1024);
    // Where the rest of the file begins, and how far hunks lay from where they should.
    let mut rest = 0;
    let mut offset = 0_isize;
    for hunk in hunks {
        let expected: Vec<&[u8]> = hunk.old_lines().collect();
        let wanted = hunk.start.saturating_add_signed(offset).clamp(rest, old.len());
        let place = nearest(&old, &expected, rest, wanted)
            .ok_or_else(|| mismatch(&old, &expected, wanted, hunk))?;
        offset = place as isize - hunk.start as isize;
        old[rest..place].iter().chain(&hunk.new_lines().collect::<Vec<_>>()).for_each(|line| {
            new.extend_from_slice(line);
        });
        rest = place + expected.len();
    }
    old[rest..].iter().for_each(|line| new.extend_from_slice(line));
    Ok(new)
}

/// The place at or after `first` nearest to `wanted` where the lines stand.
fn nearest(old: &[&[u8]], expected: &[&[u8]], first: usize, wanted: usize) -> Option<usize> {
    let fits = |place: usize| {
        place >= first && old.get(place..place + expected.len()).is_some_and(|at| at == expected)
    };
    // Lines that are only added go where the patch says: they would fit anywhere.
    if expected.is_empty() {
        return fits(wanted).then_some(wanted);
    }
    (0..=old.len()).find_map(|distance| {
        let before = wanted.checked_sub(distance).filter(|place| fits(*place));
        before.or_else(|| Some(wanted + distance).filter(|place| fits(*place)))
    })
}

fn mismatch(old: &[&[u8]], expected: &[&[u8]], wanted: usize, hunk: &Hunk) -> Mismatch {
    let found = |index: usize| old.get(wanted + index).copied();
    let index = (0..expected.len()).find(|index| found(*index) != Some(expected[*index]));
    let index = index.unwrap_or(0);
    let shown = |line: &[u8]| text(line.strip_suffix(b"\n").unwrap_or(line));
    Mismatch {
        hunk: hunk.header.clone(),
        line: wanted + index + 1,
        expected: shown(expected.get(index).copied().unwrap_or_default()),
        found: found(index).map(shown),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::parse::parse, *};

    fn patched(content: &str, hunks: &str) -> Result<String, Mismatch> {
        let patch = format!("--- a\n+++ b\n{hunks}");
        let files = parse(patch.as_bytes()).unwrap();
        apply(content.as_bytes(), &files[0].hunks).map(|new| text(&new))
    }

    const HUNK: &str = "@@ -2,3 +2,3 @@\n b\n-c\n+C\n d\n";

    #[test]
    fn a_hunk_is_applied_where_its_lines_stand() {
        assert_eq!(patched("a\nb\nc\nd\ne\n", HUNK).unwrap(), "a\nb\nC\nd\ne\n");
        assert_eq!(patched("x\ny\nz\na\nb\nc\nd\n", HUNK).unwrap(), "x\ny\nz\na\nb\nC\nd\n");
        assert_eq!(patched("b\nc\nd\n", HUNK).unwrap(), "b\nC\nd\n");
    }

    #[test]
    fn of_several_places_the_nearest_is_taken() {
        let content = "b\nc\nd\n-\n-\n-\nb\nc\nd\n";
        assert_eq!(patched(content, HUNK).unwrap(), "b\nC\nd\n-\n-\n-\nb\nc\nd\n");
    }

    #[test]
    fn context_that_differs_is_shown_and_never_ignored() {
        let mismatch = patched("a\nb\nx\nd\ne\n", HUNK).unwrap_err();
        assert_eq!(mismatch.hunk, "@@ -2,3 +2,3 @@");
        assert_eq!((mismatch.line, mismatch.expected.as_str()), (3, "c"));
        assert_eq!(mismatch.found.as_deref(), Some("x"));
        assert_eq!(patched("a\nb\n", HUNK).unwrap_err().found, None);
    }

    #[test]
    fn a_shift_carries_over_to_the_hunks_that_follow() {
        let hunks = "@@ -1 +1 @@\n-a\n+A\n@@ -2,0 +3 @@\n+new\n";
        assert_eq!(patched("0\n0\na\nb\nc\n", hunks).unwrap(), "0\n0\nA\nb\nnew\nc\n");
    }

    #[test]
    fn a_missing_newline_at_the_end_must_match_as_well() {
        let hunk = "@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file\n";
        assert_eq!(patched("a\n", hunk).unwrap(), "b");
        assert!(patched("a", hunk).is_err());
    }
}
