//! The store as a plan sees it.

use hb_model::StorePath;
use hb_store::{Store, StoreError};

use super::{LookUp, Records};

impl Records for Store {
    type Error = StoreError;

    fn look_up<T>(
        &self,
        work: impl FnOnce(&LookUp<StoreError>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let outcomes = self.outcomes()?;
        work(&|key| outcomes.of(key))
    }

    fn is_present(&self, path: &StorePath) -> Result<bool, StoreError> {
        // Held, so that it stays true. What was damaged and put aside is registered.
        Ok(self.hold_and_find_missing(std::slice::from_ref(path))?.is_empty())
    }
}
