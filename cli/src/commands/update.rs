//! `hb update`: bring `hb.lock` up to date with `hb.toml` and the tools' recipes.

use std::{collections::BTreeMap, path::Path};

use clap::Args;
use serde_json::json;

use crate::{
    args::{ArgumentArgs, EvaluationArgs, Global},
    building,
    config::Settings,
    error::{CliError, Failure},
    exit::Exit,
    output,
    project::{self, LOCK_FILE, Lock, LockedSource, Project, WantedSource},
    recipe::Session,
};

/// What `hb update` takes.
#[derive(Debug, Args)]
pub(crate) struct UpdateArgs {
    /// Only this tool
    #[arg(value_name = "TOOL")]
    tool: Option<String>,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
}

/// Update.
pub(crate) fn run(global: &Global, args: UpdateArgs) -> Result<Exit, Failure> {
    let mut project = Project::require(Path::new("."))?;
    let tools: Vec<_> = match &args.tool {
        None => project.manifest.tools.clone().into_iter().collect(),
        Some(tool) => match project.manifest.tools.get(tool) {
            Some(version) => vec![(tool.clone(), version.clone())],
            None => return Err(unknown_tool(tool, &project).into()),
        },
    };
    let mut changes = Vec::new();
    for (tool, version) in &tools {
        let sources = resolve(global, &project, tool, version)?;
        changes.extend(self::changes(&project.lock, tool, &sources));
        project.lock.replace_tool(tool, sources);
    }
    if args.tool.is_none() {
        let gone: Vec<_> = project
            .lock
            .sources
            .iter()
            .filter(|source| !project.manifest.tools.contains_key(&source.tool))
            .cloned()
            .collect();
        for source in gone {
            project.lock.replace_tool(&source.tool, Vec::new());
            changes.push(Change::Removed(source));
        }
    }
    if !args.dry_run && !changes.is_empty() {
        project.lock.write(&project.folder.join(LOCK_FILE))?;
    }
    if global.json {
        output::json(&json!(changes.iter().map(Change::line).collect::<Vec<_>>()))?;
    } else if changes.is_empty() {
        output::result("hb.lock is up to date");
    } else {
        changes.iter().map(Change::line).for_each(output::result);
    }
    Ok(Exit::Success)
}

fn unknown_tool(tool: &str, project: &Project) -> CliError {
    let known: Vec<_> = project.manifest.tools.keys().map(String::as_str).collect();
    let error = CliError::usage(format!("this project pins no '{tool}'"));
    match hb_lang::suggest::nearest(tool, known.iter().copied()) {
        Some(near) => error.with_help(format!("did you mean '{near}'?")),
        None => error.with_help(format!("`hb pin {tool}@VERSION` does")),
    }
}

/// One difference between the lock file and what it should be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Change {
    /// A source that was not locked.
    Added(LockedSource),
    /// A source that is not needed any more.
    Removed(LockedSource),
    /// A source that was locked otherwise.
    Changed(LockedSource),
}

impl Change {
    /// The change in one line.
    pub(crate) fn line(&self) -> String {
        let (mark, source) = match self {
            Self::Added(source) => ('+', source),
            Self::Removed(source) => ('-', source),
            Self::Changed(source) => ('~', source),
        };
        let platforms = source.platforms.join(", ");
        format!("{mark} {} {} {} ({platforms})", source.tool, source.version, source.name)
    }
}

/// How `sources` differ from what is locked for a tool.
pub(crate) fn changes(lock: &Lock, tool: &str, sources: &[LockedSource]) -> Vec<Change> {
    let key = |source: &LockedSource| (source.version.clone(), source.name.clone());
    let mut old: BTreeMap<_, _> =
        lock.sources.iter().filter(|s| s.tool == tool).map(|s| (key(s), s)).collect();
    let mut changes = Vec::new();
    for source in sources {
        match old.remove(&key(source)) {
            None => changes.push(Change::Added(source.clone())),
            Some(before) if before != source => changes.push(Change::Changed(source.clone())),
            Some(_) => {}
        }
    }
    changes.extend(old.into_values().cloned().map(Change::Removed));
    changes
}

/// The sources of a tool's version, with size and hash. What the recipe does not know
/// is fetched to be hashed; what it or the lock file knows is taken as it is.
pub(crate) fn resolve(
    global: &Global,
    project: &Project,
    tool: &str,
    version: &str,
) -> Result<Vec<LockedSource>, Failure> {
    let settings = Settings::load(global.layer(), project::settings(Some(project)))?;
    let text = project.sources_expression(tool, version)?;
    // Without the project's pins: these are what is being made.
    let bare = Project { lock: Lock::default(), ..project.clone() };
    let mut session = Session::new(
        Some(&bare),
        &project.folder,
        &ArgumentArgs::default(),
        EvaluationArgs::default(),
        &settings,
        (&settings).into(),
    )?;
    let value = session.eval_text(&text, &project.folder)?;
    let json = session.evaluator().json(value);
    let json = session.reported(json)?;
    let wanted: Vec<WantedSource> = serde_json::from_slice(&json).map_err(|error| {
        CliError::usage(format!("the recipe of '{tool}' gives no usable sources: {error}"))
    })?;
    wanted
        .into_iter()
        .filter(|source| source.platforms.iter().any(|p| project.manifest.platforms.contains(p)))
        .map(|source| lock_source(&settings, project, tool, version, source))
        .collect()
}

fn lock_source(
    settings: &Settings,
    project: &Project,
    tool: &str,
    version: &str,
    source: WantedSource,
) -> Result<LockedSource, Failure> {
    let known = project.lock.of_tool(tool, version).find(|locked| locked.name == source.name);
    let known = known.map(|locked| (locked.size, locked.sha256.clone()));
    let (size, sha256) = match (source.size.zip(source.sha256.clone()), known) {
        (Some(stated), _) => stated,
        (None, Some(known)) => known,
        (None, None) => {
            output::note(format!("fetching {}", source.name));
            building::resolve_source(settings, &source)?
        }
    };
    let mut platforms: Vec<_> = source
        .platforms
        .into_iter()
        .filter(|platform| project.manifest.platforms.contains(platform))
        .collect();
    platforms.sort();
    let origins = source
        .origins
        .into_iter()
        .map(|origin| {
            toml::Table::try_from(origin).map_err(|error| CliError::usage(error.to_string()))
        })
        .collect::<Result<_, _>>()?;
    Ok(LockedSource {
        tool: tool.to_owned(),
        version: version.to_owned(),
        name: source.name,
        platforms,
        size,
        sha256,
        origins,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, sha256: &str) -> LockedSource {
        LockedSource {
            tool: "go".into(),
            version: "1".into(),
            name: name.into(),
            platforms: vec!["x86_64-linux".into()],
            size: 1,
            sha256: sha256.into(),
            origins: Vec::new(),
        }
    }

    #[test]
    fn added_changed_and_removed_sources_are_told_apart() {
        let mut lock = Lock::default();
        lock.replace_tool("go", vec![source("same", "0"), source("old", "0"), source("gone", "0")]);
        let now = [source("same", "0"), source("old", "1"), source("new", "0")];
        let lines: Vec<_> = changes(&lock, "go", &now).iter().map(Change::line).collect();
        let platform = "(x86_64-linux)";
        assert_eq!(
            lines,
            [
                format!("~ go 1 old {platform}"),
                format!("+ go 1 new {platform}"),
                format!("- go 1 gone {platform}"),
            ]
        );
    }
}
