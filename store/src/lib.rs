//! The store on disk: objects, their metadata, and what keeps them whole.
//!
//! Everything lies below one folder that the caller names; nothing here reads the
//! environment, prints, or knows of builds. `docs/store-format.md` specifies the
//! layout and what is found after a power failure at any step.
//!
//! Invariant: an entry of `store/` comes and goes only under the database's write
//! lock, and is registered only when all of it has reached the disk. Whoever holds that
//! lock therefore sees no half of a publication.
//!
//! Invariant: an object is registered after everything that it refers to. So
//! ascending row ids are a dependency order, and no reference dangles.

mod add;
mod archive;
mod clock;
mod copy;
mod database;
mod derivations;
mod disk;
mod error;
mod gc;
mod install;
mod layout;
mod lock;
mod logs;
mod lower;
mod objects;
mod optimise;
mod protocol;
mod publish;
mod realisations;
mod repair;
mod reserve;
mod rewrite;
mod roots;
mod scan;
mod scratch;
mod session;
mod share;
mod store;
mod tree;
mod verify;

pub use archive::{
    ArchiveError, Believe, ExportOptions, ExportReport, Facts, Hole, ImportReport, Intake, Taken,
};
pub use clock::STORE_MTIME;
pub use error::StoreError;
pub use gc::{GcOptions, GcReport};
pub use lock::{BuildLock, LockAttempt};
pub use objects::ObjectInfo;
pub use optimise::OptimiseReport;
pub use publish::{Built, BuiltOutput, Prepared, PreparedOutput};
pub use realisations::{Origin, Outcomes, Recorded};
pub use repair::Aside;
pub use roots::{Root, RootKind};
pub use scratch::ScratchDir;
pub use share::Sharing;
pub use store::{Durability, OpenMode, Store, StoreOptions};
pub use tree::{EntryKind, Filter, FilterStop, SpecialKind};
pub use verify::{Finding, VerifyOptions, VerifyProgress};
