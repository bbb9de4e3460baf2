//! Plan, schedule, fetch, realise, audit.

pub mod builders;
pub mod fetch;
