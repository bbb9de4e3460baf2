//! Builtins that the run loop does itself where that is plain, without a call.

use crate::value::Type;

/// A builtin whose plain case is an instruction's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quick {
    /// `isInt` and its like.
    Is(Type),
    Length,
    Head,
    Tail,
    ElemAt,
    StringLength,
    Substring,
}

/// Each with its name: what is written of one is its place here.
const ALL: [(&str, Quick); 15] = [
    ("isAttrs", Quick::Is(Type::Set)),
    ("isBool", Quick::Is(Type::Bool)),
    ("isFloat", Quick::Is(Type::Float)),
    ("isFunction", Quick::Is(Type::Lambda)),
    ("isInt", Quick::Is(Type::Int)),
    ("isList", Quick::Is(Type::List)),
    ("isNull", Quick::Is(Type::Null)),
    ("isPath", Quick::Is(Type::Path)),
    ("isString", Quick::Is(Type::String)),
    ("length", Quick::Length),
    ("head", Quick::Head),
    ("tail", Quick::Tail),
    ("elemAt", Quick::ElemAt),
    ("stringLength", Quick::StringLength),
    ("substring", Quick::Substring),
];

impl Quick {
    /// What a builtin is, if it is one of them.
    pub(super) fn of(name: &str) -> Option<Self> {
        ALL.iter().find(|entry| entry.0 == name).map(|entry| entry.1)
    }

    /// Its place among all.
    pub(super) fn number(self) -> u8 {
        match ALL.iter().position(|entry| entry.1 == self) {
            Some(place) => place as u8,
            None => unreachable!("the list has all"),
        }
    }

    /// That of a place.
    pub(super) fn numbered(number: u8) -> Self {
        ALL[number as usize].1
    }

    /// How many arguments it takes.
    #[inline(always)]
    pub(crate) fn arity(self) -> usize {
        match self {
            Self::Is(_) | Self::Length | Self::Head | Self::Tail | Self::StringLength => 1,
            Self::ElemAt => 2,
            Self::Substring => 3,
        }
    }
}
