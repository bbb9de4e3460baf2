//! Killed at any moment, hb leaves a store that opens, verifies, and finishes the work.

use std::{
    fs,
    path::Path,
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::support::{Project, processes_in};

/// How often hb is killed at any moment, and while it publishes an output.
const KILLS: [usize; 2] = [10, 10];

/// A publication may end just before it was to be interrupted; then another try is made.
const MOST_TRIES: usize = 100;

/// Enough files that publishing them takes a while.
const RECIPE: &str = r#"rec {
  tree = seed: run "tree-${seed}" ''
    mkdir $out; cd $out; i=0
    while [ $i -lt 500 ]; do echo "${seed} $i" > $i; i=$((i+1)); done
  '';
  default = run "all" "cat ${tree "a"}/7 ${tree "b"}/8 ${tree "c"}/9 > $out";
}"#;

/// Random numbers that are the same at each run, so that a failure can be repeated.
struct Moments(u32);

impl Moments {
    fn within(&mut self, microseconds: u32) -> Duration {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Duration::from_micros(u64::from(self.0 >> 4) % u64::from(microseconds))
    }
}

/// Builds, and is killed once `wait` returns; whether it was publishing just then.
fn kill_after(project: &Project, wait: impl FnOnce()) -> bool {
    let mut child = project
        .hb(["build", "--no-link", "recipe.hb"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait();
    child.kill().unwrap();
    child.wait().unwrap();
    is_publishing(&project.store)
}

/// The store must be whole, and the work be finished as if nothing had happened.
fn check_after_kill(project: &Project, expected: &str) {
    project.succeeds(["store", "verify", "--contents"]);
    assert_eq!(project.build("default").file_name().unwrap(), expected);
    project.succeeds(["store", "verify", "--contents"]);
    assert_eq!(processes_in(&project.store), Vec::<String>::new());
    assert!(!mounts().contains(&*project.store.to_string_lossy()), "something is mounted");
}

fn expected() -> String {
    let built = Project::with_recipe(RECIPE).build("default");
    built.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn killed_at_random_moments_the_store_verifies_and_the_work_is_finished() {
    let expected = expected();
    let mut moments = Moments(12345);
    for _ in 0..KILLS[0] {
        let project = Project::with_recipe(RECIPE);
        kill_after(&project, || sleep(Duration::from_millis(5) + moments.within(600_000)));
        check_after_kill(&project, &expected);
    }
}

#[test]
fn killed_while_it_publishes_the_store_verifies_and_the_work_is_finished() {
    let expected = expected();
    let mut moments = Moments(54321);
    let mut interrupted = 0;
    for _ in 0..MOST_TRIES {
        let project = Project::with_recipe(RECIPE);
        let deadline = Instant::now() + Duration::from_secs(20);
        let publishing = kill_after(&project, || {
            while !is_publishing(&project.store) && Instant::now() < deadline {
                sleep(Duration::from_micros(200));
            }
            sleep(moments.within(15_000));
        });
        check_after_kill(&project, &expected);
        interrupted += usize::from(publishing);
        if interrupted == KILLS[1] {
            return;
        }
    }
    panic!("only {interrupted} publications were interrupted");
}

/// Whether an output lies staged: it is being copied there, or waits to be moved to its
/// place. What a dead process has staged stays until the next one opens the store.
fn is_publishing(store: &Path) -> bool {
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
    entries(&store.join("staging"))
        .flat_map(|session| entries(&session.path()).collect::<Vec<_>>())
        .any(|scratch| scratch.path().join("out").symlink_metadata().is_ok())
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mounts").unwrap()
}
