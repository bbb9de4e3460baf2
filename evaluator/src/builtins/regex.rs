//! POSIX extended regular expressions, on the `regex` crate.
//!
//! A pattern is checked and rewritten (`translate`), and compiled once for each text of
//! it. As Nix has it, matching works on bytes, `.` matches anything, and `^` and `$` are
//! the text's ends. Of alternatives, the match as a whole is the longest one, as POSIX
//! asks; how an equally long match divides into groups is decided from the left, where
//! POSIX would weigh each group.

use std::collections::HashMap;
use std::rc::Rc;

use regex_automata::hybrid::dfa::{Cache, DFA};
use regex_automata::util::syntax;
use regex_automata::{Anchored, Input, MatchKind};

use super::{Builtin, forced};
use crate::error::{Error, Eval, Fault};
use crate::machine::Machine;
use crate::value::Value;

mod translate;

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "match",
        params: &[
            forced("regex", "a POSIX extended regular expression"),
            forced("text", "a string"),
        ],
        doc: "What each group matched (null where it took no part), if the expression matches \
              the whole text; or else null.",
        run: match_,
    },
    Builtin {
        name: "split",
        params: &[
            forced("regex", "a POSIX extended regular expression"),
            forced("text", "a string"),
        ],
        doc: "The text cut at every match: strings, and between each two a list of what the \
              match's groups matched.",
        run: split,
    },
];

/// Compiled expressions by their text, and the DFAs' working memory.
#[derive(Default)]
pub(crate) struct Regexes(HashMap<Box<[u8]>, Rc<Regex>, rustc_hash::FxBuildHasher>);

/// How large one compiled expression may get, in bytes.
const MAX_COMPILED: usize = 64 << 20;

struct Regex {
    /// Finds where a match begins.
    search: regex::bytes::Regex,
    /// Matches a whole text.
    whole: regex::bytes::Regex,
    /// Finds the longest match from a place, if alternatives could make it another.
    longest: Option<DFA>,
}

impl Regex {
    fn new(pattern: &[u8]) -> Result<Self, String> {
        let translated = translate::translate(pattern)?;
        let compile = |text: String| {
            regex::bytes::RegexBuilder::new(&text)
                .unicode(false)
                .dot_matches_new_line(true)
                .size_limit(MAX_COMPILED)
                .build()
                .map_err(|error| error.to_string())
        };
        let longest = match pattern.contains(&b'|') {
            false => None,
            true => {
                let syntax =
                    syntax::Config::new().unicode(false).utf8(false).dot_matches_new_line(true);
                let dfa = DFA::builder()
                    .configure(
                        DFA::config().match_kind(MatchKind::All).skip_cache_capacity_check(true),
                    )
                    .syntax(syntax)
                    .build(&translated)
                    .map_err(|error| error.to_string())?;
                Some(dfa)
            }
        };
        let whole = compile(format!(r"\A(?:{translated})\z"))?;
        Ok(Self { search: compile(translated)?, whole, longest })
    }

    /// The first match at or after `from`: where it is, and its groups.
    fn find(&self, text: &[u8], from: usize) -> Option<Match> {
        let found = self.search.captures_at(text, from)?;
        let all = found.get(0)?;
        let (start, mut end) = (all.start(), all.end());
        if let Some(dfa) = &self.longest {
            let mut cache = Cache::new(dfa);
            let input = Input::new(text).range(start..).anchored(Anchored::Yes);
            // A DFA that gives up leaves the match as it is.
            if let Ok(Some(longest)) = dfa.try_search_fwd(&mut cache, &input) {
                end = end.max(longest.offset());
            }
        }
        let groups = match end == all.end() {
            true => found.iter().skip(1).map(|group| group.map(|group| group.range())).collect(),
            false => {
                let groups = self.whole.captures(&text[start..end])?;
                let shift = |range: std::ops::Range<usize>| range.start + start..range.end + start;
                groups.iter().skip(1).map(|group| group.map(|group| shift(group.range()))).collect()
            }
        };
        Some(Match { start, end, groups })
    }
}

struct Match {
    start: usize,
    end: usize,
    groups: Vec<Option<std::ops::Range<usize>>>,
}

fn compiled(m: &mut Machine, builtin: &'static str, pattern: Value) -> Eval<Rc<Regex>> {
    let pattern = m.expect_plain_string(pattern, "a regular expression")?;
    let pattern = pattern.as_bytes().unwrap_or_default();
    if let Some(regex) = m.regexes.0.get(pattern) {
        return Ok(regex.clone());
    }
    match Regex::new(pattern) {
        Ok(regex) => {
            let regex = Rc::new(regex);
            m.regexes.0.insert(pattern.into(), regex.clone());
            Ok(regex)
        }
        Err(reason) => {
            let pattern = String::from_utf8_lossy(pattern);
            let reason = format!("invalid regular expression ‘{pattern}’: {reason}");
            Err(Error::from(Fault::Argument { builtin, reason }))
        }
    }
}

fn group_list<'a>(m: &mut Machine, groups: impl Iterator<Item = Option<&'a [u8]>>) -> Value {
    let groups: Vec<Value> =
        groups.map(|group| group.map_or(Value::NULL, |bytes| m.string(bytes))).collect();
    m.list(&groups)
}

fn match_(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let regex = compiled(m, "match", args[0])?;
    let text = m.expect_string(args[1])?;
    let text = text.as_bytes().unwrap_or_default();
    match regex.whole.captures(text) {
        None => Ok(Value::NULL),
        Some(found) => {
            Ok(group_list(m, found.iter().skip(1).map(|group| group.map(|g| g.as_bytes()))))
        }
    }
}

fn split(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let regex = compiled(m, "split", args[0])?;
    let whole = m.expect_string(args[1])?;
    let text = whole.as_bytes().unwrap_or_default();
    let mut parts = Vec::new();
    // Where the text since the last match begins, and where to look for the next one.
    let (mut rest, mut from) = (0, 0);
    while from <= text.len() {
        let Some(found) = regex.find(text, from) else { break };
        parts.push(m.string(&text[rest..found.start]));
        parts.push(group_list(m, found.groups.iter().cloned().map(|g| g.map(|g| &text[g]))));
        rest = found.end;
        from = found.end + usize::from(found.start == found.end);
    }
    if parts.is_empty() {
        return Ok(m.list(&[whole]));
    }
    parts.push(m.string(&text[rest..]));
    Ok(m.list(&parts))
}
