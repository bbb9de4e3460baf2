//! Settings and where they come from.
//!
//! Precedence, first wins: option, environment, the project's `hb.toml` (its
//! `[settings]`), the user's `hb/config.toml`, the system's `/etc/hb/config.toml`.
//! This module is the only one that reads the environment.

use std::{
    collections::BTreeMap,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::ValueEnum;
use etcetera::BaseStrategy as _;
use hb_cache::{Address, AddressError, Network};
use hb_model::{Limits, PublicKey, Trust};
use hb_sandbox::{Backend, Isolation, Maker, Reentry};
use hb_store::StoreOptions;
use serde::Deserialize;

use crate::{error::CliError, network::network};

/// How many seconds a cache may take for an answer, if it is not said.
const CACHE_TIMEOUT: u64 = 30;

/// Where the system's settings are.
const SYSTEM_FILE: &str = "/etc/hb/config.toml";

/// One layer of settings; whatever is absent is left to the next layer.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Layer {
    /// Where the store lies.
    pub(crate) store: Option<PathBuf>,
    /// Stores that are only read, the first of which is asked first.
    pub(crate) lower_stores: Option<Vec<PathBuf>>,
    /// Store equal files as one with several names.
    pub(crate) hard_links: Option<bool>,
    /// How many builds run at once.
    pub(crate) jobs: Option<usize>,
    /// Never fetch.
    pub(crate) offline: Option<bool>,
    /// Keep the build folder of a failed build.
    pub(crate) keep_failed: Option<bool>,
    /// Keep the compiled form of files from one run to the next.
    pub(crate) keep_compiled: Option<bool>,
    /// Who makes sandboxes.
    pub(crate) sandbox: Option<SandboxMaker>,
    /// URL prefixes and what to try in their place, in order.
    pub(crate) mirrors: Option<BTreeMap<String, Vec<String>>>,
    /// Folders and servers that answer by hash: `<base>/<algorithm>/<hex>`.
    pub(crate) by_hash: Option<Vec<String>>,
    /// Binary caches, the first of which is asked first.
    pub(crate) caches: Option<Vec<String>>,
    /// How many seconds a cache may take for an answer.
    pub(crate) cache_timeout: Option<u64>,
    /// Files with certificates of authorities that are believed beside the system's.
    pub(crate) certificates: Option<Vec<PathBuf>>,
    /// The keys of builders that are believed.
    pub(crate) trusted_keys: Option<Vec<String>>,
    /// How many of them must have signed a build.
    pub(crate) signatures_needed: Option<usize>,
    /// Bounds on every build.
    pub(crate) limits: Option<LimitSettings>,
    /// With how little isolation hb still builds.
    pub(crate) isolation_needed: Option<NeededIsolation>,
}

/// Bounds on every build. Each layer can only tighten those of the others.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitSettings {
    #[serde(default, deserialize_with = "seconds")]
    timeout: u64,
    #[serde(default, deserialize_with = "seconds")]
    silence: u64,
    #[serde(default, deserialize_with = "bytes")]
    memory: u64,
    #[serde(default)]
    processes: u64,
    #[serde(default, deserialize_with = "bytes")]
    disk: u64,
}

impl From<LimitSettings> for Limits {
    fn from(settings: LimitSettings) -> Self {
        let LimitSettings { timeout, silence, memory, processes, disk } = settings;
        Self { timeout, silence, memory, processes, disk }
    }
}

/// A time such as `2h 30min`, of whole seconds.
fn seconds<'de, D: serde::Deserializer<'de>>(text: D) -> Result<u64, D::Error> {
    let text = String::deserialize(text)?;
    let time = humantime::parse_duration(&text).map_err(serde::de::Error::custom)?;
    match time.as_secs() {
        0 => Err(serde::de::Error::custom("it is less than a second")),
        seconds => Ok(seconds),
    }
}

/// A size such as `8GiB`.
fn bytes<'de, D: serde::Deserializer<'de>>(text: D) -> Result<u64, D::Error> {
    let size = String::deserialize(text)?.parse::<bytesize::ByteSize>();
    Ok(size.map_err(serde::de::Error::custom)?.as_u64())
}

/// The least isolation that is enough. The later is the stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NeededIsolation {
    /// Namespaces of its own.
    Namespaces,
    /// And a system call filter.
    Filtered,
}

impl From<NeededIsolation> for Isolation {
    fn from(needed: NeededIsolation) -> Self {
        match needed {
            NeededIsolation::Namespaces => Self::Namespaces,
            NeededIsolation::Filtered => Self::Filtered,
        }
    }
}

/// Who makes sandboxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SandboxMaker {
    /// hb itself, or bubblewrap on a machine that does not let hb.
    #[default]
    Automatic,
    /// hb itself, by system calls.
    Direct,
    /// The program bwrap.
    Bubblewrap,
}

impl From<SandboxMaker> for Maker {
    fn from(maker: SandboxMaker) -> Self {
        match maker {
            SandboxMaker::Automatic => Self::Automatic,
            SandboxMaker::Direct => Self::Direct,
            SandboxMaker::Bubblewrap => Self::Bubblewrap,
        }
    }
}

/// The settings of one run, every layer applied.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) store: PathBuf,
    pub(crate) store_options: StoreOptions,
    /// How many steps are built at once; as many as there are processors, if not said.
    pub(crate) jobs: Option<NonZeroUsize>,
    pub(crate) offline: bool,
    pub(crate) keep_failed: bool,
    /// The folder that compiled files are kept in, if they are.
    pub(crate) compiled: Option<PathBuf>,
    pub(crate) sandbox: Backend,
    pub(crate) mirrors: BTreeMap<String, Vec<String>>,
    pub(crate) by_hash: Vec<String>,
    pub(crate) caches: Vec<Address>,
    pub(crate) cache_timeout: Duration,
    pub(crate) network: Network,
    pub(crate) trust: Trust,
    pub(crate) limits: Limits,
    pub(crate) isolation_needed: Isolation,
}

fn tighter(a: Option<LimitSettings>, b: Option<LimitSettings>) -> Option<LimitSettings> {
    let (Some(a), Some(b)) = (a.clone(), b.clone()) else { return a.or(b) };
    let Limits { timeout, silence, memory, processes, disk } = Limits::from(a).and(b.into());
    Some(LimitSettings { timeout, silence, memory, processes, disk })
}

impl Layer {
    /// Fill what is absent here from `next`.
    fn or(self, next: Self) -> Self {
        Self {
            store: self.store.or(next.store),
            lower_stores: self.lower_stores.or(next.lower_stores),
            hard_links: self.hard_links.or(next.hard_links),
            jobs: self.jobs.or(next.jobs),
            offline: self.offline.or(next.offline),
            keep_failed: self.keep_failed.or(next.keep_failed),
            keep_compiled: self.keep_compiled.or(next.keep_compiled),
            sandbox: self.sandbox.or(next.sandbox),
            mirrors: self.mirrors.or(next.mirrors),
            by_hash: self.by_hash.or(next.by_hash),
            caches: self.caches.or(next.caches),
            certificates: self.certificates.or(next.certificates),
            cache_timeout: self.cache_timeout.or(next.cache_timeout),
            trusted_keys: self.trusted_keys.or(next.trusted_keys),
            signatures_needed: self.signatures_needed.or(next.signatures_needed),
            limits: tighter(self.limits, next.limits),
            isolation_needed: self.isolation_needed.max(next.isolation_needed),
        }
    }

    /// What `HB_STORE`, `HB_LOWER_STORES`, `HB_HARD_LINKS`, `HB_JOBS`, `HB_OFFLINE`,
    /// `HB_KEEP_FAILED`, `HB_KEEP_COMPILED` and `HB_SANDBOX` say.
    fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, CliError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let flag = |name: &str| {
            set(name)
                .map(|value| match value.as_str() {
                    "1" | "true" | "yes" => Ok(true),
                    "0" | "false" | "no" => Ok(false),
                    _ => Err(CliError::Variable { name: name.into(), value, expected: "0 or 1" }),
                })
                .transpose()
        };
        let jobs = set("HB_JOBS")
            .map(|value| {
                value.parse().ok().filter(|jobs| *jobs > 0).ok_or_else(|| CliError::Variable {
                    name: "HB_JOBS".into(),
                    value,
                    expected: "a positive number",
                })
            })
            .transpose()?;
        let sandbox = set("HB_SANDBOX")
            .map(|value| {
                SandboxMaker::from_str(&value, false).map_err(|_| CliError::Variable {
                    name: "HB_SANDBOX".into(),
                    value,
                    expected: "automatic, direct or bubblewrap",
                })
            })
            .transpose()?;
        Ok(Self {
            store: set("HB_STORE").map(PathBuf::from),
            lower_stores: set("HB_LOWER_STORES").map(|list| std::env::split_paths(&list).collect()),
            hard_links: flag("HB_HARD_LINKS")?,
            jobs,
            offline: flag("HB_OFFLINE")?,
            keep_failed: flag("HB_KEEP_FAILED")?,
            keep_compiled: flag("HB_KEEP_COMPILED")?,
            sandbox,
            ..Self::default()
        })
    }

    /// What a file says; a file that is not there says nothing.
    fn from_file(path: &Path) -> Result<Self, CliError> {
        match std::fs::read_to_string(path) {
            Ok(text) => {
                let layer: Self =
                    toml::from_str(&text).map_err(|error| CliError::toml(path, &text, &error))?;
                Ok(layer.relative_to(path.parent().unwrap_or(Path::new("/"))))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(source) => Err(CliError::Io { path: path.to_owned(), source }),
        }
    }

    /// Take relative paths as relative to the folder of the file that names them.
    pub(crate) fn relative_to(mut self, folder: &Path) -> Self {
        self.store = self.store.map(|store| folder.join(store));
        for path in self.certificates.iter_mut().flatten() {
            *path = folder.join(&*path);
        }
        for lower in self.lower_stores.iter_mut().flatten() {
            *lower = folder.join(&*lower);
        }
        self
    }
}

impl Settings {
    /// Apply the layers. `options` come from the command line, `project` from the
    /// project's `hb.toml`.
    pub(crate) fn load(options: Layer, project: Layer) -> Result<Self, CliError> {
        if project.trusted_keys.is_some() || project.signatures_needed.is_some() {
            return Err(CliError::usage("a project cannot say whom to trust")
                .with_help("`hb key trust` puts a key into your own settings"));
        }
        if project.certificates.is_some() {
            return Err(CliError::usage("a project cannot say whose certificates to believe")
                .with_help("`certificates` stands in your own settings or the system's"));
        }
        if project.lower_stores.is_some() {
            return Err(CliError::usage("a project cannot name lower stores")
                .with_help("what they say was built is believed; name them in your own settings"));
        }
        let directories = etcetera::choose_base_strategy().ok();
        let user = match &directories {
            Some(base) => Layer::from_file(&user_file(base))?,
            None => Layer::default(),
        };
        let layers = options
            .or(Layer::from_environment(|name| std::env::var(name).ok())?)
            .or(project)
            .or(user)
            .or(Layer::from_file(Path::new(SYSTEM_FILE))?);
        let keep_compiled = layers.keep_compiled.unwrap_or(true);
        let cache = directories.as_ref().filter(|_| keep_compiled);
        let compiled = cache.map(|base| base.cache_dir().join("hb/compiled"));
        let store = match (layers.store, directories) {
            (Some(store), _) => absolute(&store)?,
            (None, Some(base)) => default_store(&base),
            (None, None) => return Err(CliError::NoHome),
        };
        let lower = layers.lower_stores.unwrap_or_default();
        let lower = lower.iter().map(|lower| absolute(lower)).collect::<Result<_, _>>()?;
        Ok(Self {
            store,
            store_options: StoreOptions {
                lower,
                hard_links: layers.hard_links.unwrap_or(false),
                ..StoreOptions::default()
            },
            jobs: layers.jobs.and_then(NonZeroUsize::new),
            offline: layers.offline.unwrap_or(false),
            keep_failed: layers.keep_failed.unwrap_or(false),
            compiled,
            sandbox: Backend {
                reentry: Reentry::point(),
                maker: layers.sandbox.unwrap_or_default().into(),
            },
            mirrors: layers.mirrors.unwrap_or_default(),
            by_hash: layers.by_hash.unwrap_or_default(),
            network: network(&layers.certificates.unwrap_or_default(), |name| {
                std::env::var(name).ok()
            })?,
            caches: addresses(layers.caches.unwrap_or_default())?,
            cache_timeout: Duration::from_secs(layers.cache_timeout.unwrap_or(CACHE_TIMEOUT)),
            trust: Trust {
                keys: trusted_keys(layers.trusted_keys.unwrap_or_default())?,
                needed: layers.signatures_needed.unwrap_or(1),
            },
            limits: layers.limits.unwrap_or_default().into(),
            isolation_needed: layers.isolation_needed.unwrap_or(NeededIsolation::Namespaces).into(),
        })
    }
}

fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    std::path::absolute(path).map_err(|source| CliError::Io { path: path.to_owned(), source })
}

fn addresses(texts: Vec<String>) -> Result<Vec<Address>, CliError> {
    texts.iter().map(|text| cache_address(text)).collect()
}

/// A cache's address, as it stands in the settings or on the command line.
pub(crate) fn cache_address(text: &str) -> Result<Address, CliError> {
    text.parse().map_err(|error: AddressError| CliError::usage(error.to_string()))
}

fn trusted_keys(texts: Vec<String>) -> Result<Vec<PublicKey>, CliError> {
    let key = |text: String| {
        text.parse().map_err(|error| CliError::usage(format!("the trusted key '{text}': {error}")))
    };
    texts.into_iter().map(key).collect()
}

/// The user's folder of settings and keys.
pub(crate) fn user_folder() -> Result<PathBuf, CliError> {
    etcetera::choose_base_strategy()
        .map(|base| base.config_dir().join("hb"))
        .map_err(|_| CliError::NoHome)
}

/// The user's file of settings, in that folder.
pub(crate) const USER_FILE: &str = "config.toml";

/// Where the repl keeps its history.
pub(crate) fn history_file() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    let folder = base.state_dir().unwrap_or_else(|| base.data_dir());
    Some(folder.join("hb/repl-history"))
}

fn user_file(base: &impl etcetera::BaseStrategy) -> PathBuf {
    base.config_dir().join("hb").join(USER_FILE)
}

fn default_store(base: &impl etcetera::BaseStrategy) -> PathBuf {
    base.data_dir().join("hb")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(jobs: usize) -> Layer {
        Layer { jobs: Some(jobs), ..Layer::default() }
    }

    #[test]
    fn an_earlier_layer_wins_and_a_later_one_fills_in() {
        let later = Layer { offline: Some(true), ..jobs(8) };
        let merged = jobs(3).or(later);
        assert_eq!((merged.jobs, merged.offline), (Some(3), Some(true)));
    }

    #[test]
    fn every_layer_tightens_limits_and_isolation() {
        let layer = |text: &str| toml::from_str::<Layer>(text).unwrap();
        let project = layer("limits = { memory = '8GiB', timeout = '2h 30min' }");
        let user =
            layer("isolation-needed = 'filtered'\nlimits = { memory = '1GiB', processes = 9 }");
        let merged = project.or(user);
        let limits = Limits::from(merged.limits.unwrap());
        let expected = Limits { timeout: 9000, memory: 1 << 30, processes: 9, ..Limits::default() };
        assert_eq!(limits, expected);
        assert_eq!(merged.isolation_needed, Some(NeededIsolation::Filtered));
        for wrong in ["timeout = '0s'", "memory = 'much'", "disks = '1GiB'"] {
            assert!(
                toml::from_str::<Layer>(&format!("limits = {{ {wrong} }}")).is_err(),
                "{wrong}"
            );
        }
    }

    #[test]
    fn the_environment_is_read_and_refused_where_it_has_no_meaning() {
        let layer = Layer::from_environment(|name| match name {
            "HB_JOBS" => Some("4".into()),
            "HB_OFFLINE" => Some("1".into()),
            "HB_STORE" => Some(String::new()),
            "HB_SANDBOX" => Some("direct".into()),
            _ => None,
        });
        let sandbox = Some(SandboxMaker::Direct);
        assert_eq!(layer.unwrap(), Layer { offline: Some(true), sandbox, ..jobs(4) });
        assert!(Layer::from_environment(|_| Some("maybe".into())).is_err());
    }

    #[test]
    fn an_unknown_setting_is_an_error() {
        assert!(toml::from_str::<Layer>("job = 3").is_err());
        assert_eq!(toml::from_str::<Layer>("jobs = 3").unwrap(), jobs(3));
    }
}
