//! Bounds on builds, from the recipe and from the settings, and the isolation that is
//! recorded and asked for.

use crate::support::{Project, as_root, explain};

/// A project whose one build runs `script` with these `limits`.
fn project(limits: &str, script: &str) -> Project {
    Project::with_recipe(&format!(
        "{{ default = runWith {{ name = \"bounded\"; limits = {{ {limits} }}; script = ''{script}''; }}; }}"
    ))
}

/// The build fails at a limit, which the message names with the way to raise it.
fn check_limit(project: &Project, said: &str, name: &str) {
    let error = project.fails(3, ["build", "--no-link", "recipe.hb"]);
    assert!(error.contains(said) && error.contains("build.limit"), "{error}");
    assert!(error.contains(&format!("limits.{name}")), "{error}");
}

#[test]
fn each_limit_of_a_recipe_ends_a_build_and_is_named() {
    let fill = "for i in $(seq 300); do head -c 100000 /dev/zero >> f; done; sleep 99";
    check_limit(&project("disk = 4000000;", fill), "4000000 bytes of disk", "disk");
    let many = "for i in $(seq 99); do sleep 99 & done; wait";
    check_limit(&project("processes = 20;", many), "more than 20 processes", "processes");
    let grow = "x=x; while [ ''${#x} -lt 67108864 ]; do x=$x$x; done; sleep 99";
    check_limit(&project("memory = 33554432;", grow), "33554432 bytes of memory", "memory");
    check_limit(&project("timeout = 1;", "sleep 99"), "longer than 1 seconds", "timeout");
    check_limit(&project("silence = 1;", "sleep 99"), "wrote nothing for 1 seconds", "silence");
}

#[test]
fn the_settings_bound_what_a_recipe_leaves_open_or_asks_for() {
    for limits in ["", "disk = 99999999;"] {
        let project = project(limits, "head -c 8000000 /dev/zero > f; sleep 99");
        project.write("hb.toml", "[settings]\nlimits = { disk = \"4MB\" }\n");
        check_limit(&project, "4000000 bytes of disk", "disk");
    }
}

#[test]
fn limits_that_are_kept_change_nothing() {
    let bounded = "disk = 99999999; processes = 50; memory = 999999999; timeout = 99;";
    let [free, bounded] = ["", bounded].map(|limits| {
        let project = project(limits, "echo same > $out");
        project.build("default").file_name().unwrap().to_owned()
    });
    assert_eq!(free, bounded);
}

#[test]
fn the_isolation_of_a_build_is_on_record() {
    let project = project("", "echo > $out");
    let out = project.build("default");
    let path = format!("/hb/store/{}", out.file_name().unwrap().display());
    let shown = project.succeeds(["store", "derivation", &path]);
    assert!(shown.contains("(filtered)"), "{shown}");
    assert!(project.succeeds(["store", "derivation", "--json", &path]).contains("\"filtered\""));
}

#[test]
fn without_the_isolation_that_is_needed_nothing_is_built() {
    if !as_root() {
        return;
    }
    let project = project("", "echo > $out");
    project.write("hb.toml", "[settings]\nisolation-needed = \"filtered\"\n");
    // A kernel without filters, as far as can be seen.
    let hide = "mount -t tmpfs none /proc/sys/kernel/seccomp && exec \"$@\"";
    let hb = project.hb(["build", "--no-link", "recipe.hb"]);
    let mut command = std::process::Command::new("/usr/bin/unshare");
    command.args(["-m", "sh", "-c", hide, "-"]).arg(hb.get_program()).args(hb.get_args());
    command.current_dir(project.path());
    command.env_clear().envs(hb.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{}", explain(&output));
    assert!(said.contains("build.isolation") && said.contains("isolation-needed"), "{said}");
    // Where it can be had, the same is built.
    project.build("default");
}
