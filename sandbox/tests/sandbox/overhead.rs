//! What a sandbox costs. Run by hand:
//! `cargo test --release -p hb-sandbox overhead -- --ignored --nocapture`

use std::future::pending;
use std::time::{Duration, Instant};

use hb_sandbox::{Exit, Root, SandboxSpec, StoreEntry};

use crate::harness::{Build, block_on, build, runner};

/// A build of a static builder that does nothing, with this many inputs.
fn trivial(inputs: usize) -> Build {
    let mut build = build("");
    let physical = build.path("root/bin/busybox");
    let path = "/hb/store/busybox".to_owned();
    build.spec.store.closure.push(StoreEntry { path, physical });
    (1..inputs).for_each(|n| build.add_input(&format!("{n}-input"), ""));
    build.spec.root = Root::Empty;
    build.spec.argv = ["/hb/store/busybox", "true"].map(Into::into).to_vec();
    build
}

async fn once(spec: SandboxSpec) {
    let ended = runner().run(spec, pending(), |_| {}).await.expect("the sandbox starts");
    assert_eq!(ended.exit, Exit::Code(0));
}

/// The wall time of running all of these, `jobs` at once.
fn time(builds: &[Build], jobs: usize) -> Duration {
    let mut specs: Vec<_> = builds.iter().map(|build| build.spec.clone()).collect();
    let share = specs.len().div_ceil(jobs);
    let begun = Instant::now();
    block_on(async {
        let mut workers = tokio::task::JoinSet::new();
        while !specs.is_empty() {
            let mine = specs.split_off(specs.len().saturating_sub(share));
            workers.spawn(async {
                for spec in mine {
                    once(spec).await;
                }
            });
        }
        workers.join_all().await;
    });
    begun.elapsed()
}

#[test]
#[ignore = "a measurement, not a check"]
#[allow(clippy::print_stderr, reason = "its result is what it prints")]
fn overhead() {
    block_on(once(trivial(1).spec));
    let builds: Vec<_> = (0..200).map(|_| trivial(1)).collect();
    for jobs in [1, 2] {
        let each = time(&builds, jobs) / 200;
        eprintln!("200 trivial builds, {jobs} at once: {each:?} each");
    }
    for inputs in [8, 16, 23, 24, 32, 48, 100, 300, 1000] {
        let builds: Vec<_> = (0..5).map(|_| trivial(inputs)).collect();
        eprintln!("{inputs} inputs: {:?}", time(&builds, 1) / 5);
    }
}
