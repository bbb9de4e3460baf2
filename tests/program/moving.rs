//! What one machine has and another one gets: closures that are moved as a stream.

use std::fs;

use hb_model::{Algorithm, Hasher};

use crate::support::Project;

/// A recipe whose source is fetched from the folder of `outside`.
fn recipe(outside: &Project) -> String {
    let source = "from afar\n";
    outside.write("origin", source);
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(source.as_bytes());
    format!(
        r#"rec {{
             source = hb.fetch {{
               name = "source";
               sha256 = "{}";
               origins = [ {{ url = "file://{}/origin"; }} ];
             }};
             default = run "copy" "cat ${{source}} > $out";
           }}"#,
        hasher.finish().to_hex(),
        outside.path().display()
    )
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
fn a_stream_that_was_cut_says_what_to_do() {
    let project = Project::with_recipe(r#"{ default = run "hello" "echo hello > $out"; }"#);
    let built = project.succeeds(["build", "recipe.hb", "--no-link"]);
    let stream = project.hb(["store", "export", &built]).output().unwrap().stdout;
    let other = Project::new();
    other.write("half", &stream[..stream.len() / 2]);
    let said = other.fails(5, ["store", "import", "half"]);
    assert!(said.contains("ends too early") && said.contains("import it again"), "{said}");
}
