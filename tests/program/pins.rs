//! Pins: a project names its tools, the lock file says what they are made of, and
//! nothing else is fetched.

use std::fs;

use crate::support::Project;

const LOCK: i32 = 8;

/// How the tool `hello` is made: its one source is a script that busybox runs.
fn tool_recipe(served: &str) -> String {
    format!(
        r#"{{
  platforms = [ "x86_64-linux" ];
  sources = {{ version }}: [
    {{
      name = "hello-${{version}}";
      platforms = [ "x86_64-linux" ];
      origins = [ {{ url = "file://{served}/hello-${{version}}"; }} ];
    }}
  ];
  build = {{ version, system, pins }}: hb.build {{
    name = "hello-${{version}}";
    inherit system;
    builder = "${{../../bin}}/busybox";
    args = [
      "sh" "-euc"
      "mkdir -p $out/bin; cp ${{pins."hello-${{version}}"}} $out/bin/hello; chmod +x $out/bin/hello"
    ];
  }};
}}
"#
    )
}

/// A project with two versions of `hello` to be had, and none pinned.
fn project() -> Project {
    let project = Project::new();
    for version in ["1", "2"] {
        let script = format!("#!/bin/sh\necho hello from version {version}\n");
        project.write(&format!("served/hello-{version}"), script);
    }
    let served = project.path().join("served");
    project.write("recipes/tools/hello.hb", tool_recipe(&served.to_string_lossy()));
    project.write("hb.toml", "# ours\nrecipes = \"recipes\"\n");
    project
}

/// The text of a file of the project.
fn text(project: &Project, name: &str) -> String {
    fs::read_to_string(project.path().join(name)).unwrap()
}

#[test]
fn pinning_writes_the_version_and_locks_each_source() {
    let project = project();
    project.succeeds(["pin", "hello@1"]);
    let manifest = text(&project, "hb.toml");
    assert!(manifest.starts_with("# ours\n") && manifest.contains("hello = \"1\""), "{manifest}");
    let lock: toml::Table = toml::from_str(&text(&project, "hb.lock")).unwrap();
    let source = &lock["source"].as_array().unwrap()[0];
    assert_eq!(source["name"].as_str(), Some("hello-1"));
    assert_eq!(source["platforms"].as_array().unwrap()[0].as_str(), Some("x86_64-linux"));
    assert_eq!(source["size"].as_integer(), Some(36));
    assert_eq!(source["sha256"].as_str().map(str::len), Some(64));
    assert!(source["origins"].as_array().unwrap()[0]["url"].as_str().unwrap().contains("served"));
}

#[test]
fn a_version_that_cannot_be_had_changes_nothing() {
    let project = project();
    project.succeeds(["pin", "hello@1"]);
    let before = (text(&project, "hb.toml"), text(&project, "hb.lock"));
    let said = project.fails(4, ["pin", "hello@3"]);
    assert!(said.contains("hello-3"), "{said}");
    assert_eq!((text(&project, "hb.toml"), text(&project, "hb.lock")), before);
}

#[test]
fn a_pinned_tool_runs_and_follows_its_pin() {
    let project = project();
    for version in ["1", "2"] {
        project.succeeds(["pin", &format!("hello@{version}")]);
        assert_eq!(project.succeeds(["run", "hello"]), format!("hello from version {version}"),);
    }
}

#[test]
fn a_dry_run_of_an_update_says_what_would_change_and_changes_nothing() {
    let project = project();
    project.succeeds(["pin", "hello@1"]);
    project.write("hb.toml", "recipes = \"recipes\"\n[tools]\nhello = \"2\"\n");
    let before = text(&project, "hb.lock");
    let said = project.succeeds(["update", "--dry-run"]);
    assert!(said.contains("- hello 1") && said.contains("+ hello 2"), "{said}");
    assert_eq!(text(&project, "hb.lock"), before);
    project.succeeds(["update"]);
    assert_eq!(project.succeeds(["update"]), "hb.lock is up to date");
}

#[test]
fn a_source_that_changed_behind_its_name_is_not_used() {
    let project = project();
    project.succeeds(["pin", "hello@1"]);
    project.write("served/hello-1", "#!/bin/sh\necho somebody else\n");
    let said = project.fails(4, ["run", "hello"]);
    assert!(said.contains("hello-1"), "{said}");
}

#[test]
fn with_locked_a_fetch_that_is_not_listed_is_refused() {
    let project = project();
    project.succeeds(["pin", "hello@1"]);
    project.write(
        "recipe.hb",
        format!(
            r#"{{ pins }}: {{
              pinned = pins.hello;
              default = hb.fetch {{
                name = "stranger";
                sha256 = "{}";
                origins = [ {{ url = "https://example.invalid/"; }} ];
              }};
            }}"#,
            "1".repeat(64)
        ),
    );
    let said = project.fails(LOCK, ["build", "--locked", "--no-link", "recipe.hb"]);
    assert!(said.contains("stranger") && said.contains("hb.lock"), "{said}");
    project.succeeds(["build", "--locked", "--no-link", "recipe.hb#pinned"]);
}

#[test]
fn with_locked_a_lock_that_does_not_match_is_refused() {
    let project = project();
    project.succeeds(["pin", "hello@1"]);
    project.write("hb.toml", "recipes = \"recipes\"\n[tools]\nhello = \"2\"\n");
    project.write("recipe.hb", "{ pins }: { default = pins.hello; }");
    project.fails(LOCK, ["run", "--locked", "--", "hello"]);
    project.fails(LOCK, ["eval", "--locked", "-E", "1"]);
    let said = project.fails(LOCK, ["build", "--locked", "--no-link", "recipe.hb"]);
    assert!(said.contains("hello 2") && said.contains("hb update"), "{said}");
}
