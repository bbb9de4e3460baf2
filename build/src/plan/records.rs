//! The store as a plan sees it.

use hb_model::{RealisationKey, StorePath};
use hb_store::{Store, StoreError};

use super::Records;

impl Records for Store {
    type Error = StoreError;

    fn realised(&self, key: &RealisationKey) -> Result<Option<StorePath>, StoreError> {
        self.outcome(key)
    }

    fn is_present(&self, path: &StorePath) -> Result<bool, StoreError> {
        // Held, so that it stays true. What was damaged and put aside is registered.
        Ok(self.hold_and_find_missing(std::slice::from_ref(path))?.is_empty())
    }
}
