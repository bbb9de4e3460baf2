//! `hb pin`: set a tool's version and lock its sources.

use std::path::{Path, PathBuf};

use clap::Args;

use super::update::{self, Change};
use crate::{
    args::Global,
    error::{CliError, Failure},
    exit::Exit,
    output,
    project::{LOCK_FILE, MANIFEST_FILE, Manifest, Project},
};

/// What `hb pin` takes.
#[derive(Debug, Args)]
pub(crate) struct PinArgs {
    /// The tool and its version
    #[arg(value_name = "TOOL@VERSION")]
    tool: String,
    /// The folder of recipes that makes the tools, for a project that names none yet
    #[arg(long, value_name = "DIR")]
    recipes: Option<PathBuf>,
}

/// Pin. Nothing is written unless every source was had.
pub(crate) fn run(global: &Global, args: PinArgs) -> Result<Exit, Failure> {
    let Some((tool, version)) =
        args.tool.split_once('@').filter(|(t, v)| !t.is_empty() && !v.is_empty())
    else {
        return Err(CliError::usage(format!("'{}' is not TOOL@VERSION", args.tool))
            .with_help("for example: hb pin go@1.24.4")
            .into());
    };
    let here = super::current_folder()?;
    let mut project = Project::find(&here)?.unwrap_or_else(|| Project::new(&here));
    if let Some(recipes) = &args.recipes {
        project.manifest.recipes = Some(relative_to_project(recipes, &project.folder)?);
    }
    project.manifest.tools.insert(tool.to_owned(), version.to_owned());
    let sources = update::resolve(global, &project, tool, version)?;
    let changes = update::changes(&project.lock, tool, &sources);
    project.lock.replace_tool(tool, sources);
    let manifest = project.folder.join(MANIFEST_FILE);
    Manifest::set_tool(&manifest, tool, version, project.manifest.recipes.as_deref())?;
    project.lock.write(&project.folder.join(LOCK_FILE))?;
    changes.iter().map(Change::line).for_each(output::result);
    output::result(format!("{tool} {version} is pinned in {}", manifest.display()));
    Ok(Exit::Success)
}

/// A folder named on the command line, as `hb.toml` should name it.
fn relative_to_project(folder: &Path, project: &Path) -> Result<PathBuf, CliError> {
    let io = |path: &Path, source| CliError::Io { path: path.to_owned(), source };
    let folder = std::fs::canonicalize(folder).map_err(|source| io(folder, source))?;
    let project = std::fs::canonicalize(project).map_err(|source| io(project, source))?;
    let shared = folder.components().zip(project.components()).take_while(|(a, b)| a == b).count();
    let up = project.components().skip(shared).map(|_| Path::new(".."));
    let down: PathBuf = folder.components().skip(shared).collect();
    Ok(up.collect::<PathBuf>().join(down))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipes_are_named_relative_to_the_project() {
        let folder = tempfile::tempdir().unwrap();
        let (recipes, project) = (folder.path().join("recipes"), folder.path().join("a/b"));
        std::fs::create_dir_all(&recipes).unwrap();
        std::fs::create_dir_all(&project).unwrap();
        assert_eq!(relative_to_project(&recipes, &project).unwrap(), Path::new("../../recipes"));
    }
}
