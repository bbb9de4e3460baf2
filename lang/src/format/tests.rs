//! What the formatter keeps.

use super::format;
use crate::Dialect;

/// Formatting gives this, and formatting that gives it again.
fn check_format(text: &str, expected: &str) {
    check_format_in(Dialect::Nix, text, expected);
}

fn check_format_in(dialect: Dialect, text: &str, expected: &str) {
    let once = format(text, dialect);
    assert_eq!(once, expected);
    assert_eq!(format(&once, dialect), once);
}

#[test]
fn comments_stay_with_what_they_are_about() {
    check_format(
        "# file\n{a=1;# one\n# two\nb=2;\n\n\n\n/* three */c=3;\n# end\n}\n# last\n",
        "# file\n{\n  a = 1; # one\n  # two\n  b = 2;\n\n  /* three */ c = 3;\n  # end\n}\n# last\n",
    );
}

#[test]
fn indented_strings_move_with_the_code() {
    check_format(
        "{\na = {\nb = ''\n      one\n        two\n\n      ${x}\n    '';\n};}",
        "{\n  a = {\n    b = ''\n      one\n        two\n\n      ${x}\n    '';\n  };\n}\n",
    );
}

#[test]
fn an_open_set_stays_open_and_a_closed_one_closed() {
    check_format("{ a = 1; }", "{ a = 1; }\n");
    check_format("{\na = 1; }", "{\n  a = 1;\n}\n");
    check_format("[ 1\n2 ]", "[ 1 2 ]\n");
}

#[test]
fn a_broken_part_stays_as_it_is() {
    check_format(
        "{\n a   = 1;\n b = (1   +;\n c   = 2;\n}",
        "{\n  a = 1;\n  b = (1   +;\n  c = 2;\n}\n",
    );
    let endless = "{ a   = \"no end;\n}";
    assert_eq!(format(endless, Dialect::Nix), endless);
}

#[test]
fn tokens_that_would_join_stay_apart() {
    check_format("./a .b", "./a .b\n");
    check_format("1 .b", "1 .b\n");
    check_format("- ./a", "- ./a\n");
    // Found by fuzzing.
    check_format("-  /4(1)", "- /4 (1)\n");
    check_format("- a/b.c", "- a/b.c\n");
    check_format("a - b", "a - b\n");
}

#[test]
fn contracts_stand_between_a_name_and_its_value() {
    check_format_in(
        Dialect::Hb,
        "{name|String,jobs|Int?4}:{x|List  String=[name];y|(Int ->Int) ->Int = f;}",
        "{ name | String, jobs | Int ? 4 }: { x | List String = [ name ]; y | (Int -> Int) -> Int = f; }\n",
    );
    check_format_in(
        Dialect::Hb,
        "{\n# who\nname | Enum [\n\"a\" \"b\"\n], # c\n...\n}: name",
        "{\n  # who\n  name | Enum [\n    \"a\"\n    \"b\"\n  ], # c\n  ...\n}:\nname\n",
    );
}

#[test]
fn a_part_fits_up_to_the_next_place_where_the_line_may_end() {
    // The set below is too wide for the line, which must not break the argument above.
    check_format_in(
        Dialect::Hb,
        "{ m | List (Int -> Int) ? -(a), n | List (Int), ... }: { x | List (Int) = rec { inherit ((a) + ({ })) p q; r = (a) ++ (a); };\ny.z | List (Int -> Int) = 1; }",
        "{ m | List (Int -> Int) ? -(a), n | List (Int), ... }:\n{\n  x | List (Int) = rec { inherit ((a) + ({ })) p q; r = (a) ++ (a); };\n  y.z | List (Int -> Int) = 1;\n}\n",
    );
}
