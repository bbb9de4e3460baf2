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
        // Held, so that it stays true.
        Ok(self.hold(std::slice::from_ref(path))?.is_empty())
    }
}
