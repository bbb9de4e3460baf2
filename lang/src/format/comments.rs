//! Which comment belongs to which token.
//!
//! A comment that ends a line belongs to the token before it; every other one to the
//! token after it.

use super::doc::Doc;
use crate::SyntaxKind;
use crate::syntax::SyntaxToken;

/// A comment before a token.
pub(super) struct Leading {
    pub(super) text: String,
    /// Where it stands, which also names it.
    pub(super) at: u32,
    /// Whether an empty line comes before it.
    blank_before: bool,
    /// Whether the next thing is on its line.
    inline: bool,
}

/// What stands between a token and the one before it.
pub(super) struct Gap {
    /// Comments that end the line of the token before.
    pub(super) trailing: Vec<String>,
    /// Comments of the token after.
    pub(super) leading: Vec<Leading>,
    /// Whether an empty line comes right before the token after.
    blank_before: bool,
    /// Whether there is a line end in it.
    pub(super) newline: bool,
}

impl Gap {
    /// Whether an empty line sets off what begins here, its comments included.
    pub(super) fn set_off(&self) -> bool {
        self.leading.first().map_or(self.blank_before, |first| first.blank_before)
    }

    /// The leading comments, as the beginning of what follows them.
    pub(super) fn docs(&self, skip: impl Fn(u32) -> bool) -> Vec<Doc> {
        let mut docs = Vec::new();
        let mut first = true;
        for comment in self.leading.iter().filter(|comment| !skip(comment.at)) {
            if !first && comment.blank_before {
                docs.push(Doc::Blank);
            }
            first = false;
            if comment.inline && !comment.text.contains('\n') {
                docs.push(Doc::Text(comment.text.clone()));
                docs.push(Doc::Space);
            } else {
                docs.push(Doc::Comment(comment.text.clone()));
            }
        }
        if !first && self.blank_before {
            docs.push(Doc::Blank);
        }
        docs
    }
}

/// What lies before a token.
pub(super) fn before(token: &SyntaxToken) -> Gap {
    let mut pieces = Vec::new();
    let mut previous = token.prev_token();
    while let Some(piece) = previous.filter(|piece| piece.kind().is_trivia()) {
        previous = piece.prev_token();
        pieces.push(piece);
    }
    pieces.reverse();
    let starts_file =
        pieces.first().map_or_else(|| token.prev_token().is_none(), |p| p.prev_token().is_none());
    gap(&pieces, starts_file, false)
}

/// The comments that end the line after a token.
pub(super) fn trailing(token: &SyntaxToken) -> Vec<String> {
    let (pieces, ends_file) = following(token);
    gap(&pieces, false, ends_file).trailing
}

/// What lies after the last token of a file.
pub(super) fn at_end(token: &SyntaxToken) -> Gap {
    let (pieces, ends_file) = following(token);
    gap(&pieces, false, ends_file)
}

fn following(token: &SyntaxToken) -> (Vec<SyntaxToken>, bool) {
    let mut pieces = Vec::new();
    let mut next = token.next_token();
    while let Some(piece) = next.clone().filter(|piece| piece.kind().is_trivia()) {
        next = piece.next_token();
        pieces.push(piece);
    }
    (pieces, next.is_none())
}

/// Assign the comments of a gap.
fn gap(pieces: &[SyntaxToken], starts_file: bool, ends_file: bool) -> Gap {
    let newlines = |piece: &SyntaxToken| {
        if piece.kind() == SyntaxKind::Whitespace { piece.text().matches('\n').count() } else { 0 }
    };
    let first_newline = pieces.iter().position(|piece| newlines(piece) > 0);
    // Comments that begin on the line of the token before, if the line ends with them.
    let ended = match first_newline {
        _ if starts_file => 0,
        Some(at) => at,
        None if ends_file => pieces.len(),
        None => 0,
    };
    let (same_line, below) = pieces.split_at(ended);
    let comments = same_line.iter().filter(|piece| piece.kind().is_comment());
    let mut gap = Gap {
        trailing: comments.map(clean).collect(),
        leading: Vec::new(),
        blank_before: false,
        newline: first_newline.is_some(),
    };
    let mut blank = false;
    for (at, piece) in below.iter().enumerate() {
        if piece.kind().is_comment() {
            let inline = below[at + 1..].iter().all(|piece| newlines(piece) == 0)
                && piece.kind() != SyntaxKind::LineComment;
            gap.leading.push(Leading {
                text: clean(piece),
                at: piece.text_range().start().into(),
                blank_before: blank,
                inline,
            });
            blank = false;
        } else {
            blank = newlines(piece) > 1;
        }
    }
    gap.blank_before = blank;
    gap
}

/// A comment without blanks at its lines' ends.
fn clean(comment: &SyntaxToken) -> String {
    comment.text().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
}

/// Move the further lines of a block comment to where it now stands: lines that begin
/// with a star under the first star, others a level deeper, the end below its beginning.
pub(super) fn reindent(comment: &str, indent: usize) -> String {
    let Some((first, rest)) = comment.split_once('\n') else { return comment.into() };
    let lines: Vec<&str> = rest.lines().collect();
    let starred = lines.iter().all(|line| line.trim_start().starts_with('*'));
    let blanks = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let content = |line: &&&str| !line.trim().is_empty() && line.trim() != "*/";
    let shared = lines.iter().filter(content).map(|line| blanks(line)).min().unwrap_or(0);
    let mut moved = String::from(first);
    for line in &lines {
        moved.push('\n');
        let (depth, text) = match line.trim_start_matches(' ') {
            _ if line.trim().is_empty() => continue,
            text if starred => (indent + 1, text),
            "*/" => (indent, "*/"),
            _ => (indent + super::doc::INDENT, &line[shared..]),
        };
        moved.extend(std::iter::repeat_n(' ', depth));
        moved.push_str(text);
    }
    moved
}
