//! `hb test`: a recipe's tests, each with its name and, where it fails, with why.

use clap::Args;
use hb_evaluator::{Difference, Held};
use serde_json::json;

use crate::{
    args::{Global, RecipeArgs},
    building::Work,
    commands::build::HowArgs,
    error::{CliError, Failure},
    exit::Exit,
    output,
    recipe::{Recipe, Session, open_store},
};

/// Sets in sets that tests may be in: further in, a set may well hold itself.
const MAX_DEPTH: usize = 16;

/// What `hb test` takes.
#[derive(Debug, Args)]
pub(crate) struct TestArgs {
    #[command(flatten)]
    recipe: RecipeArgs,
    #[command(flatten)]
    how: HowArgs,
}

/// A test and what came of it.
struct Case {
    name: String,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    /// The value is not the expected one.
    Differs(Vec<Difference>),
    /// Evaluating or building failed.
    Failed(Failure),
}

impl Outcome {
    /// The code to end with because of it.
    fn exit(&self) -> Option<Exit> {
        match self {
            Self::Passed => None,
            Self::Differs(_) => Some(Exit::Evaluation),
            Self::Failed(failure) => Some(failure.exit),
        }
    }
}

/// Run tests: those of values while evaluating, then all builds together.
pub(crate) fn run(global: &Global, args: TestArgs) -> Result<Exit, Failure> {
    let recipe = Recipe::find(&args.recipe.recipe, args.how.layer(global))?;
    let mut session = Session::new(
        recipe.project.as_ref(),
        &recipe.name.folder(),
        &args.recipe.arguments,
        args.recipe.evaluation,
        &recipe.settings,
        (&recipe.settings).into(),
    )?;
    let value = session.eval_recipe(&recipe.name)?;
    let mut tests = Tests { session, cases: Vec::new(), builds: Vec::new() };
    tests.collect_from(value)?;
    let Tests { session, mut cases, builds } = tests;
    if !builds.is_empty() {
        let (names, targets): (Vec<_>, Vec<_>) = builds.into_iter().unzip();
        let store = open_store(&recipe.settings)?;
        let work = Work::new(&recipe.settings, store, session.evaluated(targets))?;
        work.keep_until_the_end();
        let failures = work.build_each(global, &args.how)?;
        cases.extend(names.into_iter().zip(failures).map(|(name, failure)| Case {
            name,
            outcome: failure.map_or(Outcome::Passed, Outcome::Failed),
        }));
        cases.sort_by(|a, b| a.name.cmp(&b.name));
    }
    if cases.is_empty() {
        return Err(CliError::usage(format!("'{}' has no tests", args.recipe.recipe))
            .with_help("write `tests = { name = { expr = …; expected = …; }; };`")
            .into());
    }
    show(global, &cases)?;
    Ok(cases.iter().filter_map(|case| case.outcome.exit()).min().unwrap_or(Exit::Success))
}

type Target = (hb_model::DerivationId, hb_model::OutputName);

/// Tests as they are found.
struct Tests {
    session: Session,
    cases: Vec<Case>,
    /// What is to be built, by the test's name.
    builds: Vec<(String, Target)>,
}

impl Tests {
    /// The tests of a recipe, which are its attribute `tests` or the value itself.
    fn collect_from(&mut self, value: Held) -> Result<(), Failure> {
        let names = self.session.evaluator().attr_names(value);
        let names = self.session.reported(names)?.unwrap_or_default();
        let value = match names.iter().any(|name| name == "tests") {
            true => {
                let tests = self.session.evaluator().select(value, &["tests"]);
                self.session.reported(tests)?
            }
            false => value,
        };
        self.collect("", value, 0)
    }

    /// A test, or the set of tests that a value is.
    fn collect(&mut self, name: &str, value: Held, depth: usize) -> Result<(), Failure> {
        if let Some(target) = self.session.target(value)? {
            self.builds.push((name.to_owned(), target));
            return Ok(());
        }
        let names = self.session.evaluator().attr_names(value);
        let not_a_test = || Failure::from(CliError::NotATest { name: name.to_owned() });
        let names = self.session.reported(names)?.ok_or_else(not_a_test)?;
        let has = |wanted: &str| names.iter().any(|name| name == wanted);
        match (has("expr"), has("expected")) {
            (true, true) => {
                let differences = self.compare(value)?;
                let outcome = match differences.is_empty() {
                    true => Outcome::Passed,
                    false => Outcome::Differs(differences),
                };
                self.cases.push(Case { name: name.to_owned(), outcome });
                return Ok(());
            }
            (false, false) if depth < MAX_DEPTH => {}
            _ => return Err(not_a_test()),
        }
        for inner in names {
            let full = if name.is_empty() { inner.clone() } else { format!("{name}.{inner}") };
            let test = self.session.evaluator().select(value, &[&inner]);
            let collected = match self.session.reported(test) {
                Ok(test) => self.collect(&full, test, depth + 1),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = collected {
                self.cases.push(Case { name: full, outcome: Outcome::Failed(failure) });
            }
        }
        Ok(())
    }

    fn compare(&mut self, test: Held) -> Result<Vec<Difference>, Failure> {
        let expected = self.session.evaluator().select(test, &["expected"]);
        let expected = self.session.reported(expected)?;
        let found = self.session.evaluator().select(test, &["expr"]);
        let found = self.session.reported(found)?;
        let differences = self.session.evaluator().differences(expected, found);
        self.session.reported(differences)
    }
}

fn show(global: &Global, cases: &[Case]) -> Result<(), Failure> {
    if global.json {
        let all: Vec<_> = cases.iter().map(as_json).collect();
        output::json(&all)?;
    }
    for Case { name, outcome } in cases {
        let passed = matches!(outcome, Outcome::Passed);
        if !global.json {
            output::result(format!("{} {name}", if passed { "ok    " } else { "failed" }));
        }
        match outcome {
            Outcome::Differs(differences) if !global.json => {
                differences.iter().for_each(|difference| output::result(line(difference)));
            }
            Outcome::Failed(failure) => output::reports(&failure.reports),
            _ => {}
        }
    }
    let failed = cases.iter().filter(|case| case.outcome.exit().is_some()).count();
    if !global.quiet {
        output::note(format!("{} passed, {failed} failed", cases.len() - failed));
    }
    Ok(())
}

/// A difference in one line.
fn line(Difference { path, expected, found }: &Difference) -> String {
    let place = if path.is_empty() { String::new() } else { format!("{path}: ") };
    match (expected, found) {
        (Some(expected), Some(found)) => format!("  {place}expected {expected}, found {found}"),
        (Some(expected), None) => format!("  {place}expected {expected}, found nothing"),
        (None, Some(found)) => format!("  {place}expected nothing, found {found}"),
        (None, None) => format!("  {place}differs"),
    }
}

fn as_json(Case { name, outcome }: &Case) -> serde_json::Value {
    let differences = match outcome {
        Outcome::Differs(differences) => differences.as_slice(),
        _ => &[],
    };
    let errors = match outcome {
        Outcome::Failed(failure) => failure.reports.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    json!({
        "name": name,
        "passed": matches!(outcome, Outcome::Passed),
        "differences": differences.iter().map(|difference| json!({
            "path": difference.path,
            "expected": difference.expected,
            "found": difference.found,
        })).collect::<Vec<_>>(),
        "errors": errors,
    })
}
