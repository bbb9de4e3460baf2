//! Whoever follows what goes on.

use crate::{fault::CacheError, parallel::Cancelled};

/// Something that happened.
#[derive(Debug)]
pub enum Report {
    /// So much of the objects' bytes is done.
    Progress {
        /// The bytes that are done.
        done: u64,
        /// The bytes in all.
        total: u64,
    },
    /// Somebody removes what is old there; that is waited for.
    Waiting,
    /// A cache failed or lied, and is not asked again.
    LeftOut(CacheError),
}

/// Who follows.
#[derive(Clone, Copy)]
pub struct Watch<'a> {
    /// Whether to stop.
    pub cancelled: Cancelled<'a>,
    /// Told what happens.
    pub report: &'a (dyn Fn(Report) + Sync),
}
