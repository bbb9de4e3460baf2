//! A build's log: written to its file, told to whoever listens, and its last lines
//! kept for the report of a failure.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write as _},
    path::PathBuf,
};

use hb_model::DerivationId;

use crate::{Event, Events, LogEnd};

/// The lines of a log that a failure shows.
const TAIL_LINES: usize = 25;
/// As much of a line as a failure shows.
const MAX_LINE: usize = 2000;

pub(crate) struct Log {
    derivation: DerivationId,
    events: Events,
    path: PathBuf,
    file: File,
    tail: Tail,
    /// The first error in writing the file; the build goes on without.
    error: Option<io::Error>,
}

impl Log {
    /// A log that goes to `path`, whose file is new and empty.
    pub(crate) fn new(derivation: DerivationId, events: Events, path: PathBuf, file: File) -> Self {
        Self { derivation, events, path, file, tail: Tail::default(), error: None }
    }

    /// Take what a builder wrote.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if let Err(error) = self.file.write_all(bytes) {
            self.error.get_or_insert(error);
        }
        self.tail.take(bytes);
        self.events.emit(Event::Log { derivation: self.derivation, bytes: bytes.to_vec() });
    }

    /// The last lines.
    pub(crate) fn end(self) -> LogEnd {
        LogEnd { path: self.path, lines: self.tail.lines(), error: self.error }
    }
}

/// The last lines of what passed.
#[derive(Default)]
struct Tail {
    lines: VecDeque<String>,
    unfinished: Vec<u8>,
}

impl Tail {
    fn take(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            self.extend(&rest[..end]);
            self.finish_line();
            rest = &rest[end + 1..];
        }
        self.extend(rest);
    }

    fn extend(&mut self, bytes: &[u8]) {
        let room = MAX_LINE - self.unfinished.len();
        self.unfinished.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    fn finish_line(&mut self) {
        if self.lines.len() == TAIL_LINES {
            self.lines.pop_front();
        }
        let line = String::from_utf8_lossy(&self.unfinished);
        self.lines.push_back(line.trim_end_matches('\r').to_owned());
        self.unfinished.clear();
    }

    fn lines(mut self) -> Vec<String> {
        if !self.unfinished.is_empty() {
            self.finish_line();
        }
        self.lines.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_is_the_last_lines_however_they_came() {
        let mut tail = Tail::default();
        for number in 0..100 {
            let line = format!("line {number}\r\n");
            let (head, rest) = line.split_at(3);
            tail.take(head.as_bytes());
            tail.take(rest.as_bytes());
        }
        tail.take(b"and no end");
        let lines = tail.lines();
        assert_eq!(lines.len(), TAIL_LINES);
        assert_eq!(lines[TAIL_LINES - 2..], ["line 99", "and no end"]);
    }

    #[test]
    fn a_line_without_end_does_not_grow_without_bound() {
        let mut tail = Tail::default();
        (0..1000).for_each(|_| tail.take(&[b'x'; 1000]));
        assert_eq!(tail.lines()[0].len(), MAX_LINE);
    }
}
