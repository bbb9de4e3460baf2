//! Strings stay as they are, but an indented one moves with the code around it.

use super::doc::Doc;
use crate::SyntaxKind;
use crate::syntax::{SyntaxElement, SyntaxNode};

/// A string's layout.
pub(super) fn string(node: &SyntaxNode) -> Doc {
    movable(node).unwrap_or_else(|| Doc::Raw(node.text().to_string()))
}

/// An indented string whose lines can be moved without changing what it means: it
/// begins with a line end, and no escape makes or follows one.
fn movable(node: &SyntaxNode) -> Option<Doc> {
    let mut pieces: Vec<SyntaxElement> = node.children_with_tokens().collect();
    let open = pieces.first()?.as_token().filter(|token| token.text().ends_with('\n'))?;
    if open.kind() != SyntaxKind::IndentedOpen || pieces.len() < 2 {
        return None;
    }
    if pieces.pop()?.kind() != SyntaxKind::IndentedClose {
        return None;
    }
    let mut lines = vec![Line::default()];
    for piece in &pieces[1..] {
        let text = piece.to_string();
        match piece.kind() {
            SyntaxKind::Text => {
                for (at, part) in text.split('\n').enumerate() {
                    if at > 0 {
                        lines.push(Line::default());
                    }
                    lines.last_mut()?.add_text(part);
                }
            }
            SyntaxKind::IndentedEscape if text.starts_with("''\\") => return None,
            _ => lines.last_mut()?.add(&text),
        }
    }
    let last = lines.pop()?;
    let closed_below = !last.solid;
    if !closed_below {
        lines.push(last);
    }
    let shared = lines.iter().filter(|line| line.solid).map(|line| line.blanks).min()?;
    let lines = lines
        .iter()
        .map(|line| " ".repeat(line.blanks.saturating_sub(shared)) + &line.text)
        .collect();
    Some(Doc::Indented { lines, closed_below })
}

/// A line of a string.
#[derive(Default)]
struct Line {
    blanks: usize,
    text: String,
    /// Whether there is anything but spaces.
    solid: bool,
}

impl Line {
    fn add_text(&mut self, text: &str) {
        let mut text = text;
        if !self.solid {
            let rest = text.trim_start_matches(' ');
            self.blanks += text.len() - rest.len();
            text = rest;
        }
        if !text.is_empty() {
            self.add(text);
        }
    }

    fn add(&mut self, text: &str) {
        self.text.push_str(text);
        self.solid = true;
    }
}
