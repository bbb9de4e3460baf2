//! A world whose store is Nix's, in name only.
//!
//! Everything that goes into it gets the path that Nix would give it, and can be read back
//! there, but is not copied: sources stay where they are and texts stay in memory.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hb_model::nix::{Algorithm, Hash, Method, StoreDir};
use hb_model::{StoreName, StorePath};

use crate::archive;
use crate::context::ContextElement;
use crate::machine::bytes_to_path;
use crate::world::{CodeKey, FileType, Filter, GitTree, GitView, ImportError, World, WorldError};

/// What `<nix/fetchurl.nix>` means: a file that is part of Nix, at a path that leads nowhere
/// else.
pub(crate) const FETCHURL: &str = "/__corepkgs__/fetchurl.nix";

/// Another world, but for the store.
pub(crate) struct NixWorld {
    world: Box<dyn World>,
    store: StoreDir,
    objects: HashMap<StorePath, Object>,
    /// What objects refer to.
    references: HashMap<StorePath, BTreeSet<StorePath>>,
    /// Trees that were hashed without a filter, so that each is read once.
    hashed: HashMap<PathBuf, Hash>,
}

/// What lies at a store path.
enum Object {
    Text(Vec<u8>),
    /// What lies elsewhere, without these paths.
    Copy {
        of: PathBuf,
        without: BTreeSet<PathBuf>,
    },
}

/// Where a path leads.
enum Place<'a> {
    Text(&'a [u8]),
    Elsewhere(PathBuf, Option<&'a BTreeSet<PathBuf>>),
    Nowhere,
}

impl NixWorld {
    pub(crate) fn new(world: Box<dyn World>, store: StoreDir) -> Self {
        let (objects, references) = (HashMap::new(), HashMap::new());
        Self { world, store, objects, references, hashed: HashMap::new() }
    }

    /// The store path that a path is in, and what follows it.
    fn split<'a>(&self, path: &'a Path) -> Option<(StorePath, &'a Path)> {
        let below = path.strip_prefix(self.store.as_str()).ok()?;
        let mut parts = below.components();
        let name = parts.next()?.as_os_str().to_str()?;
        Some((StorePath::from_base_name(name).ok()?, parts.as_path()))
    }

    /// The object that a path is in, and what follows its own path.
    fn object<'a>(&self, path: &'a Path) -> Option<(&Object, &'a Path)> {
        let (object, rest) = self.split(path)?;
        Some((self.objects.get(&object)?, rest))
    }

    /// What the object refers to that a path is in.
    fn references(&self, path: &Path) -> BTreeSet<StorePath> {
        let object = self.split(path).map(|(object, _)| object);
        object.and_then(|object| self.references.get(&object).cloned()).unwrap_or_default()
    }

    fn place(&self, path: &Path) -> Place<'_> {
        if path == Path::new(FETCHURL) {
            return Place::Text(include_bytes!("builtins/nix/fetchurl.nix"));
        }
        match self.object(path) {
            None => Place::Elsewhere(path.to_owned(), None),
            Some((Object::Text(text), rest)) if rest.as_os_str().is_empty() => Place::Text(text),
            Some((Object::Text(_), _)) => Place::Nowhere,
            Some((Object::Copy { of, without }, rest)) => {
                let real = if rest.as_os_str().is_empty() { of.clone() } else { of.join(rest) };
                match real.ancestors().any(|folder| without.contains(folder)) {
                    true => Place::Nowhere,
                    false => Place::Elsewhere(real, Some(without)),
                }
            }
        }
    }

    /// Where a path that is no text really lies.
    fn elsewhere(&self, path: &Path) -> Result<PathBuf, WorldError> {
        match self.place(path) {
            Place::Elsewhere(real, _) => Ok(real),
            Place::Text(_) | Place::Nowhere => Err(WorldError::Missing { path: path.to_owned() }),
        }
    }

    fn hash(
        &mut self,
        path: &Path,
        filter: Option<Filter<'_>>,
    ) -> Result<(Hash, BTreeSet<PathBuf>), ImportError> {
        let plain = filter.is_none();
        if plain && let Some(hash) = self.hashed.get(path) {
            return Ok((hash.clone(), BTreeSet::new()));
        }
        let (hash, without) = archive::hash(self, path, filter)?;
        if plain {
            self.hashed.insert(path.to_owned(), hash.clone());
        }
        let without = without.iter().map(|path| self.elsewhere(path)).collect::<Result<_, _>>()?;
        Ok((hash, without))
    }

    /// Give a path the store path of its content, which refers to these objects.
    fn add(
        &mut self,
        path: &Path,
        name: &StoreName,
        filter: Option<Filter<'_>>,
        references: BTreeSet<StorePath>,
    ) -> Result<StorePath, ImportError> {
        if path == Path::new(self.store.as_str()) {
            let cause = "it is the store itself".to_owned();
            return Err(WorldError::Store { name: name.to_string(), cause }.into());
        }
        let (hash, without) = self.hash(path, filter)?;
        let stored = self.store.of_content(name.clone(), Method::Archive, &hash, &references);
        self.references.insert(stored.clone(), references);
        self.copy(path, &stored, without)?;
        Ok(stored)
    }

    /// Remember a path's content under its store path.
    fn copy(
        &mut self,
        path: &Path,
        stored: &StorePath,
        without: BTreeSet<PathBuf>,
    ) -> Result<(), WorldError> {
        let object = match self.place(path) {
            Place::Text(text) => Object::Text(text.to_vec()),
            Place::Elsewhere(of, inherited) => {
                let inherited = inherited.into_iter().flatten().cloned();
                Object::Copy { of, without: inherited.chain(without).collect() }
            }
            Place::Nowhere => return Err(WorldError::Missing { path: path.to_owned() }),
        };
        self.objects.insert(stored.clone(), object);
        Ok(())
    }
}

impl World for NixWorld {
    fn read_file(&mut self, path: &Path) -> Result<Vec<u8>, WorldError> {
        if let Place::Text(text) = self.place(path) {
            return Ok(text.to_vec());
        }
        let real = self.elsewhere(path)?;
        self.world.read_file(&real)
    }

    fn read_dir(&mut self, path: &Path) -> Result<Vec<(Vec<u8>, FileType)>, WorldError> {
        let real = self.elsewhere(path)?;
        let mut entries = self.world.read_dir(&real)?;
        if let Place::Elsewhere(real, Some(without)) = self.place(path) {
            entries.retain(|(name, _)| !without.contains(&real.join(bytes_to_path(name))));
        }
        Ok(entries)
    }

    fn file_type(&mut self, path: &Path) -> Result<Option<FileType>, WorldError> {
        // The store is there, even where Nix is not.
        if path == Path::new(self.store.as_str()) {
            return Ok(Some(FileType::Directory));
        }
        match self.place(path) {
            Place::Text(_) => Ok(Some(FileType::Regular)),
            Place::Elsewhere(real, _) => self.world.file_type(&real),
            Place::Nowhere => Ok(None),
        }
    }

    fn is_executable(&mut self, path: &Path) -> Result<bool, WorldError> {
        match self.place(path) {
            Place::Text(_) => Ok(false),
            _ => {
                let real = self.elsewhere(path)?;
                self.world.is_executable(&real)
            }
        }
    }

    fn read_link(&mut self, path: &Path) -> Result<PathBuf, WorldError> {
        let real = self.elsewhere(path)?;
        self.world.read_link(&real)
    }

    fn resolve(&mut self, path: &Path) -> Result<PathBuf, WorldError> {
        let Some((Object::Copy { of, .. }, rest)) = self.object(path) else {
            return match self.place(path) {
                Place::Text(_) => Ok(path.to_owned()),
                _ => {
                    let real = self.elsewhere(path)?;
                    self.world.resolve(&real)
                }
            };
        };
        let (of, rest) = (of.clone(), rest.to_owned());
        let real = self.elsewhere(path)?;
        let (folder, followed) = (self.world.resolve(&of)?, self.world.resolve(&real)?);
        // A link within the object leads to another place in it.
        Ok(match followed.strip_prefix(&folder) {
            Ok(inside) => {
                let object = path.ancestors().nth(rest.components().count()).unwrap_or(path);
                if inside.as_os_str().is_empty() { object.to_owned() } else { object.join(inside) }
            }
            Err(_) => followed,
        })
    }

    fn add_path(
        &mut self,
        path: &Path,
        name: &StoreName,
        filter: Option<Filter<'_>>,
    ) -> Result<StorePath, ImportError> {
        self.add(path, name, filter, BTreeSet::new())
    }

    /// Nix takes a copy of an object of the store to refer to what that refers to.
    fn add_chosen(
        &mut self,
        path: &Path,
        name: &StoreName,
        filter: Option<Filter<'_>>,
    ) -> Result<StorePath, ImportError> {
        let references = self.references(path);
        self.add(path, name, filter, references)
    }

    fn add_flat(&mut self, path: &Path, name: &StoreName) -> Result<StorePath, ImportError> {
        if !self.references(path).is_empty() {
            let cause = "what is hashed by its bytes alone cannot refer to other objects".into();
            return Err(WorldError::Store { name: name.to_string(), cause }.into());
        }
        let hash = Algorithm::Sha256.hash(&self.read_file(path)?);
        let stored = self.store.of_content(name.clone(), Method::Flat, &hash, []);
        self.copy(path, &stored, BTreeSet::new())?;
        Ok(stored)
    }

    fn add_text(
        &mut self,
        name: &StoreName,
        text: &[u8],
        references: &[ContextElement],
    ) -> Result<StorePath, WorldError> {
        let references = references.iter().filter_map(|element| match element {
            ContextElement::Source(path) => Some(path.clone()),
            _ => None,
        });
        let references = BTreeSet::from_iter(references);
        let hash = Algorithm::Sha256.hash(text);
        let stored = self.store.of_content(name.clone(), Method::Text, &hash, &references);
        self.references.insert(stored.clone(), references);
        self.objects.insert(stored.clone(), Object::Text(text.to_vec()));
        Ok(stored)
    }

    fn keeps_code(&self) -> bool {
        self.world.keeps_code()
    }

    fn code(&mut self, key: &CodeKey) -> Option<Arc<[u8]>> {
        self.world.code(key)
    }

    fn keep_code(&mut self, key: &CodeKey, code: &Arc<[u8]>) {
        self.world.keep_code(key, code);
    }

    fn store_dir(&self) -> &str {
        self.store.as_str()
    }

    fn env(&mut self, name: &str) -> Result<Vec<u8>, WorldError> {
        self.world.env(name)
    }

    fn current_time(&mut self) -> Result<i64, WorldError> {
        self.world.current_time()
    }

    fn current_system(&mut self) -> Result<String, WorldError> {
        self.world.current_system()
    }

    fn git_tree(&mut self, folder: &Path, view: GitView) -> Result<GitTree, WorldError> {
        self.world.git_tree(folder, view)
    }

    fn search_path(&mut self) -> Vec<(String, PathBuf)> {
        self.world.search_path()
    }

    fn trace(&mut self, line: &str) {
        self.world.trace(line);
    }
}
