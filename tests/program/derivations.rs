//! Derivations in the store: what shows them, what keeps them, and two programs that
//! build the same at once.

use std::{fs, path::PathBuf};

use crate::support::{Project, explain, start};

const TWO_STEPS: &str = r#"
rec {
  first = run "first" "echo one; cat /proc/sys/kernel/random/uuid > $out; sleep 0.3";
  default = run "second" "read line < ${first}; echo $line again > $out";
}"#;

#[test]
fn the_derivation_that_gave_an_output_is_shown_with_its_inputs() {
    let project = Project::with_recipe(TWO_STEPS);
    let output = project.build("default");
    let shown = project.succeeds(["store", "derivation", output.to_str().unwrap()]);
    let line = |key: &str| {
        let line = shown.lines().find_map(|line| line.strip_prefix(key));
        line.unwrap_or_else(|| panic!("no '{key}' in\n{shown}")).trim()
    };
    assert_eq!(line("name"), "second");
    assert!(shown.contains("read line < ${first}; echo $line again > $out"), "{shown}");
    assert!(line("source").ends_with("-source"), "{shown}");
    let (input, gave) = line("input").split_once(" out → ").unwrap();
    assert!(input.ends_with("-first.drv") && gave.ends_with("-first"), "{shown}");
    assert!(output.ends_with(line("output").rsplit_once('/').unwrap().1), "{shown}");

    let json = project.succeeds(["--json", "store", "derivation", input]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["derivation"], input);
    assert_eq!(json[0]["outputs"]["out"]["path"], gave);
    let resolved = json[0]["outputs"]["out"]["resolved"].as_str().unwrap();
    assert!(project.succeeds(["store", "derivation", input]).contains(resolved));
    assert_eq!(project.succeeds(["log", gave]), "one");
    assert_eq!(project.succeeds(["log", input]), "one");
    let evaluated = project.succeeds(["eval", "--raw", "recipe.hb#first.drvPath"]);
    assert_eq!(evaluated, input, "evaluation names the same object");
}

#[test]
fn what_no_derivation_gave_says_so() {
    let project = Project::with_recipe(TWO_STEPS);
    let output = project.build("default");
    let shown = project.succeeds(["store", "derivation", output.to_str().unwrap()]);
    let source = shown.lines().find_map(|line| line.strip_prefix("source")).unwrap().trim();
    let said = project.fails(2, ["store", "derivation", source]);
    assert!(said.contains("no derivation in the store gave"), "{said}");
}

#[test]
fn gc_keeps_derivations_with_what_they_gave_unless_asked_not_to() {
    let project = Project::with_recipe(TWO_STEPS);
    project.succeeds(["build", "recipe.hb"]);
    let names = || {
        let listed = project.succeeds(["store", "ls"]);
        let mut names: Vec<_> =
            listed.lines().map(|path| path.split_once('-').unwrap().1.to_owned()).collect();
        names.sort();
        names
    };
    project.succeeds(["store", "gc"]);
    assert_eq!(names(), ["first.drv", "second", "second.drv", "source"]);
    project.succeeds(["store", "gc", "--drop-derivations"]);
    assert_eq!(names(), ["second"]);
    fs::remove_file(project.path().join("result")).unwrap();
    project.succeeds(["store", "gc"]);
    assert_eq!(project.succeeds(["store", "ls"]), "");
}

#[test]
fn a_derivation_can_be_given_to_a_build() {
    let project = Project::with_recipe(
        r#"rec {
          first = run "first" ": > $out";
          default = run "second" "cat ${first.drvPath} > $out";
        }"#,
    );
    let text = project.build_and_read("default");
    assert!(text.starts_with("15:hb-derivation-1,5:first,"), "{text}");
}

#[test]
fn a_derivation_can_be_given_to_a_build_without_its_outputs() {
    let project = Project::with_recipe(
        r#"let
          below = run "below" "exit 1";
          first = run "first" "cat ${below}";
          path = builtins.unsafeDiscardOutputDependency first.drvPath;
        in run "second" "cat ${path} > $out""#,
    );
    let built: PathBuf = project.succeeds(["build", "--no-link", "recipe.hb"]).into();
    let text = fs::read_to_string(built).unwrap();
    assert!(text.starts_with("15:hb-derivation-1,5:first,"), "{text}");
    project.succeeds(["store", "verify", "--contents"]);
}

#[test]
fn two_programs_that_build_the_same_at_once_build_each_derivation_once() {
    let project = Project::with_recipe(TWO_STEPS);
    let running = [(); 2].map(|()| start(&mut project.hb(["build", "--no-link", "recipe.hb"])));
    let ended = running.map(|hb| hb.wait_with_output().unwrap());
    for output in &ended {
        assert!(output.status.success(), "{}", explain(output));
    }
    assert_eq!(ended[0].stdout, ended[1].stdout);
    let said = ended.iter().map(|output| String::from_utf8_lossy(&output.stderr));
    let said = said.collect::<Vec<_>>().join("\n");
    for step in ["building first", "building second"] {
        assert_eq!(said.matches(step).count(), 1, "{said}");
    }
    assert_eq!(project.succeeds(["store", "verify", "--contents"]), "");
}
