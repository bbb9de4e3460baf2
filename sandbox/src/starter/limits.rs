//! The resources and processors of a sandboxed program.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::spec::Limits;

/// What a program finds as its own limits, where hb's user has no lower ones:
/// Linux' usual values, so that a user's settings do not reach a build.
const USUAL: [(Resource, u64); 3] =
    [(Resource::Core, 0), (Resource::Stack, 8 << 20), (Resource::Nofile, 1024)];

/// Sets the limits of this process and of those that it starts.
pub(crate) fn limit_resources(limits: &Limits) -> Result<(), Errno> {
    for (resource, usual) in USUAL {
        let maximum = getrlimit(resource).maximum;
        let current = maximum.map_or(usual, |maximum| maximum.min(usual));
        setrlimit(resource, Rlimit { current: Some(current), maximum })?;
    }
    let asked = [
        (Resource::Nproc, limits.processes),
        (Resource::Fsize, limits.file_size),
        (Resource::As, limits.address_space),
    ];
    for (resource, asked) in asked {
        let Some(asked) = asked else { continue };
        let least = getrlimit(resource).maximum.map_or(asked, |maximum| maximum.min(asked));
        setrlimit(resource, Rlimit { current: Some(least), maximum: Some(least) })?;
    }
    Ok(())
}

/// Keeps this process to the first `count` of the processors that it may use, and at
/// least to one.
pub(super) fn keep_to_processors(count: usize) -> Result<(), Errno> {
    let usable = sched_getaffinity(None)?;
    let mut chosen = CpuSet::new();
    for cpu in (0..CpuSet::MAX_CPU).filter(|&cpu| usable.is_set(cpu)).take(count.max(1)) {
        chosen.set(cpu);
    }
    sched_setaffinity(None, &chosen)
}
