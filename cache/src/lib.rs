//! Binary caches: objects in chunks, and who says what builds gave.
//!
//! `docs/cache-format.md` says what lies in a cache and what is believed of it: nothing but
//! what hashes and signatures prove. Nothing here reads the environment, prints, or builds.
//! All functions may block; threads are their own.

mod address;
#[doc(hidden)]
pub mod answers;
mod builds;
mod cache;
mod caches;
mod chunks;
mod collect;
mod credential;
mod entry;
mod fault;
mod frame;
mod history;
mod manifest;
mod network;
mod parallel;
mod pieces;
mod presence;
mod pull;
mod push;
#[cfg(test)]
#[path = "../tests/support/random.rs"]
mod random;
mod spool;
mod storage;
mod versions;
mod watch;

pub use address::{Address, AddressError};
pub use cache::{Cache, Contents};
pub use caches::Caches;
pub use collect::{CollectOptions, CollectReport};
pub use credential::{Credential, Secret};
pub use fault::{CacheError, Error, Fault};
pub use network::{Clients, Network, NetworkError, Patience};
pub use parallel::Cancelled;
pub use push::{PushOptions, PushReport};
pub use storage::{Manner, S3Address};
pub use watch::{Report, Watch};
