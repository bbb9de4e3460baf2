//! What git says of a working tree.
//!
//! Git is asked, and changes nothing. It takes no lock, fetches nothing, heeds no variable that
//! would lead it to another repository, and runs no program that the repository's configuration
//! names: no hook, no monitor of files, no filter. (Filters that only the configuration of a
//! repository inside names are run where that is asked about too: it has the same owner, or git
//! refuses it.)

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    io::{self, Write as _},
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
};

use hb_evaluator::{GitCommit, GitTree, GitView, WorldError};

/// Of the variables that git heeds, those that say where it and its configuration are.
const VARIABLES: [&str; 4] =
    ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_EXEC_PATH"];

/// The mode of a repository inside of another.
const REPOSITORY: &[u8] = b"160000 ";

/// Ask about the repository in `folder`, a path without links, which must be the uppermost one
/// of its working tree.
pub(super) fn tree(folder: &Path, view: GitView) -> Result<GitTree, WorldError> {
    let mut git = Git { folder, filters: Vec::new() };
    let top = match folder.join(".git").exists() {
        true => git.ask(&["rev-parse", "--show-toplevel"])?,
        false => Vec::new(),
    };
    if top.strip_suffix(b"\n") != Some(folder.as_os_str().as_bytes()) {
        return Err(git.failed("it is not the uppermost folder of a working tree"));
    }
    git.filters = git.filters();
    let entries = git.entries(view)?;
    let commit = git.commit()?;
    let is_dirty = match &commit {
        Some(_) => git.is_dirty(view)?,
        None => !entries.is_empty(),
    };
    let commit = match commit {
        Some(commit) if view.count && !is_dirty => {
            let count = git.number(&git.text(&["rev-list", "--count", "HEAD"])?)?;
            Some(GitCommit { count, ..commit })
        }
        commit => commit,
    };
    Ok(GitTree { paths: entries.into_keys().collect(), commit, is_dirty })
}

/// Paths below a repository's folder, and whether each is a folder.
type Entries = BTreeMap<PathBuf, bool>;

/// Git, in a repository.
struct Git<'a> {
    folder: &'a Path,
    /// Settings by which the filters that the configuration names are none.
    filters: Vec<String>,
}

impl Git<'_> {
    /// The files that git follows and that are there, and the folders above them.
    fn entries(&self, view: GitView) -> Result<Entries, WorldError> {
        let mut list = vec!["ls-files", "-z", "--stage"];
        if view.submodules {
            list.push("--recurse-submodules");
        }
        let listed = self.ask(&list)?;
        let mut entries = Entries::new();
        for entry in fields(&listed) {
            // Its mode, object and stage, and behind a tab its path.
            let tab = entry.iter().position(|&byte| byte == b'\t');
            let Some((facts, path)) = tab.map(|tab| (&entry[..tab], &entry[tab + 1..])) else {
                return Err(self.failed("git ls-files gives no paths"));
            };
            let path = Path::new(OsStr::from_bytes(path));
            match facts.starts_with(REPOSITORY) {
                true if view.submodules => {
                    return Err(self.failed(format!(
                        "'{}' inside of it is not checked out: git submodule update --init",
                        path.display()
                    )));
                }
                false if self.is_file(path, &entries) => {
                    let above = path.ancestors().skip(1);
                    let above = above.filter(|folder| !folder.as_os_str().is_empty());
                    entries.extend(above.map(|folder| (folder.to_owned(), true)));
                    entries.insert(path.to_owned(), false);
                }
                _ => {}
            }
        }
        if view.export_ignore {
            self.leave_out_ignored(&mut entries)?;
        }
        Ok(entries)
    }

    /// Whether a file or a link is there, in folders that are no links. Those of `known` entries
    /// are not looked at again.
    fn is_file(&self, path: &Path, known: &Entries) -> bool {
        let kind = |path: &Path| {
            fs::symlink_metadata(self.folder.join(path)).map(|metadata| metadata.file_type())
        };
        let is_folder = |folder: &Path| {
            known.get(folder) == Some(&true) || kind(folder).is_ok_and(|kind| kind.is_dir())
        };
        kind(path).is_ok_and(|kind| !kind.is_dir()) && path.ancestors().skip(1).all(is_folder)
    }

    /// Drop what has the attribute `export-ignore`, and what is below it.
    fn leave_out_ignored(&self, entries: &mut Entries) -> Result<(), WorldError> {
        let mut asked = Vec::new();
        for (path, is_folder) in &*entries {
            asked.extend_from_slice(path.as_os_str().as_bytes());
            asked.extend_from_slice(if *is_folder { b"/\0" } else { b"\0" });
        }
        let question = ["check-attr", "-z", "--stdin", "export-ignore"];
        let mut command = self.command(&question);
        let mut child = self.start(command.stdin(Stdio::piped()))?;
        let stdin = child.stdin.take();
        // It is written beside: git answers while it reads. One that stops reading says why.
        let writer = thread::Builder::new()
            .spawn(move || stdin.map(|mut stdin| stdin.write_all(&asked)))
            .map_err(|error| self.cannot_run(&error))?;
        let answer = self.end(child)?;
        drop(writer.join());
        // Of each path: itself, the attribute's name, its value.
        let mut answer = fields(&answer);
        let mut ignored = BTreeSet::new();
        while let (Some(path), Some(_), Some(value)) = (answer.next(), answer.next(), answer.next())
        {
            if value == b"set" {
                let path = path.strip_suffix(b"/").unwrap_or(path);
                ignored.insert(Path::new(OsStr::from_bytes(path)).to_owned());
            }
        }
        entries.retain(|path, _| !path.ancestors().any(|above| ignored.contains(above)));
        Ok(())
    }

    /// The commit that is checked out, uncounted; none before the first.
    fn commit(&self) -> Result<Option<GitCommit>, WorldError> {
        if self.ask(&["rev-parse", "--quiet", "--verify", "HEAD"]).is_err() {
            return Ok(None);
        }
        // Not `git log`, whose output has what the user wants to see.
        let said = self.text(&[
            "rev-list",
            "--max-count=1",
            "--no-commit-header",
            "--encoding=UTF-8",
            "--date=format-local:%Y%m%d%H%M%S",
            "--format=%H %ct %cd",
            "HEAD",
        ])?;
        let mut words = said.split_whitespace();
        let (Some(id), Some(time), Some(date)) = (words.next(), words.next(), words.next()) else {
            return Err(self.unclear(&said));
        };
        let is_hash = matches!(id.len(), 40 | 64) && id.bytes().all(|b| b.is_ascii_hexdigit());
        if !is_hash {
            return Err(self.unclear(&said));
        }
        let time = self.number(time)?;
        Ok(Some(GitCommit { id: id.to_owned(), time, date: date.to_owned(), count: 0 }))
    }

    /// Whether what git follows differs from the commit.
    fn is_dirty(&self, view: GitView) -> Result<bool, WorldError> {
        let inside = match view.submodules {
            true => "--ignore-submodules=untracked",
            false => "--ignore-submodules=all",
        };
        let status = ["status", "--porcelain", "-z", "--untracked-files=no", inside];
        Ok(!self.ask(&status)?.is_empty())
    }

    /// Settings that make no filters of those that the configuration names.
    fn filters(&self) -> Vec<String> {
        // It fails where there are none.
        let question = ["config", "-z", "--name-only", "--get-regexp", "^filter\\."];
        let names = self.ask(&question).unwrap_or_default();
        let setting = |name: &[u8]| {
            let name = String::from_utf8_lossy(name);
            let nothing = if name.ends_with(".required") { "false" } else { "" };
            format!("{name}={nothing}")
        };
        fields(&names).map(setting).collect()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        for (name, _) in std::env::vars_os() {
            let is_gits = name.as_bytes().starts_with(b"GIT_");
            if is_gits && !VARIABLES.iter().any(|kept| name == *kept) {
                command.env_remove(name);
            }
        }
        let settings =
            ["core.fsmonitor=false", "core.hooksPath=/dev/null", "core.attributesFile=/dev/null"];
        for setting in settings.into_iter().chain(self.filters.iter().map(String::as_str)) {
            command.args(["-c", setting]);
        }
        command
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("GIT_NO_REPLACE_OBJECTS", "1")
            .env("GIT_NO_LAZY_FETCH", "1")
            .env("GIT_ALLOW_PROTOCOL", "none")
            .env("TZ", "UTC")
            .args(arguments)
            .current_dir(self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What git prints.
    fn ask(&self, arguments: &[&str]) -> Result<Vec<u8>, WorldError> {
        self.end(self.start(&mut self.command(arguments))?)
    }

    /// The same, as text without its line's end.
    fn text(&self, arguments: &[&str]) -> Result<String, WorldError> {
        Ok(String::from_utf8_lossy(&self.ask(arguments)?).trim_end().to_owned())
    }

    fn start(&self, command: &mut Command) -> Result<Child, WorldError> {
        command.spawn().map_err(|error| self.cannot_run(&error))
    }

    fn end(&self, child: Child) -> Result<Vec<u8>, WorldError> {
        let output = child.wait_with_output().map_err(|error| self.cannot_run(&error))?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(self.failed(String::from_utf8_lossy(&output.stderr).trim())),
        }
    }

    fn number(&self, text: &str) -> Result<i64, WorldError> {
        text.parse().map_err(|_| self.unclear(text))
    }

    fn unclear(&self, said: &str) -> WorldError {
        self.failed(format!("git says '{said}' of its commit"))
    }

    fn cannot_run(&self, error: &io::Error) -> WorldError {
        self.failed(format!("git cannot be run: {error}"))
    }

    fn failed(&self, cause: impl Into<String>) -> WorldError {
        let path = self.folder.to_owned();
        WorldError::System { action: "read the repository", path, cause: cause.into() }
    }
}

/// The texts of a list, each of which a zero byte ends.
fn fields(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split_inclusive(|&byte| byte == 0).map(|field| field.strip_suffix(b"\0").unwrap_or(field))
}
