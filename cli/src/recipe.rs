//! From a recipe's name on the command line to derivations: find the project, evaluate,
//! select, and take out what is to be built.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
};

use hb_evaluator::{Derivations, Error, Evaluator, Held, Options, Report, Shown};
use hb_lang::Dialect;
use hb_model::{DerivationId, OutputName};
use hb_store::{OpenMode, Store, StoreOptions};

use crate::{
    args::{ArgumentArgs, EvaluationArgs, Global, RecipeArgs},
    commands,
    config::{Layer, Settings},
    error::{CliError, Failure},
    exit::Exit,
    project::{self, Lock, Project},
    search_path::SearchPath,
    world::{HostWorld, StoreSource, View},
};

/// The dialect of a file, by its name.
pub(crate) fn dialect_of(path: &Path) -> Dialect {
    match path.extension() {
        Some(extension) if extension == "nix" => Dialect::Nix,
        _ => Dialect::Hb,
    }
}

/// `FILE` or `FILE#a.b`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RecipeName {
    /// The file.
    pub(crate) file: PathBuf,
    /// The attribute's path; empty for none.
    pub(crate) attribute: Vec<String>,
}

impl FromStr for RecipeName {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (file, attribute) = text.split_once('#').unwrap_or((text, ""));
        Ok(Self { file: file.into(), attribute: attribute_path(attribute) })
    }
}

/// The names of an attribute path such as `a."b.c".0`.
pub(crate) fn attribute_path(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut quoted = false;
    for character in text.chars() {
        match character {
            '"' => quoted = !quoted,
            '.' if !quoted => names.push(std::mem::take(&mut name)),
            _ => name.push(character),
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty());
    names
}

/// A recipe ready to be evaluated: where it is, whose it is, and under which settings.
pub(crate) struct Recipe {
    /// The file and attribute.
    pub(crate) name: RecipeName,
    /// The project around it.
    pub(crate) project: Option<Project>,
    /// Every layer applied.
    pub(crate) settings: Settings,
}

/// What a recipe's attribute turned out to be.
pub(crate) struct Evaluated {
    /// Every derivation that evaluation met.
    pub(crate) derivations: Derivations,
    /// What was asked for, in order.
    pub(crate) targets: Vec<(DerivationId, OutputName)>,
    /// With `--locked`: all that may be fetched.
    pub(crate) lock: Option<Lock>,
}

impl Recipe {
    /// Find a recipe. `options` are the settings given on the command line.
    pub(crate) fn find(text: &str, options: Layer) -> Result<Self, Failure> {
        let Ok(mut name) = RecipeName::from_str(text);
        name.file = std::fs::canonicalize(&name.file)
            .map_err(|source| CliError::Io { path: name.file.clone(), source })?;
        if name.file.is_dir() {
            let mut recipes = ["default.hb", "default.nix"].map(|recipe| name.file.join(recipe));
            let Some(recipe) = recipes.iter_mut().find(|recipe| recipe.is_file()) else {
                let problem = format!("'{}' holds no recipe", name.file.display());
                return Err(CliError::usage(problem)
                    .with_help("it would be 'default.hb' or 'default.nix'; name another file")
                    .into());
            };
            name.file = std::mem::take(recipe);
        }
        let project = Project::find(&name.folder())?;
        let settings = Settings::load(options, project::settings(project.as_ref()))?;
        Ok(Self { name, project, settings })
    }

    /// Evaluate, and take out the derivations of the attribute, or of `default`.
    pub(crate) fn evaluate(&self, args: &RecipeArgs, store: &Store) -> Result<Evaluated, Failure> {
        let mut session = Session::new(
            self.project.as_ref(),
            &self.name.folder(),
            &args.arguments,
            args.evaluation,
            &self.settings,
            store.clone().into(),
        )?;
        let value = session.eval_recipe(&self.name)?;
        session.targets(value, &self.name)
    }
}

impl RecipeName {
    /// The folder that holds the file.
    pub(crate) fn folder(&self) -> PathBuf {
        self.file.parent().unwrap_or(Path::new("/")).to_owned()
    }
}

/// Open the store for building.
pub(crate) fn open_store(settings: &Settings) -> Result<Store, Failure> {
    Ok(Store::open_with(&settings.store, OpenMode::Write, settings.store_options.clone())?)
}

/// How to evaluate, where it is not the usual way.
#[derive(Default)]
pub(crate) struct Evaluation {
    /// What the evaluator is told.
    pub(crate) options: Options,
    /// Where `<…>` looks.
    pub(crate) search_path: SearchPath,
    /// Show nothing of what `trace` and `warn` say: it was shown before.
    pub(crate) silent: bool,
    /// The folder that compiled texts are kept in, if they are.
    pub(crate) compiled: Option<PathBuf>,
}

/// An evaluation in progress.
pub(crate) struct Session {
    evaluator: Evaluator,
    arguments: Vec<(String, Held)>,
    shown: Shown,
    lock: Option<Lock>,
}

impl Session {
    /// Begin to evaluate what lies in `folder`, within its project if it has one. With
    /// `--locked`, the lock file must serve everything that `hb.toml` names.
    pub(crate) fn new(
        project: Option<&Project>,
        folder: &Path,
        arguments: &ArgumentArgs,
        evaluation: EvaluationArgs,
        settings: &Settings,
        store: StoreSource,
    ) -> Result<Self, Failure> {
        let how = Evaluation { compiled: settings.compiled.clone(), ..Evaluation::default() };
        Self::with(project, folder, arguments, evaluation, store, how)
    }

    /// The same, not in the usual way.
    pub(crate) fn with(
        project: Option<&Project>,
        folder: &Path,
        arguments: &ArgumentArgs,
        evaluation: EvaluationArgs,
        store: StoreSource,
        how: Evaluation,
    ) -> Result<Self, Failure> {
        // First: what a stale lock file makes of the tools is beside the point.
        let lock = match (evaluation.locked, project) {
            (false, _) => None,
            (true, Some(project)) => Some(project.require_locked()?.clone()),
            (true, None) => return Err(CliError::NoProject { start: folder.to_owned() }.into()),
        };
        let system = arguments.system.clone().unwrap_or_else(hb_build::this_system);
        let recipes = project.map(Project::recipes_folder).transpose()?.flatten();
        // Who names a folder lets it be read, wherever links in it lead.
        let named = how.search_path.iter().map(|(_, place)| place);
        let named = named.flat_map(|place| [Some(place.clone()), place.canonicalize().ok()]);
        let view = View {
            project: project.map_or_else(|| folder.to_owned(), |project| project.folder.clone()),
            also: recipes.into_iter().chain(named.flatten()).collect(),
            impure: evaluation.impure,
            system: system.clone(),
            search_path: how.search_path,
            silent: how.silent,
            compiled: how.compiled,
        };
        let shown = Shown::Own(view.project.clone());
        let world = HostWorld::new(view, store);
        let evaluator = Evaluator::new(Box::new(world), how.options);
        let shown = if evaluation.show_trace { Shown::All } else { shown };
        let mut session = Self { evaluator, arguments: Vec::new(), shown, lock };
        session.set_arguments(project, arguments, &system)?;
        Ok(session)
    }

    /// An evaluation that reads nothing: for looking at texts.
    pub(crate) fn bare() -> Result<Self, Failure> {
        let nowhere = Path::new("/");
        let (arguments, evaluation) = (ArgumentArgs::default(), EvaluationArgs::default());
        let store = StoreSource::At(nowhere.to_owned(), StoreOptions::default());
        Self::with(None, nowhere, &arguments, evaluation, store, Evaluation::default())
    }

    fn set_arguments(
        &mut self,
        project: Option<&Project>,
        given: &ArgumentArgs,
        system: &str,
    ) -> Result<(), Failure> {
        let value = self.evaluator.string(system);
        self.arguments.push(("system".to_owned(), value));
        if let Some(project) = project {
            let text = project.pins_expression(system)?;
            let pins = self.eval_text(&text, &project.folder)?;
            self.arguments.push(("pins".to_owned(), pins));
        }
        for pair in given.arg.chunks_exact(2) {
            // Paths on a command line start where it is typed.
            let value = self.eval_text(&pair[1], &commands::current_folder()?)?;
            self.arguments.push((pair[0].clone(), value));
        }
        for pair in given.argstr.chunks_exact(2) {
            let value = self.evaluator.string(&pair[1]);
            self.arguments.push((pair[0].clone(), value));
        }
        Ok(())
    }

    /// Evaluate a recipe's file, give it its arguments, and select its attribute.
    pub(crate) fn eval_recipe(&mut self, name: &RecipeName) -> Result<Held, Failure> {
        let value = self.eval_file(&name.file)?;
        match name.attribute.is_empty() {
            true => self.apply(value),
            false => self.select(value, &name.attribute),
        }
    }

    /// Evaluate a file.
    pub(crate) fn eval_file(&mut self, file: &Path) -> Result<Held, Failure> {
        let value = self.evaluator.eval_file(file);
        self.reported(value)
    }

    /// Evaluate a text that is no file.
    pub(crate) fn eval_text(&mut self, text: &str, folder: &Path) -> Result<Held, Failure> {
        let value = self.evaluator.eval_text(text, folder, Dialect::Loose);
        self.reported(value)
    }

    /// The value at an attribute path. A function of named arguments on the way is called
    /// with those that it names.
    pub(crate) fn select(&mut self, value: Held, path: &[String]) -> Result<Held, Failure> {
        let arguments = by_name(&self.arguments);
        let selected = self.evaluator.select_calling(value, path, &arguments);
        self.reported(selected)
    }

    /// Call a function of named arguments with those that it names.
    pub(crate) fn apply(&mut self, value: Held) -> Result<Held, Failure> {
        let arguments = by_name(&self.arguments);
        let result = self.evaluator.call_with(value, &arguments);
        self.reported(result)
    }

    /// The derivations of every tool of the project.
    pub(crate) fn tools(mut self) -> Result<Evaluated, Failure> {
        let pins = self.arguments.iter().find(|(name, _)| name == "pins").map(|(_, value)| *value);
        let Some(pins) = pins else { return Ok(self.evaluated(Vec::new())) };
        let names = self.evaluator.attr_names(pins);
        let mut targets = Vec::new();
        for name in self.reported(names)?.unwrap_or_default() {
            let tool = self.evaluator.select(pins, &[&name]);
            let tool = self.reported(tool)?;
            targets.extend(self.target(tool)?);
        }
        Ok(self.evaluated(targets))
    }

    /// What evaluation met, with what is asked for.
    pub(crate) fn evaluated(self, targets: Vec<(DerivationId, OutputName)>) -> Evaluated {
        Evaluated { derivations: self.evaluator.into_derivations(), targets, lock: self.lock }
    }

    /// The same, of an evaluation that goes on.
    pub(crate) fn evaluated_so_far(&self, targets: Vec<(DerivationId, OutputName)>) -> Evaluated {
        Evaluated { derivations: self.evaluator.derivations(), targets, lock: self.lock.clone() }
    }

    /// What recipes are given, as a set.
    pub(crate) fn arguments_set(&mut self) -> Held {
        let arguments = by_name(&self.arguments);
        self.evaluator.attrs(&arguments)
    }

    /// The derivation that a value is, or those in the list that it is; those of
    /// `default` where it is a set that is none itself.
    fn targets(mut self, value: Held, name: &RecipeName) -> Result<Evaluated, Failure> {
        let mut targets = Vec::new();
        if let Some(target) = self.target(value)? {
            targets.push(target);
        } else {
            let value = match name.attribute.is_empty() {
                true => {
                    let default = self.evaluator.select(value, &["default"]);
                    self.reported(default)?
                }
                false => value,
            };
            let items = self.evaluator.items(value);
            for item in self.reported(items)?.unwrap_or_else(|| vec![value]) {
                let target = self.target(item)?;
                targets.push(target.ok_or_else(|| not_a_derivation(name))?);
            }
        }
        Ok(self.evaluated(targets))
    }

    /// The derivation and output that a value is, if it is one.
    pub(crate) fn target(
        &mut self,
        value: Held,
    ) -> Result<Option<(DerivationId, OutputName)>, Failure> {
        let derivation = self.evaluator.derivation_of(value);
        let Some(derivation) = self.reported(derivation)? else { return Ok(None) };
        let name = self.evaluator.select(value, &["outputName"]);
        let name = self.reported(name)?;
        let name = self.evaluator.text(name);
        let name = String::from_utf8(self.reported(name)?).unwrap_or_default();
        let output = OutputName::new(&name)
            .map_err(|error| Failure::plain(Exit::Evaluation, "build.derivation", &error, None))?;
        Ok(Some((derivation, output)))
    }

    /// The evaluator, for commands that look at values.
    pub(crate) fn evaluator(&mut self) -> &mut Evaluator {
        &mut self.evaluator
    }

    /// An error with its place and trace, as a failure.
    pub(crate) fn reported<T>(&self, result: Result<T, Error>) -> Result<T, Failure> {
        result.map_err(|error| self.short_report(&error))
    }

    /// An error with its place and the trace that is usually shown.
    pub(crate) fn short_report(&self, error: &Error) -> Failure {
        self.report(error, &self.shown)
    }

    /// An error with its place and every step of its trace.
    pub(crate) fn whole_report(&self, error: &Error) -> Failure {
        self.report(error, &Shown::All)
    }

    fn report(&self, error: &Error, shown: &Shown) -> Failure {
        Failure::new(Exit::Evaluation, Report::new(error, self.evaluator.sources(), shown))
    }
}

/// Arguments by name.
fn by_name(arguments: &[(String, Held)]) -> Vec<(&str, Held)> {
    arguments.iter().map(|(name, value)| (name.as_str(), *value)).collect()
}

fn not_a_derivation(name: &RecipeName) -> Failure {
    let attribute = match name.attribute.is_empty() {
        true => "default".to_owned(),
        false => name.attribute.join("."),
    };
    CliError::NotADerivation { attribute, file: name.file.clone() }.into()
}

/// The settings for a command that takes no recipe: those of the project around the
/// current folder.
pub(crate) fn settings_here(global: &Global) -> Result<Settings, Failure> {
    let project = Project::find(Path::new("."))?;
    Ok(Settings::load(global.layer(), project::settings(project.as_ref()))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipes_name_is_a_file_and_an_attribute_path() {
        let parse = |text: &str| RecipeName::from_str(text).unwrap();
        assert_eq!(parse("a.hb").attribute, Vec::<String>::new());
        assert_eq!(parse("a.hb#b.c").attribute, ["b", "c"]);
        assert_eq!(parse("a.hb#b.c").file, Path::new("a.hb"));
        assert_eq!(parse("a.hb#b.\"c.d\".0").attribute, ["b", "c.d", "0"]);
    }
}
