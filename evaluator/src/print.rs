//! Values as text, to the byte as Nix prints them.

use rustc_hash::FxHashSet;

use crate::error::Eval;
use crate::heap::Obj;
use crate::machine::Machine;
use crate::value::{Type, Value};

/// How much to evaluate while printing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Printing {
    /// What is there, as Nix prints results: delayed values show as `<CODE>`.
    AsIs,
    /// What is there, as Nix shows it to people: functions say where they stand.
    Described,
    /// Everything (`--strict`).
    Strict,
}

/// Print a value, which is reachable from a root.
pub(crate) fn print(machine: &mut Machine, value: Value, how: Printing) -> Eval<Vec<u8>> {
    if how == Printing::Strict {
        machine.force_deep(value)?;
    }
    let value = machine.force(value)?;
    let is_described = how == Printing::Described;
    let mut printer =
        Printer { machine, is_described, out: Vec::new(), seen: FxHashSet::default() };
    // Nix knows a list by the cell that holds it, and prints a copy of the outermost
    // one: a list that contains itself shows once more.
    match value.as_list() {
        Some(items) => printer.items(items)?,
        None => printer.value(value)?,
    }
    Ok(printer.out)
}

struct Printer<'a> {
    machine: &'a mut Machine,
    is_described: bool,
    out: Vec<u8>,
    /// Lists and sets printed already: a second occurrence shows as `«repeated»`.
    seen: FxHashSet<u32>,
}

impl Printer<'_> {
    fn text(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    fn value(&mut self, delayed: Value) -> Eval<()> {
        let Some(value) = delayed.evaluated() else {
            self.delayed(delayed);
            return Ok(());
        };
        match value.type_of() {
            Some(Type::Int) => {
                let int = value.as_int().unwrap_or_default();
                self.text(&int.to_string());
            }
            Some(Type::Float) => {
                let float = value.as_float().unwrap_or_default();
                self.text(&float_text(float));
            }
            Some(Type::Bool) => self.text(if value == Value::TRUE { "true" } else { "false" }),
            Some(Type::Null) => self.text("null"),
            Some(Type::String) => quote(value.as_bytes().unwrap_or_default(), &mut self.out),
            Some(Type::Path) => self.out.extend_from_slice(value.as_path().unwrap_or_default()),
            Some(Type::List) => return self.list(delayed, value),
            Some(Type::Set) => return self.set(value),
            Some(Type::Lambda) | None if self.is_described => {
                let text = self.machine.described_function(value);
                self.text(&text);
            }
            Some(Type::Lambda) | None => self.function(value),
        }
        Ok(())
    }

    fn delayed(&mut self, value: Value) {
        let is_entered = value.as_thunk().is_some_and(Obj::is_entered);
        self.text(match (self.is_described, is_entered) {
            (false, _) => "<CODE>",
            (true, false) => "«thunk»",
            (true, true) => "«potential infinite recursion»",
        });
    }

    fn function(&mut self, value: Value) {
        let is_builtin = value.as_builtin().is_some();
        self.text(match (is_builtin, self.machine.partial_builtin(value).is_some()) {
            (true, _) => "<PRIMOP>",
            (false, true) => "<PRIMOP-APP>",
            (false, false) => "<LAMBDA>",
        });
    }

    /// A list, known by what held it.
    fn list(&mut self, delayed: Value, value: Value) -> Eval<()> {
        let items = value.as_list().unwrap_or_default();
        if !items.is_empty() && !self.seen.insert(delayed.bits()) {
            self.text("«repeated»");
            return Ok(());
        }
        self.items(items)
    }

    fn items(&mut self, items: &[Value]) -> Eval<()> {
        self.text("[ ");
        for &item in items {
            self.nested(item)?;
            self.text(" ");
        }
        self.text("]");
        Ok(())
    }

    fn set(&mut self, value: Value) -> Eval<()> {
        let Some(attrs) = value.as_attrs() else { return Ok(()) };
        if !attrs.is_empty() && !self.seen.insert(value.bits()) {
            self.text("«repeated»");
            return Ok(());
        }
        self.text("{ ");
        for (name, _, item) in self.machine.sorted_attrs(attrs) {
            attribute_name(self.machine.symbols.bytes(name), &mut self.out);
            self.text(" = ");
            self.nested(item)?;
            self.text("; ");
        }
        self.text("}");
        Ok(())
    }

    fn nested(&mut self, value: Value) -> Eval<()> {
        let Self { machine, is_described, out, seen } = self;
        machine.deeper(|machine| {
            let (out_so_far, seen_so_far) = (std::mem::take(out), std::mem::take(seen));
            let is_described = *is_described;
            let mut inner = Printer { machine, is_described, out: out_so_far, seen: seen_so_far };
            let result = inner.value(value);
            (*out, *seen) = (inner.out, inner.seen);
            result
        })
    }
}

/// A string literal.
pub(crate) fn quote(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for (i, &byte) in bytes.iter().enumerate() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'$' if bytes.get(i + 1) == Some(&b'{') => out.extend_from_slice(b"\\$"),
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// The longest string, in bytes, that a message shows.
const MAX_LITERAL: usize = 60;

/// A number, truth value, path or short string; nothing of what takes more to show.
pub(crate) fn literal(value: Value) -> Option<String> {
    if let Some(text) = value.as_bytes() {
        let mut quoted = Vec::new();
        quote(text, &mut quoted);
        return (text.len() <= MAX_LITERAL).then(|| String::from_utf8_lossy(&quoted).into_owned());
    }
    if let Some(path) = value.as_path() {
        return Some(String::from_utf8_lossy(path).into_owned());
    }
    let int = || value.as_int().map(|int| int.to_string());
    let float = || value.as_float().map(float_text);
    let truth = || value.as_bool().map(|truth| truth.to_string());
    int().or_else(float).or_else(truth)
}

/// An attribute's name, in quotes if it is not an identifier.
pub(crate) fn attribute_name(name: &[u8], out: &mut Vec<u8>) {
    const KEYWORDS: [&[u8]; 9] =
        [b"if", b"then", b"else", b"assert", b"with", b"let", b"in", b"rec", b"inherit"];
    let first = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let rest = |byte: &u8| byte.is_ascii_alphanumeric() || b"_'-".contains(byte);
    let plain = name.first().is_some_and(first) && name.iter().all(rest);
    match plain && !KEYWORDS.contains(&name) {
        true => out.extend_from_slice(name),
        false => quote(name, out),
    }
}

/// A float with six significant digits, as C's `%g` has it.
pub fn float_text(float: f64) -> String {
    if float.is_nan() {
        return if float.is_sign_negative() { "-nan" } else { "nan" }.to_owned();
    }
    if float.is_infinite() {
        return if float < 0.0 { "-inf" } else { "inf" }.to_owned();
    }
    if float == 0.0 {
        return if float.is_sign_negative() { "-0" } else { "0" }.to_owned();
    }
    let trim = |digits: &str| match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => digits.to_owned(),
    };
    // Rounded to six digits first: that decides the exponent.
    let scientific = format!("{float:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        return trim(&format!("{float:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(digits), exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_have_six_significant_digits() {
        let cases = [
            (0.1 + 0.2, "0.3"),
            (1.0, "1"),
            (1e6, "1e+06"),
            (123456.7, "123457"),
            (999999.5, "1e+06"),
            (1.5e-7, "1.5e-07"),
            (0.0001, "0.0001"),
            (-2.5, "-2.5"),
            (f64::INFINITY, "inf"),
        ];
        for (float, text) in cases {
            assert_eq!(float_text(float), text);
        }
    }

    #[test]
    fn names_are_quoted_where_the_parser_needs_it() {
        let print = |name: &str| {
            let mut out = Vec::new();
            attribute_name(name.as_bytes(), &mut out);
            String::from_utf8(out).expect("ASCII")
        };
        assert_eq!(print("a-b'"), "a-b'");
        assert_eq!(print("in"), "\"in\"");
        assert_eq!(print("a b"), "\"a b\"");
        assert_eq!(print(""), "\"\"");
        assert_eq!(print("or"), "or");
    }
}
