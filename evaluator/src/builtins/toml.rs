//! TOML as values.

use super::{Builtin, forced};
use crate::error::{Error, Eval, Fault};
use crate::machine::{Machine, without_null};
use crate::source::Pos;
use crate::value::Value;

pub(super) const TABLE: &[Builtin] = &[Builtin {
    name: "fromTOML",
    params: &[forced("text", "a string of TOML")],
    doc: "The value of a TOML text. It may hold no dates and times: the language has none.",
    run: from_toml,
}];

fn bad(reason: String) -> Error {
    Fault::Argument { builtin: "fromTOML", reason }.into()
}

fn from_toml(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let text = m.expect_string(args[0])?;
    let text = std::str::from_utf8(text.as_bytes().unwrap_or_default());
    let text = text.map_err(|_| Error::from(Fault::NotUtf8))?;
    let table: toml::Table = text
        .parse()
        .map_err(|error: toml::de::Error| bad(error.to_string().trim_end().to_owned()))?;
    value(m, toml::Value::Table(table))
}

// Nothing is evaluated here, so nothing is collected; the parser bounds the depth.
fn value(m: &mut Machine, found: toml::Value) -> Eval<Value> {
    Ok(match found {
        toml::Value::String(text) => m.string(without_null(&text)?),
        toml::Value::Integer(int) => m.int(int),
        toml::Value::Float(float) => m.float(float),
        toml::Value::Boolean(truth) => Value::bool(truth),
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
