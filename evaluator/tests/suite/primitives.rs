//! The typed primitives of `hb`: what they make, and what they refuse.

use hb_lang::Dialect;
use hb_model::{Derivation, FileContent, Input};

use crate::support::{check_error_in, check_eval_in, evaluator, nix_evaluator};

const HB: Dialect = Dialect::Hb;

/// A fixed source, to refer to.
const SOURCE: &str = r#"hb.fetch {
    name = "src.tar";
    sha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    origins = [ { url = "https://example.org/src.tar"; } ];
}"#;

/// The derivation that an expression evaluates to.
#[track_caller]
fn derivation(text: &str) -> Derivation {
    let mut evaluator = evaluator(true);
    let value = evaluator.eval_text(text, "/".as_ref(), HB).expect("evaluates");
    let id = evaluator.derivation_of(value).expect("evaluates").expect("a derivation");
    (**evaluator.derivations().get(&id).expect("it was made")).clone()
}

fn with_source(text: &str) -> String {
    format!("let src = {SOURCE}; in {text}")
}

#[test]
fn a_build_has_what_it_was_given() {
    let made = derivation(&with_source(
        r#"hb.build {
            name = "hello";
            builder = "${src}/bin/sh";
            args = [ "-c" "echo" ];
            env = { A = "a"; SRC = src; };
            files = { "script.sh" = "echo"; "copy" = src; };
            attrs = { b = [ 1 true null ]; a = "${src}"; };
            outputs = [ "out" "dev" ];
            closureInfo.all = [ src ];
            limits = { timeout = 60; };
        }"#,
    ));
    let source = "/hb/store/jhvkf2cw8saa6wab4ykn0225pdlfn1qq-src.tar";
    assert_eq!(made.name.as_str(), "hello");
    assert_eq!(made.system, "x86_64-linux");
    assert_eq!(made.builder, format!("{source}/bin/sh"));
    assert_eq!(made.args, ["-c", "echo"]);
    assert_eq!(made.env["SRC"], source);
    assert_eq!(made.files["script.sh"], FileContent::Text("echo".into()));
    assert_eq!(made.files["copy"], FileContent::Path(source.into()));
    let attrs = format!(r#"{{"a":"{source}","b":[1,true,null]}}"#);
    assert_eq!(made.attrs.as_deref(), Some(attrs.as_str()));
    assert_eq!(
        made.output_names().map(|name| name.to_string()).collect::<Vec<_>>(),
        ["dev", "out"]
    );
    assert_eq!(made.limits.timeout, 60);
    assert!(matches!(made.inputs.first(), Some(Input::Output { .. })));
    assert_eq!(made.inputs.len(), 1);
}

#[test]
fn a_derivation_is_a_set_with_a_set_for_each_output() {
    let build = |rest: &str| {
        with_source(&format!(
            r#"let d = hb.build {{ name = "x"; builder = "/bin/sh"; outputs = [ "lib" "out" ]; }}; in {rest}"#
        ))
    };
    check_eval_in(HB, &build("d.type + d.outputName + d.lib.outputName"), r#""derivationoutlib""#);
    check_eval_in(HB, &build("builtins.length d.all"), "2");
    check_eval_in(HB, &build("d.lib.out.lib.outPath == d.lib.outPath"), "true");
    check_eval_in(HB, &build("d.lib.outPath == d.outPath"), "false");
    check_eval_in(HB, &build("builtins.stringLength d.drvPath"), "48");
    check_eval_in(HB, &build("d == d.out && d != d.lib"), "true");
}

#[test]
fn steps_of_hb_itself_carry_their_parameters_as_canonical_json() {
    let source = "/hb/store/jhvkf2cw8saa6wab4ykn0225pdlfn1qq-src.tar";
    let fetch = derivation(SOURCE);
    assert_eq!(fetch.builder, "builtin:fetch-1");
    assert_eq!(fetch.system, "builtin");
    assert_eq!(
        fetch.attrs.as_deref(),
        Some(r#"{"origins":[{"url":"https://example.org/src.tar"}],"size":null}"#)
    );
    let unpack = derivation(&with_source(
        r#"hb.unpack { name = "tree"; archive = src; strip = 1; exclude = [ "a" ]; }"#,
    ));
    assert_eq!(unpack.builder, "builtin:unpack-1");
    let attrs = format!(r#"{{"archive":"{source}","exclude":["a"],"strip":1,"subdir":null}}"#);
    assert_eq!(unpack.attrs, Some(attrs));
    let patch =
        derivation(&with_source(r#"hb.patch { name = "tree"; source = src; patches = [ src ]; }"#));
    let attrs =
        format!(r#"{{"patches":["{source}"],"series":null,"source":"{source}","strip":1}}"#);
    assert_eq!(patch.attrs, Some(attrs));
    let root = derivation(&with_source(
        r#"hb.root { name = "root"; packages = [ src ]; links = { "bin/sh" = "bash"; }; }"#,
    ));
    let attrs = format!(r#"{{"links":{{"bin/sh":"bash"}},"packages":["{source}"]}}"#);
    assert_eq!(root.attrs, Some(attrs));
}

#[test]
fn another_origin_changes_no_path() {
    let other = SOURCE.replace("example.org", "example.com");
    check_eval_in(HB, &format!("({SOURCE}).outPath == ({other}).outPath"), "true");
}

#[test]
fn misspelt_keys_are_refused_with_the_near_one() {
    check_error_in(
        HB,
        r#"hb.build { name = "x"; bulider = "/bin/sh"; }"#,
        &[
            "eval.unknown-key",
            "'hb.build' takes no 'bulider'",
            "did you mean 'builder'?",
            "columns 24 to 30",
        ],
    );
    check_error_in(
        HB,
        r#"hb.fetch { name = "x"; sha256 = "00"; origins = [ { pypi = { project = "p"; versoin = "1"; file = "f"; }; } ]; }"#,
        &["eval.key-value", "sha256"],
    );
    let source = SOURCE.replace("url = ", "ulr = ");
    check_error_in(HB, &source, &["'origins[0]' takes no 'ulr'", "did you mean 'url'?"]);
    check_error_in(
        HB,
        r#"hb.build { name = "x"; builder = "/b"; limits.timeuot = 1; }"#,
        &["'limits' takes no 'timeuot'", "did you mean 'timeout'?"],
    );
    check_error_in(HB, r#"hb.buidl { }"#, &["attribute 'buidl' missing", "did you mean 'build'?"]);
}

#[test]
fn wrong_types_say_what_was_expected_and_given() {
    let build = |key: &str| format!(r#"hb.build {{ name = "x"; builder = "/bin/sh"; {key} }}"#);
    check_error_in(
        HB,
        &build("args = 3;"),
        &["eval.key-type", "'args' of 'hb.build' must be a list, but is an integer"],
    );
    check_error_in(
        HB,
        &build("env.JOBS = 4;"),
        &[
            "'env.JOBS' of 'hb.build' must be a string, a path or a derivation, but is an integer",
            "toString",
        ],
    );
    check_error_in(HB, &build("args = [ \"a\" null ];"), &["'args[1]'", "null"]);
    check_error_in(HB, &build("outputs = [ ];"), &["at least one output"]);
    check_error_in(HB, &build("outputs = [ \"name\" ];"), &["cannot be called 'name'"]);
    check_error_in(HB, "hb.build { name = \"x\"; }", &["eval.missing-key", "needs 'builder'"]);
    check_error_in(HB, "hb.build { name = \"a b\"; builder = \"/b\"; }", &["' '"]);
    check_error_in(HB, "hb.build { name = \"x\"; builder = \"sh\"; }", &["not an absolute path"]);
    check_error_in(HB, "hb.fetch { name = \"x\"; origins = [ ]; }", &["needs 'sha256'"]);
}

#[test]
fn nix_files_do_not_see_hb() {
    check_error_in(Dialect::Nix, "hb.system", &["undefined variable 'hb'"]);
    check_eval_in(HB, "hb.system", "\"x86_64-linux\"");
}

#[test]
fn reading_through_a_placeholder_is_refused() {
    let build = r#"hb.build { name = "x"; builder = "/bin/sh"; }"#;
    check_error_in(HB, &format!("import ({build})"), &["eval.unbuilt"]);
}

#[test]
fn hbs_own_derivations_are_refused_with_nixs_paths_whatever_they_need() {
    let inner = r#"(derivation { name = "a"; builder = "b"; system = "s"; }).drvPath"#;
    let outer = format!(r#"hb.build {{ name = "x"; builder = "/bin/sh"; env.D = {inner}; }}"#);
    let error = nix_evaluator(true).eval_text(&outer, "/".as_ref(), HB).expect_err("is refused");
    assert_eq!(error.fault().code(), "eval.refused");
}
