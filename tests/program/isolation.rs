//! What a build sees: what it names, and nothing else.

use crate::support::Project;

/// A script that must fail inside the sandbox.
fn check_refused(script: &str) {
    let project = Project::with_recipe(&format!(
        "{{ default = run \"reach\" ''if {script}; then exit 0; fi; echo refused > $out''; }}"
    ));
    assert_eq!(project.build_and_read("default"), "refused\n");
}

#[test]
fn the_network_is_out_of_reach() {
    check_refused("nc -w 2 192.0.2.1 80 < /dev/null 2>&1 || wget -T 2 http://192.0.2.1/ 2>&1");
    check_refused("[ $(ls /sys/class/net 2>/dev/null | grep -vc '^lo$') -gt 0 ]");
}

#[test]
fn the_hosts_files_are_not_there() {
    for path in ["/etc/passwd", "/usr/bin", "/root", "/home", "/var", "/bin/sh"] {
        check_refused(&format!("[ -e {path} ]"));
    }
}

#[test]
fn another_builds_folder_and_the_whole_store_are_not_there() {
    let project = Project::with_recipe(
        r#"rec {
             other = run "other" "echo > $out";
             default = runWith { name = "list"; env.needed = "${./recipe.hb}"; script = "ls /hb/store > $out"; };
           }"#,
    );
    project.build("other");
    let listed = project.build_and_read("default");
    assert!(!listed.contains("-other"), "{listed}");
}

#[test]
fn the_root_cannot_be_written() {
    check_refused("touch /new 2>/dev/null || mkdir /hb/new 2>/dev/null");
}

#[test]
fn time_zone_locale_user_host_name_and_mask_are_fixed() {
    let project = Project::with_recipe(
        r#"{ default = run "fixed" ''
             { hostname; id -u; id -g; umask; echo "$TZ $LC_ALL $SOURCE_DATE_EPOCH"; pwd; } > $out
           ''; }"#,
    );
    assert_eq!(
        project.build_and_read("default"),
        "hb\n1000\n1000\n0022\nUTC C 315619200\n/build\n"
    );
}

#[test]
fn the_callers_environment_does_not_reach_a_build() {
    let project = Project::with_recipe(r#"{ default = run "env" "env | sort > $out"; }"#);
    let output = project
        .hb(["build", "--no-link", "recipe.hb"])
        .env("SECRET_OF_THE_CALLER", "1")
        .output()
        .unwrap();
    let path = String::from_utf8(output.stdout).unwrap();
    let listed = std::fs::read_to_string(path.trim_end()).unwrap();
    assert!(listed.contains("SOURCE_DATE_EPOCH") && !listed.contains("SECRET"), "{listed}");
}

#[test]
fn set_user_id_programs_cannot_be_made() {
    check_refused("echo > a; chmod 4755 a 2>/dev/null");
}
