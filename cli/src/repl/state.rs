//! What a repl remembers between lines: an evaluation, its variables, and how they came
//! about.

use std::path::{Path, PathBuf};

use hb_evaluator::{Documentation, Error, Eval, Evaluator, Held, Printing, Type};
use hb_lang::{Dialect, suggest::nearest};

use super::{command, show};
use crate::{
    args::{ArgumentArgs, EvaluationArgs, Global},
    building::Work,
    commands::build::HowArgs,
    config::Settings,
    error::{CliError, Failure},
    project::{self, Project},
    recipe::{Session, open_store},
};

/// What gave variables; done again when the session begins anew.
#[derive(Clone, Debug)]
enum Step {
    Load(PathBuf),
    Define(String),
}

/// How to begin.
pub(crate) struct Setting {
    pub(crate) global: Global,
    pub(crate) arguments: ArgumentArgs,
    pub(crate) evaluation: EvaluationArgs,
    pub(crate) folder: PathBuf,
}

/// A repl between two lines.
pub(super) struct State {
    setting: Setting,
    settings: Settings,
    session: Session,
    /// The set of all variables.
    scope: Held,
    /// What is held from here on belongs to one line.
    mark: Held,
    steps: Vec<Step>,
    last_error: Option<Error>,
}

impl State {
    /// Begin in a folder.
    pub(super) fn new(setting: Setting) -> Result<Self, Failure> {
        let project = Project::find(&setting.folder)?;
        let settings = Settings::load(setting.global.layer(), project::settings(project.as_ref()))?;
        let (session, scope, mark) = begin(&setting, project.as_ref(), &settings)?;
        Ok(Self { setting, settings, session, scope, mark, steps: Vec::new(), last_error: None })
    }

    /// Forget all values, and do every step again.
    pub(super) fn reload(&mut self) -> Result<(), Failure> {
        let project = Project::find(&self.setting.folder)?;
        let (session, scope, mark) = begin(&self.setting, project.as_ref(), &self.settings)?;
        (self.session, self.scope, self.mark) = (session, scope, mark);
        self.last_error = None;
        for step in std::mem::take(&mut self.steps) {
            let done = match &step {
                Step::Load(file) => self.load_again(file).map(drop),
                Step::Define(text) => self.define_again(text),
            };
            // A step that fails now may work the next time.
            self.steps.push(step);
            done?;
            self.end_line();
        }
        Ok(())
    }

    /// Make the attributes of a file's value variables; gives how many there are.
    pub(super) fn load(&mut self, file: &Path) -> Result<usize, Failure> {
        let file = self.setting.folder.join(file);
        let file = std::fs::canonicalize(&file)
            .map_err(|source| CliError::Io { path: file.clone(), source })?;
        let count = self.load_again(&file)?;
        self.steps.push(Step::Load(file));
        Ok(count)
    }

    fn load_again(&mut self, file: &Path) -> Result<usize, Failure> {
        let value = self.evaluator().eval_file(file);
        let value = self.kept(value)?;
        let value = self.session.apply(value)?;
        let names = self.evaluator().attr_names(value);
        let Some(names) = self.kept(names)? else {
            return Err(CliError::usage(format!("the value of {} is no set", file.display()))
                .with_help("name it: `it = import ./FILE`")
                .into());
        };
        let extended = self.session.evaluator().extend(self.scope, value);
        self.kept(extended)?;
        Ok(names.len())
    }

    /// Define variables.
    pub(super) fn define(&mut self, text: &str) -> Result<(), Failure> {
        self.define_again(text)?;
        self.steps.push(Step::Define(text.to_owned()));
        Ok(())
    }

    fn define_again(&mut self, text: &str) -> Result<(), Failure> {
        let set = self.evaluate(&command::definitions(text))?;
        let extended = self.session.evaluator().extend(self.scope, set);
        self.kept(extended)
    }

    /// The value of an expression, shown as far as is worth while.
    pub(super) fn shown(&mut self, text: &str) -> Result<String, Failure> {
        let value = self.evaluate(text)?;
        let shown = show::value(self.session.evaluator(), value);
        self.kept(shown)
    }

    /// All of the value of an expression.
    pub(super) fn printed(&mut self, text: &str) -> Result<String, Failure> {
        let value = self.evaluate(text)?;
        let printed = self.evaluator().print(value, Printing::Strict);
        Ok(String::from_utf8_lossy(&self.kept(printed)?).into_owned())
    }

    /// The type of the value of an expression.
    pub(super) fn type_of(&mut self, text: &str) -> Result<Type, Failure> {
        let value = self.evaluate(text)?;
        let found = self.evaluator().force(value);
        self.kept(found)
    }

    /// The documentation of the value of an expression, or of the attribute that it selects.
    pub(super) fn documentation(&mut self, text: &str) -> Result<Option<Documentation>, Failure> {
        let (first, path) = match is_path(text) {
            true => text.split_once('.').unwrap_or((text, "")),
            false => (text, ""),
        };
        let value = self.evaluate(first)?;
        let path: Vec<_> = path.split('.').filter(|part| !part.is_empty()).collect();
        let found = match path.is_empty() && is_path(first) {
            // What is said where the variable is defined is said there.
            true => self.session.evaluator().documentation(self.scope, &[first]),
            false => self.session.evaluator().documentation(value, &path),
        };
        let found = match found {
            Err(_) => self.session.evaluator().documentation(value, &path),
            found => found,
        };
        let name = text.to_owned();
        Ok(self.kept(found)?.map(|found| Documentation { name, ..found }))
    }

    /// Build what the value of an expression is; gives where the output lies.
    pub(super) fn build(&mut self, text: &str) -> Result<PathBuf, Failure> {
        let value = self.evaluate(text)?;
        let target = self.session.target(value)?.ok_or_else(|| {
            CliError::usage("this is no derivation").with_help("`:t` shows what it is")
        })?;
        let store = open_store(&self.settings)?;
        let work = Work::new(&self.settings, store, self.session.evaluated_so_far(vec![target]))?;
        let built = work.build(&self.setting.global, &HowArgs::default(), false)?;
        let path = built.outputs.first().map(|(_, path)| work.store.physical(path));
        path.ok_or_else(|| CliError::usage("there is no output").into())
    }

    /// The last error, with every step of its trace.
    pub(super) fn whole_trace(&self) -> Option<Failure> {
        self.last_error.as_ref().map(|error| self.session.whole_report(error))
    }

    /// The names that can follow `prefix.`, or that can begin an expression.
    pub(super) fn names(&mut self, prefix: Option<&str>) -> Vec<String> {
        let names = match prefix {
            Some(prefix) => {
                let evaluator = self.session.evaluator();
                evaluator
                    .eval_with_scope(prefix, &self.setting.folder, Dialect::Hb, self.scope)
                    .and_then(|value| evaluator.attr_names(value))
            }
            None => self.session.evaluator().attr_names(self.scope).map(|own| {
                let globals = self.session.evaluator().global_names(Dialect::Hb);
                let plain = globals.into_iter().filter(|name| !name.starts_with("__"));
                Some(own.unwrap_or_default().into_iter().chain(plain).collect())
            }),
        };
        self.end_line();
        names.ok().flatten().unwrap_or_default()
    }

    /// Give back what only the last line needed.
    pub(super) fn end_line(&mut self) {
        let mark = self.mark;
        self.evaluator().release(mark);
        self.evaluator().give_memory_back();
    }

    fn evaluator(&mut self) -> &mut Evaluator {
        self.session.evaluator()
    }

    fn evaluate(&mut self, text: &str) -> Result<Held, Failure> {
        if text.is_empty() {
            return Err(CliError::usage("an expression is needed").into());
        }
        let (evaluator, folder) = (self.session.evaluator(), &self.setting.folder);
        let value = evaluator.eval_with_scope(text, folder, Dialect::Hb, self.scope);
        self.kept(value)
    }

    /// The error is what `:trace` shows.
    fn kept<T>(&mut self, result: Eval<T>) -> Result<T, Failure> {
        result.map_err(|error| {
            let failure = self.session.short_report(&error);
            self.last_error = Some(error);
            failure
        })
    }
}

/// An evaluation whose variables are the arguments that recipes are given.
fn begin(
    setting: &Setting,
    project: Option<&Project>,
    settings: &Settings,
) -> Result<(Session, Held, Held), Failure> {
    let store = settings.into();
    let (arguments, evaluation) = (&setting.arguments, setting.evaluation);
    let mut session =
        Session::new(project, &setting.folder, arguments, evaluation, settings, store)?;
    let scope = session.arguments_set();
    let mark = session.evaluator().mark();
    Ok((session, scope, mark))
}

/// Whether an expression only names a variable and attributes.
fn is_path(text: &str) -> bool {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "_'-".contains(c))
    };
    text.split('.').all(is_name)
}

/// A command that was not understood, with the near one.
pub(super) fn unknown(word: &str) -> Failure {
    let names = command::COMMANDS.iter().map(|command| command.0);
    let error = CliError::usage(format!("there is no command '{word}'"));
    match nearest(word, names) {
        Some(near) => error.with_help(format!("did you mean '{near}'?")),
        None => error.with_help("`:?` lists them"),
    }
    .into()
}
