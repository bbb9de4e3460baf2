//! Generated programs by hb and by Nix: both give the same value, or both fail.
//!
//! Runs where `HB_NIX_ORACLE` names a `nix-instantiate`, such as `scripts/nix-oracle` gets.
//! `HB_GENERATED` says how many programs to try and `HB_SEED` which ones.

use std::path::Path;

use hb_lang::{Dialect, parse_program, print};

use crate::grammar::{Grammar, Random};
use crate::oracle::{Nix, Printed};
use crate::support::{eval_in, nix_evaluator};

const GRAMMAR: &str = include_str!("../generated/grammar.txt");

/// Programs that are tried unless more are asked for.
const PROGRAMS: usize = 3000;

/// Programs that Nix gets at once.
const BATCH: usize = 250;

/// Differences that are shown.
const SHOWN: usize = 10;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is no number: {text}")))
}

fn hb(program: &str) -> Option<String> {
    let mut evaluator = nix_evaluator(false);
    eval_in(&mut evaluator, program, Path::new("/"), Dialect::Nix).ok()
}

/// Both read a text as the same program.
fn assert_reads_alike(read: &Printed) {
    let program = parse_program(&read.text, Dialect::Nix);
    let places = print::Places { base: Path::new("/"), home: Path::new("/") };
    let ours = print::print(&program.ast, places);
    let differs = ours.chars().zip(read.printed.chars()).position(|(ours, theirs)| ours != theirs);
    let around = |text: &str, at: usize| {
        text.chars().skip(at.saturating_sub(200)).take(400).collect::<String>()
    };
    if let Some(at) = differs.or((ours.len() != read.printed.len()).then_some(ours.chars().count()))
    {
        panic!("hb:  {}\nNix: {}", around(&ours, at), around(&read.printed, at));
    }
}

#[test]
fn nix_agrees_with_every_generated_program() {
    let Some(nix) = Nix::find() else { return };
    let seed = number("HB_SEED").unwrap_or(1);
    let count = number("HB_GENERATED").map_or(PROGRAMS, |count| count as usize);
    let grammar = Grammar::parse(GRAMMAR);
    let mut random = Random::new(seed);
    let programs: Vec<String> = (0..count).map(|_| grammar.program(&mut random)).collect();
    let mut differences = Vec::new();
    let mut values = 0;
    for batch in programs.chunks(BATCH) {
        let (read, found) = nix.eval_all(batch);
        assert_reads_alike(&read);
        for (program, theirs) in batch.iter().zip(found) {
            values += usize::from(theirs.is_some());
            let ours = hb(program);
            // Whether equal lists are one and the same shows in nothing else: Nix may share
            // where hb does not, and the other way round.
            let shared =
                [&ours, &theirs].into_iter().flatten().any(|text| text.contains("«repeated»"));
            if ours != theirs && !shared {
                let shown = |value: Option<String>| value.unwrap_or_else(|| "an error".to_owned());
                differences.push(format!(
                    "{program}\nhb:  {}\nNix: {}\n",
                    shown(ours),
                    shown(theirs)
                ));
            }
        }
    }
    let found = differences.len();
    differences.sort_by_key(String::len);
    differences.truncate(SHOWN);
    assert!(
        differences.is_empty(),
        "{found} of {count} programs differ (HB_SEED={seed}):\n\n{}",
        differences.join("\n")
    );
    assert!(values > count / 2, "too few programs have a value: {values} of {count}");
}

#[test]
fn the_grammar_has_every_builtin() {
    // Those whose value is another one on each machine, or that must be asked for a fetch.
    let others = [
        "currentTime",
        "fetchGit",
        "fetchMercurial",
        "fetchTarball",
        "fetchTree",
        "fetchurl",
        "filterSource",
        "flakeRefToString",
        "getFlake",
        "nixVersion",
        "parseFlakeRef",
        "path",
        "readDir",
        "unsafeGetAttrPos",
    ];
    let has = |name: &str| {
        let is_part = |char: char| char.is_ascii_alphanumeric() || char == '\'';
        GRAMMAR.split(|char| !is_part(char)).any(|word| word == name)
    };
    let missing: Vec<_> = hb_evaluator::builtins::all()
        .map(|builtin| builtin.name)
        .filter(|name| !name.starts_with("hb.") && !others.contains(name) && !has(name))
        .collect();
    assert!(missing.is_empty(), "no generated program calls {missing:?}");
}
