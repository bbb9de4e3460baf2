//! Nix's own scheme: its hashes, archives, derivations and store paths, to the byte.
//!
//! Nothing that hb builds is named by this. It serves evaluation with `--nix-paths`,
//! whose results can be compared with those of Nix; `docs/language.md` says how.

mod archive;
mod derivation;
mod hash;
mod path;

pub use archive::Archive;
pub use derivation::{Derivation, DerivationHash, Output};
pub use hash::{Algorithm, Hash, HashError};
pub use path::{Method, StoreDir, output_placeholder, own_output_placeholder};
