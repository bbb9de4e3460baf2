//! The resources and processors of a sandboxed program.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::first::write_file;
use crate::spec::Limits;

/// What a program finds as its own limits, where hb's user has no lower ones:
/// Linux' usual values, so that a user's settings do not reach a build.
const USUAL: [(Resource, u64); 3] =
    [(Resource::Core, 0), (Resource::Stack, 8 << 20), (Resource::Nofile, 1024)];

/// The processes that a sandbox has beside those of its program.
pub(crate) const OWN_PROCESSES: u64 = 2;

/// How many processes the kernel lets there be beyond the limit: hb is to see it exceeded
/// and to say so, which it could not of a build that the kernel kept within. It is as many
/// as the low numbers that the kernel gives out only once.
const BEYOND: u64 = 300;

fn most_processes(limit: u64) -> u64 {
    limit.saturating_add(OWN_PROCESSES + BEYOND)
}

/// Bounds the processes in this process-id namespace by the numbers that it has for them:
/// other than [`Resource::Nproc`], this binds root as well. Kernels before 6.14 refuse.
pub(super) fn bound_process_numbers(limits: &Limits) {
    let Some(processes) = limits.processes else { return };
    let numbers = most_processes(processes).to_string();
    let _ = write_file(c"/proc/sys/kernel/pid_max", &numbers);
}

/// Sets the limits of this process and of those that it starts.
pub(crate) fn limit_resources(limits: &Limits) -> Result<(), Errno> {
    for (resource, usual) in USUAL {
        let maximum = getrlimit(resource).maximum;
        let current = maximum.map_or(usual, |maximum| maximum.min(usual));
        setrlimit(resource, Rlimit { current: Some(current), maximum })?;
    }
    // hb looks at what a whole build uses from time to time; these hold in between.
    let asked =
        [(Resource::Nproc, limits.processes.map(most_processes)), (Resource::Fsize, limits.disk)];
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
