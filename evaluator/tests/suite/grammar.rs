//! Programs made at random from `tests/generated/grammar.txt`, the same ones for the same
//! seed.

use std::collections::BTreeMap;

/// Expressions inside one another; what stands deeper is as short as can be.
const MAX_DEPTH: usize = 6;

/// Expressions in one program; what comes later is as short as can be.
const MAX_SIZE: usize = 40;

/// Of so many choices, one is of a text that is taken rarely.
const RARELY: usize = 100;

/// A sequence of numbers that a seed decides (SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

/// A part of a production.
#[derive(Clone, Copy)]
enum Part<'a> {
    Text(&'a str),
    /// An expression of a kind, and whether it sees the production's variables.
    Expression(&'a str, bool),
    /// A new variable of a kind.
    Variable(&'a str),
}

/// The texts of a kind.
#[derive(Default)]
struct Kind<'a> {
    usual: Vec<Vec<Part<'a>>>,
    rare: Vec<Vec<Part<'a>>>,
    /// Those of the usual ones that hold no expression.
    short: Vec<Vec<Part<'a>>>,
}

/// What programs are made of.
pub(crate) struct Grammar<'a>(BTreeMap<&'a str, Kind<'a>>);

impl<'a> Grammar<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        let mut kinds: BTreeMap<&str, Kind<'_>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (kind, text) = line.split_once(": ").expect("a kind and a text");
            let parts = parts(text);
            match kind.strip_prefix('~') {
                Some(kind) => kinds.entry(kind).or_default().rare.push(parts),
                None => {
                    let kind = kinds.entry(kind).or_default();
                    if parts.iter().all(|part| matches!(part, Part::Text(_))) {
                        kind.short.push(parts.clone());
                    }
                    kind.usual.push(parts);
                }
            }
        }
        let grammar = Self(kinds);
        for part in
            grammar.0.values().flat_map(|kind| kind.usual.iter().chain(&kind.rare)).flatten()
        {
            if let Part::Expression(kind, _) | Part::Variable(kind) = part {
                assert!(grammar.0.contains_key(kind), "nothing is of the kind '{kind}'");
            }
        }
        grammar
    }

    /// A program.
    pub(crate) fn program(&self, random: &mut Random) -> String {
        let mut writer = Writer {
            grammar: self,
            random,
            out: String::new(),
            scope: Vec::new(),
            size: 0,
            names: 0,
        };
        writer.expression("any", 0, usize::MAX);
        writer.out
    }
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric());
    while let Some(start) = rest.find('<') {
        let (before, after) = rest.split_at(start);
        let hole = after[1..].split_once('>').and_then(|(hole, behind)| {
            let part = match (hole.strip_prefix("x:"), hole.strip_suffix('!')) {
                (Some(kind), _) => Part::Variable(kind),
                (None, Some(kind)) => Part::Expression(kind, true),
                (None, None) => Part::Expression(hole, false),
            };
            let (Part::Variable(kind) | Part::Expression(kind, _)) = part else { return None };
            is_name(kind).then_some((part, behind))
        });
        match hole {
            Some((part, behind)) => {
                parts.extend([Part::Text(before), part]);
                rest = behind;
            }
            None => {
                // An operator.
                parts.push(Part::Text(&rest[..=start]));
                rest = &after[1..];
            }
        }
    }
    parts.push(Part::Text(rest));
    parts
}

struct Writer<'a, 'g, 'r> {
    grammar: &'g Grammar<'a>,
    random: &'r mut Random,
    out: String,
    /// The kinds and numbers of the variables in scope.
    scope: Vec<(&'a str, usize)>,
    size: usize,
    names: usize,
}

impl<'a> Writer<'a, '_, '_> {
    /// An expression of a kind, which sees the first `seen` variables in scope.
    fn expression(&mut self, kind: &str, depth: usize, seen: usize) {
        self.size += 1;
        let grammar = self.grammar;
        let texts = &grammar.0[kind];
        let seen = seen.min(self.scope.len());
        let variables: Vec<usize> = self.scope[..seen]
            .iter()
            .filter(|found| found.0 == kind)
            .map(|found| found.1)
            .collect();
        if !variables.is_empty() && self.random.below(3) == 0 {
            let variable = variables[self.random.below(variables.len())];
            self.out.push_str(&format!("x{variable}"));
            return;
        }
        let is_deep = depth >= MAX_DEPTH || self.size >= MAX_SIZE;
        let choices = match (is_deep && !texts.short.is_empty(), texts.rare.is_empty()) {
            (true, _) => &texts.short,
            (false, false) if texts.usual.is_empty() || self.random.below(RARELY) == 0 => {
                &texts.rare
            }
            (false, _) => &texts.usual,
        };
        let parts = &choices[self.random.below(choices.len())];
        let hidden = self.scope.split_off(seen);
        for part in parts {
            match *part {
                Part::Text(text) => self.out.push_str(text),
                Part::Expression(kind, sees_all) => {
                    self.expression(kind, depth + 1, if sees_all { usize::MAX } else { seen });
                }
                Part::Variable(kind) => {
                    self.out.push_str(&format!("x{}", self.names));
                    self.scope.push((kind, self.names));
                    self.names += 1;
                }
            }
        }
        self.scope.truncate(seen);
        self.scope.extend(hidden);
    }
}
