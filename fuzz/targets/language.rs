//! Any text: lexer, parser, checks, formatter and printer of the language.
#![no_main]

use hb_lang::{Dialect, check, format, parse_program, parse_tree, print};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fn printed(text: &str, dialect: Dialect) -> Option<String> {
    let program = parse_program(text, dialect);
    let places = print::Places { base: Path::new("/base"), home: Path::new("/home") };
    program.problems.is_empty().then(|| print::print(&program.ast, places))
}

fuzz_target!(|text: &str| {
    for dialect in [Dialect::Nix, Dialect::Hb, Dialect::Loose] {
        let parse = parse_tree(text, dialect);
        assert_eq!(parse.root().text(), text);
        for problem in check(text, dialect) {
            for label in &problem.labels {
                assert!(text.get(std::ops::Range::<usize>::from(label.span)).is_some());
            }
        }
        let formatted = format(text, dialect);
        let Some(meaning) = printed(text, dialect) else { continue };
        assert_eq!(printed(&formatted, dialect).as_ref(), Some(&meaning), "{formatted}");
        assert_eq!(format(&formatted, dialect), formatted);
    }
});
