//! A store that was damaged from outside, and is made whole again.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use crate::support::{Project, make_writable};

const RECIPE: &str = r#"rec {
    lower = run "lower" "mkdir $out; echo lower > $out/file";
    default = run "upper" "cat ${lower}/file > $out; echo $out >> $out";
}"#;

/// Put other bytes into a file of the store.
fn damage(file: &Path) {
    fs::set_permissions(file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(file, "damaged").unwrap();
}

/// The objects of a project's store that are called so.
fn objects(project: &Project, name: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(project.store.join("store")).unwrap().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| path.to_string_lossy().ends_with(&format!("-{name}")))
        .collect()
}

#[test]
fn damaged_outputs_are_put_aside_and_built_again() {
    let project = Project::with_recipe(RECIPE);
    let built = PathBuf::from(project.succeeds(["build", "recipe.hb", "--no-link"]));
    let text = fs::read_to_string(&built).unwrap();
    damage(&built);
    damage(&objects(&project, "lower")[0].join("file"));
    project.fails(5, ["store", "verify", "--contents"]);

    project.succeeds(["store", "verify", "--repair"]);
    assert_eq!(fs::read_to_string(&built).unwrap(), text);
    project.succeeds(["store", "verify", "--contents"]);
    let aside = project.store.join("failed").join(built.file_name().unwrap());
    assert_eq!(fs::read_to_string(aside).unwrap(), "damaged");
}

#[test]
fn an_output_that_vanished_is_built_again() {
    let project = Project::with_recipe(RECIPE);
    project.succeeds(["build", "recipe.hb", "--no-link"]);
    let lower = &objects(&project, "lower")[0];
    make_writable(lower);
    fs::remove_dir_all(lower).unwrap();
    project.fails(5, ["store", "verify"]);
    project.succeeds(["store", "verify", "--repair"]);
    assert_eq!(fs::read_to_string(lower.join("file")).unwrap(), "lower\n");
}

#[test]
fn modes_and_times_are_mended_in_their_place() {
    let project = Project::with_recipe(RECIPE);
    project.succeeds(["build", "recipe.hb", "--no-link"]);
    let lower = &objects(&project, "lower")[0];
    for path in [lower.clone(), lower.join("file")] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    // Executable now: other content than was registered, so it is built again.
    project.fails(5, ["store", "verify", "--contents"]);
    project.succeeds(["store", "verify", "--repair"]);
    fs::set_permissions(lower.join("file"), fs::Permissions::from_mode(0o644)).unwrap();
    project.fails(5, ["store", "verify", "--contents"]);
    project.succeeds(["store", "verify", "--repair"]);
    assert_eq!(fs::metadata(lower.join("file")).unwrap().permissions().mode() & 0o777, 0o444);
    project.succeeds(["store", "verify", "--contents"]);
}

#[test]
fn a_damaged_source_comes_back_with_its_recipe_and_the_rest_by_import() {
    let project = Project::with_recipe(RECIPE);
    let built = PathBuf::from(project.succeeds(["build", "recipe.hb", "--no-link"]));
    let stream = project.hb(["store", "export", built.to_str().unwrap()]).output().unwrap().stdout;
    project.write("bundle", stream);

    let source = objects(&project, "source").remove(0).join("busybox");
    damage(&source);
    let output = project.hb(["store", "verify", "--repair"]).output().unwrap();
    assert_eq!(output.status.code(), Some(5));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("its recipe is built again"), "{said}");
    project.succeeds(["build", "recipe.hb", "--no-link"]);
    project.succeeds(["store", "verify", "--contents"]);

    make_writable(&built);
    fs::remove_file(&built).unwrap();
    project.succeeds(["store", "import", "bundle"]);
    project.succeeds(["store", "verify", "--contents"]);
}
