//! Killed at any moment, hb leaves a store that opens, verifies, and finishes the work.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use crate::support::{Project, processes_in};

/// Moments at which hb is killed while builds run, and while an output is published.
const KILLS: [usize; 2] = [10, 10];

/// Enough files that publishing them takes a while.
const RECIPE: &str = r#"rec {
  tree = seed: run "tree-${seed}" ''
    mkdir $out; cd $out; i=0
    while [ $i -lt 500 ]; do echo "${seed} $i" > $i; i=$((i+1)); done
  '';
  default = run "all" "cat ${tree "a"}/7 ${tree "b"}/8 ${tree "c"}/9 > $out";
}"#;

#[test]
fn killed_at_random_moments_the_store_verifies_and_the_work_is_finished() {
    let expected = Project::with_recipe(RECIPE).build("default");
    let name = expected.file_name().unwrap().to_owned();
    // Fixed, so that a failure can be repeated; spread by a multiplicative generator.
    let mut random = 12345u32;
    let mut next = |limit: u32| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) % limit
    };
    for publishing in [false, true] {
        for _ in 0..KILLS[usize::from(publishing)] {
            let project = Project::with_recipe(RECIPE);
            let mut child = project
                .hb(["build", "--no-link", "recipe.hb"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            if publishing {
                wait_until_something_is_published(&project.store);
                std::thread::sleep(Duration::from_millis(next(40).into()));
            } else {
                std::thread::sleep(Duration::from_millis((5 + next(600)).into()));
            }
            child.kill().unwrap();
            child.wait().unwrap();
            project.succeeds(["store", "verify", "--contents"]);
            assert_eq!(project.build("default").file_name().unwrap(), name);
            project.succeeds(["store", "verify", "--contents"]);
            assert_eq!(processes_in(&project.store), Vec::<String>::new());
            assert!(!mounts().contains(&*project.store.to_string_lossy()), "something is mounted");
        }
    }
}

/// A publication begins by staging what the build left.
fn wait_until_something_is_published(store: &Path) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while Instant::now() < deadline {
        let objects = fs::read_dir(store.join("store")).into_iter().flatten().flatten();
        let mut names = objects.map(|entry| entry.file_name().to_string_lossy().into_owned());
        if names.any(|name| name.contains("-tree-") && !name.ends_with(".drv")) {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("nothing was published in time");
}

fn mounts() -> String {
    fs::read_to_string("/proc/self/mounts").unwrap()
}
