//! Files of Debian packages, through `apt-get`.
//!
//! apt runs with lists and caches of hb's own, so that it needs no rights and sees any
//! suite; the addresses, the keys and the way to the network are those of the machine's
//! configuration. Lists are kept in the cache and shared between fetches: they are
//! refreshed only when something is not found through them.

mod sources;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use hb_sandbox::{Access, Bind};
use rustix::fs::FlockOperation;

use super::{
    Fetcher, Reason,
    client::{Call, Program, askable},
};

pub(super) const APT_GET: Program = Program { names: &["apt-get"], install: "apt" };
const APT_CONFIG: Program = Program { names: &["apt-config"], install: "apt" };

/// Lists younger than this are not refreshed again.
const FRESH: Duration = Duration::from_secs(600);
/// Where apt finds its lists and caches in the sandbox.
const APT_FOLDER: &str = "/apt";

/// What apt is to bring.
pub(super) struct Wanted<'a> {
    /// The package.
    pub(super) package: &'a str,
    /// Its version; without one, the newest.
    pub(super) version: Option<&'a str>,
    /// The suite.
    pub(super) suite: &'a str,
    /// Which files.
    pub(super) files: Files<'a>,
}

/// Which files of a package.
pub(super) enum Files<'a> {
    /// The binary package for this architecture.
    Binary { arch: &'a str },
    /// The source package's file with this name.
    Source { file: &'a str },
    /// The source package's description.
    Description,
}

/// The endings of what apt brings.
pub(super) const ENDINGS: &[&str] = &[".deb", ".dsc", ".gz", ".xz", ".bz2", ".zst", ".asc"];

/// Bring files into `work`. With `newest`, lists are refreshed first if they are old.
pub(super) fn download(
    fetcher: &Fetcher,
    wanted: &Wanted,
    newest: bool,
    work: &Path,
) -> Result<(), Reason> {
    askable(&[wanted.package, wanted.version.unwrap_or("0")])?;
    let lists = Lists::prepare(fetcher, wanted, work)?;
    if newest || !lists.stamp().exists() {
        lists.refresh(work)?;
    }
    let before = lists.age();
    match lists.ask(wanted, work) {
        // Not found through these lists, or gone from where they say.
        Err(Reason::Client { .. }) if before.is_none_or(|age| age > FRESH) => {
            lists.refresh(work)?;
            lists.ask(wanted, work)
        }
        asked => asked,
    }
}

/// The lists of one suite, for one architecture or for source packages.
struct Lists<'a> {
    fetcher: &'a Fetcher<'a>,
    folder: PathBuf,
}

impl<'a> Lists<'a> {
    /// Make the folders, and write apt's configuration into `work`.
    fn prepare(fetcher: &'a Fetcher, wanted: &Wanted, work: &Path) -> Result<Self, Reason> {
        let (kind, part) = match wanted.files {
            Files::Binary { arch } => ("deb", arch),
            Files::Source { .. } | Files::Description => ("deb-src", "source"),
        };
        let suite = wanted.suite;
        askable(&[part, &suite.replace('/', "-")])?;
        let entries = sources::of_suite(&machine_sources(), suite, &codename());
        if entries.is_empty() {
            return Err(Reason::NoArchive { suite: suite.to_owned() });
        }
        let name = format!("{}-{part}", suite.replace('/', "_"));
        let folder = fetcher.settings.cache.join("apt").join(name);
        let folders = [
            folder.join("lists/partial"),
            folder.join("cache/archives/partial"),
            work.join("sources"),
        ];
        for path in folders {
            fs::create_dir_all(&path).map_err(|error| Reason::Io { path, error })?;
        }
        let configuration = configuration(&machine_configuration(fetcher)?, wanted);
        let files = [
            (folder.join("status"), String::new()),
            (work.join("sources/hb.sources"), sources::write(&entries, kind)),
            (work.join("apt.conf"), configuration),
        ];
        for (path, text) in files {
            fs::write(&path, text).map_err(|error| Reason::Io { path, error })?;
        }
        Ok(Self { fetcher, folder })
    }

    fn stamp(&self) -> PathBuf {
        self.folder.join("refreshed")
    }

    fn age(&self) -> Option<Duration> {
        self.stamp().metadata().ok()?.modified().ok()?.elapsed().ok()
    }

    /// Bring new lists, unless someone else just did.
    fn refresh(&self, work: &Path) -> Result<(), Reason> {
        let _alone = self.lock(FlockOperation::LockExclusive)?;
        if self.age().is_some_and(|age| age <= FRESH) {
            return Ok(());
        }
        self.apt(&["update".to_owned()], work)?;
        let path = self.stamp();
        fs::write(&path, "").map_err(|error| Reason::Io { path, error })
    }

    fn ask(&self, wanted: &Wanted, work: &Path) -> Result<(), Reason> {
        let _together = self.lock(FlockOperation::LockShared)?;
        let name = match wanted.version {
            Some(version) => format!("{}={version}", wanted.package),
            None => wanted.package.to_owned(),
        };
        let words: &[&str] = match wanted.files {
            Files::Binary { .. } => &["download"],
            Files::Description => &["source", "--download-only", "--dsc-only"],
            Files::Source { file } if file.ends_with(".dsc") => {
                &["source", "--download-only", "--dsc-only"]
            }
            Files::Source { file } if file.contains(".orig") => {
                &["source", "--download-only", "--tar-only"]
            }
            Files::Source { file } if file.contains(".debian.tar") || file.contains(".diff.") => {
                &["source", "--download-only", "--diff-only"]
            }
            // A package of Debian's own has one archive.
            Files::Source { .. } => &["source", "--download-only", "--tar-only"],
        };
        let args: Vec<String> = words.iter().map(|word| (*word).to_owned()).chain([name]).collect();
        self.apt(&args, work)
    }

    fn apt(&self, args: &[String], work: &Path) -> Result<(), Reason> {
        let call = Call {
            args: ["-q".to_owned()].iter().chain(args).map(Into::into).collect(),
            env: vec![("APT_CONFIG", "/build/apt.conf")],
            binds: vec![Bind {
                source: self.folder.clone(),
                target: APT_FOLDER.into(),
                access: Access::Writable,
            }],
        };
        self.fetcher.call(&APT_GET, call, work)
    }

    /// Held until the file is dropped.
    fn lock(&self, operation: FlockOperation) -> Result<File, Reason> {
        let path = self.folder.join("lock");
        File::create(&path)
            .and_then(|file| {
                rustix::io::retry_on_intr(|| rustix::fs::flock(&file, operation))?;
                Ok(file)
            })
            .map_err(|error| Reason::Io { path, error })
    }
}

/// What of the machine's configuration leads to the network and says whom to trust.
/// Hooks, above all, are left out: they are not ours to run.
fn is_of_use(line: &str) -> bool {
    let useful = ["Acquire::", "APT::Key::", "Dir::Etc::trusted", "Dir::Etc::netrc"];
    let replaced = ["Acquire::IndexTargets", "Acquire::Languages"];
    useful.iter().any(|start| line.starts_with(start))
        && !replaced.iter().any(|start| line.starts_with(start))
}

/// apt's whole configuration: it reads no other.
fn configuration(machine: &str, wanted: &Wanted) -> String {
    let architecture = match wanted.files {
        Files::Binary { arch } if arch != "all" => Some(arch),
        _ => machine
            .lines()
            .find_map(|line| line.strip_prefix("APT::Architecture \"")?.strip_suffix("\";")),
    };
    let mut text: String =
        machine.lines().filter(|line| is_of_use(line)).map(|line| format!("{line}\n")).collect();
    if let Some(architecture) = architecture {
        text += &format!("APT::Architecture \"{architecture}\";\n");
        text += &format!("APT::Architectures:: \"{architecture}\";\n");
    }
    text + OWN_CONFIGURATION
}

/// What apt is told besides.
const OWN_CONFIGURATION: &str = r#"Dir::Etc::main "/dev/null";
Dir::Etc::parts "/dev/null";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "/build/sources";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State "/apt";
Dir::State::lists "/apt/lists";
Dir::State::status "/apt/status";
Dir::Cache "/apt/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Log "/dev/null";
Debug::NoLocking "true";
APT::Sandbox::User "";
APT::Get::Only-Source "true";
Acquire::Languages "none";
Acquire::Retries "3";
"#;

/// The machine's configuration as apt itself reads it.
fn machine_configuration(fetcher: &Fetcher) -> Result<String, Reason> {
    let env = &fetcher.settings.host.env;
    let path = APT_CONFIG.find(env.get(OsStr::new("PATH")))?;
    let output = Command::new(&path).arg("dump").env_clear().envs(env).output();
    let output = output.map_err(|error| Reason::Io { path, error })?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The machine's package sources.
fn machine_sources() -> Vec<sources::Entry> {
    let folder = Path::new("/etc/apt/sources.list.d");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.push("/etc/apt/sources.list".into());
    paths.sort();
    let read = |path: &PathBuf| -> io::Result<Vec<sources::Entry>> {
        match path.extension().and_then(OsStr::to_str) {
            Some("list") => Ok(sources::parse_lines(&fs::read_to_string(path)?)),
            Some("sources") => Ok(sources::parse_stanzas(&fs::read_to_string(path)?)),
            _ => Ok(Vec::new()),
        }
    };
    // One that cannot be read says nothing; that no archive is found will be told.
    paths.iter().flat_map(|path| read(path).unwrap_or_default()).collect()
}

/// The release that the machine runs.
fn codename() -> String {
    fs::read_to_string("/etc/os-release")
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
        .unwrap_or_default()
        .trim_matches('"')
        .to_owned()
}
