//! How a sandbox ended, and how strongly it was walled off.

use std::fmt;
use std::time::Duration;

/// How a program in a sandbox ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(u8),
    /// By this signal. Where bubblewrap made the sandbox, also with the status 128 and
    /// its number: it passes both on as one, as shells do.
    Signal(u8),
    /// Stopped because it ran longer than this.
    TimedOut(Duration),
    /// Stopped because it wrote nothing for this long.
    Silent(Duration),
    /// Stopped because it used more than it may, or ended at that limit.
    Exceeded(Excess),
    /// Stopped because hb was asked to.
    Cancelled,
}

impl Exit {
    /// Whether the program ended by itself with status 0.
    pub fn is_success(self) -> bool {
        self == Exit::Code(0)
    }

    /// What a status is that bubblewrap reports.
    pub(crate) fn from_bubblewrap(status: u8) -> Self {
        match status {
            129..=192 => Exit::Signal(status - 128),
            _ => Exit::Code(status),
        }
    }
}

/// What a program used more of than it may, with how much it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Excess {
    /// Bytes of memory.
    Memory(u64),
    /// Processes and threads.
    Processes(u64),
    /// Bytes of files.
    Disk(u64),
}

/// How strongly a sandbox was walled off, from weak to strong. Recorded with
/// what was built in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isolation {
    /// It sees the host, or its network.
    View,
    /// Namespaces, but system calls are not filtered.
    Namespaces,
    /// Namespaces and a system call filter.
    Filtered,
}

impl Isolation {
    /// The name under which it is recorded.
    pub fn as_str(self) -> &'static str {
        match self {
            Isolation::View => "view",
            Isolation::Namespaces => "namespaces",
            Isolation::Filtered => "filtered",
        }
    }
}

impl fmt::Display for Isolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A sandbox that ran to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How its program ended.
    pub exit: Exit,
    /// How strongly it was walled off.
    pub isolation: Isolation,
    /// From start to end.
    pub duration: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_above_128_is_a_signal_to_bubblewrap() {
        assert_eq!(Exit::from_bubblewrap(137), Exit::Signal(9));
        assert_eq!(Exit::from_bubblewrap(128), Exit::Code(128));
        assert_eq!(Exit::from_bubblewrap(255), Exit::Code(255));
    }
}
