//! The contracts: functions that give the value they are given, checked. After `|` they
//! have their names without `hb.`. What they mean is in `contract` and `machine::contracts`.

use crate::builtins::{Builtin, Param, forced, lazy};
use crate::contract::Contract;
use crate::error::Eval;
use crate::machine::Machine;
use crate::value::Value;

const VALUE: Param = forced("value", "what to check");

/// A contract without arguments.
macro_rules! plain {
    ($name:literal, $doc:literal) => {
        Builtin { name: $name, params: &[VALUE], doc: $doc, run: |m, args| run(m, $name, args) }
    };
}

/// A contract of something.
macro_rules! of {
    ($name:literal, [$(($param:literal, $what:literal)),*], $doc:literal) => {
        Builtin {
            name: $name,
            params: &[$(lazy($param, $what),)* VALUE],
            doc: $doc,
            run: |m, args| run(m, $name, args),
        }
    };
}

pub(in crate::builtins) const TABLE: &[Builtin] = &[
    plain!("hb.Any", "Anything."),
    plain!("hb.Bool", "A truth value."),
    plain!("hb.Int", "An integer."),
    plain!("hb.Float", "A float."),
    plain!("hb.Number", "An integer or a float."),
    plain!("hb.String", "A string."),
    plain!("hb.Path", "A path."),
    plain!("hb.Null", "Null."),
    plain!("hb.Function", "A function, or a set that can be called."),
    plain!("hb.Derivation", "A derivation."),
    of!("hb.List", [("contract", "a contract")], "A list whose elements keep the contract."),
    of!(
        "hb.Attrs",
        [("contract", "a contract")],
        "A set whose attributes keep the contract, whatever their names."
    ),
    of!(
        "hb.Record",
        [("contracts", "a set of contracts")],
        "A set with these attributes, each of which keeps its contract. A set of contracts \
         alone means the same."
    ),
    of!(
        "hb.Open",
        [("contracts", "a set of contracts")],
        "The same, but other attributes are allowed."
    ),
    of!(
        "hb.Optional",
        [("contract", "a contract")],
        "In a record: an attribute that may be left out."
    ),
    of!(
        "hb.Default",
        [("default", "any value"), ("contract", "a contract")],
        "In a record: an attribute that is `default` where it is left out."
    ),
    of!("hb.Enum", [("values", "a list")], "One of these values."),
    of!("hb.Nullable", [("contract", "a contract")], "Null, or what keeps the contract."),
    of!(
        "hb.Or",
        [("contracts", "a list of contracts")],
        "What keeps one of the contracts. The first that the value fits, as far as its \
         outermost form tells, is the one that it must keep."
    ),
    of!(
        "hb.Where",
        [
            ("contract", "a contract"),
            ("description", "what the value must be, with its article"),
            ("holds", "a function of the value: whether it is good")
        ],
        "What keeps the contract and has a property, such as `Where Int \"a port\" (n: n > 0 && n \
         < 65536)`."
    ),
    of!(
        "hb.Arrow",
        [("from", "a contract"), ("to", "a contract")],
        "A function whose argument keeps the first contract and whose result the second. After \
         `|` it is written `from -> to`."
    ),
];

/// Check the last argument.
fn run(m: &mut Machine, name: &str, args: &[Value]) -> Eval<Value> {
    let Some((&value, arguments)) = args.split_last() else {
        unreachable!("every contract has a value to check")
    };
    match Contract::named(m, name, arguments)? {
        Some(contract) => m.check_for(contract, Value::NULL, value),
        None => unreachable!("the table has the contracts' names"),
    }
}
