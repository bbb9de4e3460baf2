//! Generated programs by hb and by Nix: both give the same value, or both fail.
//!
//! Runs where `HB_NIX_ORACLE` names a `nix-instantiate`, such as `scripts/nix-oracle` gets.
//! `HB_GENERATED` says how many programs to try and `HB_SEED` which ones.

use std::path::Path;

use hb_evaluator::{Eval, Evaluator, Held, Printing};
use hb_lang::{Dialect, parse_program, print};

use crate::grammar::{Grammar, Random};
use crate::oracle::{Nix, Programs};
use crate::support::{nix_evaluator, nix_evaluator_that_delays};

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

/// How a value is printed.
#[derive(Clone, Copy, Debug)]
enum Form {
    Strict,
    AsIs,
    Json,
    Xml,
    StrictXml,
}

impl Form {
    /// Each batch is printed in one of these.
    const ALL: [Self; 6] =
        [Self::Strict, Self::AsIs, Self::Strict, Self::Json, Self::Xml, Self::StrictXml];

    fn options(self) -> &'static [&'static str] {
        match self {
            Self::Strict => &["--strict"],
            Self::AsIs => &[],
            Self::Json => &["--json", "--strict"],
            Self::Xml => &["--xml"],
            Self::StrictXml => &["--xml", "--strict"],
        }
    }

    fn print(self, evaluator: &mut Evaluator, value: Held) -> Eval<Vec<u8>> {
        let mut printed = match self {
            Self::Strict => evaluator.print(value, Printing::Strict)?,
            Self::AsIs => evaluator.print(value, Printing::AsIs)?,
            Self::Json => evaluator.json(value)?,
            Self::Xml => return evaluator.xml(value, Printing::AsIs, true),
            Self::StrictXml => return evaluator.xml(value, Printing::Strict, true),
        };
        printed.push(b'\n');
        Ok(printed)
    }
}

/// What hb prints of each program in a file.
fn hb(programs: &Programs, form: Form) -> Vec<Option<String>> {
    let mut evaluator = match form {
        Form::AsIs | Form::Xml => nix_evaluator_that_delays(),
        Form::Strict | Form::Json | Form::StrictXml => nix_evaluator(false),
    };
    let all = evaluator.eval_file(&programs.path).expect("a set");
    let print = |i| {
        let value = evaluator.select(all, &[&format!("p{i}")]);
        let printed = value.and_then(|value| form.print(&mut evaluator, value)).ok()?;
        Some(String::from_utf8_lossy(&printed).into_owned())
    };
    (0..programs.count).map(print).collect()
}

/// Both read a file as the same program.
fn assert_reads_alike(programs: &Programs) {
    let program = parse_program(&programs.text, Dialect::Nix);
    let places = print::Places { base: Path::new("/"), home: Path::new("/") };
    let (ours, theirs) = (print::print(&program.ast, places), &programs.parsed);
    let same = ours.bytes().zip(theirs.bytes()).take_while(|(ours, theirs)| ours == theirs).count();
    let around = |text: &str| {
        let bytes = text.bytes().skip(same.saturating_sub(200)).take(400).collect::<Vec<_>>();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    assert!(ours == *theirs, "hb:  {}\nNix: {}", around(&ours), around(theirs));
}

#[test]
fn nix_agrees_with_every_generated_program() {
    let Some(nix) = Nix::find() else { return };
    let seed = number("HB_SEED").unwrap_or(1);
    let count = number("HB_GENERATED").map_or(PROGRAMS, |count| count as usize);
    let grammar = Grammar::parse(GRAMMAR);
    let mut random = Random::new(seed);
    let texts: Vec<String> = (0..count).map(|_| grammar.program(&mut random)).collect();
    let mut differences = Vec::new();
    let mut values = 0;
    for (batch, form) in texts.chunks(BATCH).zip(Form::ALL.into_iter().cycle()) {
        let programs = nix.write(batch);
        assert_reads_alike(&programs);
        let theirs = nix.eval_all(&programs, form.options());
        for ((text, theirs), ours) in batch.iter().zip(theirs).zip(hb(&programs, form)) {
            values += usize::from(theirs.is_some());
            // Whether equal lists are one and the same shows in nothing else: Nix may share
            // where hb does not, and the other way round.
            let is_shared = |text: &String| text.contains("«repeated»");
            if ours != theirs && ![&ours, &theirs].into_iter().flatten().any(is_shared) {
                let shown = |value: Option<String>| value.unwrap_or_else(|| "an error".to_owned());
                let (ours, theirs) = (shown(ours), shown(theirs));
                differences.push(format!("{form:?} of {text}\nhb:  {ours}\nNix: {theirs}\n"));
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
        "flakeRefToString",
        "getFlake",
        "nixVersion",
        "parseFlakeRef",
        "readDir",
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
