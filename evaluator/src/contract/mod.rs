//! Contracts as values, and what they say of other values.
//!
//! A contract is a builtin of `hb` that has all its arguments but the value to check
//! (`hb.Int`, `hb.List hb.Int`), or a set of contracts: a record. `machine::contracts`
//! checks values, `blame` says whose fault it is.

mod blame;

pub(crate) use blame::{Blame, Step};

use crate::error::{Error, Eval, Fault};
use crate::heap::{Attrs, Kind};
use crate::machine::Machine;
use crate::print::{Printing, literal, print};
use crate::value::{Type, Value};

/// What a value must be.
#[derive(Clone, Copy)]
pub(crate) enum Contract {
    Any,
    /// Of one type.
    Type(Type),
    /// An integer or a float.
    Number,
    /// What can be called.
    Function,
    Derivation,
    /// A function; `from` is for its argument, `to` for its result.
    Arrow {
        from: Value,
        to: Value,
    },
    /// A list whose elements keep a contract.
    List(Value),
    /// A set whose attributes keep a contract, whatever their names.
    Attrs(Value),
    /// A set with a contract for each attribute; `open` if others are allowed.
    Record {
        fields: Attrs,
        open: bool,
    },
    /// An attribute of a record that may be left out.
    Optional(Value),
    /// The same, with what it is then.
    Default {
        default: Value,
        contract: Value,
    },
    /// One of the values of a list.
    Enum(Value),
    Nullable(Value),
    /// What keeps one of a list of contracts.
    Or(Value),
    /// What keeps a contract and has a property.
    Where {
        base: Value,
        description: Value,
        predicate: Value,
    },
}

impl Contract {
    /// The contract that a builtin of `hb` makes of its first arguments.
    pub(crate) fn named(m: &mut Machine, name: &str, arguments: &[Value]) -> Eval<Option<Self>> {
        Ok(Some(match (name, arguments) {
            ("hb.Any", []) => Self::Any,
            ("hb.Int", []) => Self::Type(Type::Int),
            ("hb.Float", []) => Self::Type(Type::Float),
            ("hb.Bool", []) => Self::Type(Type::Bool),
            ("hb.String", []) => Self::Type(Type::String),
            ("hb.Path", []) => Self::Type(Type::Path),
            ("hb.Null", []) => Self::Type(Type::Null),
            ("hb.Number", []) => Self::Number,
            ("hb.Function", []) => Self::Function,
            ("hb.Derivation", []) => Self::Derivation,
            ("hb.Arrow", &[from, to]) => Self::Arrow { from, to },
            ("hb.List", &[of]) => Self::List(of),
            ("hb.Attrs", &[of]) => Self::Attrs(of),
            ("hb.Record", &[fields]) => {
                Self::Record { fields: m.expect_attrs(fields)?, open: false }
            }
            ("hb.Open", &[fields]) => Self::Record { fields: m.expect_attrs(fields)?, open: true },
            ("hb.Optional", &[contract]) => Self::Optional(contract),
            ("hb.Default", &[default, contract]) => Self::Default { default, contract },
            ("hb.Enum", &[values]) => Self::Enum(m.expect_list(values)?),
            ("hb.Nullable", &[contract]) => Self::Nullable(contract),
            ("hb.Or", &[contracts]) => Self::Or(m.expect_list(contracts)?),
            ("hb.Where", &[base, description, predicate]) => {
                Self::Where { base, description, predicate }
            }
            _ => return Ok(None),
        }))
    }

    /// The contract that a value is; it is reachable from a root.
    pub(crate) fn of(m: &mut Machine, value: Value) -> Eval<Self> {
        let value = m.force(value)?;
        if value.as_attrs().is_some() {
            return Ok(Self::Record { fields: m.expect_attrs(value)?, open: false });
        }
        let (builtin, arguments) = match value.of_kind(Kind::Partial) {
            Some(partial) => (partial.value(0).as_builtin(), partial.values(1, partial.small())),
            None => (value.as_builtin(), &[][..]),
        };
        if let Some(number) = builtin
            && let Some(contract) = Self::named(m, m.builtin(number).name, arguments)?
        {
            return Ok(contract);
        }
        let found = value.type_of().unwrap_or(Type::Lambda);
        let help = match found {
            Type::Lambda => "'Where Any \"…\" (value: …)' makes a contract of a condition",
            Type::List => {
                "'Enum [ … ]' is one of some values, 'Or [ … ]' what keeps one of some contracts"
            }
            _ => "'Enum [ … ]' is one of some values",
        };
        Err(Error::from(Fault::NotAContract { found }).with_help(Some(help.to_owned())))
    }

    /// Whether an evaluated value is certain to keep this, its parts included, without
    /// anything being evaluated.
    pub(crate) fn surely_holds(self, value: Value) -> bool {
        let found = value.type_of();
        match self {
            Self::Any => true,
            Self::Type(wanted) => found == Some(wanted),
            Self::Number => matches!(found, Some(Type::Int | Type::Float)),
            Self::Function => found == Some(Type::Lambda),
            _ => false,
        }
    }

    /// What a value must be in its outermost form, for messages.
    pub(crate) fn description(self, m: &mut Machine) -> Eval<String> {
        Ok(match self {
            Self::Any => "anything".to_owned(),
            Self::Type(wanted) => wanted.described().to_owned(),
            Self::Number => "a number".to_owned(),
            Self::Function | Self::Arrow { .. } => "a function".to_owned(),
            Self::Derivation => "a derivation".to_owned(),
            Self::List(_) => "a list".to_owned(),
            Self::Attrs(_) | Self::Record { .. } => "a set".to_owned(),
            Self::Optional(contract) | Self::Default { contract, .. } => {
                Self::of(m, contract)?.description(m)?
            }
            Self::Nullable(contract) => {
                format!("null or {}", Self::of(m, contract)?.description(m)?)
            }
            Self::Enum(values) => {
                let values = values.as_list().unwrap_or_default();
                let shown = values.iter().map(|&value| {
                    let text = print(m, value, Printing::AsIs)?;
                    Ok(String::from_utf8_lossy(&text).into_owned())
                });
                format!("one of {}", shown.collect::<Eval<Vec<_>>>()?.join(", "))
            }
            Self::Or(contracts) => {
                let contracts = contracts.as_list().unwrap_or_default();
                let described =
                    contracts.iter().map(|&contract| Self::of(m, contract)?.description(m));
                described.collect::<Eval<Vec<_>>>()?.join(" or ")
            }
            Self::Where { description, .. } => {
                let text = m.expect_string(description)?;
                String::from_utf8_lossy(text.as_bytes().unwrap_or_default()).into_owned()
            }
        })
    }
}

/// An evaluated value in a message: what it is, and itself if it is short.
pub(crate) fn shown(value: Value) -> String {
    let described = value.type_of().unwrap_or(Type::Lambda).described();
    let noun = described.split_once(' ').map_or(described, |(_, noun)| noun);
    match literal(value) {
        Some(text) => format!("the {noun} {text}"),
        None => described.to_owned(),
    }
}
