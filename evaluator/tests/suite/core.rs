//! The core language, each construct by name.

use std::path::Path;

use hb_evaluator::{Evaluator, Options, Printing};
use hb_lang::Dialect;

use crate::support::{Files, check_error, check_eval, eval_in, evaluator};

#[test]
fn numbers() {
    check_eval("1 + 1", "2");
    check_eval("7 / 2 - 1", "2");
    check_eval("1 + 1.5", "2.5");
    check_eval("9223372036854775807", "9223372036854775807");
    check_eval("-9223372036854775807 - 1", "-9223372036854775808");
    check_eval("4611686018427387904 - 1", "4611686018427387903");
    check_error("9223372036854775807 + 1", &["eval.overflow", "integer overflow in adding"]);
    check_error("1 / 0", &["eval.division-by-zero"]);
}

#[test]
fn a_function_that_json_has_not_is_shown_where_it_is_written() {
    let found = "a value that JSON has, but found a function";
    check_error("builtins.toJSON { a = x: x; }", &[found, "the function is written here"]);
    check_error("builtins.toJSON { a = map; }", &[found]);
}

#[test]
fn writing_a_value_keeps_nothing_of_it() {
    let mut evaluator = evaluator(false);
    let text = "{ __toString = self: \"x\"; }";
    let value = evaluator.eval_text(text, Path::new("/"), Dialect::Nix).unwrap();
    assert_eq!(evaluator.raw(value).unwrap(), b"x");
    evaluator.give_memory_back();
    assert_eq!(evaluator.json(value).unwrap(), b"\"x\"");
    evaluator.give_memory_back();
}

#[test]
fn variables_and_functions() {
    check_eval("let a = 1; b = a + c; c = 3; in b", "4");
    check_eval("(x: y: x - y) 5 3", "2");
    check_eval("let f = x: y: z: x + y + z; g = f 1; in g 2 3 + g 4 5", "16");
    check_eval("let fib = n: if n < 2 then n else fib (n - 1) + fib (n - 2); in fib 15", "610");
    check_eval("({ a, b ? a + 1, ... }@all: [ a b (all.c or 0) ]) { a = 1; c = 9; }", "[ 1 2 9 ]");
    check_eval("({ a ? b, b ? 2 }: a) { }", "2");
    check_eval("let id = x: x; in id id id 1", "1");
    check_eval("({ __functor = self: x: x + self.n; n = 2; }) 3", "5");
}

#[test]
fn attributes() {
    check_eval("{ a = 1; b.c = 2; }.b.c", "2");
    check_eval("rec { a = b; b = 1; }", "{ a = 1; b = 1; }");
    check_eval("{ a.b = 1; } ? a.b", "true");
    check_eval("{ a = 1; } ? a.b", "false");
    check_eval("{ }.a.b or 3", "3");
    check_eval(
        "let x = { a = 1; }; in { inherit (x) a; inherit x; }",
        "{ a = 1; x = { a = 1; }; }",
    );
    check_eval("let n = \"k\"; in { ${n} = 1; ${null} = 2; }", "{ k = 1; }");
    check_eval("{ a = 1; b = 2; } // { b = 3; c = 4; }", "{ a = 1; b = 3; c = 4; }");
    check_error("let n = \"a\"; in { a = 1; ${n} = 2; }", &["eval.duplicate-attribute"]);
}

#[test]
fn with_looks_names_up_last() {
    check_eval("with { a = 1; }; a", "1");
    check_eval("let a = 2; in with { a = 1; }; a", "2");
    check_eval("with { a = 1; b = 2; }; with { a = 3; }; [ a b ]", "[ 3 2 ]");
    check_eval("with builtins; length [ 1 2 ]", "2");
    check_error("with { a = 1; }; b", &["undefined variable 'b'"]);
}

#[test]
fn strings_and_paths() {
    check_eval(r#""a${"b"}c" + "d""#, r#""abcd""#);
    check_eval(r#""${{ __toString = self: "x" + self.y; y = "z"; }}""#, r#""xz""#);
    check_eval("/a/b + \"/../c\"", "/a/c");
    check_eval("toString [ 1 true null [ \"a\" 1.5 ] ]", "\"1 1  a 1.500000\"");
    check_eval("/a/${\"b\"}/c", "/a/b/c");
}

#[test]
fn conditions() {
    check_eval("if true && !false || (true -> false) then 1 else 2", "1");
    check_eval("false && throw \"no\"", "false");
    check_eval("assert 1 < 2; \"yes\"", "\"yes\"");
    check_error("assert 1 > 2; 1", &["eval.assertion"]);
    check_error("if 1 then 2 else 3", &["eval.type", "expected a Boolean"]);
}

#[test]
fn laziness() {
    check_eval("let x = throw \"no\"; in { a = 1; b = x; }.a", "1");
    check_eval("builtins.length [ (throw \"no\") ]", "1");
    check_eval("(x: 1) (throw \"no\")", "1");
    check_eval("builtins.head (map (x: x + 1) [ 1 (throw \"no\") ])", "2");
}

/// How `[ x ]` prints, with what is delayed as `<CODE>`.
fn printed_as_is(text: &str) -> String {
    let mut evaluator = evaluator(false);
    let printed = evaluator
        .eval_text(text, Path::new("/"), Dialect::Nix)
        .and_then(|list| evaluator.print(list, Printing::AsIs));
    match printed {
        Ok(printed) => String::from_utf8_lossy(&printed).into_owned(),
        Err(error) => panic!("{text}: {error:?}"),
    }
}

#[test]
fn small_operations_are_done_where_they_stand_if_they_can_be() {
    let values = "{ n, l, s, name, long, t ? throw \"needed\" }: let count = builtins.length l; in";
    let name = "builtins.head (builtins.attrNames { a = 1; })";
    let argument = format!(
        "{{ n = 1; l = [ 5 6 ]; s.a = {{ a = 7; }}; name = {name}; long = \"{}\"; }}",
        "x".repeat(65)
    );
    let evaluated = ["n", "l", "s", "name", "long"]
        .iter()
        .rfold("(x: x)".to_owned(), |then, value| format!("(builtins.seq {value} {then})"));
    let as_argument = |operation| format!("(x: [ x ]) ({operation})");
    let as_binding = |operation| format!("let x = {operation}; y = x; in [ x ]");
    let check = |text: String, expected| {
        let text = format!("({values} {evaluated} ({text})) {argument}");
        assert_eq!(printed_as_is(&text), format!("[ {expected} ]"), "of {text}");
    };
    for (operation, expected) in [
        ("n + 2", "3"),
        ("2 * (n - 3)", "-4"),
        ("n == 1", "true"),
        ("l != [ ]", "true"),
        ("name == \"b\"", "false"),
        ("builtins.tail l", "[ 6 ]"),
        ("builtins.elemAt l (n - 1) + 1", "6"),
        ("builtins.isList (builtins.head l)", "false"),
        ("count", "2"),
        // What fails, or is not evaluated, or may take long, is delayed.
        ("n + t", "<CODE>"),
        ("n / 0", "<CODE>"),
        ("n + 9223372036854775807", "<CODE>"),
        ("l + 1", "<CODE>"),
        ("s == { a = [ 7 ]; }", "<CODE>"),
        ("long == long", "<CODE>"),
        ("s.b == s.b", "<CODE>"),
        ("l ++ l", "<CODE>"),
        ("s // { b = 1; }", "<CODE>"),
        ("builtins.isFunction (builtins.head s)", "<CODE>"),
        ("builtins.tail (builtins.tail (builtins.tail l))", "<CODE>"),
        ("builtins.substring 0 1 name", "<CODE>"),
        ("(((((n + 1) + 1) + 1) + 1) + 1)", "<CODE>"),
        ("builtins.head n", "<CODE>"),
        ("builtins.elemAt l 2", "<CODE>"),
        ("builtins.elemAt l (-1)", "<CODE>"),
        ("s.b", "<CODE>"),
        ("s.b.a", "<CODE>"),
        ("s.a.b", "<CODE>"),
        ("s.b.${name}", "<CODE>"),
        ("t.a", "<CODE>"),
        ("s.${l}", "<CODE>"),
    ] {
        check(as_argument(operation), expected);
        check(as_binding(operation), expected);
    }
    let set = "let set = { inherit (s) a; inherit (s.a) b; }; in builtins.seq set [ set ]";
    check(set.to_owned(), "{ a = { a = 7; }; b = <CODE>; }");
    // Where what lies in a list or a set has a name of its own, it keeps that.
    for (operation, expected) in [
        ("builtins.head l", "5"),
        ("builtins.elemAt l (n - 1)", "5"),
        ("s.${name}", "{ a = 7; }"),
        ("s.a.${name}", "7"),
    ] {
        check(as_argument(operation), expected);
        check(as_binding(operation), "<CODE>");
    }
}

#[test]
fn bindings_are_not_tried_before_they_are_there() {
    check_eval("let a = builtins.head b; b = [ 3 ]; in a", "3");
    check_eval("let b = [ a 3 ]; a = builtins.elemAt b 1; in b", "[ 3 3 ]");
    check_eval("rec { n = 1; m = n + l; l = n + 1; }", "{ l = 2; m = 3; n = 1; }");
    check_eval("let f = x: l; n = builtins.isFunction f; l = [ ]; in [ n (f 1) ]", "[ true [ ] ]");
    check_eval("(rec { n = 1; m = n + 1; __overrides.n = 5; }).m", "6");
    check_error("let x = x + 1; in x", &["eval.infinite-recursion"]);
    check_error("let l = builtins.length l; in l", &["eval.infinite-recursion"]);
    check_error("let f = x: let z = builtins.tail z; in z; in f 1", &["eval.infinite-recursion"]);
}

#[test]
fn a_cycle_shows_the_bindings_that_lead_through_sets_that_are_evaluated() {
    let text = "let s = { a = let y = s.a; in y + 1; }; in builtins.seq s s.a";
    check_error(text, &["eval.infinite-recursion", "'a'", "'y'"]);
}

#[test]
fn selections_find_what_lies_further_than_they_can_note() {
    let text = r#"let
      many = builtins.listToAttrs (builtins.genList
        (i: { name = "a${toString i}"; value = i; }) 70000);
      get = s: s.a69999;
    in map get [ many { a69999 = 1; } many (many // { b = 2; }) many ]"#;
    // Collecting at each step would go through all of it each time.
    let found = eval_in(&mut evaluator(false), text, Path::new("/"), Dialect::Nix);
    assert_eq!(found.as_deref(), Ok("[ 69999 1 69999 69999 69999 ]"));
}

#[test]
fn variables_that_pairs_of_instructions_cannot_name_are_found() {
    // Slots and upvalues on both sides of what fits.
    let count = 140;
    let numbers: Vec<String> = (0..count).map(|i| i.to_string()).collect();
    let params = |with: &str| numbers.iter().map(|i| format!("{with}{i}: ")).collect::<String>();
    let each = |what: fn(&str) -> String| numbers.iter().map(|i| what(i)).collect::<String>();
    let list = format!("[ {}]", each(|i| format!("{i} ")));
    let apply = |function: &str, what: fn(&str) -> String| format!("({function}) {}", each(what));
    let plain = format!("{}let f = _: [ {}]; in f 0", params("a"), each(|i| format!("a{i} ")));
    check_eval(&apply(&plain, |i| format!("{i} ")), &list);
    let select = |of: &str| {
        let items = numbers.iter().map(|i| format!("({of} a{i}.x) ")).collect::<String>();
        format!("{}let f = _: [ {items}]; id = x: x; in f 0", params("a"))
    };
    for of in ["id", "(x: y: y) 1", "builtins.seq 1"] {
        let text = apply(&select(of), |i| format!("(builtins.head [ {{ x = {i}; }} ]) "));
        check_eval(&text, &list);
    }
}

#[test]
fn equality_and_order() {
    check_eval("{ a = [ 1 2 ]; } == { a = [ 1 2.0 ]; }", "true");
    check_eval("(x: x) == (x: x)", "false");
    check_eval("[ 1 2 ] < [ 1 3 ]", "true");
    check_eval("\"a\" <= \"a\"", "true");
    check_error("1 < \"a\"", &["eval.operands"]);
}

#[test]
fn builtins_call_back() {
    check_eval("builtins.foldl' (a: b: a + b) 0 [ 1 2 3 ]", "6");
    check_eval("builtins.filter (x: x > 1) [ 1 2 3 ]", "[ 2 3 ]");
    check_eval(
        "builtins.sort (a: b: a < b) [ 3 1 2 9 8 7 6 5 4 0 11 10 ]",
        "[ 0 1 2 3 4 5 6 7 8 9 10 11 ]",
    );
    check_eval("builtins.genList (i: i * i) 4", "[ 0 1 4 9 ]");
    check_eval(
        "builtins.mapAttrs (n: v: n + v) { a = \"1\"; b = \"2\"; }",
        "{ a = \"a1\"; b = \"b2\"; }",
    );
    check_eval(
        "map (x: x.key) (builtins.genericClosure { startSet = [ { key = 1; } ]; \
         operator = x: if x.key > 4 then [ ] else [ { key = x.key * 2; } { key = x.key + 1; } ]; })",
        "[ 1 2 4 3 8 5 6 ]",
    );
    check_eval("builtins.tryEval (throw \"x\")", "{ success = false; value = false; }");
    check_eval("builtins.tryEval (assert false; 1)", "{ success = false; value = false; }");
    check_error("builtins.tryEval (abort \"x\")", &["eval.abort"]);
}

#[test]
fn elements_that_a_builtin_holds_stay_alive() {
    // Each element is a thunk that is forced, and so could be replaced by its value,
    // while the builtin has it in hand.
    let list = "(map (x: { v = x * 2; }) (builtins.genList (i: 40 - i) 40))";
    let sum = "builtins.foldl' (a: b: a + b.v) 0";
    check_eval(&format!("{sum} (builtins.filter (x: x.v > 10) {list})"), "1610");
    check_eval(&format!("{sum} (builtins.sort (a: b: a.v < b.v) {list})"), "1640");
    check_eval(&format!("(x: y: builtins.seq x.v y) (builtins.head {list}) 3"), "3");
    check_eval(&format!("builtins.any (x: x.v == 2) {list}"), "true");
    check_eval(&format!("{list} == {list}"), "true");
}

#[test]
fn integers_that_need_a_box_are_like_others() {
    for (large, next) in [("536870911", "536870912"), ("2147483647", "2147483648")] {
        check_eval(&format!("{large} + 1"), next);
        check_eval(&format!("1 + {large}"), next);
        check_eval(&format!("{next} - 1"), large);
        check_eval(&format!("-1 - {large}"), &format!("-{next}"));
        check_eval(&format!("1 - {next}"), &format!("-{large}"));
        check_eval(&format!("-{next} + 1"), &format!("-{large}"));
        check_eval(&format!("{next} / -1 * -1"), next);
        check_eval(&format!("({large} + 1) * 1 == {next} && {large} != {next}"), "true");
        check_eval(
            &format!("{large} < {next} && {next} >= {next} && !({next} <= {large})"),
            "true",
        );
        check_eval(&format!("-{next} < -{large} && {next} > -{next}"), "true");
        let sum = 2 * next.parse::<i64>().expect("a number") - 1;
        check_eval(
            &format!("(x: y: [ (x + y) (x - y) (x < y) ]) {next} {large}"),
            &format!("[ {sum} 1 false ]"),
        );
    }
    check_eval("46341 * 46341", "2147488281");
    check_eval("32768 * 16384", "536870912");
    check_eval("-32768 * 16384", "-536870912");
    check_eval("-536870912 / -1", "536870912");
    check_error("4294967296 * 4294967296", &["eval.overflow"]);
    check_error("(-9223372036854775807 - 1) / -1", &["eval.overflow"]);
    check_error("4294967296 / 0", &["eval.division-by-zero"]);
}

#[test]
fn what_takes_more_memory_than_there_is_is_an_error() {
    let options = Options { max_heap: 16 * 1024 * 1024, ..Options::default() };
    let mut evaluator = Evaluator::new(Box::new(Files::default()), options);
    let mut eval = |text: &str| eval_in(&mut evaluator, text, Path::new("/"), Dialect::Hb);
    let list = "builtins.foldl' (list: i: [ i ] ++ list) [ ] (builtins.genList (i: i) 1000)";
    assert_eq!(eval(&format!("builtins.length ({list})")).as_deref(), Ok("1000"));
    let longer = "builtins.foldl' (next: i: [ next i i i i i i i i i i i i i i i i i i i ]) null
                  (builtins.genList (i: i) 200000)";
    let text = "builtins.foldl' (text: _: text + text) \"x\" (builtins.genList (i: i) 30)";
    let many = "builtins.genList (i: i) 10000000";
    let doubled = "builtins.foldl' (list: _: list ++ list) [ 1 ] (builtins.genList (i: i) 31)";
    let joined = "builtins.concatLists (builtins.genList (_: builtins.genList (i: i) 100000) 100)";
    for program in [longer, text, many, doubled, joined] {
        let found = eval(program).expect_err("not enough memory");
        assert!(found.contains("eval.heap-full"), "{program}: {found}");
        // What it took is free again.
        assert_eq!(eval(&format!("builtins.length ({list})")).as_deref(), Ok("1000"));
    }
}

#[test]
fn garbage_takes_no_room_from_what_is_needed() {
    let options = Options { max_heap: 16 * 1024 * 1024, ..Options::default() };
    let mut evaluator = Evaluator::new(Box::new(Files::default()), options);
    let mut eval = |text: &str| eval_in(&mut evaluator, text, Path::new("/"), Dialect::Hb);
    let kept = "kept = builtins.genList (x: x) 10000;
        double = builtins.foldl' (text: _: text + text) \"x\";
        large = double (builtins.genList (x: x) 21);";
    let texts = "builtins.foldl' (n: i: n + builtins.stringLength (large + toString i)) 0
        (builtins.genList (x: x) 100)";
    assert_eq!(eval(&format!("let {kept} in {texts}")).as_deref(), Ok("209715390"));
    let lists = "builtins.foldl' (n: i: n + builtins.length (builtins.genList (x: x) 100000)) 0
        (builtins.genList (x: x) 20)";
    let both = format!("let {kept} in builtins.stringLength large + ({lists})");
    assert_eq!(eval(&both).as_deref(), Ok("4097152"));
    // Each sum is there before the next one: a chain of sums would not fit.
    let count = "(builtins.foldl' (s: i: { n = s.n + 1; }) { n = START; }
        (builtins.genList (x: x) 300000)).n";
    for start in [0, 536_870_000_i64, 1 << 40] {
        let counted = (start + 300_000).to_string();
        let program = count.replace("START", &start.to_string());
        assert_eq!(eval(&program).as_deref(), Ok(&*counted));
    }
}

#[test]
fn recursion_ends_in_an_error() {
    check_error("let f = x: f (x + 1) + 1; in f 0", &["eval.too-deep"]);
    check_error("let f = x: f x; in f 0", &["eval.too-deep"]);
    check_error(
        "let a = b; b = c + 1; c = a; in a",
        &["eval.infinite-recursion", "'a' needs 'b'", "'b' needs 'c'", "'c' needs 'a'"],
    );
}

/// Nix makes longer ones, as long as there is memory.
#[test]
fn a_string_that_would_be_too_long_is_an_error() {
    let long =
        "let long = builtins.foldl' (text: _: text + text) \"x\" (builtins.genList (n: n) 24); in ";
    for text in [
        "builtins.concatStringsSep long (builtins.genList (_: \"\") 257)".to_owned(),
        format!("\"{}\"", "${long}".repeat(256)),
        format!("/.{}", "/${long}".repeat(256)),
    ] {
        check_error(&format!("{long}{text}"), &["eval.text-too-long", "the most is 4294967295"]);
    }
}

#[test]
fn a_text_is_parsed_with_as_much_stack_as_it_takes() {
    let depth = hb_lang::MAX_NESTING_DEPTH as usize - 10;
    let text = format!("{}1{}", "(".repeat(depth), ")".repeat(depth));
    let evaluation = std::thread::Builder::new().stack_size(512 * 1024);
    let evaluation = evaluation.spawn(move || check_eval(&text, "1"));
    evaluation.unwrap().join().unwrap();
}

#[test]
fn a_fault_shows_both_of_its_ends() {
    let both = "let\n  port = \"80\";\n  next = port + 1;\nin next";
    check_error(both, &["label at line 3, columns 10 to 17", "'port' is bound here"]);
    check_error("let c = { n = [ ]; }; in \"${c.n}\"", &["'n' is bound here"]);
    check_error("let f = 1; in f 2", &["eval.not-a-function", "'f' is bound here"]);
    check_error("(x: x.a) 1", &["'x' is what the caller gave"]);
    check_error(
        "let f = { name, b ? 1 }: name; in f { nam = 1; }",
        &["label at line 1, columns 35 to 48", "'name' has no default", "did you mean 'name'?"],
    );
    check_error("{ name = 1; }.nmae", &["the set has this one", "did you mean 'name'?"]);
}
