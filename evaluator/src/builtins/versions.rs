//! Versions and package names.

use std::cmp::Ordering;

use super::{Builtin, forced};
use crate::error::Eval;
use crate::machine::Machine;
use crate::source::Pos;
use crate::value::Value;

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "compareVersions",
        params: &[forced("a", "a version"), forced("b", "a version")],
        doc: "-1 if the first version is older than the second, 1 if it is newer, or else 0.",
        run: |m, args| {
            let (a, b) = (plain(m, args[0])?, plain(m, args[1])?);
            let (a, b) = (a.as_bytes().unwrap_or_default(), b.as_bytes().unwrap_or_default());
            let order = compare(a, b);
            Ok(m.int(order as i64))
        },
    },
    Builtin {
        name: "splitVersion",
        params: &[forced("version", "a version")],
        doc: "A version's parts, as `compareVersions` sees them.",
        run: |m, args| {
            let version = plain(m, args[0])?;
            let mut rest = version.as_bytes().unwrap_or_default();
            let mut parts = Vec::new();
            while let Some(part) = next_part(&mut rest) {
                parts.push(m.string(part));
            }
            Ok(m.list(&parts))
        },
    },
    Builtin {
        name: "parseDrvName",
        params: &[forced("name", "such as `hello-2.12`")],
        doc: "The `name` and `version` in a name: the version begins behind the first dash that \
              no letter follows.",
        run: |m, args| {
            let name = plain(m, args[0])?;
            let (name, version) = split_name(name.as_bytes().unwrap_or_default());
            let (name, version) = (m.string(name), m.string(version));
            let (name_symbol, version_symbol) = (m.intern(b"name"), m.intern(b"version"));
            Ok(m.attrs(vec![(name_symbol, Pos::NONE, name), (version_symbol, Pos::NONE, version)]))
        },
    },
];

fn plain(m: &mut Machine, value: Value) -> Eval<Value> {
    m.expect_plain_string(value, "a version")
}

/// Take the next part off: a run of digits, or of anything else up to a digit, dot or dash.
fn next_part<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let separator = |byte: &u8| matches!(byte, b'.' | b'-');
    let start = rest.iter().position(|byte| !separator(byte))?;
    let text = &rest[start..];
    let is_number = text[0].is_ascii_digit();
    let in_part = |byte: &u8| match is_number {
        true => byte.is_ascii_digit(),
        false => !byte.is_ascii_digit() && !separator(byte),
    };
    let length = text.iter().position(|byte| !in_part(byte)).unwrap_or(text.len());
    let (part, after) = text.split_at(length);
    *rest = after;
    Some(part)
}

fn compare(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let left = next_part(&mut a).unwrap_or_default();
        let right = next_part(&mut b).unwrap_or_default();
        if is_older(left, right) {
            return Ordering::Less;
        }
        if is_older(right, left) {
            return Ordering::Greater;
        }
        // Only separators may be left.
        if left.is_empty() && right.is_empty() {
            break;
        }
    }
    Ordering::Equal
}

fn is_older(a: &[u8], b: &[u8]) -> bool {
    // Numbers that do not fit are text, as they are for Nix.
    let number =
        |part: &[u8]| std::str::from_utf8(part).ok().and_then(|part| part.parse::<i32>().ok());
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a < b,
        (None, Some(_)) if a.is_empty() => true,
        _ if a == b"pre" && b != b"pre" => true,
        _ if b == b"pre" => false,
        (None, Some(_)) => true,
        (Some(_), None) => false,
        (None, None) => a < b,
    }
}

fn split_name(name: &[u8]) -> (&[u8], &[u8]) {
    let is_end = |pair: &[u8]| pair[0] == b'-' && !pair[1].is_ascii_alphabetic();
    match name.windows(2).position(is_end) {
        Some(dash) => (&name[..dash], &name[dash + 1..]),
        None => (name, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered() {
        let cases = [
            ("1.0", "2.3", Ordering::Less),
            ("2.1", "2.3", Ordering::Less),
            ("2.3", "2.3", Ordering::Equal),
            ("2.5", "2.3", Ordering::Greater),
            ("2.3.1", "2.3", Ordering::Greater),
            ("2.3.1", "2.3a", Ordering::Greater),
            ("2.3pre1", "2.3", Ordering::Less),
            ("2.3pre3", "2.3pre12", Ordering::Less),
            ("2.3a", "2.3c", Ordering::Less),
            ("2.3pre1", "2.3q", Ordering::Less),
            ("1-", "1", Ordering::Equal),
        ];
        for (a, b, order) in cases {
            assert_eq!(compare(a.as_bytes(), b.as_bytes()), order, "{a} {b}");
            assert_eq!(compare(b.as_bytes(), a.as_bytes()), order.reverse(), "{b} {a}");
        }
    }

    #[test]
    fn a_version_begins_where_no_letter_follows_the_dash() {
        let split = |name: &'static str| split_name(name.as_bytes());
        assert_eq!(split("hello-2.12"), (&b"hello"[..], &b"2.12"[..]));
        assert_eq!(split("a-b-1-c"), (&b"a-b"[..], &b"1-c"[..]));
        assert_eq!(split("hello"), (&b"hello"[..], &b""[..]));
        assert_eq!(split("hello-"), (&b"hello-"[..], &b""[..]));
    }
}
