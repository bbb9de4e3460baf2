//! What git says of a working tree.
//!
//! Git is asked, and changes nothing: it takes no lock, runs no hook and no monitor of files,
//! and heeds no variable that would lead it to another repository.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    io::Write as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use hb_evaluator::{GitCommit, GitTree, GitView, WorldError};

/// What would name another repository than the one in the folder.
const VARIABLES: [&str; 7] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
];

/// The mode of a repository inside of another.
const REPOSITORY: &[u8] = b"160000 ";

/// Ask about the repository in `folder`, which must be the uppermost one of its working tree.
pub(super) fn tree(folder: &Path, view: GitView) -> Result<GitTree, WorldError> {
    if !folder.join(".git").exists() {
        return Err(failed(folder, "it is not the uppermost folder of a repository".to_owned()));
    }
    let git = Git { folder };
    let mut list = vec!["ls-files", "-z", "--stage"];
    if view.submodules {
        list.push("--recurse-submodules");
    }
    let entries = git.ask(&list)?;
    let mut paths = BTreeSet::new();
    for entry in split(&entries) {
        // Its mode, object and stage, and behind a tab its path.
        let tab = entry.iter().position(|&byte| byte == b'\t');
        let Some((facts, file)) = tab.map(|tab| (&entry[..tab], &entry[tab + 1..])) else {
            return Err(failed(folder, "git ls-files gives no paths".to_owned()));
        };
        if facts.starts_with(REPOSITORY) {
            continue;
        }
        let above = Path::new(OsStr::from_bytes(file)).ancestors();
        paths.extend(above.filter(|path| !path.as_os_str().is_empty()).map(Path::to_owned));
    }
    if view.export_ignore {
        git.leave_out_ignored(&mut paths)?;
    }
    let inside = match view.submodules {
        true => "--ignore-submodules=untracked",
        false => "--ignore-submodules=all",
    };
    let status = ["status", "--porcelain", "-z", "--untracked-files=no", inside];
    let commit = git.commit()?;
    let is_dirty =
        commit.is_some() && !git.ask(&status)?.is_empty() || commit.is_none() && !paths.is_empty();
    Ok(GitTree { paths, commit, is_dirty })
}

/// Git, in a repository.
struct Git<'a> {
    folder: &'a Path,
}

impl Git<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        VARIABLES.iter().for_each(|variable| {
            command.env_remove(variable);
        });
        command
            .env("GIT_OPTIONAL_LOCKS", "0")
            .env("TZ", "UTC")
            .args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"])
            .args(arguments)
            .current_dir(self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What git prints.
    fn ask(&self, arguments: &[&str]) -> Result<Vec<u8>, WorldError> {
        self.ask_about(arguments, Vec::new())
    }

    /// What git prints when it reads this.
    fn ask_about(&self, arguments: &[&str], input: Vec<u8>) -> Result<Vec<u8>, WorldError> {
        let cannot = |error: std::io::Error| failed(self.folder, format!("git: {error}"));
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().map_err(cannot)?;
        let stdin = child.stdin.take();
        // It is written beside: git answers while it reads. One that stops reading says why.
        let writer = thread::spawn(move || stdin.map(|mut stdin| stdin.write_all(&input)));
        let output = child.wait_with_output().map_err(cannot)?;
        drop(writer.join());
        match output.status.success() {
            true => Ok(output.stdout),
            false => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(failed(self.folder, said.trim().to_owned()))
            }
        }
    }

    /// Drop what has the attribute `export-ignore`, and what is below it.
    fn leave_out_ignored(&self, paths: &mut BTreeSet<PathBuf>) -> Result<(), WorldError> {
        let mut asked = Vec::new();
        for path in &*paths {
            asked.extend_from_slice(path.as_os_str().as_bytes());
            asked.push(0);
        }
        let answer = self.ask_about(&["check-attr", "-z", "--stdin", "export-ignore"], asked)?;
        // Of each path: itself, the attribute's name, its value.
        let mut answer = split(&answer);
        let mut ignored = BTreeSet::new();
        while let (Some(path), Some(_), Some(value)) = (answer.next(), answer.next(), answer.next())
        {
            if value == b"set" {
                ignored.insert(PathBuf::from(OsStr::from_bytes(path)));
            }
        }
        paths.retain(|path| !path.ancestors().any(|above| ignored.contains(above)));
        Ok(())
    }

    /// The commit that is checked out; none before the first.
    fn commit(&self) -> Result<Option<GitCommit>, WorldError> {
        if self.ask(&["rev-parse", "--quiet", "--verify", "HEAD^{commit}"]).is_err() {
            return Ok(None);
        }
        let format = ["log", "-1", "--date=format-local:%Y%m%d%H%M%S", "--format=%H %ct %cd"];
        let said = self.ask(&format)?;
        let said = String::from_utf8_lossy(&said);
        let mut words = said.split_whitespace();
        let (Some(id), Some(time), Some(date)) = (words.next(), words.next(), words.next()) else {
            return Err(failed(self.folder, format!("git log says '{said}'")));
        };
        let count = self.ask(&["rev-list", "--count", "HEAD"])?;
        let number = |text: &str| text.trim().parse().unwrap_or_default();
        Ok(Some(GitCommit {
            id: id.to_owned(),
            time: number(time),
            date: date.to_owned(),
            count: number(&String::from_utf8_lossy(&count)),
        }))
    }
}

/// The texts of a list, each of which a zero byte ends.
fn split(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|&byte| byte == 0).filter(|text| !text.is_empty())
}

fn failed(folder: &Path, cause: String) -> WorldError {
    WorldError::System { action: "read the repository", path: folder.to_owned(), cause }
}
