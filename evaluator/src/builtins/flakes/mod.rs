//! References to flakes, as texts and as sets. hb has no flakes; what names one is plain data,
//! which libraries take apart and put together.
//!
//! What is accepted, and what comes out, is what Nix accepts and gives with its feature `flakes`.

mod reference;
mod url;

use reference::{Field, Fields};

use super::{Builtin, forced};
use crate::error::{Error, Eval, Fault};
use crate::machine::{Machine, text_of, without_null};
use crate::source::Pos;
use crate::symbol::Symbol;
use crate::value::Value;

const PARSE: &str = "parseFlakeRef";
const PRINT: &str = "flakeRefToString";

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: PARSE,
        params: &[forced("reference", "such as `github:owner/repo?dir=lib`")],
        doc: "The parts of a reference to a flake, as a set of its `type` and what that has.",
        run: parse,
    },
    Builtin {
        name: PRINT,
        params: &[forced("parts", "what `parseFlakeRef` gives")],
        doc: "A reference to a flake, of its parts.",
        run: print,
    },
];

fn bad(builtin: &'static str, reason: String) -> Error {
    Fault::Argument { builtin, reason }.into()
}

fn parse(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let text = m.expect_text(args[0], "a reference to a flake")?;
    let fields = reference::parse(&text).map_err(|reason| bad(PARSE, reason))?;
    // Nothing is evaluated here, so nothing is collected.
    let attribute = |(name, field): (String, Field)| {
        let value = match field {
            Field::Text(text) => m.string(without_null(&text)?),
            // It is written by people; larger ones wrap in Nix as well.
            Field::Number(number) => m.int(number as i64),
            Field::Flag(flag) => Value::bool(flag),
        };
        Ok((m.intern(name.as_bytes()), Pos::NONE, value))
    };
    let attributes = fields.into_iter().map(attribute).collect::<Eval<Vec<_>>>()?;
    Ok(m.attrs(attributes))
}

fn print(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let attrs = m.expect_attrs(args[0])?;
    let mut fields = Fields::new();
    for index in m.symbols.order(attrs.names()) {
        let name = m.symbols.text(Symbol(attrs.names()[index])).into_owned();
        let value = m.force(attrs.values()[index])?;
        let field = if let Some(number) = value.as_int() {
            let number = u64::try_from(number);
            Field::Number(number.map_err(|_| bad(PRINT, format!("'{name}' is negative")))?)
        } else if let Some(flag) = value.as_bool() {
            Field::Flag(flag)
        } else {
            // A context is left behind: what comes out is a name, and no input.
            let text = m.expect_string(value)?;
            Field::Text(text_of(text.as_bytes().unwrap_or_default())?.to_owned())
        };
        fields.insert(name, field);
    }
    let text = reference::print(fields).map_err(|reason| bad(PRINT, reason))?;
    Ok(m.string(without_null(&text)?))
}
