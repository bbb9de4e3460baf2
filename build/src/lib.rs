//! Plan, schedule, fetch, realise, audit.
