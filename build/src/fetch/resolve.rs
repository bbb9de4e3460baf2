//! Finds out what an origin has: the exact file, its size and its hash. Only for
//! making pins; a build never believes an origin.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use hb_model::DeclaredHash;
use tempfile::TempDir;

use super::{
    Debian, DebianBinary, DebianSource, FetchError, Fetcher, Origin, OriginFailure, Pypi, Reason,
    client::{self, Program},
    debian,
    partial::Partial,
    pypi, url,
};

/// What a pin asks for. Without a version, the newest that there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// Exactly this.
    Exact(Origin),
    /// The wheel of a Python project for a system such as `x86_64-linux`.
    Wheel {
        /// The project.
        project: String,
        /// The release.
        version: Option<String>,
        /// The system.
        system: String,
    },
    /// A binary package.
    Package {
        /// The package.
        package: String,
        /// Its version.
        version: Option<String>,
        /// Such as `amd64`.
        arch: String,
        /// Such as `bookworm`.
        suite: String,
    },
    /// The upstream archive of a source package.
    Source {
        /// The source package.
        source: String,
        /// Its version.
        version: Option<String>,
        /// Such as `bookworm`.
        suite: String,
    },
}

/// What an origin has.
#[derive(Debug)]
pub struct Resolved {
    /// The origin, with everything that names the file exactly.
    pub origin: Origin,
    /// The file's name.
    pub name: String,
    /// Its bytes' number.
    pub size: u64,
    /// Their SHA-256.
    pub hash: DeclaredHash,
    /// The file itself, there as long as this value.
    pub path: PathBuf,
    _folder: TempDir,
}

impl Fetcher<'_> {
    /// Bring what a query asks for.
    pub fn resolve(&self, query: &Query) -> Result<Resolved, FetchError> {
        if self.settings.offline {
            return Err(FetchError::Offline);
        }
        self.bring(query).map_err(|reason| match reason {
            Reason::Cancelled => FetchError::Cancelled,
            reason => {
                FetchError::Origins(vec![OriginFailure { origin: query.to_string(), reason }])
            }
        })
    }

    fn bring(&self, query: &Query) -> Result<Resolved, Reason> {
        let folder = self.folder()?;
        let work = folder.path();
        let (origin, name) = match query {
            Query::Exact(Origin::Url(address)) => {
                let name = address.split(['?', '#']).next().unwrap_or(address);
                let name = name.rsplit('/').next().unwrap_or_default().to_owned();
                let name = if name.is_empty() { "download".to_owned() } else { name };
                self.save(address, &mut Partial::unknown(&work.join(&name), self.watch)?)?;
                (Origin::Url(address.clone()), name)
            }
            Query::Exact(origin) => {
                let (_, path) = client::bring(self, origin, work)?;
                (origin.clone(), file_name(&path))
            }
            Query::Wheel { project, version, system } => {
                let choice = pypi::Choice::WheelFor(system);
                pypi::download(self, project, version.as_deref(), &choice, work)?;
                let file = only(&pypi::PIP, work, &[".whl"])?;
                let version = pypi::version(&file).unwrap_or_default().to_owned();
                let origin = Pypi { project: project.clone(), version, file: file.clone() };
                (Origin::Pypi(origin), file)
            }
            Query::Package { package, version, arch, suite } => {
                let files = debian::Files::Binary { arch };
                let version = version.as_deref();
                debian::download(
                    self,
                    &debian::Wanted { package, version, suite, files },
                    true,
                    work,
                )?;
                let file = only(&debian::APT_GET, work, &[".deb"])?;
                // `<package>_<version>_<arch>.deb`, the epoch's colon escaped.
                let version = file.split('_').nth(1).unwrap_or_default().replace("%3a", ":");
                let origin = DebianBinary {
                    package: package.clone(),
                    version,
                    arch: arch.clone(),
                    suite: suite.clone(),
                };
                (Origin::Debian(Debian::Binary(origin)), file)
            }
            Query::Source { source, version, suite } => {
                // Its description names the exact version and its archives.
                let files = debian::Files::Description;
                let version = version.as_deref();
                let wanted = debian::Wanted { package: source, version, suite, files };
                debian::download(self, &wanted, true, work)?;
                let description = work.join(only(&debian::APT_GET, work, &[".dsc"])?);
                let (version, file) = described(&description)?;
                let files = debian::Files::Source { file: &file };
                let wanted =
                    debian::Wanted { package: source, version: Some(&version), suite, files };
                debian::download(self, &wanted, false, work)?;
                let origin = DebianSource {
                    source: source.clone(),
                    version,
                    file: file.clone(),
                    suite: suite.clone(),
                };
                (Origin::Debian(Debian::Source(origin)), file)
            }
        };
        let path = work.join(&name);
        let (size, hash) = Partial::unknown(&path, self.watch)?.measure();
        Ok(Resolved { origin, name, size, hash, path, _folder: folder })
    }

    /// Save what an address has, or one of its mirrors.
    fn save(&self, address: &str, partial: &mut Partial) -> Result<(), Reason> {
        let mut last = Reason::Address;
        for address in url::with_mirrors(address, &self.settings.mirrors) {
            match self.bring_url(&address, partial) {
                Ok(()) => return Ok(()),
                Err(Reason::Cancelled) => return Err(Reason::Cancelled),
                Err(reason) => last = reason,
            }
        }
        Err(last)
    }
}

/// The one file that a client brought.
fn only(program: &Program, work: &Path, endings: &[&str]) -> Result<String, Reason> {
    let mut files = client::files(work, endings)?;
    match (files.len(), files.pop()) {
        (1, Some(file)) => Ok(file),
        (_, last) => Err(Reason::OtherFile {
            program: program.name().to_owned(),
            wanted: format!("one {} file", endings.join(" or ")),
            brought: files.into_iter().chain(last).collect(),
        }),
    }
}

/// The version and the upstream archive in a source package's description. A package
/// of Debian's own has one archive, which is both.
fn described(path: &Path) -> Result<(String, String), Reason> {
    let failed = |error| Reason::Io { path: path.to_owned(), error };
    let text = fs::read_to_string(path).map_err(failed)?;
    let version = text.lines().find_map(|line| line.strip_prefix("Version: "));
    let archives = || {
        // ` <hash> <size> <name>`, in the lists of files.
        let lines = text.lines().filter(|line| line.starts_with(' '));
        let names = lines.filter_map(|line| line.split(' ').nth(3));
        names.filter(|name| name.contains(".tar.") && !name.ends_with(".asc"))
    };
    let upstream = archives().find(|name| name.contains(".orig.tar.")).or(archives().next());
    match (version, upstream) {
        (Some(version), Some(file)) => Ok((version.to_owned(), file.to_owned())),
        _ => Err(failed(io::Error::other("it has no version or no archive"))),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let or_newest =
            |version: &Option<String>| version.clone().unwrap_or_else(|| "(newest)".to_owned());
        match self {
            Self::Exact(origin) => origin.fmt(f),
            Self::Wheel { project, version, system } => {
                write!(f, "pypi {project} {} for {system}", or_newest(version))
            }
            Self::Package { package, version, arch, suite } => {
                write!(f, "debian {package} {} {arch} ({suite})", or_newest(version))
            }
            Self::Source { source, version, suite } => {
                write!(f, "debian source {source} {} ({suite})", or_newest(version))
            }
        }
    }
}
