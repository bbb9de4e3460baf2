//! How a project's tools come about: the recipes that make them, as expressions.
//!
//! A tool's recipe is a set of `platforms`, `sources` and `build`; see
//! `recipes/tools/go.hb`.

use std::path::{Path, PathBuf};

use hb_lang::print::string_literal;
use serde::Deserialize;

use super::{LockedSource, MANIFEST_FILE, Project};
use crate::error::CliError;

/// A source that a tool's recipe names: what `hb pin` completes and locks.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WantedSource {
    /// What the recipe calls it.
    pub(crate) name: String,
    /// The platforms that need it.
    pub(crate) platforms: Vec<String>,
    /// Where it can be had.
    pub(crate) origins: Vec<serde_json::Value>,
    /// Its size, where the recipe knows it.
    pub(crate) size: Option<u64>,
    /// Its hash, where the recipe knows it.
    pub(crate) sha256: Option<String>,
}

impl Project {
    /// The folder of recipes that the project names, followed to where it really is.
    pub(crate) fn recipes_folder(&self) -> Result<Option<PathBuf>, CliError> {
        let named = self.manifest.recipes.as_ref().map(|recipes| self.folder.join(recipes));
        named
            .map(|path| {
                std::fs::canonicalize(&path).map_err(|source| CliError::Io { path, source })
            })
            .transpose()
    }

    /// The expression of the set `pins`: each tool, made by its recipe from the sources
    /// that are locked for `system`. Nothing of it is evaluated before it is used.
    pub(crate) fn pins_expression(&self, system: &str) -> Result<String, CliError> {
        let mut text = "{\n".to_owned();
        for (tool, version) in &self.manifest.tools {
            let recipe = self.tool_recipe(tool)?;
            let locked: Vec<_> = self
                .lock
                .of_tool(tool, version)
                .filter(|source| source.platforms.iter().any(|platform| platform == system))
                .collect();
            let tool_name = string_literal(tool);
            if locked.is_empty() {
                let problem = format!(
                    "hb.lock has no sources of {tool} {version} for {system}; `hb update {tool}` locks them"
                );
                text += &format!("  {tool_name} = throw {};\n", string_literal(&problem));
                continue;
            }
            let pins: String = locked.into_iter().map(LockedSource::fetch_expression).collect();
            text += &format!(
                "  {tool_name} = (import {}).build {{\n    version = {};\n    system = {};\n    \
                 pins = {{\n{pins}    }};\n  }};\n",
                path_expression(&recipe),
                string_literal(version),
                string_literal(system),
            );
        }
        Ok(text + "}\n")
    }

    /// The expression of the sources that a version of a tool needs.
    pub(crate) fn sources_expression(&self, tool: &str, version: &str) -> Result<String, CliError> {
        let recipe = path_expression(&self.tool_recipe(tool)?);
        Ok(format!("(import {recipe}).sources {{ version = {}; }}", string_literal(version)))
    }

    /// The file that says how a tool is made.
    fn tool_recipe(&self, tool: &str) -> Result<PathBuf, CliError> {
        let folder = self.recipes_folder()?.ok_or_else(|| {
            let manifest = self.folder.join(MANIFEST_FILE);
            CliError::usage(format!("{} pins '{tool}' but names no recipes", manifest.display()))
                .with_help("add `recipes = \"DIR\"`, where DIR has tools/NAME.hb for each tool")
        })?;
        let path = folder.join("tools").join(format!("{tool}.hb"));
        match path.is_file() {
            true => Ok(path),
            false => Err(CliError::usage(format!(
                "there is no tool '{tool}': {} does not exist",
                path.display()
            ))),
        }
    }
}

/// A path as an expression, whatever characters it has.
fn path_expression(path: &Path) -> String {
    format!("(/. + {})", string_literal(&path.display().to_string()))
}
