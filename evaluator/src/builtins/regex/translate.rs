//! POSIX extended syntax to that of the `regex` crate.
//!
//! What follows is what Nix accepts: only special characters may be escaped, an interval
//! has a lower bound, a repetition follows something, and classes in brackets have names.

use std::fmt::Write as _;

/// The bounds of an interval go up to this, as they do for Nix.
const MAX_REPEAT: u32 = 65_535;

/// The character classes that may stand in brackets.
const CLASSES: &[&str] = &[
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "xdigit",
];

/// Rewrite a pattern; the error says what is wrong with it.
pub(super) fn translate(pattern: &[u8]) -> Result<String, String> {
    let mut translator =
        Translator { rest: pattern, out: String::new(), atom: None, open: Vec::new() };
    while let Some((&first, rest)) = translator.rest.split_first() {
        translator.rest = rest;
        translator.step(first)?;
    }
    match translator.open.is_empty() {
        true => Ok(translator.out),
        false => Err("a group is not closed".to_owned()),
    }
}

struct Translator<'a> {
    rest: &'a [u8],
    out: String,
    /// Where in the output the thing begins that a repetition would apply to.
    atom: Option<usize>,
    /// Where each open group begins.
    open: Vec<usize>,
}

impl Translator<'_> {
    fn step(&mut self, byte: u8) -> Result<(), String> {
        let start = self.out.len();
        match byte {
            b'(' => {
                self.open.push(start);
                self.out.push('(');
                self.atom = None;
            }
            b')' => {
                let start = self.open.pop().ok_or("a group is closed that is not open")?;
                self.out.push(')');
                self.atom = Some(start);
            }
            b'|' => {
                self.out.push('|');
                self.atom = None;
            }
            b'^' | b'$' => {
                self.out.push_str(if byte == b'^' { r"\A" } else { r"\z" });
                self.atom = None;
            }
            b'*' => self.repeat("*")?,
            b'+' => self.repeat("+")?,
            b'?' => self.repeat("?")?,
            b'{' => {
                let interval = self.interval()?;
                self.repeat(&interval)?;
            }
            b'[' => {
                self.bracket()?;
                self.atom = Some(start);
            }
            b'.' => {
                self.out.push('.');
                self.atom = Some(start);
            }
            b'\\' => {
                let (&escaped, rest) =
                    self.rest.split_first().ok_or("nothing follows the backslash")?;
                if !br".[\()*+?{|^$".contains(&escaped) {
                    let escaped = char::from(escaped);
                    return Err(format!("'{escaped}' has no meaning after a backslash"));
                }
                self.rest = rest;
                self.literal(escaped);
                self.atom = Some(start);
            }
            _ => {
                self.literal(byte);
                self.atom = Some(start);
            }
        }
        Ok(())
    }

    fn literal(&mut self, byte: u8) {
        match byte.is_ascii_alphanumeric() {
            true => self.out.push(char::from(byte)),
            false => drop(write!(self.out, r"\x{byte:02X}")),
        }
    }

    fn repeat(&mut self, how: &str) -> Result<(), String> {
        let start = self.atom.ok_or("there is nothing to repeat")?;
        // In a group, so that a second repetition is not read as one that is not greedy.
        self.out.insert_str(start, "(?:");
        self.out.push_str(how);
        self.out.push(')');
        Ok(())
    }

    fn number(&mut self) -> Result<Option<u32>, String> {
        let length = self.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        if digits.is_empty() {
            return Ok(None);
        }
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        match number {
            Some(number) if number <= MAX_REPEAT => Ok(Some(number)),
            _ => Err("an interval is too large".to_owned()),
        }
    }

    /// `{2}`, `{2,}` and `{2,3}`, behind the brace.
    fn interval(&mut self) -> Result<String, String> {
        let invalid = || "an interval is not of the form {2}, {2,} or {2,3}".to_owned();
        let low = self.number()?.ok_or_else(invalid)?;
        let mut text = format!("{{{low}");
        if let Some(rest) = self.rest.strip_prefix(b",") {
            self.rest = rest;
            text.push(',');
            if let Some(high) = self.number()? {
                if high < low {
                    return Err("an interval ends before it begins".to_owned());
                }
                let _ = write!(text, "{high}");
            }
        }
        self.rest = self.rest.strip_prefix(b"}").ok_or_else(invalid)?;
        text.push('}');
        Ok(text)
    }

    /// `[a-z[:digit:]]`, behind the bracket.
    fn bracket(&mut self) -> Result<(), String> {
        self.out.push('[');
        if let Some(rest) = self.rest.strip_prefix(b"^") {
            self.rest = rest;
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let (&byte, rest) = self.rest.split_first().ok_or("a bracket is not closed")?;
            if byte == b']' && !first {
                self.rest = rest;
                self.out.push(']');
                return Ok(());
            }
            first = false;
            if let Some(name) = self.named(b':')? {
                let known = CLASSES.iter().find(|class| class.as_bytes() == name);
                let class = known.ok_or("there is no such character class")?;
                let _ = write!(self.out, "[:{class}:]");
                continue;
            }
            let low = self.member()?;
            self.literal(low);
            // A dash that ends the bracket is itself.
            if let [b'-', after, ..] = self.rest
                && *after != b']'
            {
                self.rest = &self.rest[1..];
                let high = self.member()?;
                if high < low {
                    return Err("a range ends before it begins".to_owned());
                }
                self.out.push('-');
                self.literal(high);
            }
        }
    }

    /// One character of a bracket, perhaps as `[.a.]` or `[=a=]`.
    fn member(&mut self) -> Result<u8, String> {
        for kind in [b'.', b'='] {
            if let Some(name) = self.named(kind)? {
                return match name {
                    [byte] => Ok(*byte),
                    _ => Err("there is no such character".to_owned()),
                };
            }
        }
        let (&byte, rest) = self.rest.split_first().ok_or("a bracket is not closed")?;
        self.rest = rest;
        Ok(byte)
    }

    /// The name in `[:name:]`, if that comes next.
    fn named(&mut self, kind: u8) -> Result<Option<&[u8]>, String> {
        let Some(inside) = self.rest.strip_prefix(&[b'[', kind]) else { return Ok(None) };
        let end = inside.windows(2).position(|pair| pair == [kind, b']']);
        let end = end.ok_or("a name in a bracket is not closed")?;
        self.rest = &inside[end + 2..];
        Ok(Some(&inside[..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::translate;

    #[test]
    fn patterns_are_rewritten() {
        let cases: [(&str, &str); 10] = [
            ("a.b", "a.b"),
            ("^a$", r"\Aa\z"),
            ("a**", "(?:(?:a*)*)"),
            ("(ab)+", "(?:(ab)+)"),
            ("a]}", r"a\x5D\x7D"),
            ("[]a-c]", r"[\x5Da-c]"),
            ("[^[:digit:]-]", r"[^[:digit:]\x2D]"),
            (r"[\n]", r"[\x5Cn]"),
            ("a{2,}", "(?:a{2,})"),
            ("é*", r"\xC3(?:\xA9*)"),
        ];
        for (pattern, expected) in cases {
            assert_eq!(translate(pattern.as_bytes()).as_deref(), Ok(expected), "{pattern}");
        }
    }

    #[test]
    fn what_nix_refuses_is_refused() {
        for pattern in [
            r"a\d",
            "*a",
            "a{",
            "(?:a)",
            r"\/",
            "[z-a]",
            "[[:foo:]]",
            "(a",
            "a)",
            "a{,3}",
            "+",
            "a|*b",
            r"\1(a)",
            "a{1,70000}",
            "[a",
            r"a\",
        ] {
            assert!(translate(pattern.as_bytes()).is_err(), "{pattern}");
        }
    }
}
