//! Numbers.

use super::{Builtin, Param, forced};
use crate::error::{Eval, Fault};
use crate::machine::Machine;
use crate::print::float_text;
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
    Builtin {
        name: "bitAnd",
        params: BITS,
        doc: "The bits that both integers have.",
        run: |m, args| bits(m, args, |a, b| a & b),
    },
    Builtin {
        name: "bitOr",
        params: BITS,
        doc: "The bits that either integer has.",
        run: |m, args| bits(m, args, |a, b| a | b),
    },
    Builtin {
        name: "bitXor",
        params: BITS,
        doc: "The bits that one of the integers has and not both.",
        run: |m, args| bits(m, args, |a, b| a ^ b),
    },
    Builtin {
        name: "ceil",
        params: &[forced("number", "a number")],
        doc: "The least integer that is not less than the number.",
        run: |m, args| rounded(m, args[0], "ceil", f64::ceil),
    },
    Builtin {
        name: "floor",
        params: &[forced("number", "a number")],
        doc: "The greatest integer that is not greater than the number.",
        run: |m, args| rounded(m, args[0], "floor", f64::floor),
    },
];

const BITS: &[Param] = &[forced("a", "an integer"), forced("b", "an integer")];

fn bits(m: &mut Machine, args: &[Value], combine: fn(i64, i64) -> i64) -> Eval<Value> {
    let (a, b) = (m.expect_int(args[0])?, m.expect_int(args[1])?);
    Ok(m.int(combine(a, b)))
}

fn rounded(
    m: &mut Machine,
    number: Value,
    builtin: &'static str,
    round: fn(f64) -> f64,
) -> Eval<Value> {
    if number.as_int().is_some() {
        return Ok(number);
    }
    let float = round(m.expect_number(number)?);
    // Both bounds are powers of two, which floats hold exactly.
    if !(-(2f64.powi(63))..2f64.powi(63)).contains(&float) {
        let reason = format!("{} does not fit an integer", float_text(float));
        return Err(Fault::Argument { builtin, reason }.into());
    }
    Ok(m.int(float as i64))
}
