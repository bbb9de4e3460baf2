//! Types of values.

use super::{Builtin, Param, forced};
use crate::error::Eval;
use crate::machine::Machine;
use crate::value::{Type, Value};

const VALUE: &[Param] = &[forced("value", "any value")];

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "typeOf",
        params: VALUE,
        doc: "The type's name: `int`, `float`, `bool`, `string`, `path`, `null`, `set`, `list` \
              or `lambda`.",
        run: |m, args| {
            let name = type_of(m, args[0])?.name();
            Ok(m.string(name))
        },
    },
    is("isAttrs", "Whether the value is a set.", |m, args| has_type(m, args, Type::Set)),
    is("isBool", "Whether the value is a truth value.", |m, args| has_type(m, args, Type::Bool)),
    is("isFloat", "Whether the value is a float.", |m, args| has_type(m, args, Type::Float)),
    is("isFunction", "Whether the value is a function.", |m, args| has_type(m, args, Type::Lambda)),
    is("isInt", "Whether the value is an integer.", |m, args| has_type(m, args, Type::Int)),
    is("isList", "Whether the value is a list.", |m, args| has_type(m, args, Type::List)),
    is("isNull", "Whether the value is null.", |m, args| has_type(m, args, Type::Null)),
    is("isPath", "Whether the value is a path.", |m, args| has_type(m, args, Type::Path)),
    is("isString", "Whether the value is a string.", |m, args| has_type(m, args, Type::String)),
];

const fn is(name: &'static str, doc: &'static str, run: super::Native) -> Builtin {
    Builtin { name, params: VALUE, doc, run }
}

fn type_of(m: &mut Machine, value: Value) -> Eval<Type> {
    Ok(m.force(value)?.type_of().unwrap_or(Type::Lambda))
}

fn has_type(m: &mut Machine, args: &[Value], expected: Type) -> Eval<Value> {
    Ok(Value::bool(type_of(m, args[0])? == expected))
}
