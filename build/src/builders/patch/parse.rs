//! Reads unified diffs, plain and as `git` extends them.
//!
//! Text before, between and after the files of a patch (a mail's headers, a
//! description) is skipped. A hunk is counted, not guessed: it has as many lines as
//! its header says.

use crate::builders::name::text;

/// Why a text is not a patch.
#[derive(Debug, thiserror::Error)]
pub enum ParseError {
    /// No file's diff in it.
    #[error("it holds no diff")]
    Empty,
    /// `@@` without the two ranges.
    #[error("line {line}: '{header}' is not the header of a hunk")]
    Header {
        /// Its line in the patch.
        line: usize,
        /// The text.
        header: String,
    },
    /// A hunk that is shorter or longer than its header says.
    #[error("line {line}: the hunk '{header}' has not as many lines as its header says")]
    Count {
        /// The line in the patch where it went wrong.
        line: usize,
        /// The hunk's header.
        header: String,
    },
    /// `--- ` without the `+++ ` that belongs to it, or the other way round.
    #[error("line {line}: the name of the old or the new file is missing")]
    Names {
        /// The line in the patch.
        line: usize,
    },
    /// What only `git` can apply.
    #[error("line {line}: binary diffs cannot be applied")]
    Binary {
        /// The line in the patch.
        line: usize,
    },
}

/// The diff of one file. Names are as they stand in the patch; `None` is `/dev/null`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FileDiff<'a> {
    pub(super) old: Option<&'a [u8]>,
    pub(super) new: Option<&'a [u8]>,
    /// Whether the names come from `rename` lines, which carry no leading component.
    pub(super) renamed: bool,
    /// Whether the old file stays although the new one has another name.
    pub(super) copied: bool,
    /// The new mode, where the patch sets it.
    pub(super) mode: Option<u32>,
    pub(super) hunks: Vec<Hunk<'a>>,
}

/// A place that changes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Hunk<'a> {
    /// Its `@@ … @@` line.
    pub(super) header: String,
    /// The first line in the old file, counted from 0.
    pub(super) start: usize,
    pub(super) lines: Vec<Line<'a>>,
}

/// A line of a hunk, with its newline if it has one.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Line<'a> {
    Context(&'a [u8]),
    Removed(&'a [u8]),
    Added(&'a [u8]),
}

impl<'a> Hunk<'a> {
    /// What must be there.
    pub(super) fn old_lines(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.lines.iter().filter_map(|line| match *line {
            Line::Context(text) | Line::Removed(text) => Some(text),
            Line::Added(_) => None,
        })
    }

    /// What comes in its place.
    pub(super) fn new_lines(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.lines.iter().filter_map(|line| match *line {
            Line::Context(text) | Line::Added(text) => Some(text),
            Line::Removed(_) => None,
        })
    }
}

/// Lines with their newlines.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split_inclusive(|byte| *byte == b'\n')
}

/// Read the diffs of a patch.
pub(super) fn parse(patch: &[u8]) -> Result<Vec<FileDiff<'_>>, ParseError> {
    let mut parser = Parser { lines: lines(patch).collect(), at: 0 };
    let mut files = Vec::new();
    while let Some(line) = parser.peek() {
        if line.starts_with(b"diff --git ") {
            files.extend(parser.git_file()?);
        } else if parser.at_names() {
            let mut file = FileDiff::default();
            parser.names(&mut file)?;
            parser.hunks(&mut file)?;
            files.push(file);
        } else {
            parser.at += 1;
        }
    }
    if files.is_empty() { Err(ParseError::Empty) } else { Ok(files) }
}

struct Parser<'a> {
    lines: Vec<&'a [u8]>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a [u8]> {
        self.lines.get(self.at).copied()
    }

    /// Whether a `---`, a `+++` and a hunk follow: a description may hold each alone.
    fn at_names(&self) -> bool {
        let line = |ahead: usize| self.lines.get(self.at + ahead).copied().unwrap_or_default();
        line(0).starts_with(b"--- ") && line(1).starts_with(b"+++ ") && line(2).starts_with(b"@@ ")
    }

    /// A file's diff with the headers of `git`; `None` if it changes nothing.
    fn git_file(&mut self) -> Result<Option<FileDiff<'a>>, ParseError> {
        let header = trim(self.lines[self.at]);
        self.at += 1;
        let mut file = FileDiff::default();
        let (mut created, mut deleted) = (false, false);
        while let Some(line) = self.peek().map(trim) {
            if let Some(name) = after(line, &[b"rename from ", b"copy from "]) {
                file.old = Some(name);
                file.renamed = true;
                file.copied = line.starts_with(b"copy");
            } else if let Some(name) = after(line, &[b"rename to ", b"copy to "]) {
                file.new = Some(name);
            } else if let Some(mode) = after(line, &[b"new mode ", b"new file mode "]) {
                created |= line.starts_with(b"new file");
                file.mode = u32::from_str_radix(&text(mode), 8).ok();
            } else if line.starts_with(b"deleted file mode ") {
                deleted = true;
            } else if line.starts_with(b"GIT binary patch") || line.starts_with(b"Binary files ") {
                return Err(ParseError::Binary { line: self.at + 1 });
            } else if after(line, &[b"old mode ", b"index ", b"similarity ", b"dissimilarity "])
                .is_none()
            {
                break;
            }
            self.at += 1;
        }
        if !file.renamed {
            // Both names are the same but for the leading component: `a/x b/x`.
            let names = &header[b"diff --git ".len()..];
            let middle = names.len() / 2;
            (file.old, file.new) = match names.get(middle) {
                Some(b' ') => (Some(&names[..middle]), Some(&names[middle + 1..])),
                _ => (None, None),
            };
        }
        if self.at_names() {
            let (mut named, renamed) = (FileDiff::default(), file.renamed);
            self.names(&mut named)?;
            if !renamed {
                (file.old, file.new) = (named.old, named.new);
            }
            self.hunks(&mut file)?;
        }
        if created {
            file.old = None;
        }
        if deleted {
            file.new = None;
        }
        let changes = file.renamed || file.mode.is_some() || deleted || !file.hunks.is_empty();
        if changes && file.old.is_none() && file.new.is_none() {
            return Err(ParseError::Names { line: self.at });
        }
        Ok(changes.then_some(file))
    }

    /// The `---` and `+++` lines.
    fn names(&mut self, file: &mut FileDiff<'a>) -> Result<(), ParseError> {
        let name = |line: &'a [u8]| {
            // A time may follow after a tab.
            let name = trim(&line[4..]).split(|byte| *byte == b'\t').next().unwrap_or_default();
            (name != b"/dev/null").then_some(name)
        };
        file.old = name(self.lines[self.at]);
        file.new = name(self.lines[self.at + 1]);
        self.at += 2;
        if file.old.is_none() && file.new.is_none() {
            return Err(ParseError::Names { line: self.at });
        }
        Ok(())
    }

    fn hunks(&mut self, file: &mut FileDiff<'a>) -> Result<(), ParseError> {
        while let Some(line) = self.peek().filter(|line| line.starts_with(b"@@ ")) {
            let header = text(trim(line));
            let (old, new) = ranges(trim(line))
                .ok_or_else(|| ParseError::Header { line: self.at + 1, header: header.clone() })?;
            self.at += 1;
            let lines = self.hunk_lines(&header, old.1, new.1)?;
            // With no old lines, the number is that of the line before.
            let start = if old.1 == 0 { old.0 } else { old.0.saturating_sub(1) };
            file.hunks.push(Hunk { header, start, lines });
        }
        Ok(())
    }

    fn hunk_lines(
        &mut self,
        header: &str,
        mut old: usize,
        mut new: usize,
    ) -> Result<Vec<Line<'a>>, ParseError> {
        let mut lines: Vec<Line> = Vec::new();
        loop {
            let line = self.peek().unwrap_or_default();
            if line.starts_with(b"\\") {
                // "No newline at end of file", said of the line before.
                if let Some(last) = lines.last_mut() {
                    let (Line::Context(text) | Line::Removed(text) | Line::Added(text)) = last;
                    *text = text.strip_suffix(b"\n").unwrap_or(text);
                }
                self.at += 1;
                continue;
            }
            if old == 0 && new == 0 {
                return Ok(lines);
            }
            let wrong = || ParseError::Count { line: self.at + 1, header: header.to_owned() };
            let (old_step, new_step, line) = match line {
                [b' ', rest @ ..] => (1, 1, Line::Context(rest)),
                // Mailers take the blank away from an empty line.
                [b'\n'] | [b'\r', b'\n'] => (1, 1, Line::Context(line)),
                [b'-', rest @ ..] => (1, 0, Line::Removed(rest)),
                [b'+', rest @ ..] => (0, 1, Line::Added(rest)),
                _ => return Err(wrong()),
            };
            old = old.checked_sub(old_step).ok_or_else(wrong)?;
            new = new.checked_sub(new_step).ok_or_else(wrong)?;
            lines.push(line);
            self.at += 1;
        }
    }
}

/// Without the end of the line.
fn trim(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What follows after one of the beginnings.
fn after<'a>(line: &'a [u8], beginnings: &[&[u8]]) -> Option<&'a [u8]> {
    beginnings.iter().find_map(|beginning| line.strip_prefix(*beginning))
}

/// The line and the count of both sides in `@@ -1,2 +3,4 @@ …`.
fn ranges(header: &[u8]) -> Option<((usize, usize), (usize, usize))> {
    let header = str::from_utf8(header.split(|byte| *byte == b'@').nth(2)?).ok()?;
    let (old, new) = header.trim().split_once(' ')?;
    let range = |text: &str, sign: char| {
        let text = text.strip_prefix(sign)?;
        let (line, count) = text.split_once(',').unwrap_or((text, "1"));
        Some((line.parse().ok()?, count.parse().ok()?))
    };
    Some((range(old, '-')?, range(new, '+')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_around_diffs_is_skipped_and_hunks_are_counted() {
        let patch = b"Description: x\n--- is what follows\n--- a/f\t2020\n+++ b/f\n@@ -1,2 +1 @@ fn\n-one\n two\n-- \n2.1\n";
        let files = parse(patch).unwrap();
        assert_eq!(files.len(), 1);
        assert_eq!((files[0].old, files[0].new), (Some(&b"a/f"[..]), Some(&b"b/f"[..])));
        let lines = [Line::Removed(b"one\n"), Line::Context(b"two\n")];
        assert_eq!(files[0].hunks[0].lines, lines);
    }

    #[test]
    fn gits_headers_are_understood() {
        let patch = b"diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\ndiff --git a/m b/m\nold mode 100644\nnew mode 100755\ndiff --git a/d b/d\ndeleted file mode 100644\nindex 1..0\n--- a/d\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n";
        let files = parse(patch).unwrap();
        assert!(files[0].renamed);
        assert_eq!((files[0].old, files[0].new), (Some(&b"x"[..]), Some(&b"y"[..])));
        assert_eq!((files[1].mode, files[1].new), (Some(0o100_755), Some(&b"b/m"[..])));
        assert_eq!((files[2].old, files[2].new), (Some(&b"a/d"[..]), None));
    }

    #[test]
    fn a_missing_newline_belongs_to_the_line_before() {
        let patch = b"--- a\n+++ b\n@@ -1 +1 @@\n-x\n\\ No newline at end of file\n+x\n";
        let lines = [Line::Removed(b"x"), Line::Added(b"x\n")];
        assert_eq!(parse(patch).unwrap()[0].hunks[0].lines, lines);
    }

    #[test]
    fn damaged_patches_are_refused() {
        for bad in [
            &b"nothing here\n"[..],
            b"--- a\n+++ b\n@@ -1,3 +1 @@\n-x\n",
            b"--- a\n+++ b\n@@ -1 +1 @@\n-x\n-y\n+z\n",
            b"--- a\n+++ b\n@@ one @@\n",
            b"--- /dev/null\n+++ /dev/null\n@@ -1 +1 @@\n-x\n+y\n",
            b"diff --git a/b b/b\nGIT binary patch\n",
        ] {
            assert!(parse(bad).is_err(), "{}", text(bad));
        }
    }
}
