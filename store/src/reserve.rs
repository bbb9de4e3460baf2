//! Space kept back for the moment when the disk is full: even deleting needs some, for
//! the database's log and for folders.

use std::{
    fs::{self, File},
    io,
};

use rustix::fs::FallocateFlags;

use crate::{
    error::{Context as _, Result},
    layout::Layout,
};

/// Enough for the log of a transaction that deletes some ten thousand objects.
const RESERVE: u64 = 8 * 1024 * 1024;

/// Set the space aside if it is not. Where there is not that much, none is kept: that
/// is no reason to refuse work.
pub(crate) fn keep(layout: &Layout) {
    let place = layout.reserve();
    if place.exists() {
        return;
    }
    let allocate = || {
        let file = File::create_new(&place)?;
        rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, RESERVE)?;
        Ok::<_, io::Error>(())
    };
    if allocate().is_err() {
        let _ = fs::remove_file(&place);
    }
}

/// Give the space back to the file system.
pub(crate) fn release(layout: &Layout) -> Result<()> {
    let place = layout.reserve();
    match fs::remove_file(&place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error).at("remove", place),
        _ => Ok(()),
    }
}
