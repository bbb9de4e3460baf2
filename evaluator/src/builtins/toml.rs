//! TOML as values.

use super::{Builtin, forced};
use crate::error::{Error, Eval, Fault};
use crate::machine::{Machine, without_null};
use crate::source::Pos;
use crate::symbol::well_known;
use crate::value::Value;

pub(super) const TABLE: &[Builtin] = &[Builtin {
    name: "fromTOML",
    params: &[forced("text", "a string of TOML")],
    doc: "The value of a TOML text. It may hold no dates and times, unless evaluation is told \
          to read them: then each is a set of its `_type`, `timestamp`, and its text as `value`.",
    run: from_toml,
}];

fn bad(reason: String) -> Error {
    Fault::Argument { builtin: "fromTOML", reason }.into()
}

fn from_toml(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let text = m.expect_plain_string(args[0], "TOML")?;
    let text = std::str::from_utf8(text.as_bytes().unwrap_or_default());
    let text = text.map_err(|_| Error::from(Fault::NotUtf8))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| bad(error.to_string().trim_end().to_owned()))?;
    value(m, toml::Value::Table(table))
}

/// A date and time as Nix writes it: the digits of a second's fraction in groups of three.
fn timestamp(date: toml::value::Datetime) -> String {
    let text = date.to_string();
    let Some((whole, rest)) = text.split_once('.') else { return text };
    let digits = rest.find(|char: char| !char.is_ascii_digit()).unwrap_or(rest.len());
    let (fraction, zone) = rest.split_at(digits);
    let width = digits.next_multiple_of(3);
    format!("{whole}.{fraction:0<width$}{zone}")
}

// Nothing is evaluated here, so nothing is collected; the parser bounds the depth.
fn value(m: &mut Machine, found: toml::Value) -> Eval<Value> {
    Ok(match found {
        toml::Value::String(text) => m.string(without_null(&text)?),
        toml::Value::Integer(int) => m.int(int),
        toml::Value::Float(float) => m.float(float),
        toml::Value::Boolean(truth) => Value::bool(truth),
        toml::Value::Datetime(date) if m.options.toml_timestamps => {
            let (kind, text) = (m.string("timestamp"), m.string(timestamp(date)));
            let (kind_name, value_name) = (m.intern(b"_type"), well_known::VALUE);
            m.attrs(vec![(kind_name, Pos::NONE, kind), (value_name, Pos::NONE, text)])
        }
        toml::Value::Datetime(date) => {
            return Err(bad(format!("dates and times are not supported, such as {date}")));
        }
        toml::Value::Array(items) => {
            let items = items.into_iter().map(|item| value(m, item)).collect::<Eval<Vec<_>>>()?;
            m.list(&items)
        }
        toml::Value::Table(table) => {
            let attribute = |(name, item): (String, toml::Value)| {
                let item = value(m, item)?;
                Ok((m.intern(without_null(&name)?.as_bytes()), Pos::NONE, item))
            };
            let attrs = table.into_iter().map(attribute).collect::<Eval<Vec<_>>>()?;
            m.attrs(attrs)
        }
    })
}
