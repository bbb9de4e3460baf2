//! Where a program that lies outside the system's folders is installed: what must be shown
//! for it to run.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// More than any line that names an interpreter.
const MAX_LINE: u64 = 4096;

/// The folders that `program` is installed in, those of its interpreter among them, and of
/// what either is a link to. A folder that holds one of `private` is never among them.
pub(crate) fn installation(program: &Path, private: &[&Path]) -> BTreeSet<PathBuf> {
    let mut programs = vec![program.to_owned()];
    programs.extend(interpreter(program));
    let linked: Vec<_> = programs.iter().filter_map(|path| path.canonicalize().ok()).collect();
    programs.extend(linked);
    programs.iter().filter_map(|path| prefix(path, private)).collect()
}

/// What the first line of a script names.
fn interpreter(program: &Path) -> Option<PathBuf> {
    let mut line = Vec::new();
    BufReader::new(File::open(program).ok()?.take(MAX_LINE)).read_until(b'\n', &mut line).ok()?;
    let named = line.strip_prefix(b"#!")?.trim_ascii();
    let end = named.iter().position(u8::is_ascii_whitespace).unwrap_or(named.len());
    Some(PathBuf::from(OsStr::from_bytes(&named[..end])))
}

/// The folder that holds the program's `bin` or, where that would show too much, the folder
/// that holds the program.
fn prefix(program: &Path, private: &[&Path]) -> Option<PathBuf> {
    let folder = program.parent()?;
    let is_bin = folder.file_name().is_some_and(|name| name == "bin" || name == "sbin");
    let above = folder.parent().filter(|_| is_bin);
    let shows_too_much = |folder: &&Path| {
        folder.parent().is_none() || private.iter().any(|it| it.starts_with(folder))
    };
    [above, Some(folder)]
        .into_iter()
        .flatten()
        .find(|folder| !shows_too_much(folder))
        .map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_folder_of_bin_is_shown_unless_it_holds_what_is_private() {
        let home = Path::new("/home/u");
        let shown = |program: &str| prefix(Path::new(program), &[home]);
        assert_eq!(shown("/opt/python/bin/pip"), Some("/opt/python".into()));
        assert_eq!(shown("/opt/tools/pip"), Some("/opt/tools".into()));
        assert_eq!(shown("/home/u/bin/pip"), Some("/home/u/bin".into()));
        assert_eq!(shown("/home/pip"), None);
        assert_eq!(shown("/bin/pip"), Some("/bin".into()));
        assert_eq!(shown("/pip"), None);
    }

    #[test]
    fn a_scripts_interpreter_and_what_links_lead_to_are_shown_too() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = |name: &str| folder.path().join(name);
        for prefix in ["env/bin", "python/bin"] {
            fs::create_dir_all(path(prefix)).expect("a folder");
        }
        fs::write(path("python/bin/python3"), "").expect("a program");
        symlink(path("python/bin/python3"), path("env/bin/python")).expect("a link");
        let script = format!("#! {} -I\nimport pip\n", path("env/bin/python").display());
        fs::write(path("env/bin/pip"), script).expect("a script");
        let shown = installation(&path("env/bin/pip"), &[]);
        assert_eq!(shown, BTreeSet::from([path("env"), path("python")]));
    }
}
