//! Stores that are only read, with one's own above them.

use std::{fs, path::PathBuf};

use crate::support::Project;

const RECIPE: &str = r#"rec {
    lower = run "lower" "mkdir $out; echo lower > $out/file";
    default = run "upper" "cat ${lower}/file > $out; echo ${lower} >> $out";
}"#;

fn objects(store: &std::path::Path) -> Vec<String> {
    let entries = fs::read_dir(store.join("store")).unwrap().flatten();
    let mut names: Vec<_> = entries.map(|it| it.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A project whose recipe was built in one store as far as `lower`, and a new store.
fn layered() -> (Project, PathBuf, String) {
    let mut project = Project::with_recipe(RECIPE);
    let built = project.build("lower");
    let lower = project.store.clone();
    project.store = project.store.with_file_name("upper");
    (project, lower, built.to_str().unwrap().to_owned())
}

#[test]
fn what_a_lower_store_has_is_built_on_where_it_lies() {
    let (mut project, lower, built) = layered();
    let before = objects(&lower);
    let root = lower.to_str().unwrap().to_owned();
    assert_eq!(
        project.succeeds(["build", "--no-link", "recipe.hb#lower", "--lower-store", &root]),
        built,
        "it is there already"
    );
    let config = project.home().join(".config/hb/config.toml");
    fs::create_dir_all(config.parent().unwrap()).unwrap();
    fs::write(&config, "lower-stores = ['../../../store']").unwrap();
    let upper = PathBuf::from(project.succeeds(["build", "recipe.hb"]));
    assert!(upper.starts_with(&project.store));
    assert!(fs::read_to_string(&upper).unwrap().starts_with("lower\n/hb/store/"));
    // Only what the lower store lacks: the output and its derivation.
    assert_eq!(objects(&project.store).len(), 2, "{:?}", objects(&project.store));

    let closure = project.succeeds(["store", "refs", "--closure", "result"]);
    assert_eq!(closure.lines().count(), 2, "{closure}");
    assert!(project.succeeds(["store", "path", &built]).contains(&built));
    let all = project.succeeds(["store", "ls"]);
    assert_eq!(all.lines().count(), before.len() + 2, "{all}");
    project.succeeds(["store", "verify", "--contents"]);
    fs::remove_file(project.path().join("result")).unwrap();
    assert!(project.succeeds(["store", "gc"]).contains("freed 2 objects"));
    assert!(project.succeeds(["log", &built]).is_empty());
    assert_eq!(objects(&lower), before);

    // Carried away whole, to where there is no lower store.
    project.succeeds(["build", "recipe.hb"]);
    let stream = project.path().join("stream");
    project.succeeds(["store", "export", "result", "-o", stream.to_str().unwrap()]);
    fs::remove_file(config).unwrap();
    let above = project.store.clone();
    project.store = above.with_file_name("elsewhere");
    project.succeeds(["store", "import", stream.to_str().unwrap()]);
    project.succeeds(["store", "verify", "--contents"]);

    // Without the lower store what lay there is missing, and can be built again.
    project.store = above;
    let said = project.fails(5, ["store", "refs", "--closure", "result"]);
    assert!(said.contains("lay in a lower store"), "{said}");
    project.fails(5, ["store", "verify"]);
    let output = project
        .hb(["store", "verify", "--contents"])
        .env("HB_LOWER_STORES", format!("{root}:{root}"))
        .output()
        .unwrap();
    assert!(output.status.success());
}

#[test]
fn a_lower_store_that_cannot_be_used_is_named() {
    let (project, lower, _) = layered();
    let none = lower.with_file_name("none");
    let said = project.fails(5, ["build", "recipe.hb", "--lower-store", none.to_str().unwrap()]);
    assert!(said.contains("there is no store at") && said.contains("store.lower"), "{said}");
    project.write("hb.toml", "[settings]\nlower-stores = ['../store']\n");
    let said = project.fails(2, ["build", "recipe.hb"]);
    assert!(said.contains("a project cannot name lower stores"), "{said}");
}
