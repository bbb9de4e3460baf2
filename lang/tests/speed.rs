//! Measures how fast a megabyte is parsed; run by hand, optimised:
//! `cargo test --release -p hb-lang --test speed -- --ignored --nocapture`

#![allow(clippy::print_stdout, reason = "it prints what it measured")]

use std::time::Instant;

use hb_lang::{Dialect, parse_program, parse_tree};

const ROUNDS: usize = 30;

/// The library of the evaluator's benchmark, over and over in one list.
fn megabyte() -> String {
    let library = [
        include_str!("../../evaluator/benches/programs/library/attrsets.nix"),
        include_str!("../../evaluator/benches/programs/library/lists.nix"),
        include_str!("../../evaluator/benches/programs/library/modules.nix"),
        include_str!("../../evaluator/benches/programs/library/strings.nix"),
    ];
    let mut text = "[".to_owned();
    for file in library.iter().cycle() {
        text.push_str(&format!("(\n{file}\n)\n"));
        if text.len() > 1_000_000 {
            break;
        }
    }
    text + "]"
}

fn measure<T>(what: &str, text: &str, parse: impl Fn(&str) -> T) {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            let parsed = parse(text);
            let time = start.elapsed().as_secs_f64();
            drop(parsed);
            time
        })
        .collect();
    times.sort_by(f64::total_cmp);
    let rate = |time: f64| text.len() as f64 / 1e6 / time;
    println!("{what}: {:.0} MB/s, best {:.0} MB/s", rate(times[ROUNDS / 2]), rate(times[0]));
}

#[test]
#[ignore = "measures; run by hand"]
fn parsing_a_megabyte() {
    let text = megabyte();
    assert!(parse_program(&text, Dialect::Nix).problems.is_empty());
    measure("into the evaluator's program", &text, |text| parse_program(text, Dialect::Nix));
    measure("into the lossless tree", &text, |text| parse_tree(text, Dialect::Nix));
}
