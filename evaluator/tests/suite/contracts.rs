//! What a broken contract says: what was promised and given, who is to blame, and where.

use hb_lang::Dialect;

use crate::support::check_error_in;

/// The error of a text in a `.hb` file says all of this.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    check_error_in(Dialect::Hb, text, expected);
}

#[test]
fn a_wrong_argument_blames_the_call_and_shows_both_ends() {
    check(
        "let\n  build = { name, jobs | Int ? 4 }: jobs;\nin\nbuild {\n  name = \"x\";\n  jobs = \"4\";\n}",
        &[
            "broken contract: 'jobs' must be an integer, but is the string \"4\"",
            "label starting at line 4, column 1: this call is to blame",
            "label at line 2, columns 26 to 28: the contract",
            "label at line 6, columns 3 to 6: 'jobs' is given here",
            "diagnostic code: eval.contract",
        ],
    );
}

#[test]
fn a_wrong_definition_blames_itself() {
    check(
        "let\n  jobs | Int = \"4\";\nin\njobs",
        &[
            "label at line 2, columns 16 to 18: this definition is to blame",
            "label at line 2, columns 10 to 12: the contract",
        ],
    );
    check(
        "({ jobs | Int ? \"4\" }: jobs) { }",
        &["label at line 1, columns 17 to 19: this default is to blame"],
    );
}

#[test]
fn parts_are_named_by_their_way() {
    let record = "let s | { ports = List Int; } = { ports = [ 1 \"2\" ]; }; in s.ports";
    check(record, &["'s.ports[1]' must be an integer"]);
    check("let s | Attrs (List Int) = { a.b = 1; }; in s.a", &["'s.a' must be a list"]);
}

#[test]
fn a_function_answers_for_what_it_gives_and_its_caller_for_what_it_takes() {
    check(
        "let\n  f | Int -> Int = x: \"s\";\nin\nf 1",
        &["the result of 'f' must be an integer", "columns 20 to 25: this definition is to blame"],
    );
    check(
        "let\n  f | Int -> Int -> Int = x: y: x + y;\nin\nf 1 \"2\"",
        &["argument 2 of 'f' must be an integer", "line 4, columns 1 to 7: this call is to blame"],
    );
    // Who calls back with something wrong is the function itself.
    check(
        "let\n  f | (Int -> Int) -> Int = g: g \"1\";\nin\nf (x: x)",
        &["argument 1 of argument 1 of 'f'", "line 2, columns 32 to 36: this call is to blame"],
    );
    check(
        "let\n  f | (Int -> Int) -> Int = g: g 1;\nin\nf (x: \"s\")",
        &["the result of argument 1 of 'f'", "line 4, columns 1 to 10: this call is to blame"],
    );
}

#[test]
fn records_name_the_attribute_and_the_near_one() {
    check(
        "({ server | { host = String; port = Int; } }: server) { server = { host = \"h\"; prot = 1; }; }",
        &[
            "'server' must have an attribute 'port'",
            "columns 80 to 83: not in the contract",
            "'prot' was given: did you mean 'port'?",
        ],
    );
    check(
        "let s | { host = String; port = Optional Int; } = { host = \"h\"; prot = 1; }; in s",
        &["'s' may have no attribute 'prot'", "did you mean 'port'?"],
    );
    check(
        "let s | { port = Default \"80\" Int; } = { }; in s.port",
        &["columns 9 to 36: this contract's own default is to blame"],
    );
}

#[test]
fn choices_are_listed() {
    check(
        "let l | Enum [ \"MIT\" \"BSD-3\" ] = \"BSD3\"; in l",
        &[
            "must be one of \"MIT\", \"BSD-3\", but is the string \"BSD3\"",
            "did you mean \"BSD-3\"?",
        ],
    );
    check(
        "let a | Nullable (Or [ Int Path ]) = \"x\"; in a",
        &["must be null or an integer or a path"],
    );
    check("let p | Where Int \"a port\" (n: n > 0) = 0; in p", &["must be a port, but is the int"]);
}

#[test]
fn what_is_no_contract_is_marked_where_it_stands() {
    check(
        "let x | (v: true) = 1; in x",
        &["expected a contract, but found a function", "columns 10 to 16", "Where Any"],
    );
    check("let x | Strnig = 1; in x", &["undefined variable 'Strnig'", "did you mean 'String'?"]);
    check("let x = List; in x", &["this contract is 'hb.List'"]);
}

#[test]
fn nix_files_have_no_contracts() {
    check_error_in(Dialect::Nix, "{ a | Int }: a", &["parse.contract-in-nix", "`.hb`"]);
}

#[test]
fn a_builtin_that_calls_is_no_call_to_show() {
    check("builtins.filter ({ a | Bool }: a) [ { a = 1; } ]", &["'a' must be a Boolean"]);
    check("builtins.filter ({ a }: a) [ { } ]", &["eval.missing-argument"]);
}
