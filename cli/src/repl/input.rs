//! Where the repl's lines come from: an editor at a terminal, or else a pipe. Either way,
//! lines are gathered until they are whole.

use std::{
    cell::RefCell,
    io::{BufRead as _, IsTerminal as _},
    path::PathBuf,
    rc::Rc,
};

use rustyline::{
    CompletionType, Config, Context, Editor, Helper,
    completion::{Completer, FilenameCompleter, Pair},
    error::ReadlineError,
    highlight::Highlighter,
    hint::Hinter,
    history::FileHistory,
    validate::{ValidationContext, ValidationResult, Validator},
};

use super::{
    command::{COMMANDS, Command},
    state::State,
};
use crate::{
    error::{CliError, Failure},
    exit::Exit,
};

/// Lines that are remembered from one session to the next.
const MAX_HISTORY: usize = 10_000;

/// Where lines come from.
pub(super) enum Input {
    /// A person, who edits.
    Terminal { editor: Box<Editor<Assistant, FileHistory>>, history: Option<PathBuf> },
    /// A program or a file.
    Pipe(std::io::StdinLock<'static>),
}

impl Input {
    /// Standard input, whatever it is.
    pub(super) fn open(state: &Rc<RefCell<State>>) -> Result<Self, Failure> {
        if !std::io::stdin().is_terminal() {
            return Ok(Self::Pipe(std::io::stdin().lock()));
        }
        let config = Config::builder()
            .completion_type(CompletionType::List)
            .auto_add_history(true)
            .max_history_size(MAX_HISTORY)
            .map_err(failure)?
            .build();
        let mut editor = Editor::with_config(config).map_err(failure)?;
        editor
            .set_helper(Some(Assistant { state: state.clone(), files: FilenameCompleter::new() }));
        let history = crate::config::history_file();
        if let Some(history) = &history {
            // There is none at first.
            let _ = editor.load_history(history);
        }
        Ok(Self::Terminal { editor: Box::new(editor), history })
    }

    /// Whether a person types.
    pub(super) fn is_terminal(&self) -> bool {
        matches!(self, Self::Terminal { .. })
    }

    /// The next whole input; nothing at the end.
    pub(super) fn next(&mut self) -> Result<Option<String>, Failure> {
        match self {
            Self::Terminal { editor, .. } => loop {
                match editor.readline("hb> ") {
                    Ok(line) => return Ok(Some(line)),
                    // Ctrl-C drops the line.
                    Err(ReadlineError::Interrupted) => {}
                    Err(ReadlineError::Eof) => return Ok(None),
                    Err(error) => return Err(failure(error)),
                }
            },
            Self::Pipe(lines) => {
                let mut text = String::new();
                loop {
                    let length = lines
                        .read_line(&mut text)
                        .map_err(|source| CliError::Io { path: "-".into(), source })?;
                    if length == 0 {
                        return Ok((!text.is_empty()).then_some(text));
                    }
                    if !Command::parse(&text).is_incomplete() {
                        return Ok(Some(text));
                    }
                }
            }
        }
    }

    /// Keep the history for the next session.
    pub(super) fn close(&mut self) -> Result<(), Failure> {
        if let Self::Terminal { editor, history: Some(history) } = self {
            if let Some(folder) = history.parent() {
                std::fs::create_dir_all(folder)
                    .map_err(|source| CliError::Io { path: folder.to_owned(), source })?;
            }
            editor.save_history(history).map_err(failure)?;
        }
        Ok(())
    }
}

fn failure(error: ReadlineError) -> Failure {
    Failure::plain(Exit::Usage, "usage.file", &error, None)
}

/// Helps the editor: completes names and knows when a line goes on.
pub(super) struct Assistant {
    state: Rc<RefCell<State>>,
    files: FilenameCompleter,
}

impl Helper for Assistant {}
impl Highlighter for Assistant {}

impl Hinter for Assistant {
    type Hint = String;
}

impl Validator for Assistant {
    fn validate(&self, context: &mut ValidationContext<'_>) -> rustyline::Result<ValidationResult> {
        let text = context.input();
        // An empty line ends what would never become whole.
        let insisted = text.ends_with('\n');
        Ok(match !insisted && Command::parse(text).is_incomplete() {
            true => ValidationResult::Incomplete,
            false => ValidationResult::Valid(None),
        })
    }
}

impl Completer for Assistant {
    type Candidate = Pair;

    fn complete(
        &self,
        line: &str,
        cursor: usize,
        context: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<Pair>)> {
        let before = &line[..cursor];
        if before.starts_with(":l ") {
            return self.files.complete(line, cursor, context);
        }
        if before.starts_with(':') && !before.contains(' ') {
            let commands = COMMANDS.iter().map(|command| command.0.to_owned());
            let fitting = commands.filter(|command| command.starts_with(before));
            return Ok((0, fitting.map(candidate).collect()));
        }
        let start = path_start(before);
        let (prefix, word) = match before[start..].rsplit_once('.') {
            Some((prefix, word)) => (Some(prefix), word),
            None => (None, &before[start..]),
        };
        let names = match self.state.try_borrow_mut() {
            Ok(mut state) => state.names(prefix),
            // While a line is evaluated nothing is completed.
            Err(_) => Vec::new(),
        };
        let fitting = names.into_iter().filter(|name| name.starts_with(word));
        Ok((cursor - word.len(), fitting.map(candidate).collect()))
    }
}

fn candidate(name: String) -> Pair {
    Pair { display: name.clone(), replacement: name }
}

/// Where the name or path of attributes that ends at the end of a text begins.
fn path_start(text: &str) -> usize {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_'-.".contains(c);
    text.rfind(|c| !is_part(c))
        .map_or(0, |at| at + text[at..].chars().next().map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::path_start;

    #[test]
    fn a_path_begins_after_what_is_no_part_of_it() {
        assert_eq!(path_start("map builtins.conc"), 4);
        assert_eq!(path_start("[ ”a.b"), 5);
        assert_eq!(path_start("a"), 0);
    }
}
