//! POSIX extended regular expressions, on the `regex` crate.
//!
//! A pattern is checked and rewritten (`translate`), and compiled once for each text of
//! it. As Nix has it, matching works on bytes, `.` matches anything, and `^` and `$` are
//! the text's ends. Of alternatives, the match as a whole is the longest one, as POSIX
//! asks; how an equally long match divides into groups is decided from the left, where
//! POSIX would weigh each group.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use regex::bytes::CaptureLocations;
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
pub(crate) struct Regexes(HashMap<Box<[u8]>, Rc<RefCell<Regex>>, rustc_hash::FxBuildHasher>);

/// How large one compiled expression may get, in bytes.
const MAX_COMPILED: usize = 64 << 20;

struct Regex {
    /// Finds where a match begins.
    search: Captures,
    /// Matches a whole text.
    whole: Captures,
    /// Finds the longest match from a place, if alternatives could make it another.
    longest: Option<DFA>,
}

/// A compiled expression, and where the groups of its last match are.
struct Captures {
    regex: regex::bytes::Regex,
    groups: CaptureLocations,
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
                .map(|regex| Captures { groups: regex.capture_locations(), regex })
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

    /// The first match at or after `from`, with its groups.
    fn find(&mut self, text: &[u8], from: usize) -> Option<Match<'_>> {
        let Captures { regex, groups } = &mut self.search;
        let all = regex.captures_read_at(groups, text, from)?;
        let (start, mut end) = (all.start(), all.end());
        if let Some(dfa) = &self.longest {
            let mut cache = Cache::new(dfa);
            let input = Input::new(text).range(start..).anchored(Anchored::Yes);
            // A DFA that gives up leaves the match as it is.
            if let Ok(Some(longest)) = dfa.try_search_fwd(&mut cache, &input) {
                end = end.max(longest.offset());
            }
        }
        if end == all.end() {
            return Some(Match { start, end, offset: 0, groups: &self.search.groups });
        }
        let groups = self.matched(&text[start..end])?;
        Some(Match { start, end, offset: start, groups })
    }

    /// The groups of a match with all of a text.
    fn matched(&mut self, text: &[u8]) -> Option<&CaptureLocations> {
        let Captures { regex, groups } = &mut self.whole;
        regex.captures_read(groups, text)?;
        Some(groups)
    }
}

struct Match<'r> {
    start: usize,
    end: usize,
    /// Where the text begins in which the groups were found.
    offset: usize,
    groups: &'r CaptureLocations,
}

fn compiled(m: &mut Machine, builtin: &'static str, pattern: Value) -> Eval<Rc<RefCell<Regex>>> {
    let pattern = m.expect_plain_string(pattern, "a regular expression")?;
    let pattern = pattern.as_bytes().unwrap_or_default();
    if let Some(regex) = m.regexes.0.get(pattern) {
        return Ok(regex.clone());
    }
    match Regex::new(pattern) {
        Ok(regex) => {
            let regex = Rc::new(RefCell::new(regex));
            m.regexes.0.insert(pattern.into(), regex.clone());
            Ok(regex)
        }
        Err(reason) => {
            let pattern = String::from_utf8_lossy(pattern);
            let reason = format!("invalid regular expression '{pattern}': {reason}");
            Err(Error::from(Fault::Argument { builtin, reason }))
        }
    }
}

/// What each group matched in a text.
fn group_list(m: &mut Machine, groups: &CaptureLocations, text: &[u8]) -> Eval<Value> {
    let height = m.height();
    for number in 1..groups.len() {
        let group = match groups.get(number) {
            Some((start, end)) => m.string(&text[start..end]),
            None => Value::NULL,
        };
        m.keep(group);
    }
    let list = m.list_of_kept(height);
    m.forget(height);
    list
}

fn match_(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let regex = compiled(m, "match", args[0])?;
    let text = m.expect_string(args[1])?;
    let text = text.as_bytes().unwrap_or_default();
    match regex.borrow_mut().matched(text) {
        Some(groups) => group_list(m, groups, text),
        None => Ok(Value::NULL),
    }
}

fn split(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let regex = compiled(m, "split", args[0])?;
    let whole = m.expect_string(args[1])?;
    let text = whole.as_bytes().unwrap_or_default();
    let mut regex = regex.borrow_mut();
    let height = m.height();
    // Where the text since the last match begins, and where to look for the next one.
    let (mut rest, mut from) = (0, 0);
    while from <= text.len() {
        let Some(found) = regex.find(text, from) else { break };
        let before = m.string(&text[rest..found.start]);
        m.keep(before);
        let groups = group_list(m, found.groups, &text[found.offset..])?;
        m.keep(groups);
        rest = found.end;
        from = found.end + usize::from(found.start == found.end);
    }
    if m.height() == height {
        return Ok(m.list(&[whole]));
    }
    let after = m.string(&text[rest..]);
    m.keep(after);
    m.list_of_kept(height)
}
