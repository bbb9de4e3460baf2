//! `hb doc` and `hb explain`: what is documented can be read where one works.

use crate::support::Project;

const USAGE: i32 = 2;

const LIBRARY: &str = r#"/** A small library. */
let
  strings = {
    /**
      Join with commas.

      # Example

      ```nix
      # a comment in code
      commas [ "a" "b" ]
      ```
    */
    commas = builtins.concatStringsSep ", ";
    /** Twice a text. */
    twice = text: { sep ? "" }: text + sep + text;
    plain = 1;
  };
in
{ system }: {
  inherit strings;
  inherit (strings) twice;
  broken = throw "not needed";
  /** The answer. */
  answer = 42;
}
"#;

#[test]
fn a_library_is_documented_from_its_comments() {
    let project = Project::new();
    project.write("lib.hb", LIBRARY);
    let page = project.succeeds(["doc", "lib.hb"]);
    let expected = "## `lib`\n\nA small library.\n\n\
        ## `answer`\n\nThe answer.\n\n\
        ## `twice`\n\n`text: { sep ? \"\" }:`\n\nTwice a text.\n\n\
        ## `strings.commas`\n\nJoin with commas.\n\n### Example\n\n\
        ```nix\n# a comment in code\ncommas [ \"a\" \"b\" ]\n```";
    assert_eq!(page, expected);
}

#[test]
fn one_attribute_of_a_library_is_documented_alone() {
    let project = Project::new();
    project.write("lib.hb", LIBRARY);
    let page = project.succeeds(["doc", "lib.hb#strings.twice", "--json"]);
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    assert_eq!(page[0]["name"], "strings.twice");
    assert_eq!(page[0]["text"], "Twice a text.");
    assert!(page[0]["place"].as_str().unwrap().ends_with("lib.hb:15:5"), "{page}");
    let said = project.fails(USAGE, ["doc", "lib.hb#strings.plain"]);
    assert!(said.contains("nothing in 'lib.hb#strings.plain' is documented"), "{said}");
}

#[test]
fn a_builtin_is_found_under_each_of_its_names() {
    let project = Project::new();
    let page = project.succeeds(["doc", "builtins.foldl'"]);
    assert!(page.starts_with("## `foldl'`\n\n`foldl' "), "{page}");
    assert_eq!(page, project.succeeds(["doc", "foldl'"]));
    let said = project.fails(USAGE, ["doc", "concatmap"]);
    assert!(said.contains("did you mean 'concatMap'?"), "{said}");
}

#[test]
fn a_code_is_explained_and_a_wrong_one_answered_with_the_near_one() {
    let project = Project::new();
    let text = project.succeeds(["explain", "parse.missing-semicolon"]);
    assert!(text.contains("where the `;`") && text.contains("--fix"), "{text}");
    let said = project.fails(USAGE, ["explain", "parse.missing-semicolons"]);
    assert!(said.contains("'parse.missing-semicolon'") && said.contains("usage.input"), "{said}");
    assert!(project.succeeds(["explain"]).lines().count() > 100);
}
