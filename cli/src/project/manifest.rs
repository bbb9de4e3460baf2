//! `hb.toml`: which tools a project uses, and its settings.

use std::{collections::BTreeMap, path::Path};

use serde::Deserialize;

use super::parse_toml;
use crate::{config::Layer, error::CliError};

/// The file that makes a folder a project.
pub(crate) const MANIFEST_FILE: &str = "hb.toml";

/// What a project says of itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Manifest {
    /// Tools by name, each with the version wanted.
    #[serde(default)]
    pub(crate) tools: BTreeMap<String, String>,
    /// The platforms that the lock file must serve.
    #[serde(default = "default_platforms")]
    pub(crate) platforms: Vec<String>,
    /// A folder of recipes that the project may import, `tools/NAME.hb` in it being
    /// how the tool NAME is made; relative to the project.
    pub(crate) recipes: Option<std::path::PathBuf>,
    /// Settings for work in this project.
    #[serde(default)]
    pub(crate) settings: Layer,
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            tools: BTreeMap::new(),
            platforms: default_platforms(),
            recipes: None,
            settings: Layer::default(),
        }
    }
}

fn default_platforms() -> Vec<String> {
    vec!["x86_64-linux".into()]
}

impl Manifest {
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| CliError::Io { path: path.to_owned(), source })?;
        parse_toml(path, &text)
    }

    /// Set a tool's version in the file at `path`, keeping everything else of it,
    /// comments included; makes the file where there is none.
    /// `recipes` is written too, unless the file names some already.
    pub(crate) fn set_tool(
        path: &Path,
        tool: &str,
        version: &str,
        recipes: Option<&Path>,
    ) -> Result<(), CliError> {
        let io = |source| CliError::Io { path: path.to_owned(), source };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(io(error)),
        };
        parse_toml::<Self>(path, &text)?;
        let mut document: toml_edit::DocumentMut =
            text.parse().map_err(|error: toml_edit::TomlError| {
                CliError::usage(format!("{}: {error}", path.display()))
            })?;
        if let Some(recipes) = recipes.filter(|_| !document.contains_key("recipes")) {
            document["recipes"] = toml_edit::value(recipes.display().to_string());
        }
        document["tools"].or_insert(toml_edit::table())[tool] = toml_edit::value(version);
        super::replace_file(path, &document.to_string()).map_err(io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_a_tool_keeps_the_rest_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MANIFEST_FILE);
        std::fs::write(&path, "# ours\n[tools]\ngo = \"1.21.13\" # old\nnode = \"20\"\n").unwrap();
        Manifest::set_tool(&path, "go", "1.24.4", None).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# ours\n[tools]\ngo = \"1.24.4\""), "{text}");
        assert_eq!(Manifest::read(&path).unwrap().tools["node"], "20");
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(MANIFEST_FILE);
        std::fs::write(&path, "[tool]\ngo = \"1.24.4\"\n").unwrap();
        assert!(matches!(Manifest::read(&path), Err(CliError::Toml { .. })));
    }
}
