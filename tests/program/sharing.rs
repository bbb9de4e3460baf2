//! Equal files, stored once by hard links.

use std::{fs, os::unix::fs::MetadataExt as _};

use crate::support::Project;

const RECIPE: &str = r#"rec {
    noise = "seq 5000 > $out/file";
    one = run "one" "mkdir $out; ${noise}";
    default = run "two" "mkdir $out; ${noise}; cat ${one}/file > $out/again";
}"#;

#[test]
fn equal_files_become_links_where_the_settings_say_so() {
    let project = Project::with_recipe(RECIPE);
    let built = project.build("default");
    let names = || fs::metadata(built.join("file")).unwrap().nlink();
    assert_eq!(names(), 1);
    let output = project.hb(["store", "optimise", "--dry-run"]).output().unwrap();
    if !output.status.success() {
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("store.sharing") && said.contains("HB_HARD_LINKS"), "{said}");
    }
    let optimise = |arguments: &[&str]| {
        let mut hb = project.hb(["store", "optimise"]);
        let output = hb.args(arguments).env("HB_HARD_LINKS", "1").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap()
    };
    let said = optimise(&["--dry-run"]);
    assert!(said.contains("would share 2 files as hard links"), "{said}");
    assert_eq!(names(), 1);
    let said = optimise(&["--json"]);
    assert!(said.contains("\"files\":2") || said.contains("\"files\": 2"), "{said}");
    assert_eq!(names(), 3);
    project.succeeds(["store", "verify", "--contents"]);
    assert!(optimise(&[]).contains("shared 0 files"));
}
