//! `hb doc`: the reference of the builtins, or of a library, from their documentation.

use std::path::Path;

use clap::Args;
use hb_evaluator::{Documentation, builtins};
use hb_lang::{
    docs,
    suggest::nearest,
    syntax::{AstNode as _, RootNode},
};
use serde_json::json;

use crate::{
    args::{ArgumentArgs, EvaluationArgs, Global},
    error::{CliError, Failure},
    exit::Exit,
    output,
    recipe::{Recipe, RecipeName, Session, dialect_of},
};

/// What `hb doc` takes.
#[derive(Debug, Args)]
pub(crate) struct DocArgs {
    /// A builtin's name, or a file and perhaps one of its attributes; without it, all
    /// builtins are meant
    #[arg(value_name = "NAME|FILE[#ATTR]")]
    what: Option<String>,
    #[command(flatten)]
    arguments: ArgumentArgs,
    #[command(flatten)]
    evaluation: EvaluationArgs,
}

/// Print documentation as Markdown.
pub(crate) fn run(global: &Global, args: DocArgs) -> Result<Exit, Failure> {
    let found = match args.what.as_deref() {
        None => all_builtins(),
        Some(name) if is_file(name) => of_file(global, name, &args)?,
        Some(name) => vec![of_builtin(name)?],
    };
    if global.json {
        let all: Vec<_> = found.iter().map(as_json).collect();
        output::json(&all)?;
    } else {
        let sections: Vec<_> = found.iter().map(section).collect();
        output::result(sections.join("\n\n"));
    }
    Ok(Exit::Success)
}

/// Whether a name means a file: it looks like one or there is one.
fn is_file(name: &str) -> bool {
    let file = name.split_once('#').map_or(name, |(file, _)| file);
    name.contains(['#', '/'])
        || Path::new(file).extension().is_some_and(|e| e == "hb" || e == "nix")
        || (builtin(name).is_none() && Path::new(file).exists())
}

fn all_builtins() -> Vec<Documentation> {
    let mut all: Vec<_> = builtins::all().map(builtins::Builtin::documentation).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// A builtin by its name, under any of the ways to write it.
fn builtin(name: &str) -> Option<Documentation> {
    let plain = name.strip_prefix("builtins.").or(name.strip_prefix("__")).unwrap_or(name);
    builtins::all().find(|builtin| builtin.name == plain).map(builtins::Builtin::documentation)
}

/// The documentation of a builtin, or the name that was meant.
fn of_builtin(name: &str) -> Result<Documentation, CliError> {
    builtin(name).ok_or_else(|| {
        let error = CliError::usage(format!("there is no builtin '{name}'"));
        match nearest(name, builtins::all().map(|builtin| builtin.name)) {
            Some(near) => error.with_help(format!("did you mean '{near}'?")),
            None => error.with_help("`hb doc` lists them; for a library, name its file"),
        }
    })
}

/// The attribute of a file, and all that is documented in it.
fn of_file(global: &Global, name: &str, args: &DocArgs) -> Result<Vec<Documentation>, Failure> {
    let recipe = Recipe::find(name, global.layer())?;
    let mut session = Session::new(
        recipe.project.as_ref(),
        &recipe.name.folder(),
        &args.arguments,
        args.evaluation,
        &recipe.settings,
        (&recipe.settings).into(),
    )?;
    let whole = RecipeName { attribute: Vec::new(), ..recipe.name.clone() };
    let value = session.eval_recipe(&whole)?;
    let path: Vec<_> = recipe.name.attribute.iter().map(String::as_str).collect();
    let mut found = Vec::new();
    if path.is_empty() {
        found.extend(of_whole_file(&recipe.name.file)?);
    } else {
        let documentation = session.evaluator().documentation(value, &path);
        found.extend(session.reported(documentation)?);
    }
    let library = session.evaluator().library(value, &path);
    found.extend(session.reported(library)?);
    if found.is_empty() {
        return Err(CliError::usage(format!("nothing in '{name}' is documented"))
            .with_help("write `/** … */` before a definition or a function")
            .into());
    }
    Ok(found)
}

/// What is said before a file's expression.
fn of_whole_file(file: &Path) -> Result<Option<Documentation>, CliError> {
    let root = hb_lang::parse_tree(&super::read_text(file)?, dialect_of(file)).root();
    let Some(expression) = RootNode::cast(root.clone()).and_then(|root| root.expression()) else {
        return Ok(None);
    };
    let start = expression.text_range().start().into();
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    Ok(docs::comment_at(&root, start).map(|comment| Documentation {
        name: name.into_owned(),
        signature: docs::signature_at(&root, start),
        text: comment.text,
        place: Some(file.display().to_string()),
    }))
}

/// A section of Markdown; headings in the text become lower ones.
pub(crate) fn section(of: &Documentation) -> String {
    let mut text = format!("## `{}`\n\n", of.name);
    if let Some(signature) = &of.signature {
        text += &format!("`{signature}`\n\n");
    }
    let mut in_code = false;
    for line in of.text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if line.starts_with('#') && !in_code {
            text.push_str("##");
        }
        text.push_str(line);
        text.push('\n');
    }
    text.trim_end().to_owned()
}

fn as_json(of: &Documentation) -> serde_json::Value {
    json!({
        "name": of.name,
        "signature": of.signature,
        "text": of.text,
        "place": of.place,
    })
}
