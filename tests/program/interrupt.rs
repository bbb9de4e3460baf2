//! Ctrl-C: hb stops cleanly, with nothing left running and nothing half-registered. A hangup that
//! hb was told to ignore stops nothing.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::support::{Project, explain, processes_in, start};

/// How long hb may take to stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// Wait until a build of the project runs this command.
fn wait_for(project: &Project, command: &str) {
    let deadline = Instant::now() + 2 * PATIENCE;
    while !processes_in(&project.store).iter().any(|line| line.contains(command)) {
        assert!(Instant::now() < deadline, "the build did not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn control_c_stops_a_build_and_leaves_nothing() {
    let project = Project::with_recipe(
        r#"rec {
             before = run "before" "echo done > $out";
             default = run "sleeper" "cat ${before}; mkdir $out; echo half > $out/file; sleep 600";
           }"#,
    );
    let child = start(&mut project.hb(["build", "--no-link", "recipe.hb"]));
    wait_for(&project, "sleep 600");
    let process = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let asked = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", explain(&output));
    assert!(asked.elapsed() < PATIENCE, "it took {:?}", asked.elapsed());
    assert_eq!(processes_in(&project.store), Vec::<String>::new());
    project.succeeds(["store", "verify", "--contents"]);
    let plan = project.succeeds(["build", "recipe.hb", "--dry-run", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["build"], serde_json::json!(["sleeper"]), "what was finished is kept");
}

#[test]
fn a_hangup_that_hb_was_told_to_ignore_stops_no_build() {
    let project = Project::with_recipe(r#"{ default = run "slow" "sleep 2; echo done > $out"; }"#);
    let hb = project.hb(["build", "--no-link", "recipe.hb"]);
    let mut command = Command::new("nohup");
    command.arg(hb.get_program()).args(hb.get_args()).current_dir(project.path()).env_clear();
    command.envs(hb.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let child = start(command.process_group(0).stdin(Stdio::null()));
    wait_for(&project, "sleep 2");
    let group = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process_group(group, rustix::process::Signal::HUP).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", explain(&output));
}
