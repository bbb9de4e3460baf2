//! Ids, derivations, their encoding and the hashing rules.
//!
//! Everything here is pure: no file is read, no clock, no environment. What is
//! hashed, in what order, is specified in prose in `docs/store-format.md`; the
//! literal digests in this crate's tests pin it.

mod base32;
mod declared;
mod derivation;
mod digest;
mod encode;
mod name;
pub mod nix;
mod path;
mod placeholder;
mod realisation;
mod resolve;
mod signature;
mod tree;

pub use base32::{decode as base32_decode, encode as base32_encode};
pub use declared::{Algorithm, DeclaredHash, DeclaredHashError, Hasher};
pub use derivation::{
    BUILTIN_PREFIX, Derivation, FileContent, FixedOutput, Input, Limits, Outputs,
};
pub use digest::{ContentDigest, DerivationId, DigestError, NodeDigest, ResolvedId};
pub use encode::DecodeError;
pub use name::{KeyName, MAX_NAME_LENGTH, NameError, OutputName, StoreName};
pub use path::{FixedMethod, PathError, STORE_DIR, StorePath};
pub use placeholder::{PLACEHOLDER_LENGTH, output_placeholder, own_output_placeholder};
pub use realisation::{Isolation, Realisation, RealisationKey};
pub use resolve::{ResolveError, Resolved, Texts};
pub use signature::{KeyError, PublicKey, SecretKey, Signature, Signed, Trust};
// Most sets of a derivation hold one or two elements, and a tree's node has room for eleven. Make
// one of a `Vec`: collecting and extending insert one by one, and `contains` looks at each element.
pub use sorted_vec::SortedSet;
pub use tree::{DirectoryHasher, NodeKind};
