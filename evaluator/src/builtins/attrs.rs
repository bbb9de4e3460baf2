//! Attribute sets.

use super::{Builtin, forced, lazy, streamed};
use crate::error::Eval;
use crate::machine::Machine;
use crate::source::Pos;
use crate::symbol::{Symbol, well_known};
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
    Builtin {
        name: "getAttr",
        params: &[forced("name", "a string"), forced("set", "a set")],
        doc: "`set.${name}`.",
        run: get_attr,
    },
    Builtin {
        name: "hasAttr",
        params: &[forced("name", "a string"), forced("set", "a set")],
        doc: "`set ? ${name}`.",
        run: |m, args| {
            let name = symbol(m, args[0])?;
            let attrs = m.expect_attrs(args[1])?;
            Ok(Value::bool(attrs.get(name).is_some()))
        },
    },
    Builtin {
        name: "removeAttrs",
        params: &[forced("set", "a set"), forced("names", "a list of strings")],
        doc: "The set without the attributes of these names.",
        run: remove_attrs,
    },
    Builtin {
        name: "listToAttrs",
        params: &[streamed("list", "a list of sets with `name` and `value`")],
        doc: "The set of these attributes; of a name given twice, the first counts.",
        run: list_to_attrs,
    },
    Builtin {
        name: "intersectAttrs",
        params: &[forced("names", "a set"), forced("set", "a set")],
        doc: "The attributes of the second set whose names the first has too.",
        run: intersect_attrs,
    },
    Builtin {
        name: "catAttrs",
        params: &[forced("name", "a string"), streamed("sets", "a list of sets")],
        doc: "The values of the attribute of this name, of those sets that have it.",
        run: cat_attrs,
    },
    Builtin {
        name: "zipAttrsWith",
        params: &[
            forced("combine", "a function of a name and the list of its values"),
            streamed("sets", "a list of sets"),
        ],
        doc: "A set of all names, each with the function's delayed result for its values.",
        run: zip_attrs_with,
    },
    Builtin {
        name: "functionArgs",
        params: &[forced("function", "a function")],
        doc: "The named arguments of a function, each with whether it has a default.",
        run: function_args,
    },
    Builtin {
        name: "unsafeGetAttrPos",
        params: &[forced("name", "a string"), forced("set", "a set")],
        doc: "Where an attribute was defined, as a set of `file`, `line` and `column`; or null.",
        run: |m, args| {
            let name = symbol(m, args[0])?;
            let attrs = m.expect_attrs(args[1])?;
            match attrs.find(name) {
                Some((_, pos)) => Ok(m.position_value(pos)),
                None => Ok(Value::NULL),
            }
        },
    },
];

fn attr_names(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let attrs = m.expect_attrs(args[0])?;
    let (names, height) = (attrs.names(), m.height());
    for index in m.symbols.order(names) {
        let name = m.symbol_string(Symbol(names[index]));
        m.keep(name);
    }
    m.list_of_kept(height)
}

fn attr_values(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let attrs = m.expect_attrs(args[0])?;
    let (values, height) = (attrs.values(), m.height());
    for index in m.symbols.order(attrs.names()) {
        m.keep(values[index]);
    }
    m.list_of_kept(height)
}

fn map_attrs(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let attrs = m.expect_attrs(args[1])?;
    Ok(m.attrs_of_calls(attrs, args[0]))
}

/// The symbol of an attribute's name.
fn symbol(m: &mut Machine, name: Value) -> Eval<Symbol> {
    let name = m.expect_plain_string(name, "the name of an attribute")?;
    Ok(m.symbol_of(name))
}

fn get_attr(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let name = symbol(m, args[0])?;
    let attrs = m.expect_attrs(args[1])?;
    m.select(attrs.value(), name)
}

fn remove_attrs(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let attrs = m.expect_attrs(args[0])?;
    let names = m.expect_list(args[1])?;
    let names = names.as_list().unwrap_or_default();
    let mut removed = names.iter().map(|&name| symbol(m, name)).collect::<Eval<Vec<Symbol>>>()?;
    removed.sort_unstable();
    let stays = |attribute: &(Symbol, Pos, Value)| removed.binary_search(&attribute.0).is_err();
    let kept: Vec<_> = attrs.iter().filter(stays).collect();
    match kept.len() == attrs.len() {
        true => Ok(attrs.value()),
        false => Ok(m.attrs(kept)),
    }
}

fn list_to_attrs(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let list = m.expect_elements(args[0])?;
    let mut attributes: Vec<(Symbol, Pos, Value)> = Vec::with_capacity(list.iter().len());
    for item in list.iter() {
        let item = m.element(item)?;
        let attrs = m.expect_attrs(item)?;
        m.keep(attrs.value());
        let name = m.select(attrs.value(), well_known::NAME)?;
        let name = symbol(m, name)?;
        match attrs.find(well_known::VALUE) {
            Some((value, pos)) => attributes.push((name, pos, value)),
            // Only the first of a name needs a value.
            None if attributes.iter().any(|earlier| earlier.0 == name) => {}
            None => return Err(m.selection_fault(attrs.value(), well_known::VALUE)),
        }
    }
    attributes.reverse();
    Ok(m.attrs(attributes))
}

fn intersect_attrs(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let names = m.expect_attrs(args[0])?;
    let attrs = m.expect_attrs(args[1])?;
    let common = match names.len() < attrs.len() {
        true => {
            let find = |attribute: (Symbol, Pos, Value)| {
                attrs.find(attribute.0).map(|(value, pos)| (attribute.0, pos, value))
            };
            names.iter().filter_map(find).collect()
        }
        false => attrs.iter().filter(|attribute| names.get(attribute.0).is_some()).collect(),
    };
    Ok(m.attrs(common))
}

fn cat_attrs(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let name = symbol(m, args[0])?;
    let sets = m.expect_elements(args[1])?;
    let height = m.height();
    for set in sets.iter() {
        let set = m.element(set)?;
        if let Some(value) = m.expect_attrs(set)?.get(name) {
            m.keep(value);
        }
    }
    m.list_of_kept(height)
}

fn zip_attrs_with(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    m.expect_callable(args[0])?;
    let sets = m.expect_elements(args[1])?;
    let mut all: Vec<(Symbol, Value)> = Vec::new();
    for set in sets.iter() {
        let set = m.element(set)?;
        let attrs = m.expect_attrs(set)?;
        m.keep(attrs.value());
        all.extend(attrs.iter().map(|(name, _, value)| (name, value)));
    }
    // The values of a name stay in the order of their sets.
    all.sort_by_key(|attribute| attribute.0);
    let combined = all.chunk_by(|a, b| a.0 == b.0).map(|group| {
        let name = group[0].0;
        let name_string = m.symbol_string(name);
        let values = m.heap.list_with(group.len(), |_, i| group[i].1);
        (name, Pos::NONE, m.delay_call(args[0], &[name_string, values]))
    });
    let combined = combined.collect();
    Ok(m.attrs(combined))
}

fn function_args(m: &mut Machine, args: &[Value]) -> Eval<Value> {
    let function = m.expect_function(args[0])?;
    let Some(pattern) = m.pattern_of(function) else { return Ok(m.attrs(Vec::new())) };
    let fields = pattern.fields.iter().zip(&pattern.positions);
    let fields = fields.map(|(field, pos)| (field.0, *pos, Value::bool(field.1)));
    Ok(m.attrs(fields.collect()))
}
