//! The only place that knows the time: the fixed one of the store's contents, and
//! the wall clock for the records of when something was registered.

use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Timespec, Timestamps};

/// The modification time of everything in the store: 1980-01-02, which zip can hold.
pub const STORE_MTIME: i64 = 315_619_200;

/// Both times of a store object.
pub(crate) fn store_times() -> Timestamps {
    let time = Timespec { tv_sec: STORE_MTIME, tv_nsec: 0 };
    Timestamps { last_access: time, last_modification: time }
}

/// Nanoseconds since 1970.
pub(crate) fn now_nanoseconds() -> i128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map(|since| since.as_nanos() as i128)
        .unwrap_or_else(|before| -(before.duration().as_nanos() as i128))
}

/// Seconds since 1970.
pub(crate) fn now_seconds() -> i64 {
    (now_nanoseconds() / 1_000_000_000) as i64
}
