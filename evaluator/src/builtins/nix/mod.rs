//! Derivations and store paths as Nix itself has them, for evaluation with Nix's paths.
//!
//! Contexts hold the same ids as in hb's own scheme. Here a derivation's id follows from
//! its store path, so that a path that stands in a text has one too.

pub(super) mod derivation;
pub(super) mod fetch;

use std::collections::BTreeSet;

use hb_model::nix::{Algorithm, DerivationHash, Hash, HashError, StoreDir};
use hb_model::{DerivationId, OutputName, StoreName, StorePath};
use rustc_hash::FxHashMap;

use crate::error::{Error, Eval, Fault};
use crate::machine::{Machine, bytes_to_path};
use crate::world::{ImportError, WorldError};

/// What the names of derivations end in.
pub(super) const DERIVATION_SUFFIX: &str = ".drv";

/// What is known of the store that Nix would have.
pub(crate) struct NixScheme {
    /// Where the store lies.
    pub(crate) store: StoreDir,
    derivations: FxHashMap<StorePath, Known>,
    /// The paths of all ids that there are: [`id_of`] makes them.
    paths: FxHashMap<DerivationId, StorePath>,
    /// What the texts refer to that `toFile` wrote.
    texts: FxHashMap<StorePath, BTreeSet<StorePath>>,
}

/// A derivation that evaluation met.
struct Known {
    hash: DerivationHash,
    outputs: Vec<OutputName>,
    references: Vec<StorePath>,
}

impl NixScheme {
    pub(crate) fn new(store: StoreDir) -> Self {
        Self {
            store,
            derivations: FxHashMap::default(),
            paths: FxHashMap::default(),
            texts: FxHashMap::default(),
        }
    }

    /// The path of the derivation with an id.
    pub(super) fn path(&self, id: &DerivationId) -> &StorePath {
        &self.paths[id]
    }

    /// Remember what a text refers to.
    pub(super) fn add_text(&mut self, path: StorePath, references: BTreeSet<StorePath>) {
        self.texts.insert(path, references);
    }

    fn references(&self, path: &StorePath) -> impl Iterator<Item = &StorePath> {
        let derivation = self.derivations.get(path).map(|known| &known.references);
        derivation.into_iter().flatten().chain(self.texts.get(path).into_iter().flatten())
    }
}

/// The id of the derivation at a path.
pub(super) fn id_of(scheme: &mut NixScheme, path: &StorePath) -> DerivationId {
    let digest = Algorithm::Sha256.hash(path.base_name().as_bytes());
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest.digest());
    let id = DerivationId::from_bytes(bytes);
    scheme.paths.entry(id).or_insert_with(|| path.clone());
    id
}

/// Put a path into the store, under its own name.
pub(crate) fn add_source(m: &mut Machine, path: &[u8]) -> Eval<StorePath> {
    if path.ends_with(DERIVATION_SUFFIX.as_bytes()) {
        let name = String::from_utf8_lossy(path).into_owned();
        return Err(bad_source(name, "the names of files cannot end in '.drv'"));
    }
    let name = match path_in_store(m, path) {
        // Nix names a copy of a store object by the whole name of another copy.
        Some(object) => add(m, path, object.name())?.base_name(),
        None => base_name(path),
    };
    let name = StoreName::new(&name).map_err(|error| bad_source(name, error))?;
    add(m, path, &name)
}

fn bad_source(name: String, cause: impl ToString) -> Error {
    WorldError::Store { name, cause: cause.to_string() }.into()
}

fn add(m: &mut Machine, path: &[u8], name: &StoreName) -> Eval<StorePath> {
    match m.world.add_path(bytes_to_path(path), name, None) {
        Ok(stored) => Ok(stored),
        Err(ImportError::World(error)) => Err(error.into()),
        Err(ImportError::Filter(_)) => unreachable!("there is no filter"),
    }
}

/// The last part of a path.
pub(super) fn base_name(path: &[u8]) -> String {
    match bytes_to_path(path).file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => "source".to_owned(),
    }
}

/// The store object that a path is, and not one in it.
fn path_in_store(m: &Machine, path: &[u8]) -> Option<StorePath> {
    let text = std::str::from_utf8(path).ok()?;
    let name = text.strip_prefix(m.world.store_dir())?.strip_prefix('/')?;
    StorePath::from_base_name(name).ok()
}

/// The scheme, in evaluations that have it.
fn scheme(m: &mut Machine) -> Eval<&mut NixScheme> {
    m.nix.as_mut().ok_or_else(no_scheme)
}

fn no_scheme() -> Error {
    Fault::Refused { builtin: "derivation", reason: "there are no Nix paths here" }.into()
}

/// A hash as an attribute says it. An empty one stands for zeros: people write that to
/// learn the right one from the message.
pub(super) fn hash_or_zero(text: &str, algorithm: Option<Algorithm>) -> Result<Hash, HashError> {
    match (text, algorithm) {
        ("", Some(algorithm)) => Ok(Hash::zero(algorithm)),
        _ => Hash::parse(text, algorithm),
    }
}
