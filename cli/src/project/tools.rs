//! How a project's tools come about: the recipes that make them, as expressions.
//!
//! A tool's recipe is a set of `platforms`, `sources` and `build`; see
//! `recipes/tools/go.hb`.

use std::path::{Path, PathBuf};

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
            let tool_name = quoted(tool);
            if locked.is_empty() {
                let problem = format!(
                    "hb.lock has no sources of {tool} {version} for {system}; `hb update {tool}` locks them"
                );
                text += &format!("  {tool_name} = throw {};\n", quoted(&problem));
                continue;
            }
            let pins: String = locked.into_iter().map(LockedSource::fetch_expression).collect();
            text += &format!(
                "  {tool_name} = (import {}).build {{\n    version = {};\n    system = {};\n    \
                 pins = {{\n{pins}    }};\n  }};\n",
                path_expression(&recipe),
                quoted(version),
                quoted(system),
            );
        }
        Ok(text + "}\n")
    }

    /// The expression of the sources that a version of a tool needs.
    pub(crate) fn sources_expression(&self, tool: &str, version: &str) -> Result<String, CliError> {
        let recipe = path_expression(&self.tool_recipe(tool)?);
        Ok(format!("(import {recipe}).sources {{ version = {}; }}", quoted(version)))
    }

    /// The file that says how a tool is made.
    fn tool_recipe(&self, tool: &str) -> Result<PathBuf, CliError> {
        let folder = self.recipes_folder()?.ok_or_else(|| {
            let manifest = self.folder.join(MANIFEST_FILE);
            CliError::usage(format!("{} pins ‘{tool}’ but names no recipes", manifest.display()))
                .with_help("add `recipes = \"DIR\"`, where DIR has tools/NAME.hb for each tool")
        })?;
        let path = folder.join("tools").join(format!("{tool}.hb"));
        match path.is_file() {
            true => Ok(path),
            false => Err(CliError::usage(format!(
                "there is no tool ‘{tool}’: {} does not exist",
                path.display()
            ))),
        }
    }
}

impl LockedSource {
    /// The attribute `name = hb.fetch { … };` that brings this file.
    fn fetch_expression(&self) -> String {
        let origins: String = self.origins.iter().map(table_expression).collect();
        format!(
            "      {name} = hb.fetch {{ name = {name}; size = {}; sha256 = {}; origins = [ {origins}]; }};\n",
            self.size,
            quoted(&self.sha256),
            name = quoted(&self.name),
        )
    }
}

/// A table of strings and tables as a set of the language.
fn table_expression(table: &toml::Table) -> String {
    let attributes: String = table
        .iter()
        .map(|(key, value)| {
            let value = match value {
                toml::Value::Table(inner) => table_expression(inner),
                toml::Value::String(text) => quoted(text),
                other => other.to_string(),
            };
            format!("{} = {value}; ", quoted(key))
        })
        .collect();
    format!("{{ {attributes}}} ")
}

/// A text as a string of the language.
fn quoted(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace("${", "\\${");
    format!("\"{escaped}\"")
}

/// A path as an expression, whatever characters it has.
fn path_expression(path: &Path) -> String {
    format!("(/. + {})", quoted(&path.display().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_so_that_nothing_in_them_is_evaluated() {
        assert_eq!(quoted(r#"a"${b}\"#), r#""a\"\${b}\\""#);
    }

    #[test]
    fn origins_become_sets() {
        let table = toml::toml! { debian = { package = "bash", version = "5" } };
        assert_eq!(
            table_expression(&table),
            r#"{ "debian" = { "package" = "bash"; "version" = "5"; } ; } "#
        );
    }
}
