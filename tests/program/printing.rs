//! `hb eval` prints what `nix-instantiate --eval` prints, and takes its options: the cases
//! here have both, and where `HB_NIX_ORACLE` names a `nix-instantiate`, Nix is asked too.

use std::process::{Command, Output};

use crate::support::{Project, explain};

/// Options and what they print; nothing where evaluation fails, with exit status 1.
const CASES: &[(&[&str], Option<&str>)] = &[
    (
        &["-E", "{ b = 1 + 1; a = [ 1 ]; c = x: x; d = -1; e = \"s\"; }"],
        Some("{ a = <CODE>; b = <CODE>; c = <CODE>; d = <CODE>; e = \"s\"; }\n"),
    ),
    (&["-E", "let x = 1; in [ x (x + 1) [ ] { } ./a ]"], Some("[ 1 <CODE> [ ] <CODE> HERE/a ]\n")),
    (&["--strict", "-E", "{ b = 1 + 1; a = [ 1 ]; }"], Some("{ a = [ 1 ]; b = 2; }\n")),
    (&["--strict", "--json", "--strict", "--json", "-E", "[ 1 ]"], Some("[1]\n")),
    (&["--strict", "a.nix"], Some("{ file = HERE/lib/l.nix; greet = <LAMBDA>; }\n")),
    (&["a.nix", "-A", "file"], Some("HERE/lib/l.nix\n")),
    (&["a.nix", "-A", "greet", "--argstr", "name", "x"], Some("\"hello x\"\n")),
    (&["a.nix", "-A", "greet", "--arg", "name", "toString ./lib"], Some("\"hello HERE/lib\"\n")),
    (&["a.nix", "-A", "none"], None),
    (&["lib", "-A", "two.none.x"], None),
    (&["lib", "-A", "two.\"a b\".1"], None),
    (&["lib", "-A", "two.\"a b\".0.x"], None),
    (&["lib", "-A", "two.\"a b\".0"], Some("2\n")),
    (&["--raw", "-E", "\"a\\n${toString 1}\""], Some("a\n1")),
    (
        &["--json", "--strict", "-E", "{ b = [ 1.5 null ]; a = \"é\\n\"; }"],
        Some("{\"a\":\"é\\n\",\"b\":[1.5,null]}\n"),
    ),
    (
        &["--xml", "--strict", "--no-location", "-E", "{ a = x: x; }"],
        Some(
            "<?xml version='1.0' encoding='utf-8'?>\n<expr>\n  <attrs>\n    <attr name=\"a\">\n      \
         <function>\n        <varpat name=\"x\" />\n      </function>\n    </attr>\n  </attrs>\n\
         </expr>\n",
        ),
    ),
    (
        &["--xml", "a.nix", "-A", "file"],
        Some(
            "<?xml version='1.0' encoding='utf-8'?>\n<expr>\n  <path value=\"HERE/lib/l.nix\" />\n</expr>\n",
        ),
    ),
    (
        &["-I", "lib", "-I", "m=lib/default.nix", "-E", "[ <l.nix> <m> ]", "--strict"],
        Some("[ HERE/lib/l.nix HERE/lib/default.nix ]\n"),
    ),
    (&["-E", "<l.nix>"], None),
    (
        &[
            "--max-call-depth",
            "50",
            "-E",
            "let f = n: if n == 0 then 0 else f (n - 1) + 1; in f 100",
        ],
        None,
    ),
    (&["-E", "1 +"], None),
    (&["-E", "nope"], None),
    (&["--lint-url-literals", "fatal", "-E", "x:y"], None),
    (&["--abort-on-warn", "-E", "builtins.warn \"w\" 1"], None),
];

fn project() -> Project {
    let project = Project::new();
    project.write("a.nix", "{ file = ./lib/l.nix; greet = { name }: \"hello ${name}\"; }");
    project.write("lib/l.nix", "1");
    project.write("lib/default.nix", "{ two.\"a b\" = [ 2 ]; }");
    project
}

/// What a program printed, with `HERE` for the project's folder.
fn printed(project: &Project, output: &Output, arguments: &[&str]) -> Option<String> {
    let code = output.status.code();
    assert!(matches!(code, Some(0 | 1)), "{arguments:?}: {}", explain(output));
    let here = std::fs::canonicalize(project.path()).unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    (code == Some(0)).then(|| text.replace(&here.display().to_string(), "HERE"))
}

#[test]
fn eval_prints_as_nix_does_and_takes_its_options() {
    let project = project();
    for &(arguments, wanted) in CASES {
        let output = project.hb(["eval"]).args(arguments).output().unwrap();
        let found = printed(&project, &output, arguments);
        assert_eq!(found.as_deref(), wanted, "{arguments:?}: {}", explain(&output));
    }
    let warn = "builtins.warn \"w\" 1";
    let variables: [(&[&str], _, _, _); 4] = [
        (&["--impure", "-E", "<l.nix>"], "NIX_PATH", "none=x:lib", Some("HERE/lib/l.nix\n")),
        (&["--impure", "-E", warn], "NIX_ABORT_ON_WARN", "0", Some("1\n")),
        (&["--impure", "-E", warn], "NIX_ABORT_ON_WARN", "yes", None),
        (&["-E", warn], "NIX_ABORT_ON_WARN", "yes", Some("1\n")),
    ];
    for (arguments, variable, setting, wanted) in variables {
        let mut hb = project.hb(["eval"]);
        let output = hb.args(arguments).env(variable, setting).output().unwrap();
        let found = printed(&project, &output, arguments);
        assert_eq!(found.as_deref(), wanted, "{variable}={setting}: {}", explain(&output));
    }
}

#[test]
#[allow(clippy::print_stderr, reason = "who runs the tests is told what they left out")]
fn nix_agrees_with_what_eval_prints() {
    let Some(nix) = std::env::var_os("HB_NIX_ORACLE") else {
        eprintln!("not compared with Nix: HB_NIX_ORACLE names none (see scripts/nix-oracle)");
        return;
    };
    let project = project();
    for &(arguments, wanted) in CASES {
        let mut command = Command::new(&nix);
        command.arg("--eval").args(arguments).current_dir(project.path());
        command.env_clear().env("HOME", project.path()).env("NIX_REMOTE", "dummy://");
        let output = command.output().unwrap();
        let found = printed(&project, &output, arguments);
        assert_eq!(found.as_deref(), wanted, "{arguments:?}: {}", explain(&output));
    }
}

#[test]
fn parse_reads_a_file_wherever_it_is_named_from() {
    let project = project();
    project.write("p.nix", "x: ./y");
    project.write("lib/p.nix", "x: ./y");
    for (file, wanted) in [
        ("p.nix", "(x: HERE/y)\n"),
        ("./p.nix", "(x: HERE/y)\n"),
        ("lib/p.nix", "(x: HERE/lib/y)\n"),
        ("lib/../p.nix", "(x: HERE/y)\n"),
    ] {
        let output = project.hb(["parse", file]).output().unwrap();
        let found = printed(&project, &output, &[file]);
        assert_eq!(found.as_deref(), Some(wanted), "{}", explain(&output));
    }
}

#[test]
fn parse_prints_the_whole_syntax_tree() {
    let project = project();
    let text = "# of one\n{ a = 1; }\n";
    project.write("p.nix", text);
    let printed = project.succeeds(["parse", "--tree", "p.nix"]);
    let mut lines = printed.lines();
    assert_eq!(lines.next(), Some(&*format!("Root@0..{}", text.len())), "{printed}");
    // Every piece of the text is there, where it stands.
    for (start, piece) in
        [(0, "# of one"), (9, "{"), (11, "a"), (13, "="), (15, "1"), (16, ";"), (18, "}")]
    {
        let place = format!("@{start}..{} {piece:?}", start + piece.len());
        assert!(lines.any(|line| line.ends_with(&place)), "{place} in {printed}");
    }
}

/// What hb says of an evaluation that fails.
fn said(project: &Project, arguments: &[&str]) -> String {
    let output = project.hb(["eval"]).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", explain(&output));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn what_is_not_at_an_attribute_path_is_named_with_the_path() {
    let project = project();
    for (path, wanted) in [
        ("two.none.x", "attribute 'none' in selection path 'two.none.x' not found"),
        ("two.\"a b\".1", "list index 1 in selection path 'two.a b.1' is out of range"),
        ("two.\"a b\".0.x", "while selecting 'two.a b.0.x'"),
    ] {
        let said = said(&project, &["lib", "-A", path]);
        assert!(said.contains(wanted), "{path}: {said}");
    }
}

#[test]
fn a_message_of_several_lines_is_shown_as_it_was_written() {
    let project = project();
    project.write("throw.nix", "throw \"first\\n- second │ |\\n\\n  third\"");
    let said = said(&project, &["throw.nix"]);
    let wanted = "\n  × first\n    - second │ |\n\n      third\n   ╭─[";
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn verbose_traces_are_shown_when_asked_for() {
    let project = project();
    let expression = "builtins.traceVerbose \"of a\" (builtins.trace \"then\" 1)";
    for (option, wanted) in
        [(None, "trace: then\n"), (Some("--trace-verbose"), "trace: of a\ntrace: then\n")]
    {
        check_said(project.hb(["eval", "-E", expression]).args(option), "1\n", wanted);
    }
}

/// hb prints this, and says this beside it.
#[track_caller]
fn check_said(hb: &mut Command, printed: &str, said: &str) {
    let output = hb.output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), printed, "{}", explain(&output));
    assert_eq!(String::from_utf8_lossy(&output.stderr), said, "{hb:?}");
}

#[test]
fn traced_values_are_shown_as_nix_shows_them() {
    let project = project();
    for (value, wanted) in [
        ("x: x", "«lambda @ «string»:1:17»"),
        ("let f = x: y: { z }: x; in f", "«lambda f @ «string»:1:25»"),
        ("let f = x: y: { z }: x; in f 1", "«lambda f @ «string»:1:28»"),
        ("let f = x: y: { z }: x; in f 1 2", "«lambda f @ «string»:1:31»"),
        ("map", "«primop map»"),
        ("builtins.foldl' 1 2", "«partially applied primop foldl'»"),
        ("{ a = throw \"late\"; }", "{ a = «thunk»; }"),
        ("let x = { a = x; }; in builtins.seq x.a x", "{ a = «repeated»; }"),
    ] {
        let expression = format!("builtins.trace ({value}) 1");
        let said = format!("trace: {wanted}\n");
        check_said(&mut project.hb(["eval", "-E", &expression]), "1\n", &said);
    }
}

#[test]
fn a_trace_of_what_is_being_evaluated_says_so() {
    let project = project();
    for (expression, wanted) in [
        ("let x = builtins.trace { x = x; } true; in x", "{ x = «potential infinite recursion»; }"),
        (
            "let x = { again = x; traced = builtins.trace x true; }; in x.traced",
            "{ again = «repeated»; traced = «potential infinite recursion»; }",
        ),
    ] {
        let said = format!("trace: {wanted}\n");
        check_said(&mut project.hb(["eval", "-E", expression]), "true\n", &said);
    }
}
