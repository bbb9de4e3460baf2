//! Text that can be broken at places, and how it is fitted into lines.

/// The longest line, where something can be broken.
pub(super) const MAX_WIDTH: usize = 100;

/// Spaces for each level.
pub(super) const INDENT: usize = 2;

/// A piece of layout.
#[derive(Debug)]
pub(super) enum Doc {
    /// Text without line ends.
    Text(String),
    /// Text with line ends, which stay as they are.
    Raw(String),
    /// A space, unless the line ends there.
    Space,
    /// A space, or a line end if the group is broken.
    Line,
    /// Nothing, or a line end if the group is broken.
    Soft,
    /// A line end.
    Hard,
    /// An empty line.
    Blank,
    /// A comment on a line of its own.
    Comment(String),
    /// A comment that ends the line.
    Trailing(String),
    /// The content of an indented string, each line without its indentation.
    Indented {
        /// The lines; one may hold line ends that belong to an interpolation.
        lines: Vec<String>,
        /// Whether the closing quotes have a line of their own.
        closed_below: bool,
    },
    /// One after the other.
    Concat(Vec<Doc>),
    /// The same, a level deeper after line ends.
    Indent(Vec<Doc>),
    /// Broken nowhere but where a line has to end.
    Flat(Vec<Doc>),
    /// Broken at all its lines or at none.
    Group {
        /// What it holds.
        docs: Vec<Doc>,
        /// Whether something in it needs a line end.
        broken: bool,
    },
}

pub(super) fn text(text: impl Into<String>) -> Doc {
    Doc::Text(text.into())
}

pub(super) fn group(docs: Vec<Doc>) -> Doc {
    let broken = Breaks::default().any(&docs);
    Doc::Group { docs, broken }
}

/// Looks for what cannot stand on one line.
#[derive(Default)]
struct Breaks {
    /// Whether a comment has ended the line, so that nothing may follow.
    ended: bool,
}

impl Breaks {
    fn any(&mut self, docs: &[Doc]) -> bool {
        docs.iter().any(|doc| self.one(doc))
    }

    fn one(&mut self, doc: &Doc) -> bool {
        match doc {
            Doc::Hard | Doc::Blank | Doc::Comment(_) => true,
            Doc::Trailing(_) => {
                self.ended = true;
                false
            }
            Doc::Group { docs, broken } => *broken || self.any(docs),
            Doc::Concat(docs) | Doc::Indent(docs) | Doc::Flat(docs) => self.any(docs),
            Doc::Text(text) => self.ended && !text.is_empty(),
            Doc::Space => false,
            Doc::Raw(_) | Doc::Line | Doc::Soft | Doc::Indented { .. } => self.ended,
        }
    }
}

/// Fit a document into lines.
pub(super) fn render(doc: &Doc) -> String {
    let mut renderer = Renderer::default();
    let mut rest = vec![Command { indent: 0, flat: false, doc }];
    while let Some(command) = rest.pop() {
        renderer.step(command, &mut rest);
    }
    renderer.out
}

/// A piece that is still to be printed.
#[derive(Clone, Copy)]
struct Command<'d> {
    indent: usize,
    flat: bool,
    doc: &'d Doc,
}

#[derive(Default)]
struct Renderer {
    out: String,
    column: usize,
    /// How far the current line is indented.
    indent: usize,
    /// Whether the line must end before anything else.
    ends: bool,
    /// Whether a space comes before the next text of the line.
    space: bool,
}

impl Renderer {
    fn step<'d>(&mut self, command: Command<'d>, rest: &mut Vec<Command<'d>>) {
        let Command { indent, flat, doc } = command;
        let mut push = |docs: &'d [Doc], indent, flat| {
            rest.extend(docs.iter().rev().map(|doc| Command { indent, flat, doc }));
        };
        match doc {
            Doc::Text(text) => self.text(text, indent),
            Doc::Raw(text) => self.raw(text, indent),
            Doc::Space => self.space = self.column > 0,
            Doc::Line if flat => self.space = true,
            Doc::Soft if flat => {}
            Doc::Line | Doc::Soft | Doc::Hard => self.newline(),
            Doc::Blank => {
                self.newline();
                if !self.out.is_empty() && !self.out.ends_with("\n\n") {
                    self.out.push('\n');
                }
            }
            Doc::Comment(text) => {
                if self.column > 0 {
                    self.newline();
                }
                self.raw(&super::comments::reindent(text, indent), indent);
                self.ends = true;
            }
            Doc::Trailing(text) => {
                self.space = self.column > 0;
                self.raw(&super::comments::reindent(text, indent), indent);
                self.ends = true;
            }
            Doc::Indented { lines, closed_below } => {
                self.indented(lines, *closed_below, indent);
            }
            Doc::Concat(docs) => push(docs, indent, flat),
            Doc::Indent(docs) => push(docs, indent + INDENT, flat),
            Doc::Flat(docs) => push(docs, indent, true),
            Doc::Group { docs, broken } => {
                let flat = flat || !broken && self.fits(docs, rest);
                rest.extend(docs.iter().rev().map(|doc| Command { indent, flat, doc }));
            }
        }
    }

    fn newline(&mut self) {
        if self.column > 0 || self.ends {
            self.out.push('\n');
        }
        self.column = 0;
        self.ends = false;
        self.space = false;
    }

    fn text(&mut self, text: &str, indent: usize) {
        if text.is_empty() {
            return;
        }
        if self.ends {
            self.newline();
        }
        if self.column == 0 {
            self.out.extend(std::iter::repeat_n(' ', indent));
            self.column = indent;
            self.indent = indent;
        } else if self.space {
            self.out.push(' ');
            self.column += 1;
        }
        self.space = false;
        self.out.push_str(text);
        self.column += text.chars().count();
    }

    fn raw(&mut self, text: &str, indent: usize) {
        self.text(text, indent);
        if let Some(end) = text.rfind('\n') {
            self.column = text[end + 1..].chars().count().max(1);
        }
    }

    fn indented(&mut self, lines: &[String], closed_below: bool, indent: usize) {
        self.text("''", indent);
        let indent = self.indent;
        for line in lines {
            self.out.push('\n');
            if !line.is_empty() {
                self.out.extend(std::iter::repeat_n(' ', indent + INDENT));
                self.out.push_str(line);
            }
        }
        if closed_below {
            self.out.push('\n');
            self.out.extend(std::iter::repeat_n(' ', indent));
        }
        self.out.push_str("''");
        self.column = indent + 2;
    }

    /// Whether a group fits on the rest of the line, with what follows it there.
    fn fits(&self, docs: &[Doc], rest: &[Command<'_>]) -> bool {
        let column = self.column + usize::from(self.space);
        let Some(mut room) = MAX_WIDTH.checked_sub(column) else { return false };
        let mut stack: Vec<(bool, &Doc)> = docs.iter().rev().map(|doc| (true, doc)).collect();
        let mut after = rest.iter().rev();
        loop {
            let (flat, doc) = match stack.pop() {
                Some(next) => next,
                None => match after.next() {
                    Some(command) => (command.flat, command.doc),
                    None => return true,
                },
            };
            let width = match doc {
                Doc::Text(text) => text.chars().count(),
                Doc::Raw(text) => match text.split_once('\n') {
                    Some((first, _)) => return first.chars().count() <= room,
                    None => text.chars().count(),
                },
                Doc::Indented { .. } => return room >= 2,
                Doc::Space => 1,
                Doc::Line if flat => 1,
                Doc::Soft if flat => 0,
                Doc::Line | Doc::Soft | Doc::Hard | Doc::Blank | Doc::Comment(_) => return true,
                Doc::Trailing(_) => return true,
                Doc::Concat(docs) | Doc::Indent(docs) => {
                    stack.extend(docs.iter().rev().map(|doc| (flat, doc)));
                    0
                }
                Doc::Flat(docs) => {
                    stack.extend(docs.iter().rev().map(|doc| (true, doc)));
                    0
                }
                Doc::Group { docs, broken } => {
                    let flat = flat && !broken;
                    stack.extend(docs.iter().rev().map(|doc| (flat, doc)));
                    0
                }
            };
            match room.checked_sub(width) {
                Some(left) => room = left,
                None => return false,
            }
        }
    }
}
