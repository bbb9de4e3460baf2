//! Auditing: each way in which a build can leak where and when it ran is found and
//! named, and what the sandbox fixes is the same in every round.

use std::{fs, path::Path};

use crate::support::{Project, explain};

/// Exit codes, as `docs/commands.md` lists them.
const IDENTICAL: i32 = 0;
const DIFFERS: i32 = 7;

/// The interface of the fixtures' `fixture.hb`, with this machine's busybox.
const FIXTURE: &str = r#"name: script: {
  default = hb.build {
    inherit name;
    system = "x86_64-linux";
    builder = "${./bin}/busybox";
    args = [ "sh" "-eu" "-c" script ];
  };
}
"#;

/// A project with a fixture of `tests/fixtures/audit/` in it.
fn fixture(name: &str) -> Project {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/audit");
    let project = Project::new();
    project.write("fixture.hb", FIXTURE);
    project.write("recipe.hb", fs::read(folder.join(name).with_extension("hb")).unwrap());
    for letter in fs::read_dir(folder.join("letters")).unwrap() {
        let letter = letter.unwrap();
        project.write(
            &format!("letters/{}", letter.file_name().to_string_lossy()),
            fs::read(letter.path()).unwrap(),
        );
    }
    project
}

/// Audit a fixture: it must end with `code`, and the report have each of `words`.
fn check_audit(name: &str, code: i32, words: &[&str]) {
    let project = fixture(name);
    let output = project.hb(["audit", "recipe.hb"]).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", explain(&output));
    let report = String::from_utf8_lossy(&output.stdout);
    for word in words {
        assert!(report.contains(word), "'{word}' is not in the report:\n{report}");
    }
}

#[test]
fn the_time_is_caught() {
    check_audit("leak-time", DIFFERS, &["out/stamp", "built at", "looks like the time"]);
}

#[test]
fn a_random_number_is_caught() {
    check_audit("leak-random", DIFFERS, &["out/id", "looks like", "random bytes"]);
}

#[test]
fn a_process_id_is_caught() {
    check_audit("leak-process-id", DIFFERS, &["built by process", "a process id"]);
}

#[test]
fn the_order_of_folders_is_caught() {
    check_audit("leak-directory-order", DIFFERS, &["the order in which", "an order"]);
}

#[test]
fn the_number_of_processors_is_caught_where_there_are_several() {
    let several = std::thread::available_parallelism().unwrap().get() > 1;
    match several {
        true => check_audit("leak-processor-count", DIFFERS, &["the number of processors"]),
        false => check_audit("leak-processor-count", IDENTICAL, &["not varied"]),
    }
}

#[test]
fn the_scratch_path_is_caught_where_it_is_compressed() {
    check_audit("leak-scratch-path", DIFFERS, &["out/compressed.gz", "the output's own path"]);
}

#[test]
fn the_user_is_caught() {
    check_audit("leak-user", DIFFERS, &["built by", "the user's number"]);
}

#[test]
fn the_build_folder_is_fixed() {
    check_audit("fixed-build-folder", IDENTICAL, &["identical"]);
}

#[test]
fn the_environment_is_fixed() {
    check_audit("fixed-environment", IDENTICAL, &["identical"]);
}

#[test]
fn the_host_name_is_fixed() {
    check_audit("fixed-host-name", IDENTICAL, &["identical", "varied the time"]);
}

#[test]
fn the_time_zone_is_fixed() {
    check_audit("fixed-time-zone", IDENTICAL, &["identical"]);
}

#[test]
fn a_published_hash_is_compared_with() {
    let project = Project::with_recipe(r#"{ default = run "a" "echo hello > $out"; }"#);
    let right = "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
    let audit = |hash| project.hb(["audit", "--against", hash, "recipe.hb"]).output().unwrap();
    let output = audit(right);
    assert_eq!(output.status.code(), Some(IDENTICAL), "{}", explain(&output));
    let wrong = format!("sha256:{}", "0".repeat(64));
    let output = audit(&wrong);
    assert_eq!(output.status.code(), Some(DIFFERS), "{}", explain(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains(right), "{}", explain(&output));
}
