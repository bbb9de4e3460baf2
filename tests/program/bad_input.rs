//! Bad input: a clear message with a place and a way out, a documented exit code, and
//! nothing lost.

use std::{fs, os::unix::fs::PermissionsExt as _};

use crate::support::Project;

/// Exit codes, as `docs/commands.md` lists them.
const EVALUATION: i32 = 1;
const USAGE: i32 = 2;
const BUILD: i32 = 3;
const FETCH: i32 = 4;
const STORE: i32 = 5;

/// Build `recipe.hb`; it must end with `code` and say each of `words`.
fn check_failure(project: &Project, code: i32, words: &[&str]) -> String {
    let said = project.fails(code, ["build", "--no-link", "recipe.hb"]);
    for word in words {
        assert!(said.contains(word), "'{word}' is not said:\n{said}");
    }
    said
}

#[test]
fn a_syntax_error_marks_where_the_token_is_missing() {
    let project = Project::new();
    project.write("recipe.hb", "{\n  a = 1\n  b = 2;\n}\n");
    check_failure(&project, EVALUATION, &["recipe.hb:2:", "a = 1", ";"]);
}

#[test]
fn all_problems_of_a_file_are_reported_in_one_run() {
    let project = Project::new();
    project.write("recipe.hb", "{\n  a = 1\n  b = ];\n  c = nope;\n}\n");
    let said = project.fails(EVALUATION, ["check", "recipe.hb"]);
    assert!(said.contains("recipe.hb:2:") && said.contains("recipe.hb:3:"), "{said}");
}

#[test]
fn a_trace_is_short_unless_all_of_it_is_asked_for() {
    let project = Project::new();
    project.write("lib/l.nix", "rec { outer = x: 1 + inner x; inner = x: 1 + x.none; }");
    project.write("recipe.hb", "{ a.b = (import ./lib/l.nix).outer { }; }");
    let said = project.fails(EVALUATION, ["build", "recipe.hb#a.b"]);
    assert!(said.contains("1 step in lib/l.nix") && said.contains("'a.b'"), "{said}");
    let said = project.fails(EVALUATION, ["build", "--show-trace", "recipe.hb#a.b"]);
    assert!(said.contains("while calling 'inner' at") && !said.contains("step in"), "{said}");
    let taken_back = ["eval", "--eval", "--show-trace", "--no-show-trace", "recipe.hb#a.b"];
    let said = project.fails(EVALUATION, taken_back);
    assert!(said.contains("1 step in lib/l.nix"), "{said}");
}

#[test]
fn a_misspelt_key_is_answered_with_the_near_one() {
    let project = Project::with_recipe(
        r#"{ default = hb.build { name = "a"; system = "x86_64-linux"; bulder = "/bin/sh"; }; }"#,
    );
    check_failure(&project, EVALUATION, &["bulder", "builder", "recipe.hb:"]);
}

#[test]
fn a_missing_attribute_is_answered_with_the_near_one() {
    let project = Project::with_recipe(r#"rec { a.length = 1; default = a.lenght; }"#);
    check_failure(&project, EVALUATION, &["lenght", "length", "recipe.hb:"]);
}

#[test]
fn an_attribute_that_the_recipe_lacks_is_answered_with_the_near_one() {
    let project = Project::with_recipe(r#"{ toolchain = run "a" "echo > $out"; }"#);
    let said = project.fails(EVALUATION, ["build", "recipe.hb#toolchian"]);
    assert!(said.contains("toolchian") && said.contains("'toolchain'"), "{said}");
}

#[test]
fn infinite_recursion_names_the_cycle() {
    let project = Project::with_recipe("rec { first = second; second = first; default = first; }");
    check_failure(&project, EVALUATION, &["infinite recursion", "first", "second"]);
}

#[test]
fn a_wrong_hash_says_which_origin_gave_what_and_keeps_the_file() {
    let project = Project::new();
    project.write("served", "not what was expected\n");
    let url = format!("file://{}/served", project.path().display());
    project.recipe(&format!(
        r#"{{ default = hb.fetch {{ name = "f"; sha256 = "{}"; origins = [ {{ url = "{url}"; }} ]; }}; }}"#,
        "0".repeat(64),
    ));
    let said = check_failure(&project, FETCH, &[&url, &"0".repeat(64)]);
    let kept = said
        .split_whitespace()
        .map(|word| word.trim_matches(['\'', ',', '.', ';']))
        .find(|word| word.starts_with('/') && fs::read(word).is_ok_and(|b| b.starts_with(b"not")));
    assert!(!said.contains("--keep-failed"), "there is no build folder to keep:\n{said}");
    assert!(kept.is_some(), "the file is kept aside:\n{said}");
}

#[test]
fn a_builder_that_fails_shows_its_last_lines_and_how_to_look_inside() {
    let project = Project::with_recipe(r#"{ default = run "broken" "echo the reason; exit 7"; }"#);
    let said = check_failure(&project, BUILD, &["broken", "7", "the reason", "--keep-failed"]);
    let log =
        said.split_whitespace().map(|word| word.trim_matches(['\'', ',', ';'])).find(|word| {
            word.starts_with('/')
                && fs::read_to_string(word).is_ok_and(|t| t.contains("the reason"))
        });
    assert!(log.is_some(), "the log's path is named:\n{said}");
    assert!(said.contains("recipe.hb:"), "the place in the recipe is named:\n{said}");
}

#[test]
fn a_failed_build_loses_nothing_that_was_built_before() {
    let project = Project::with_recipe(
        r#"rec { good = run "good" "echo good > $out"; default = run "bad" "cat ${good}; false"; }"#,
    );
    project.fails(BUILD, ["build", "--no-link", "recipe.hb"]);
    let plan = project.succeeds(["build", "recipe.hb#good", "--dry-run", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["build"], serde_json::json!([]));
}

#[test]
fn with_keep_going_independent_work_is_finished() {
    let project = Project::with_recipe(
        r#"{ default = [ (run "bad" "false") (run "good" "echo good > $out") ]; good = run "good" "echo good > $out"; }"#,
    );
    project.fails(BUILD, ["build", "--no-link", "-k", "-j1", "recipe.hb"]);
    let plan = project.succeeds(["build", "recipe.hb#good", "--dry-run", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["build"], serde_json::json!([]));
}

#[test]
fn a_store_of_a_newer_format_is_left_alone() {
    let project = Project::with_recipe(r#"{ default = run "a" "echo > $out"; }"#);
    project.succeeds(["build", "--no-link", "recipe.hb"]);
    let database = project.store.join("db.sqlite");
    let connection = rusqlite::Connection::open(&database).unwrap();
    connection.pragma_update(None, "user_version", 999).unwrap();
    drop(connection);
    let said = check_failure(&project, STORE, &["999", "newer"]);
    assert!(said.contains(&*project.store.to_string_lossy()), "{said}");
}

#[test]
fn a_store_without_write_permission_is_named() {
    let project = Project::with_recipe(r#"{ default = run "a" "echo > $out"; }"#);
    let parent = project.path().join("locked");
    fs::create_dir(&parent).unwrap();
    fs::set_permissions(&parent, fs::Permissions::from_mode(0o555)).unwrap();
    let Some(mut hb) =
        crate::support::as_ordinary_user(&project, ["build", "--no-link", "recipe.hb"])
    else {
        return;
    };
    let output = hb.env("HB_STORE", parent.join("store")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(STORE), "{said}");
    assert!(said.contains(&*parent.to_string_lossy()) && said.contains("--store"), "{said}");
}

#[test]
fn a_cycle_of_outputs_is_reported_by_name() {
    let project = Project::with_recipe(
        r#"{ default = runWith { name = "loop"; outputs = [ "out" "doc" ];
             script = "echo $doc > $out; echo $out > $doc"; }; }"#,
    );
    check_failure(&project, BUILD, &["refer to each other", "'out'", "'doc'"]);
}

#[test]
fn an_unknown_setting_is_marked_in_its_file() {
    let project = Project::with_recipe(r#"{ default = run "a" "echo > $out"; }"#);
    project.write("hb.toml", "[settings]\njbos = 3\n");
    check_failure(&project, USAGE, &["hb.toml", "jbos"]);
}

#[test]
fn reading_outside_the_project_is_refused_with_the_way_out() {
    let project = Project::with_recipe(r#"{ default = builtins.readFile /etc/hostname; }"#);
    check_failure(&project, EVALUATION, &["/etc/hostname", "--impure"]);
}
