//! The evaluator's way out: files of the project, and the store for sources.
//!
//! In pure evaluation only these are visible: the folder of the project (or, without
//! one, of the recipe), the folders that the project names, and what the evaluation
//! put into the store itself.

mod git;
mod ignored;
mod kept_code;

use std::{
    collections::{BTreeSet, HashMap},
    fs, io,
    os::unix::{ffi::OsStringExt as _, fs::PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use hb_evaluator::{
    CodeKey, ContextElement, FileType, Filter, FilterStop, GitTree, GitView, ImportError, World,
    WorldError,
};
use hb_model::{Derivation, DerivationId, STORE_DIR, StoreName, StorePath};
use hb_store::{EntryKind, OpenMode, Store, StoreError, StoreOptions};

use self::{ignored::Ignored, kept_code::KeptCode};
use crate::{config::Settings, output, search_path::SearchPath};

/// What an evaluation may see.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// The project's folder, or the recipe's.
    pub(crate) project: PathBuf,
    /// Further folders that may be read.
    pub(crate) also: Vec<PathBuf>,
    /// Whether everything may.
    pub(crate) impure: bool,
    /// The platform that `builtins.currentSystem` and `hb.system` name.
    pub(crate) system: String,
    /// Where `<…>` looks.
    pub(crate) search_path: SearchPath,
    /// Whether what `trace` and `warn` say is dropped.
    pub(crate) silent: bool,
    /// The folder that compiled texts are kept in, if they are.
    pub(crate) compiled: Option<PathBuf>,
}

/// The store that sources go to; opened when there is a first one, since most
/// evaluations have none.
#[derive(Debug)]
pub(crate) enum StoreSource {
    /// It is open.
    Open(Store),
    /// It lies here, and is to be opened so.
    At(PathBuf, StoreOptions),
}

impl From<Store> for StoreSource {
    fn from(store: Store) -> Self {
        Self::Open(store)
    }
}

impl From<&Settings> for StoreSource {
    fn from(settings: &Settings) -> Self {
        Self::At(settings.store.clone(), settings.store_options.clone())
    }
}

/// The world of one evaluation.
pub(crate) struct HostWorld {
    view: View,
    store: StoreSource,
    ignored: Ignored,
    kept_code: Option<KeptCode>,
    /// Paths imported without a filter, so that each is read once.
    imported: HashMap<(PathBuf, StoreName), StorePath>,
    /// What this evaluation put into the store, and may read back.
    added: BTreeSet<StorePath>,
    /// Folders that were read from, and where they really lie: those are taken not to change while
    /// something is evaluated.
    followed: HashMap<PathBuf, PathBuf>,
}

impl HostWorld {
    /// A world that sees `view`, and puts sources into a store.
    pub(crate) fn new(view: View, store: StoreSource) -> Self {
        let ignored = Ignored::new(view.project.clone());
        let compiled = view.compiled.clone();
        let kept_code = compiled.map(|folder| KeptCode::new(folder, &view.project));
        Self {
            view,
            store,
            ignored,
            kept_code,
            imported: HashMap::new(),
            added: BTreeSet::new(),
            followed: HashMap::new(),
        }
    }

    /// Where a path really lies, if it may be seen.
    fn locate(&mut self, path: &Path) -> Result<PathBuf, WorldError> {
        if let Ok(below) = path.strip_prefix(STORE_DIR) {
            return self.locate_in_store(path, below);
        }
        let visible = std::iter::once(&self.view.project).chain(&self.view.also);
        if self.view.impure || visible.into_iter().any(|folder| path.starts_with(folder)) {
            return Ok(path.to_owned());
        }
        Err(WorldError::Impure {
            what: format!("'{}'", path.display()),
            reason: format!(
                "it is outside '{}'; move it there, or allow it with --impure",
                self.view.project.display()
            ),
        })
    }

    fn locate_in_store(&mut self, path: &Path, below: &Path) -> Result<PathBuf, WorldError> {
        let object = below
            .components()
            .next()
            .and_then(|first| first.as_os_str().to_str())
            .and_then(|name| StorePath::from_base_name(name).ok());
        let Some(object) = object else {
            return Err(WorldError::Missing { path: path.to_owned() });
        };
        if !self.view.impure && !self.added.contains(&object) {
            return Err(WorldError::Impure {
                what: format!("'{}'", path.display()),
                reason: "this evaluation did not put it into the store".into(),
            });
        }
        let rest: PathBuf = below.components().skip(1).collect();
        Ok(self.store(object.name())?.physical(&object).join(rest))
    }

    /// The real place of a path, symbolic links followed, if that may be seen too.
    fn locate_followed(&mut self, path: &Path) -> Result<PathBuf, WorldError> {
        let real = self.locate(path)?;
        let followed = self.follow(&real).map_err(|error| system("read", path, &error))?;
        if !path.starts_with(STORE_DIR) {
            self.locate(&followed)?;
        }
        Ok(followed)
    }

    /// A path with symbolic links followed. Each folder is followed once: that looks at every
    /// folder above it too.
    fn follow(&mut self, path: &Path) -> io::Result<PathBuf> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return fs::canonicalize(path);
        };
        let file = match self.followed.get(folder) {
            Some(real) => real.join(name),
            None => {
                let real = fs::canonicalize(folder)?;
                let file = real.join(name);
                self.followed.insert(folder.to_owned(), real);
                file
            }
        };
        match fs::symlink_metadata(&file)?.is_symlink() {
            true => fs::canonicalize(file),
            false => Ok(file),
        }
    }

    fn store(&mut self, name: &StoreName) -> Result<Store, WorldError> {
        if let StoreSource::At(place, options) = &self.store {
            let store = Store::open_with(place, OpenMode::Write, options.clone())
                .map_err(|e| store_error(name, &e))?;
            self.store = StoreSource::Open(store);
        }
        match &self.store {
            StoreSource::Open(store) => Ok(store.clone()),
            StoreSource::At(..) => unreachable!("it has just been opened"),
        }
    }

    /// Add a tree without what `filter`, or else the project's rules, leave out. `shown`
    /// is the path as the evaluation knows it.
    fn add_filtered(
        &mut self,
        real: &Path,
        shown: &Path,
        name: &StoreName,
        filter: Option<Filter<'_>>,
    ) -> Result<StorePath, ImportError> {
        let store = self.store(name)?;
        let mut stopped = false;
        let added = match filter {
            Some(filter) => {
                let mut keep = |path: &Path, kind: EntryKind| {
                    let below = path.strip_prefix(real).unwrap_or(path);
                    filter(&shown.join(below), entry_type(kind)).map_err(|FilterStop| {
                        stopped = true;
                        hb_store::FilterStop
                    })
                };
                store.add_tree(real, name, Some(&mut keep))
            }
            None if real.is_dir() => {
                let ignored = &mut self.ignored;
                let mut keep = |path: &Path, kind: EntryKind| {
                    Ok(!ignored.is_ignored(path, kind == EntryKind::Directory))
                };
                store.add_tree(real, name, Some(&mut keep))
            }
            None => store.add_tree(real, name, None),
        };
        match added {
            Err(_) if stopped => Err(FilterStop.into()),
            Err(error) => Err(store_error(name, &error).into()),
            Ok(path) => Ok(path),
        }
    }

    fn require_impure(&self, what: String) -> Result<(), WorldError> {
        match self.view.impure {
            true => Ok(()),
            false => Err(WorldError::Impure {
                what,
                reason: "it is not the same everywhere; give it with --argstr, or allow it with --impure"
                    .into(),
            }),
        }
    }
}

fn store_error(name: &StoreName, error: &StoreError) -> WorldError {
    WorldError::Store { name: name.to_string(), cause: error.to_string() }
}

fn entry_type(kind: EntryKind) -> FileType {
    match kind {
        EntryKind::File => FileType::Regular,
        EntryKind::Directory => FileType::Directory,
        EntryKind::Symlink => FileType::Symlink,
        EntryKind::Special(_) => FileType::Unknown,
    }
}

impl World for HostWorld {
    fn read_file(&mut self, path: &Path) -> Result<Vec<u8>, WorldError> {
        let real = self.locate_followed(path)?;
        fs::read(real).map_err(|error| system("read", path, &error))
    }

    fn read_dir(&mut self, path: &Path) -> Result<Vec<(Vec<u8>, FileType)>, WorldError> {
        let real = self.locate_followed(path)?;
        let failed = |error: io::Error| system("list", path, &error);
        fs::read_dir(real)
            .map_err(failed)?
            .map(|entry| {
                let entry = entry.map_err(failed)?;
                let kind = entry.file_type().map_err(failed)?;
                Ok((entry.file_name().into_vec(), file_type(kind)))
            })
            .collect()
    }

    fn file_type(&mut self, path: &Path) -> Result<Option<FileType>, WorldError> {
        match fs::symlink_metadata(self.locate(path)?) {
            Ok(metadata) => Ok(Some(file_type(metadata.file_type()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(None),
            Err(error) => Err(system("look at", path, &error)),
        }
    }

    fn is_executable(&mut self, path: &Path) -> Result<bool, WorldError> {
        let real = self.locate_followed(path)?;
        let metadata = fs::metadata(real).map_err(|error| system("look at", path, &error))?;
        Ok(metadata.permissions().mode() & 0o100 != 0)
    }

    fn read_link(&mut self, path: &Path) -> Result<PathBuf, WorldError> {
        fs::read_link(self.locate(path)?).map_err(|error| system("read", path, &error))
    }

    fn resolve(&mut self, path: &Path) -> Result<PathBuf, WorldError> {
        if path.starts_with(STORE_DIR) {
            return self.locate(path).map(|_| path.to_owned());
        }
        self.locate_followed(path)
    }

    fn add_path(
        &mut self,
        path: &Path,
        name: &StoreName,
        filter: Option<Filter<'_>>,
    ) -> Result<StorePath, ImportError> {
        let key = (path.to_owned(), name.clone());
        if filter.is_none()
            && let Some(known) = self.imported.get(&key)
        {
            return Ok(known.clone());
        }
        let real = self.locate_followed(path)?;
        let plain = filter.is_none();
        let added = self.add_filtered(&real, path, name, filter)?;
        self.added.insert(added.clone());
        if plain {
            self.imported.insert(key, added.clone());
        }
        Ok(added)
    }

    fn add_text(
        &mut self,
        name: &StoreName,
        text: &[u8],
        references: &[ContextElement],
    ) -> Result<StorePath, WorldError> {
        let references = references
            .iter()
            .map(|element| match element {
                ContextElement::Source(path) => Ok(path.clone()),
                _ => Err(WorldError::Store {
                    name: name.to_string(),
                    cause: "it mentions the output of a derivation, which is not built yet".into(),
                }),
            })
            .collect::<Result<_, _>>()?;
        let store = self.store(name)?;
        let path = store
            .add_file(name, text, false, &references)
            .map_err(|error| store_error(name, &error))?;
        self.added.insert(path.clone());
        Ok(path)
    }

    fn add_derivations(
        &mut self,
        derivations: &[(&DerivationId, &Derivation)],
    ) -> Result<(), WorldError> {
        let Some((_, last)) = derivations.last() else { return Ok(()) };
        let store = self.store(&last.name)?;
        store
            .add_derivations(derivations.iter().copied())
            .map(drop)
            .map_err(|error| store_error(&last.name, &error))
    }

    fn keeps_code(&self) -> bool {
        self.kept_code.is_some()
    }

    fn code(&mut self, key: &CodeKey) -> Option<Arc<[u8]>> {
        self.kept_code.as_mut()?.get(key.as_bytes())
    }

    fn keep_code(&mut self, key: &CodeKey, code: &Arc<[u8]>) {
        if let Some(kept) = &mut self.kept_code {
            kept.keep(key.as_bytes(), code);
        }
    }

    fn env(&mut self, name: &str) -> Result<Vec<u8>, WorldError> {
        self.require_impure(format!("the environment variable '{name}'"))?;
        Ok(std::env::var_os(name).unwrap_or_default().into_vec())
    }

    fn current_time(&mut self) -> Result<i64, WorldError> {
        self.require_impure("the time".to_owned())?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Ok(now.map_or(0, |elapsed| elapsed.as_secs() as i64))
    }

    fn current_system(&mut self) -> Result<String, WorldError> {
        Ok(self.view.system.clone())
    }

    fn git_tree(&mut self, folder: &Path, view: GitView) -> Result<GitTree, WorldError> {
        self.require_impure(format!("what git says of '{}'", folder.display()))?;
        git::tree(&self.locate_followed(folder)?, view)
    }

    fn search_path(&mut self) -> SearchPath {
        self.view.search_path.clone()
    }

    fn trace(&mut self, line: &str) {
        if !self.view.silent {
            output::note(line);
        }
    }
}

fn system(action: &'static str, path: &Path, error: &io::Error) -> WorldError {
    match error.kind() {
        io::ErrorKind::NotFound => WorldError::Missing { path: path.to_owned() },
        _ => WorldError::System { action, path: path.to_owned(), cause: error.to_string() },
    }
}

fn file_type(kind: fs::FileType) -> FileType {
    if kind.is_file() {
        FileType::Regular
    } else if kind.is_dir() {
        FileType::Directory
    } else if kind.is_symlink() {
        FileType::Symlink
    } else {
        FileType::Unknown
    }
}
