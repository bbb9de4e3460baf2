//! `hb explain`: what a diagnostic's code means, what gives it, and the way out. All of
//! it is in `docs/codes.md`, a section for each code.

use clap::Args;
use hb_lang::suggest::nearest;
use serde_json::json;

use crate::{
    args::Global,
    error::{CliError, Failure},
    exit::Exit,
    output,
};

/// The page that explains every code.
const PAGE: &str = include_str!("../../../docs/codes.md");

/// What `hb explain` takes.
#[derive(Debug, Args)]
pub(crate) struct ExplainArgs {
    /// A code such as `parse.missing-semicolon`; without one, all are listed
    code: Option<String>,
}

/// A section of the page.
#[derive(Clone, Copy, Debug)]
struct Explanation {
    code: &'static str,
    text: &'static str,
}

/// The page's sections.
fn explanations() -> impl Iterator<Item = Explanation> {
    PAGE.split("\n## ").skip(1).filter_map(|section| {
        let (code, text) = section.split_once('\n')?;
        Some(Explanation { code, text: text.trim() })
    })
}

impl Explanation {
    /// What it means, in a sentence.
    fn summary(self) -> String {
        let paragraph = self.text.split("\n\n").next().unwrap_or_default().replace('\n', " ");
        match paragraph.find(". ") {
            Some(end) => paragraph[..=end].to_owned(),
            None => paragraph,
        }
    }
}

/// Explain a code, or list them all.
pub(crate) fn run(global: &Global, args: ExplainArgs) -> Result<Exit, Failure> {
    let Some(code) = args.code else {
        list(global)?;
        return Ok(Exit::Success);
    };
    let Some(found) = explanations().find(|explanation| explanation.code == code) else {
        let error = CliError::usage(format!("no diagnostic has the code '{code}'"));
        let near = nearest(&code, explanations().map(|explanation| explanation.code));
        return Err(match near {
            Some(near) => error.with_help(format!("did you mean '{near}'?")),
            None => error.with_help("`hb explain` lists them all"),
        }
        .into());
    };
    if global.json {
        output::json(&json!({ "code": found.code, "text": found.text }))?;
    } else {
        output::result(format!("{}\n\n{}", found.code, found.text));
    }
    Ok(Exit::Success)
}

fn list(global: &Global) -> Result<(), Failure> {
    if global.json {
        let all: Vec<_> = explanations()
            .map(
                |explanation| json!({ "code": explanation.code, "summary": explanation.summary() }),
            )
            .collect();
        return output::json(&all);
    }
    let width = explanations().map(|explanation| explanation.code.len()).max().unwrap_or(0);
    for explanation in explanations() {
        output::result(format!("{:width$}  {}", explanation.code, explanation.summary()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use hb_evaluator::{Fault, Printing};
    use hb_lang::Dialect;

    use super::*;
    use crate::recipe::Session;

    /// Codes whose examples would be too large for the page, or need a broken machine.
    const NOT_SHOWN: &[&str] = &[
        "eval.heap-full",
        "eval.pattern-size",
        "eval.source-hash",
        "eval.stack-full",
        "eval.store",
        "eval.syntax",
        "eval.system",
        "eval.texts-too-large",
        "eval.too-many-captures",
        "parse.null-byte",
        "parse.path-literal",
        "parse.too-deep",
        "parse.too-long",
    ];

    /// What codes begin with.
    const AREAS: &[&str] = &[
        "parse", "lint", "eval", "recipe", "usage", "settings", "project", "build", "store",
        "cache",
    ];

    /// An explanation's example and its dialect, if it is one that can be run.
    fn example(explanation: Explanation) -> Option<(&'static str, Dialect)> {
        let (_, rest) = explanation.text.split_once("```")?;
        let (dialect, rest) = rest.split_once('\n')?;
        let (text, _) = rest.split_once("```")?;
        match dialect {
            "hb" => Some((text, Dialect::Hb)),
            "nix" => Some((text, Dialect::Nix)),
            _ => None,
        }
    }

    /// Every code that a text gives, checked and evaluated.
    fn codes_of(text: &str, dialect: Dialect) -> BTreeSet<String> {
        let mut session = Session::bare().unwrap();
        let evaluator = session.evaluator();
        let problems = evaluator.check(text, dialect);
        let mut codes: BTreeSet<_> = problems.iter().map(|p| p.code.to_owned()).collect();
        let value = evaluator
            .eval_text(text, Path::new("/nowhere"), dialect)
            .and_then(|value| evaluator.print(value, Printing::Strict));
        if let Err(error) = value
            && !matches!(error.fault(), Fault::Syntax { .. })
        {
            codes.insert(error.fault().code().to_owned());
        }
        codes
    }

    /// The codes in the sources, as string literals.
    fn codes_in(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                codes_in(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]").next().unwrap();
                found.extend(code.split('"').filter(|word| is_code(word)).map(str::to_owned));
            }
        }
    }

    fn is_code(word: &str) -> bool {
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_lowercase() || "-8".contains(c));
        word.split_once('.')
            .is_some_and(|(area, name)| AREAS.contains(&area) && !name.is_empty() && is_name(name))
    }

    #[test]
    fn every_code_is_explained_and_every_explained_code_exists() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let mut used = BTreeSet::new();
        for folder in ["lang/src", "evaluator/src", "cli/src"] {
            codes_in(&root.join(folder), &mut used);
        }
        let explained: Vec<_> = explanations().map(|e| e.code.to_owned()).collect();
        let once: BTreeSet<_> = explained.iter().cloned().collect();
        assert_eq!(once.len(), explained.len(), "a code is explained twice");
        assert_eq!(once, used);
    }

    #[test]
    fn every_example_gives_its_code() {
        let mut wrong = Vec::new();
        for explanation in explanations() {
            let Explanation { code, .. } = explanation;
            match example(explanation) {
                Some((text, dialect)) => {
                    let codes = codes_of(text, dialect);
                    if !codes.contains(code) {
                        wrong.push(format!("{code} gives {codes:?}"));
                    }
                }
                None if NOT_SHOWN.contains(&code) => {}
                None => {
                    if ["parse.", "lint.", "eval."].iter().any(|area| code.starts_with(area)) {
                        wrong.push(format!("{code} has no example that can be run"));
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn every_explanation_has_a_meaning_an_example_and_a_way_out() {
        for explanation in explanations() {
            let parts: Vec<_> = explanation.text.split("```").collect();
            let whole = parts.len() == 3 && parts.iter().all(|part| part.trim().len() > 5);
            assert!(whole, "{}", explanation.code);
        }
    }
}
