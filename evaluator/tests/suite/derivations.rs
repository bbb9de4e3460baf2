//! `derivation` and what goes into the store, where hb has its own way.

use hb_lang::Dialect;
use hb_model::{Derivation, FileContent, OutputName, Outputs, own_output_placeholder};

use crate::support::{check_error, check_eval, evaluator};

/// The derivation that some attributes make, beside those that every one needs.
#[track_caller]
fn derivation(more: &str) -> Derivation {
    let text = with(more);
    let mut evaluator = evaluator(true);
    let value = evaluator.eval_text(&text, "/".as_ref(), Dialect::Nix).expect("evaluates");
    let id = evaluator.derivation_of(value).expect("evaluates").expect("a derivation");
    (**evaluator.derivations().get(&id).expect("it was made")).clone()
}

fn with(more: &str) -> String {
    format!(r#"derivation {{ name = "x"; system = "s"; builder = "/b"; {more} }}"#)
}

#[test]
fn extra_attributes_become_variables() {
    let made = derivation(
        r#"a = [ 1 true null [ "x" ] ]; b = false; args = [ "-e" 2 ]; outputs = [ "out" "dev" ];"#,
    );
    let env: Vec<(&str, &str)> =
        made.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("a", "1 1  x"),
        ("b", ""),
        ("builder", "/b"),
        ("name", "x"),
        ("outputs", "out dev"),
        ("system", "s"),
    ];
    assert_eq!(env, expected);
    assert_eq!(made.args, ["-e", "2"]);
}

#[test]
fn null_attributes_can_be_left_out() {
    let made = derivation("__ignoreNulls = true; a = null;");
    assert!(!made.env.contains_key("a"));
    assert!(!made.env.contains_key("__ignoreNulls"));
}

#[test]
fn texts_too_long_for_a_variable_become_files() {
    let made = derivation(r#"passAsFile = [ "text" ]; text = "long";"#);
    assert_eq!(made.files[".attr-0"], FileContent::Text("long".into()));
    assert_eq!(made.env["textPath"], "/build/.attr-0");
    assert!(!made.env.contains_key("text"));
}

#[test]
fn structured_attributes_become_files() {
    let more = r#"__structuredAttrs = true; outputs = [ "out" "dev" ]; flags = [ "a" "b" ];
        deep.x = [ { y = 1; } ]; source = builtins.toFile "s" "text"; "#;
    let made = derivation(more);
    let variables: Vec<_> =
        made.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let expected = ["NIX_ATTRS_JSON_FILE=/build/.attrs.json", "NIX_ATTRS_SH_FILE=/build/.attrs.sh"];
    assert_eq!(variables, expected);
    assert_eq!(made.inputs.len(), 1, "the text is an input");
    let FileContent::Text(json) = &made.files[".attrs.json"] else { panic!("no text") };
    let json: serde_json::Value = serde_json::from_str(json).expect("JSON");
    assert_eq!(json["deep"]["x"][0]["y"], 1);
    assert_eq!(json["name"], "x");
    let dev = own_output_placeholder(&OutputName::new("dev").expect("a name"));
    assert_eq!(json["outputs"]["dev"], dev);
    let FileContent::Text(shell) = &made.files[".attrs.sh"] else { panic!("no text") };
    assert!(shell.contains("declare -a flags=('a' 'b')\n"), "{shell}");
    assert!(!shell.contains("deep"), "{shell}");
}

#[test]
fn a_flat_hash_fixes_the_output() {
    let hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let made = derivation(&format!(r#"outputHash = "{hash}"; outputHashAlgo = "sha256";"#));
    let Outputs::Fixed(fixed) = made.outputs else { panic!("not fixed") };
    assert_eq!(fixed.hash.to_hex(), hash);
    for (more, reason) in [
        (r#"outputHash = "sha256:00";"#, "is not a sha256 hash"),
        (r#"outputHash = "x"; outputHashMode = "recursive";"#, "'recursive'"),
        (r#"outputHash = "x"; outputs = [ "dev" ];"#, "called 'out'"),
    ] {
        check_error(&format!("({}).outPath", with(more)), &["eval.key-value", reason]);
    }
}

#[test]
fn what_hb_has_no_way_to_do_is_refused_by_name() {
    for more in [
        "__json = \"{}\";",
        "allowedReferences = [ ];",
        "impureEnvVars = [ \"PROXY\" ];",
        "exportReferencesGraph = [ \"x\" \"y\" ];",
        "requiredSystemFeatures = [ \"kvm\" ];",
    ] {
        let name = more.split(' ').next().unwrap_or_default();
        check_error(
            &format!("({}).drvPath", with(more)),
            &["eval.key-value", &format!("'{name}' of 'derivation'")],
        );
    }
    derivation("__structuredAttrs = false; disallowedReferences = [ ]; impureEnvVars = null;");
    check_error(
        r#"(derivation { name = "x"; system = "s"; builder = "builtin:fetch-1"; }).drvPath"#,
        &["hb's own builders have primitives"],
    );
}

#[test]
fn a_closure_is_needed_where_a_derivation_is_named() {
    let made = derivation(&format!("closure = ({}).drvPath;", with("inner = 1;")));
    assert_eq!(made.inputs.len(), 2, "the derivation itself, and its output");
    let discarded =
        format!("path = builtins.unsafeDiscardOutputDependency ({}).drvPath;", with("inner = 1;"));
    assert_eq!(derivation(&discarded).inputs.len(), 1, "the derivation alone");
}

#[test]
fn what_several_closures_have_in_common_is_needed_once() {
    let shared = with("shared = 1;");
    let [left, right] =
        ["left", "right"].map(|side| with(&format!("side = \"{side}\"; below = {shared};")));
    let both = derivation(&format!("closures = [ ({right}).drvPath ({left}).drvPath ];"));
    assert_eq!(both.inputs.len(), 6, "three derivations, and an output of each");
    assert!(both.inputs.is_sorted_by(|a, b| a < b));
}

#[test]
fn filters_decide_what_is_imported() {
    let folder = env!("CARGO_MANIFEST_DIR");
    let import = |filter: &str| format!("builtins.filterSource ({filter}) {folder}/tests/suite");
    check_eval(
        &format!(
            "{} == {}",
            import("path: type: true"),
            import("path: type: type == \"directory\" || type == \"regular\""),
        ),
        "true",
    );
    check_eval(
        &format!(
            "{} == {}",
            import("path: type: true"),
            import("path: type: baseNameOf path != \"core.rs\""),
        ),
        "false",
    );
    check_error(&import("path: type: throw \"no ${type}\""), &["eval.throw", "no regular"]);
}

#[test]
fn texts_go_into_the_store() {
    check_eval(
        r#"let a = builtins.toFile "a" "x"; in builtins.attrValues (builtins.getContext a)"#,
        "[ { path = true; } ]",
    );
    check_eval(
        r#"let a = builtins.toFile "a" "x"; b = builtins.toFile "b" a; in builtins.isString b"#,
        "true",
    );
}
