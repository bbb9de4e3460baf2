//! What this machine lacks for sandboxes, and how to mend it.

/// How a machine stands in one respect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// As hb wants it.
    Good,
    /// hb works, with less.
    Limited,
    /// hb cannot build.
    Broken,
}

/// One thing found out about this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, such as `bubblewrap`.
    pub subject: &'static str,
    /// How it stands.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What to do about it; empty where nothing is to be done.
    pub remedy: String,
}

/// Looks at everything that sandboxes need.
pub fn diagnose() -> Vec<Finding> {
    Vec::new()
}
