//! The repl: lines in, values out, until the input ends.

mod command;
mod input;
mod show;
mod state;

use std::{cell::RefCell, path::PathBuf, rc::Rc};

use self::{
    command::{COMMANDS, Command},
    input::Input,
    state::State,
};
use crate::{commands::doc, error::Failure, exit::Exit, output};

pub(crate) use self::state::Setting;

/// Read, evaluate and print until the end. Of a pipe, a line that failed makes the code to
/// end with; a person has seen it.
pub(crate) fn run(setting: Setting, files: &[PathBuf]) -> Result<Exit, Failure> {
    let quiet = setting.global.quiet;
    let state = Rc::new(RefCell::new(State::new(setting)?));
    for file in files {
        load(&mut state.borrow_mut(), file)?;
        state.borrow_mut().end_line();
    }
    let mut input = Input::open(&state)?;
    if input.is_terminal() && !quiet {
        output::note(format!("hb {}; `:?` for help", env!("CARGO_PKG_VERSION")));
    }
    let mut exit = Exit::Success;
    while let Some(line) = input.next()? {
        let command = Command::parse(&line);
        if command == Command::Quit {
            break;
        }
        if let Err(failure) = carry_out(&mut state.borrow_mut(), command) {
            let code = output::failure(&failure);
            exit = if exit == Exit::Success { code } else { exit };
        }
        state.borrow_mut().end_line();
    }
    input.close()?;
    Ok(if input.is_terminal() { Exit::Success } else { exit })
}

fn carry_out(state: &mut State, command: Command<'_>) -> Result<(), Failure> {
    match command {
        Command::Nothing | Command::Quit => {}
        Command::Define(text) => state.define(text)?,
        Command::Evaluate(text) => output::result(state.shown(text)?),
        Command::Print(text) => output::result(state.printed(text)?),
        Command::Type(text) => output::result(state.type_of(text)?.described()),
        Command::Doc(text) => match state.documentation(text)? {
            Some(documentation) => output::result(doc::section(&documentation)),
            None => output::note("it is not documented"),
        },
        Command::Build(text) => output::result(state.build(text)?.display()),
        Command::Load(file) => load(state, file.as_ref())?,
        Command::Reload => state.reload()?,
        Command::Trace => match state.whole_trace() {
            Some(failure) => output::reports(&failure.reports),
            None => output::note("there was no error"),
        },
        Command::Help => help(),
        Command::Unknown(word) => return Err(state::unknown(word)),
    }
    Ok(())
}

fn load(state: &mut State, file: &std::path::Path) -> Result<(), Failure> {
    let count = state.load(file)?;
    output::note(format!("{count} variables"));
    Ok(())
}

fn help() {
    for (name, argument, what) in COMMANDS {
        output::result(format!("{:14} {what}", format!("{name} {argument}")));
    }
}
