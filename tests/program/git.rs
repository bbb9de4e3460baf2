//! `fetchGit` of a working tree: what git follows, as it lies there. Where `HB_NIX_ORACLE` names
//! a `nix-instantiate`, Nix is asked too, and must give the same set.

use std::process::Command;

use crate::support::{Project, explain};

/// How a working tree comes to be, step by step, and what it holds then: without and with the
/// repositories inside.
const STEPS: &[(&str, &str, &str)] = &[
    ("git init -q .", "", ""),
    ("echo a > a; mkdir -p d/e; echo b > d/e/b", "", ""),
    ("git add a", "a", "a"),
    ("git commit -qm first; git add d", "a d/e/b", "a d/e/b"),
    ("git commit -qm second", "a d/e/b", "a d/e/b"),
    ("echo more >> a; chmod +x a; ln -s a link; git add link", "a d/e/b link", "a d/e/b link"),
    ("git commit -qam third; rm a", "d/e/b link", "d/e/b link"),
    (
        "git checkout -q a; echo a > .gitignore; git add .",
        ".gitignore a d/e/b link",
        ".gitignore a d/e/b link",
    ),
    ("git rm -qf a .gitignore; git commit -qm fourth", "d/e/b link", "d/e/b link"),
    (
        "echo 'd export-ignore' > .gitattributes; git add .",
        ".gitattributes link",
        ".gitattributes d/e/b link",
    ),
    (
        "printf 'link export-ignore\\nd/ export-ignore\\n' > .gitattributes; git add .; \
         git commit -qm attributes",
        ".gitattributes",
        ".gitattributes d/e/b link",
    ),
    ("git rm -qf .gitattributes; git commit -qm none", "d/e/b link", "d/e/b link"),
    ("rm d/e/b; echo new > d/e/new", "link", "link"),
    ("rm -r d; ln -s . d", "link", "link"),
    ("rm d; git checkout -q d; rm link; mkdir link; echo new > link/new", "d/e/b", "d/e/b"),
    ("rm -r link; git checkout -q link", "d/e/b link", "d/e/b link"),
    (
        "git init -q sub; cd sub; echo c > c; git add c; git commit -qm first; cd ..; \
         git submodule --quiet add ./sub sub; git commit -qm fifth",
        ".gitmodules d/e/b link",
        ".gitmodules d/e/b link sub/c",
    ),
    (
        "echo new > sub/new; git -C sub add new",
        ".gitmodules d/e/b link",
        ".gitmodules d/e/b link sub/c sub/new",
    ),
];

const PLAIN: &str = "builtins.fetchGit ./tree";
const ALL: &str = "builtins.fetchGit { url = ./tree; submodules = true; shallow = true; }";

fn shell(project: &Project, script: &str) {
    let output = Command::new("sh")
        .args(["-euc", script])
        .current_dir(project.path().join("tree"))
        .env("GIT_CONFIG_GLOBAL", project.path().join("gitconfig"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{script}: {}", explain(&output));
}

/// A project with an empty folder for a repository.
fn project() -> Project {
    let project = Project::new();
    project.write(
        "gitconfig",
        "[user]\nname = a\nemail = a@example.org\n[init]\ndefaultBranch = main\n",
    );
    std::fs::create_dir(project.path().join("tree")).unwrap();
    project
}

/// What Nix says of an expression, if it can be asked.
fn nix(project: &Project, expression: &str) -> Option<String> {
    let root = format!("local?root={}", project.path().join("nix").display());
    let output = Command::new(std::env::var_os("HB_NIX_ORACLE")?)
        .args(["--eval", "--strict", "--json", "--read-write-mode", "--store", &root])
        .args(["-E", expression])
        .current_dir(project.path())
        .env("HOME", project.path().join("nix"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{expression}: {}", explain(&output));
    Some(String::from_utf8(output.stdout).unwrap().trim_end().to_owned())
}

#[test]
fn a_working_tree_is_what_git_follows_of_it() {
    let project = project();
    for (script, plain, all) in STEPS {
        shell(&project, script);
        for (expression, held) in [(PLAIN, plain), (ALL, all)] {
            let path = format!("({expression}).outPath");
            let object = project.succeeds(["eval", "--impure", "--raw", "-E", &path]);
            let object = project.store.join("store").join(object.rsplit('/').next().unwrap());
            let find = "find . ! -type d | sed 's,^./,,' | LC_ALL=C sort | tr '\\n' ' '";
            let found = Command::new("sh").args(["-c", find]).current_dir(object).output().unwrap();
            assert_eq!(
                String::from_utf8(found.stdout).unwrap().trim_end(),
                *held,
                "after {script}"
            );

            let set = format!("removeAttrs ({expression}) [ \"outPath\" ]");
            let ours = project.succeeds(["eval", "--impure", "--strict", "--json", "-E", &set]);
            if let Some(theirs) = nix(&project, &set) {
                assert_eq!(ours, theirs, "{set} after {script}");
            }
        }
    }
}

#[test]
fn git_is_asked_only_in_impure_evaluation_and_only_about_trees_that_are_here() {
    let project = project();
    let refused = |expression: &str, why: &str| {
        let said = project.fails(1, ["eval", "--impure", "-E", expression]);
        assert!(said.contains(why), "{expression}: {said}");
    };
    refused(PLAIN, "not the uppermost folder of a working tree");
    shell(&project, "git init -q .");
    let said = project.fails(1, ["eval", "-E", PLAIN]);
    assert!(said.contains("pure evaluation") && said.contains("--impure"), "{said}");
    refused("fetchGit \"https://example.invalid/a.git\"", "use hb.fetch");
    refused("fetchGit { url = ./tree; rev = \"abc\"; }", "no commit");
    refused("fetchGit { url = ./tree; depth = 1; }", "depth");
    refused("fetchGit { name = \"x\"; }", "url");
    refused("fetchGit ./none", "none");
    refused("fetchGit \"./tree\"", "not an absolute path");
    refused("fetchGit \"file://example.org/tree\"", "a whole path");
    let address = format!("(fetchGit \"file://{}/tr%65e\").rev", project.path().display());
    project.succeeds(["eval", "--impure", "-E", &address]);
}

#[test]
fn a_variable_of_git_does_not_lead_to_another_repository_and_attributes_have_values() {
    let project = project();
    shell(
        &project,
        "git init -q .; git init -q ../other; echo a > a; echo b > b; echo c > c
         printf 'a export-ignore=\\nb export-ignore\\nc -export-ignore\\n' > .git/info/attributes
         git add .",
    );
    let arguments = ["eval", "--impure", "--json", "-E", "builtins.readDir (fetchGit ./tree)"];
    let output = project.hb(arguments).env("GIT_DIR", project.path().join("other/.git")).output();
    assert_eq!(
        String::from_utf8(output.unwrap().stdout).unwrap(),
        "{\"a\":\"regular\",\"c\":\"regular\"}\n"
    );
}

#[test]
fn what_a_repository_or_its_user_configures_runs_nothing_and_changes_nothing() {
    let project = project();
    // Each program that git may run says so.
    shell(
        &project,
        "git init -q .; echo '* filter=spy' > .gitattributes; echo a > a; git add .
         git commit -qm first; printf '#!/bin/sh\\ntouch %s/ran; cat' \"$PWD\" > ../spy; chmod +x ../spy
         for key in filter.spy.clean filter.spy.process gpg.program core.fsmonitor core.pager; do
           git config $key \"$PWD/../spy\"
         done
         git config filter.spy.required true; git config log.showSignature true
         git config i18n.logOutputEncoding UTF-16; touch -d 2001-01-01 a",
    );
    let id = "(fetchGit ./tree).dirtyRev or (fetchGit ./tree).rev";
    let id = project.succeeds(["eval", "--impure", "--raw", "-E", id]);
    assert_eq!(id.trim_end_matches("-dirty").len(), 40, "{id}");
    assert!(!project.path().join("tree/ran").exists(), "a program of the repository ran");
}

#[test]
fn a_repository_above_or_not_checked_out_is_not_taken_for_the_one_that_is_meant() {
    let project = project();
    shell(
        &project,
        "git init -q .; mkdir in; echo a > in/a; git add in/a; git commit -qm first; mkdir in/.git
         git update-index --add --cacheinfo 160000,$(git rev-parse HEAD),sub",
    );
    let said = project.fails(1, ["eval", "--impure", "-E", "fetchGit ./tree/in"]);
    assert!(said.contains("not the uppermost folder"), "{said}");
    let said = project.fails(1, ["eval", "--impure", "-E", ALL]);
    assert!(said.contains("submodule update --init"), "{said}");
}
