//! Which files of a source folder are left out: version control's own folders, and
//! what the project's `.gitignore` files name.
//!
//! Only files within the project count, so that where a checkout lies and what a
//! user ignores everywhere changes no hash.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use ignore::gitignore::Gitignore;

/// The folders in which version control keeps its own data.
const VERSION_CONTROL: [&str; 6] = [".git", ".hg", ".svn", ".jj", ".bzr", "_darcs"];

/// Decides for each path below `root`.
pub(super) struct Ignored {
    root: PathBuf,
    by_folder: HashMap<PathBuf, Gitignore>,
}

impl Ignored {
    /// Rules of the project at `root`.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, by_folder: HashMap::new() }
    }

    /// Whether a path stays out of the store.
    pub(super) fn is_ignored(&mut self, path: &Path, is_folder: bool) -> bool {
        if path.file_name().is_some_and(|name| VERSION_CONTROL.iter().any(|own| name == *own)) {
            return true;
        }
        // The nearest file that has an opinion decides, as git has it.
        let folders: Vec<_> =
            path.ancestors().skip(1).take_while(|f| f.starts_with(&self.root)).collect();
        for folder in folders {
            let rules = self
                .by_folder
                .entry(folder.to_owned())
                .or_insert_with(|| Gitignore::new(folder.join(".gitignore")).0);
            let verdict = rules.matched(path, is_folder);
            if !verdict.is_none() {
                return verdict.is_ignore();
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_rule_decides_and_version_control_stays_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("project");
        std::fs::create_dir_all(root.join("deep")).unwrap();
        std::fs::write(folder.path().join(".gitignore"), "*\n").unwrap();
        std::fs::write(root.join(".gitignore"), "*.log\n/target\n").unwrap();
        std::fs::write(root.join("deep/.gitignore"), "!kept.log\n").unwrap();
        let mut ignored = Ignored::new(root.clone());
        let mut check = |path: &str, is_folder| ignored.is_ignored(&root.join(path), is_folder);
        assert!(check("a.log", false));
        assert!(check("deep/a.log", false));
        assert!(!check("deep/kept.log", false));
        assert!(check("target", true));
        assert!(!check("deep/target", true));
        assert!(check(".git", true));
        assert!(!check("main.go", false), "a rule outside the project has no say");
    }
}
