//! The right to do something that only one process should do, told by a file that comes and
//! goes with the right.

use crate::error::Result;

/// A lock file as one process has it open.
pub(crate) trait LockFile: Sized {
    /// Where such a file lies.
    type Place: ?Sized;

    /// Open what lies there, made if nothing does.
    fn open(place: &Self::Place) -> Result<Self>;
    /// Lock it, unless another process has.
    fn try_lock(&self, place: &Self::Place) -> Result<bool>;
    /// Whether it is this file that lies there now.
    fn is_at(&self, place: &Self::Place) -> Result<bool>;
    /// Who wrote that it has the right, if anybody did yet.
    fn holder(&mut self, place: &Self::Place) -> Result<Option<u32>>;
    /// Write that this process has it.
    fn write_holder(&mut self, place: &Self::Place) -> Result<()>;
    /// Remove what lies there.
    fn remove(place: &Self::Place);
}

/// What came of trying.
pub(crate) enum Attempt<F> {
    /// The right is ours for as long as the file is open.
    Acquired(F),
    /// Another process had it a moment ago.
    Held {
        /// Which, unless it has only just got it.
        by: Option<u32>,
    },
}

/// Try for the right.
pub(crate) fn attempt<F: LockFile>(place: &F::Place) -> Result<Attempt<F>> {
    loop {
        let mut file = F::open(place)?;
        let is_ours = file.try_lock(place)?;
        // The last holder removed the file: the lock that counts is on a new one.
        if !file.is_at(place)? {
            continue;
        }
        if is_ours {
            file.write_holder(place)?;
            return Ok(Attempt::Acquired(file));
        }
        return Ok(Attempt::Held { by: file.holder(place)? });
    }
}

/// Give the right back.
pub(crate) fn release<F: LockFile>(file: F, place: &F::Place) {
    // Removed while held: whoever has opened this file finds that it is gone and begins
    // anew. A file that stays is only a lock that nobody holds.
    F::remove(place);
    drop(file);
}
