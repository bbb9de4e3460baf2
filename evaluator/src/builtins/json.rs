//! JSON: reading it as values, and writing values as it.
//!
//! The writer is canonical: names are sorted by their bytes, and there is no space
//! between tokens. Derivations' attributes depend on that.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Builtin, forced, lazy};
use crate::error::{Error, Eval, Fault};
use crate::machine::{Coercion, Machine, Text, type_fault, without_null};
use crate::source::Pos;
use crate::symbol::well_known;
use crate::value::Value;

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "toJSON",
        params: &[lazy("value", "any value without functions")],
        doc: "A value as JSON text. Paths are put into the store, and a set that has one gives \
              its `outPath`.",
        run: to_json,
    },
    Builtin {
        name: "fromJSON",
        params: &[forced("text", "a string of JSON")],
        doc: "The value of a JSON text.",
        run: from_json,
    },
];

fn to_json(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let mut text = Text::default();
    write(m, args[0], true, &mut text)?;
    m.finish_text(text)
}

/// Append a value, which is reachable from a root, as JSON. A path is put into the store
/// or else written as it is.
pub(crate) fn write(m: &mut Machine, value: Value, copy_paths: bool, to: &mut Text) -> Eval<()> {
    let value = m.force(value)?;
    if let Some(bytes) = value.as_bytes() {
        to.context.add(m.context_of(value));
        return string(bytes, &mut to.bytes);
    }
    if let Some(int) = value.as_int() {
        to.bytes.extend_from_slice(int.to_string().as_bytes());
    } else if let Some(float) = value.as_float() {
        to.bytes.extend_from_slice(number(float).as_bytes());
    } else if let Some(truth) = value.as_bool() {
        to.bytes.extend_from_slice(if truth { b"true" } else { b"false" });
    } else if value == Value::NULL {
        to.bytes.extend_from_slice(b"null");
    } else if value.as_path().is_some() {
        coerced(m, value, copy_paths, to)?;
    } else if let Some(items) = value.as_list() {
        to.bytes.push(b'[');
        for (i, &item) in items.iter().enumerate() {
            if i > 0 {
                to.bytes.push(b',');
            }
            m.deeper(|m| write(m, item, copy_paths, to))?;
        }
        to.bytes.push(b']');
    } else if let Some(attrs) = value.as_attrs() {
        if attrs.get(well_known::TO_STRING).is_some() {
            return coerced(m, value, copy_paths, to);
        }
        if let Some(path) = attrs.get(well_known::OUT_PATH) {
            return m.deeper(|m| write(m, path, copy_paths, to));
        }
        to.bytes.push(b'{');
        for (i, (name, pos, item)) in m.sorted_attrs(attrs).into_iter().enumerate() {
            if i > 0 {
                to.bytes.push(b',');
            }
            string(m.symbols.bytes(name), &mut to.bytes)?;
            to.bytes.push(b':');
            m.deeper(|m| write(m, item, copy_paths, to))
                .map_err(|error| m.in_attribute(error, name, pos))?;
        }
        to.bytes.push(b'}');
    } else {
        let place = m.parameter(value).and_then(|(pos, _)| m.sources.word_at(pos));
        let fault = type_fault("a value that JSON has", value);
        return Err(fault.with_label(place, "the function is written here"));
    }
    Ok(())
}

fn coerced(m: &mut Machine, value: Value, copy_paths: bool, to: &mut Text) -> Eval<()> {
    let mut text = Text::default();
    m.coerce(value, Coercion { copy_paths, any_type: false }, &mut text)?;
    to.context.add_all(&text.context);
    string(&text.bytes, &mut to.bytes)
}

/// Append a text as a JSON string.
pub(super) fn string(bytes: &[u8], to: &mut Vec<u8>) -> Eval<()> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::from(Fault::NotUtf8))?;
    to.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' => to.extend_from_slice(b"\\\""),
            b'\\' => to.extend_from_slice(b"\\\\"),
            b'\n' => to.extend_from_slice(b"\\n"),
            b'\r' => to.extend_from_slice(b"\\r"),
            b'\t' => to.extend_from_slice(b"\\t"),
            0x08 => to.extend_from_slice(b"\\b"),
            0x0c => to.extend_from_slice(b"\\f"),
            0..0x20 => to.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
            _ => to.push(byte),
        }
    }
    to.push(b'"');
    Ok(())
}

/// A float's shortest digits that read back as it, laid out as Nix does: plain up to
/// fifteen digits before the point and four places after it, else with an exponent.
fn number(float: f64) -> String {
    const MAX_PLAIN: i32 = 15;
    const MIN_PLAIN: i32 = -4;
    if !float.is_finite() {
        return "null".to_owned();
    }
    let scientific = format!("{:e}", float.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits = mantissa.replace('.', "");
    let length = digits.len() as i32;
    // Where the point stands, counted in digits from the left.
    let point = exponent.parse::<i32>().unwrap_or(0) + 1;
    let sign = if float.is_sign_negative() { "-" } else { "" };
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    if float == 0.0 {
        format!("{sign}0.0")
    } else if length <= point && point <= MAX_PLAIN {
        format!("{sign}{digits}{}.0", zeros(point - length))
    } else if 0 < point && point <= MAX_PLAIN {
        let (whole, rest) = digits.split_at(point as usize);
        format!("{sign}{whole}.{rest}")
    } else if MIN_PLAIN < point && point <= 0 {
        format!("{sign}0.{}{digits}", zeros(-point))
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let exponent = point - 1;
        let exponent_sign = if exponent < 0 { '-' } else { '+' };
        format!("{sign}{first}{dot}{rest}e{exponent_sign}{:02}", exponent.abs())
    }
}

/// `fromJSON`.
pub(super) fn from_json(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let text = m.expect_plain_string(args[0], "JSON")?;
    let text = without_negative_zero(text.as_bytes().unwrap_or_default());
    let mut deserializer = serde_json::Deserializer::from_slice(&text);
    // Depth is bounded by the machine's own limit.
    deserializer.disable_recursion_limit();
    let mut failed = None;
    let reader = Reader { machine: m, failed: &mut failed };
    let value = reader.deserialize(&mut deserializer).and_then(|value| {
        deserializer.end()?;
        Ok(value)
    });
    value.map_err(|error| {
        failed.unwrap_or_else(|| {
            Fault::Argument { builtin: "fromJSON", reason: error.to_string() }.into()
        })
    })
}

/// The text with `0` for `-0`, which is an integer; the parser would make it a float.
fn without_negative_zero(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.windows(2).any(|two| two == b"-0") {
        return text.into();
    }
    let mut out = Vec::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for (i, &byte) in text.iter().enumerate() {
        let is_integer = || !matches!(text.get(i + 2), Some(b'.' | b'e' | b'E' | b'0'..=b'9'));
        let drop = !in_string && text[i..].starts_with(b"-0") && is_integer();
        if !drop {
            out.push(byte);
        }
        in_string ^= byte == b'"' && !escaped;
        escaped = in_string && byte == b'\\' && !escaped;
    }
    out.into()
}

/// Makes a value of what the parser finds. Nothing is evaluated, so nothing is collected.
struct Reader<'a> {
    machine: &'a mut Machine,
    /// The machine's own error, which the parser cannot carry.
    failed: &'a mut Option<Error>,
}

impl Reader<'_> {
    /// A text that can be a string of the language.
    fn representable<'t, E: serde::de::Error>(&mut self, text: &'t str) -> Result<&'t str, E> {
        without_null(text).map_err(|error| {
            let stopped = E::custom(&error);
            *self.failed = Some(error);
            stopped
        })
    }

    fn inner(&mut self) -> Reader<'_> {
        Reader { machine: self.machine, failed: self.failed }
    }
}

impl<'de> DeserializeSeed<'de> for Reader<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        let Self { machine, failed } = self;
        let mut result = None;
        let deeper = machine.deeper(|machine| {
            result = Some(deserializer.deserialize_any(Reader { machine, failed }));
            Ok(())
        });
        if let Err(error) = deeper {
            *failed = Some(error);
        }
        result.unwrap_or_else(|| Err(serde::de::Error::custom("nested too deep")))
    }
}

impl<'de> Visitor<'de> for Reader<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::bool(truth))
    }

    fn visit_i64<E>(self, int: i64) -> Result<Value, E> {
        Ok(self.machine.int(int))
    }

    fn visit_u64<E: serde::de::Error>(self, int: u64) -> Result<Value, E> {
        match i64::try_from(int) {
            Ok(int) => Ok(self.machine.int(int)),
            Err(_) => Err(E::custom(format!("{int} is too large for an integer"))),
        }
    }

    fn visit_f64<E>(self, float: f64) -> Result<Value, E> {
        Ok(self.machine.float(float))
    }

    fn visit_str<E: serde::de::Error>(mut self, text: &str) -> Result<Value, E> {
        let text = self.representable(text)?;
        Ok(self.machine.string(text))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::NULL)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.inner())? {
            list.push(item);
        }
        Ok(self.machine.list(&list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut entries: A) -> Result<Value, A::Error> {
        let mut attrs = Vec::new();
        while let Some(name) = entries.next_key::<Cow<'de, str>>()? {
            let name = self.representable(&name)?.as_bytes();
            let name = self.machine.intern(name);
            attrs.push((name, Pos::NONE, entries.next_value_seed(self.inner())?));
        }
        Ok(self.machine.attrs(attrs))
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn floats_are_laid_out_as_nix_does() {
        let cases = [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (1.5, "1.5"),
            (123456.789, "123456.789"),
            (1e14, "100000000000000.0"),
            (1e15, "1e+15"),
            (1.25e300, "1.25e+300"),
            (0.0001, "0.0001"),
            (0.00001, "1e-05"),
            (f64::NAN, "null"),
        ];
        for (float, text) in cases {
            assert_eq!(number(float), text);
        }
    }
}
