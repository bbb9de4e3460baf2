//! A full disk: a clear message, a code, and nothing lost.

use std::process::Command;

use crate::support::{Project, as_root, explain};

/// Mounts a small memory file system as the store, fills it by a build, makes room, and
/// looks at what is left. Only the shell and its children see the mount.
const SCRIPT: &str = r#"
mkdir -p "$HB_STORE"
mount -t tmpfs -o size=12m none "$HB_STORE"
"$HB" build --no-link recipe.hb#small
code=0; "$HB" build --no-link recipe.hb#large || code=$?
echo "code $code"
"$HB" store verify --contents
"$HB" build --no-link recipe.hb#small
"#;

#[test]
fn a_full_disk_is_said_to_be_one_and_nothing_is_lost() {
    if !as_root() {
        return;
    }
    let project = Project::with_recipe(
        r#"{ small = run "small" "echo small > $out";
             large = run "large" "dd if=/dev/zero of=$out bs=1M count=64"; }"#,
    );
    let template = project.hb([]);
    let mut shell = Command::new("unshare");
    shell.args(["--mount", "sh", "-euc", SCRIPT]).current_dir(project.path()).env_clear();
    for (name, value) in template.get_envs() {
        shell.env(name, value.unwrap_or_default());
    }
    let output = shell.env("HB", env!("CARGO_BIN_EXE_hb")).output().unwrap();
    assert!(output.status.success(), "{}", explain(&output));
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("code 5") || printed.contains("code 3"), "{}", explain(&output));
    assert!(String::from_utf8_lossy(&output.stderr).contains("space"), "{}", explain(&output));
}
