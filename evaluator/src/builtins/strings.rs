//! Strings.

use super::{Builtin, forced, lazy};
use crate::error::Eval;
use crate::machine::{Coercion, Machine, Text};
use crate::value::Value;

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "toString",
        params: &[lazy("value", "any value but a function")],
        doc: "The value as a string: numbers, truth values, null and lists too.",
        run: |m, args| m.coerce_to_string(args[0], Coercion::TO_STRING),
    },
    Builtin {
        name: "stringLength",
        params: &[forced("text", "a string, or what interpolation makes one of")],
        doc: "How many bytes a string has.",
        run: string_length,
    },
    Builtin {
        name: "concatStringsSep",
        params: &[forced("separator", "a string"), forced("list", "a list of strings")],
        doc: "The strings of a list with a separator between them.",
        run: concat_strings_sep,
    },
];

fn string_length(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let text = m.coerce_to_string(args[0], Coercion::INTERPOLATION)?;
    Ok(m.int(text.as_bytes().unwrap_or_default().len() as i64))
}

fn concat_strings_sep(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let separator = m.expect_string(args[0])?;
    let list = m.expect_list(args[1])?;
    let mut text = Text { bytes: Vec::new(), context: m.context_of(separator) };
    for (i, &item) in list.as_list().unwrap_or_default().iter().enumerate() {
        if i > 0 {
            text.bytes.extend_from_slice(separator.as_bytes().unwrap_or_default());
        }
        m.coerce(item, Coercion::INTERPOLATION, &mut text)?;
    }
    Ok(m.finish_text(text))
}
