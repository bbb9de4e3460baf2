//! Attribute sets.

use super::{Builtin, forced, lazy};
use crate::error::Eval;
use crate::machine::Machine;
use crate::value::Value;

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "attrNames",
        params: &[forced("set", "a set")],
        doc: "The names of all attributes, sorted.",
        run: attr_names,
    },
    Builtin {
        name: "attrValues",
        params: &[forced("set", "a set")],
        doc: "The values of all attributes, in the order of their names.",
        run: attr_values,
    },
    Builtin {
        name: "mapAttrs",
        params: &[lazy("function", "a function of a name and a value"), forced("set", "a set")],
        doc: "The set with each value replaced by the function's delayed result.",
        run: map_attrs,
    },
];

fn attr_names(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let attrs = m.expect_attrs(args[0])?;
    let sorted = m.sorted_attrs(attrs);
    let names: Vec<Value> = sorted.iter().map(|attribute| m.symbol_string(attribute.0)).collect();
    Ok(m.list(&names))
}

fn attr_values(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let attrs = m.expect_attrs(args[0])?;
    let values: Vec<Value> = m.sorted_attrs(attrs).iter().map(|attribute| attribute.2).collect();
    Ok(m.list(&values))
}

fn map_attrs(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let attrs = m.expect_attrs(args[1])?;
    Ok(m.attrs_of_calls(attrs, args[0]))
}
