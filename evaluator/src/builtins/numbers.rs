//! Numbers.

use super::{Builtin, Param, forced};
use crate::value::Value;

const TWO: &[Param] = &[forced("a", "a number"), forced("b", "a number")];

pub(super) const TABLE: &[Builtin] = &[
    Builtin {
        name: "add",
        params: TWO,
        doc: "`a + b`.",
        run: |m, args| m.add_numbers(args[0], args[1]),
    },
    Builtin {
        name: "sub",
        params: TWO,
        doc: "`a - b`.",
        run: |m, args| m.subtract(args[0], args[1]),
    },
    Builtin {
        name: "mul",
        params: TWO,
        doc: "`a * b`.",
        run: |m, args| m.multiply(args[0], args[1]),
    },
    Builtin {
        name: "div",
        params: TWO,
        doc: "`a / b`; of two integers, rounded towards zero.",
        run: |m, args| m.divide(args[0], args[1]),
    },
    Builtin {
        name: "lessThan",
        params: TWO,
        doc: "`a < b`, of anything that can be ordered.",
        run: |m, args| Ok(Value::bool(m.less(args[0], args[1])?)),
    },
];
