//! What one machine has and another one gets: closures that are moved as a stream.

use std::fs;

use crate::support::Project;

/// A recipe whose source is fetched from the folder of `outside`.
fn recipe(outside: &Project) -> String {
    let source = outside.fetched_source();
    format!(r#"rec {{ source = {source}; default = run "copy" "cat ${{source}} > $out"; }}"#)
}

#[test]
fn fetched_sources_move_to_a_store_without_a_network() {
    let outside = Project::new();
    let text = recipe(&outside);
    outside.recipe(&text);
    let source = outside.succeeds(["fetch", "recipe.hb"]);
    outside.succeeds(["store", "export", &source, "-o", "bundle"]);

    let inside = Project::with_recipe(&text);
    fs::copy(outside.path().join("bundle"), inside.path().join("bundle")).unwrap();
    inside.fails(4, ["build", "recipe.hb", "--offline"]);
    inside.succeeds(["store", "import", "bundle"]);
    let built = inside.succeeds(["build", "recipe.hb", "--offline", "--no-link"]);
    assert_eq!(fs::read_to_string(built).unwrap(), "from afar\n");
}

#[test]
fn what_was_built_elsewhere_is_built_again_unless_that_is_believed() {
    let outside = Project::new();
    let text = recipe(&outside);
    outside.recipe(&text);
    let built = outside.succeeds(["build", "recipe.hb", "--no-link"]);
    let source = outside.succeeds(["fetch", "recipe.hb"]);
    let stream = outside.hb(["store", "export", &built, &source]).output().unwrap().stdout;
    for (options, to_build) in [(&[][..], 1), (&["--trust-builds"][..], 0)] {
        let inside = Project::with_recipe(&text);
        inside.write("bundle", &stream);
        let import = inside.hb(["store", "import", "bundle"]).args(options).status().unwrap();
        assert!(import.success());
        let plan = inside.succeeds(["build", "recipe.hb", "--dry-run", "--json", "--offline"]);
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        assert_eq!(plan["build"].as_array().unwrap().len(), to_build, "{options:?}: {plan}");
    }
}

#[test]
fn a_signed_build_is_believed_by_who_trusts_the_key() {
    let outside = Project::new();
    let text = recipe(&outside);
    outside.recipe(&text);
    let key = outside.succeeds(["key", "new", "builder"]);
    assert_eq!(outside.succeeds(["key", "show"]), key);
    let built = outside.succeeds(["build", "recipe.hb", "--no-link"]);
    let source = outside.succeeds(["fetch", "recipe.hb"]);
    let export = ["store", "export", &built, &source, "--sign", "builder"];
    let stream = outside.hb(export).output().unwrap().stdout;

    let inside = Project::with_recipe(&text);
    inside.write("bundle", &stream);
    let to_build = || {
        inside.succeeds(["store", "import", "bundle"]);
        let plan = inside.succeeds(["build", "recipe.hb", "--dry-run", "--json", "--offline"]);
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap();
        plan["build"].as_array().unwrap().len()
    };
    assert_eq!(to_build(), 1);
    inside.succeeds(["key", "trust", &key]);
    assert_eq!(to_build(), 0);
}

#[test]
fn a_key_is_made_once_for_its_owner_alone_and_a_project_cannot_trust_one() {
    let project = Project::with_recipe("{ default = 1; }");
    let key = project.succeeds(["key", "new", "mine"]);
    project.fails(2, ["key", "new", "mine"]);
    assert_eq!(project.succeeds(["key", "show", "mine"]), key);
    let secret = project.path().join("../home/.config/hb/keys/mine.secret");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs::metadata(secret).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let said = project.fails(2, ["key", "trust", "no key"]);
    assert!(said.contains("base 64"), "{said}");
    project.write("hb.toml", format!("[settings]\ntrusted-keys = [\"{key}\"]\n"));
    let said = project.fails(2, ["eval", "recipe.hb"]);
    assert!(said.contains("cannot say whom to trust") && said.contains("hb key trust"), "{said}");
}

#[test]
fn a_stream_that_was_cut_says_what_to_do() {
    let project = Project::with_recipe(r#"{ default = run "hello" "echo hello > $out"; }"#);
    let built = project.succeeds(["build", "recipe.hb", "--no-link"]);
    let stream = project.hb(["store", "export", &built]).output().unwrap().stdout;
    let other = Project::new();
    other.write("half", &stream[..stream.len() / 2]);
    let said = other.fails(5, ["store", "import", "half"]);
    assert!(said.contains("ends too early") && said.contains("import it again"), "{said}");
}
