//! What `hb store verify` found, in words.

use hb_store::Finding;

/// One finding in one line.
pub(crate) fn finding(finding: &Finding) -> String {
    match finding {
        Finding::Missing { path } => format!("{path} is registered, but not on the disk"),
        Finding::Stray { name } => {
            format!("{} is on the disk, but not registered; gc removes it", name.display())
        }
        Finding::Changed { path, expected, got } => {
            format!("{path} has the digest {got}; {expected} is registered")
        }
        Finding::WrongMode { path, entry, mode } => {
            format!("{path}: '{}' has the mode {mode:o}", entry.display())
        }
        Finding::WrongTime { path, entry, time } => {
            format!("{path}: '{}' has the time {time}", entry.display())
        }
        Finding::Unreadable { path, error } => format!("{path} cannot be read: {error}"),
        Finding::WrongPath { path, expected } => {
            format!("{path} is registered with what should be called {expected}")
        }
        Finding::Database { detail } => format!("the database is damaged: {detail}"),
    }
}
