//! The first promise: a recipe is built, again does nothing, and stops early.

use std::fs;

use crate::support::Project;

#[test]
fn a_recipe_is_built_and_its_path_printed() {
    let project = Project::with_recipe(r#"{ default = run "hello" "echo hello > $out"; }"#);
    let printed = project.succeeds(["build", "recipe.hb"]);
    assert_eq!(fs::read_to_string(&printed).unwrap(), "hello\n");
    assert_eq!(fs::read_link(project.path().join("result")).unwrap().to_str(), Some(&*printed));
}

#[test]
fn the_same_build_again_does_nothing() {
    let project = Project::with_recipe(r#"{ default = run "hello" "echo hello > $out"; }"#);
    let first = project.succeeds(["build", "recipe.hb"]);
    let output = project.hb(["build", "recipe.hb"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), first);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(!said.contains("building"), "{said}");
}

#[test]
fn a_changed_comment_rebuilds_nothing() {
    let project = Project::with_recipe(r#"{ default = run "hello" "echo hello > $out"; }"#);
    project.succeeds(["build", "recipe.hb"]);
    project.recipe("# another\n{ default = run \"hello\" \"echo hello > $out\"; }");
    let plan = project.succeeds(["build", "recipe.hb", "--dry-run", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["build"], serde_json::json!([]));
}

#[test]
fn a_change_that_yields_the_same_bytes_stops_there() {
    let recipe = |script: &str| {
        format!(
            r#"rec {{
                 lower = run "lower" "{script}";
                 default = run "upper" "cat ${{lower}} > $out; date +%N >> $out";
               }}"#
        )
    };
    let project = Project::with_recipe(&recipe("echo same > $out"));
    let first = project.build_and_read("default");
    project.recipe(&recipe("echo sa''me > $out # differently"));
    assert_eq!(project.build_and_read("default"), first, "the upper one was built again");
    project.recipe(&recipe("echo other > $out"));
    assert_ne!(project.build_and_read("default"), first);
}

#[test]
fn several_outputs_and_references_to_oneself_work() {
    let project = Project::with_recipe(
        r#"rec {
             two = runWith {
               name = "two";
               outputs = [ "out" "doc" ];
               script = "mkdir $out $doc; echo $out > $out/self; echo $out > $doc/about";
             };
             default = run "reader" "cat ${two.doc}/about ${two}/self > $out";
           }"#,
    );
    let read = project.build_and_read("default");
    let lines: Vec<_> = read.lines().collect();
    assert_eq!(lines[0], lines[1], "both outputs name the final path");
    assert!(lines[0].ends_with("-two"));
    let out = project.build("two");
    assert!(out.to_str().unwrap().ends_with(lines[0].rsplit('/').next().unwrap()));
}

#[test]
fn a_dry_run_says_what_it_would_do_and_does_not() {
    let project = Project::with_recipe(
        r#"rec { lower = run "lower" "echo > $out"; default = run "upper" "cat ${lower} > $out"; }"#,
    );
    let plan = project.succeeds(["build", "recipe.hb", "--dry-run", "--json"]);
    let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
    assert_eq!(plan["build"], serde_json::json!(["lower"]));
    assert_eq!(plan["may_build"], serde_json::json!(["upper"]));
    assert!(!project.path().join("result").exists());
}
