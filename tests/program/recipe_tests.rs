//! `hb test`: each test's name, and where what was found is not what was expected.

use crate::support::{Project, explain};

const EVALUATION: i32 = 1;
const USAGE: i32 = 2;
const BUILD: i32 = 3;

#[test]
fn tests_that_pass_are_named() {
    let project = Project::new();
    project.write(
        "recipe.hb",
        "{ tests = { sum = { expr = 1 + 1; expected = 2; };
             lists.join = { expr = [ 1 ] ++ [ 2 ]; expected = [ 1 2 ]; }; }; }",
    );
    assert_eq!(project.succeeds(["test", "recipe.hb"]), "ok     lists.join\nok     sum");
    assert_eq!(project.succeeds(["test", "recipe.hb#tests.lists"]), "ok     join");
}

#[test]
fn every_place_where_a_value_differs_is_shown() {
    let project = Project::new();
    project.write(
        "recipe.hb",
        r#"{ tests.set = {
             expr = { a.b = [ 1 2 3 ]; c = "x"; "d e" = 1; f = 1.0; };
             expected = { a.b = [ 1 5 ]; c = "y"; g = null; f = 1; };
           }; }"#,
    );
    let output = project.hb(["test", "recipe.hb"]).output().unwrap();
    assert_eq!(output.status.code(), Some(EVALUATION), "{}", explain(&output));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "failed set\n  .a.b[1]: expected 5, found 2\n  .a.b[2]: expected nothing, found 3\n  \
         .c: expected \"y\", found \"x\"\n  .\"d e\": expected nothing, found 1\n  \
         .g: expected null, found nothing\n"
    );
}

#[test]
fn a_test_that_cannot_be_evaluated_fails_alone() {
    let project = Project::new();
    project.write(
        "recipe.hb",
        r#"{ tests = { a = { expr = throw "broken"; expected = 1; };
             b = { expr = 1; expected = 1; }; c = { expr = 1; }; }; }"#,
    );
    let output = project.hb(["test", "recipe.hb"]).output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(printed, "failed a\nok     b\nfailed c\n");
    assert!(said.contains("broken") && said.contains("recipe.not-a-test"), "{said}");
    assert!(said.contains("1 passed, 2 failed"), "{said}");
}

#[test]
fn derivations_are_built_and_only_the_tests_that_need_a_broken_one_fail() {
    let project = Project::with_recipe(
        r#"rec { broken = run "broken" "exit 3"; tests = {
             good = run "good" "echo > $out";
             bad = run "bad" "cat ${broken} > $out";
             value = { expr = 1; expected = 1; };
           }; }"#,
    );
    let output = project.hb(["test", "recipe.hb", "--json"]).output().unwrap();
    assert_eq!(output.status.code(), Some(BUILD), "{}", explain(&output));
    let results: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let passed = |index: usize| (results[index]["name"].clone(), results[index]["passed"].clone());
    assert_eq!(passed(0), ("bad".into(), false.into()));
    assert_eq!(passed(1), ("good".into(), true.into()));
    assert_eq!(passed(2), ("value".into(), true.into()));
    assert!(results[0]["errors"][0].as_str().unwrap().contains("status 3"), "{results}");
}

#[test]
fn a_recipe_without_tests_is_answered_with_how_to_write_one() {
    let project = Project::new();
    project.write("recipe.hb", "{ }");
    let said = project.fails(USAGE, ["test", "recipe.hb"]);
    assert!(said.contains("has no tests") && said.contains("expected = …"), "{said}");
}
