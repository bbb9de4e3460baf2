//! How much memory hb takes.

use crate::support::{Project, explain};

/// A list of `length` elements, made of all the shorter ones in turn.
fn growing(length: usize) -> String {
    format!(
        "builtins.length \
         (builtins.foldl' (a: b: [ b ] ++ a) [ ] (builtins.genList (x: x) {length}))"
    )
}

#[test]
fn a_fold_frees_what_it_leaves_behind() {
    // All of the lists have 784 MB.
    let (length, kibibytes) = (14_000, "600000");
    let project = Project::new();
    let hb = project.hb(["eval", "-E", &growing(length)]);
    let mut bounded = std::process::Command::new("/bin/sh");
    bounded.args(["-c", "ulimit -v $1; shift; exec \"$@\"", "sh", kibibytes]);
    bounded.arg(hb.get_program()).args(hb.get_args());
    let envs = hb.get_envs().filter_map(|(name, value)| Some((name, value?)));
    let output = bounded.env_clear().envs(envs).current_dir(project.path()).output().unwrap();
    assert!(output.status.success(), "{}", explain(&output));
    assert_eq!(output.stdout, format!("{length}\n").as_bytes());
}
