//! The same recipe gives the same bytes and paths: as root and as an ordinary user, in
//! two stores, from two checkouts, and without the network.

use crate::support::{Project, as_ordinary_user, explain};

const RECIPE: &str = r#"rec {
  lower = run "lower" "mkdir $out; echo $out > $out/self; ls -ln /build > $out/list";
  default = run "upper" "cp -r ${lower} $out; chmod -R u+w $out; echo ${./data} > $out/source";
}"#;

/// The store path (not the physical one) of the default output.
fn path_of(project: &Project) -> String {
    let printed = project.build("default");
    printed.file_name().unwrap().to_str().unwrap().to_owned()
}

fn project() -> Project {
    let project = Project::with_recipe(RECIPE);
    project.write("data/file", "content");
    project
}

#[test]
fn two_stores_and_two_checkouts_give_the_same_path() {
    assert_eq!(path_of(&project()), path_of(&project()));
}

#[test]
fn root_and_an_ordinary_user_give_the_same_path() {
    let theirs = project();
    let Some(mut hb) = as_ordinary_user(&theirs, ["build", "--no-link", "recipe.hb"]) else {
        return;
    };
    let output = hb.output().unwrap();
    assert!(output.status.success(), "{}", explain(&output));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(printed.trim_end().rsplit('/').next(), Some(&*path_of(&project())));
}

#[test]
fn what_is_fetched_beforehand_is_enough_offline() {
    let project = Project::new();
    project.write("served", "hello\n");
    project.recipe(&format!(
        r#"rec {{
             file = hb.fetch {{
               name = "file";
               sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
               origins = [ {{ url = "file://{}/served"; }} ];
             }};
             other = hb.fetch {{ name = "other"; sha256 = "{}"; origins = [ {{ url = "https://example.invalid/"; }} ]; }};
             default = run "a" "cat ${{file}} > $out";
             both = run "b" "cat ${{file}} ${{other}} > $out";
           }}"#,
        project.path().display(),
        "1".repeat(64),
    ));
    let said = project.fails(4, ["build", "--offline", "--no-link", "recipe.hb#both"]);
    assert!(said.contains("file") && said.contains("other"), "all are listed: {said}");
    project.succeeds(["fetch", "recipe.hb"]);
    std::fs::remove_file(project.path().join("served")).unwrap();
    project.succeeds(["build", "--offline", "--no-link", "recipe.hb"]);
}
