//! What is known of values when a text is compiled, before there is a machine for it.

use hb_lang::Dialect;
use hb_lang::ast::{ExprId, Name};
use rustc_hash::FxHashMap;

use super::quick::Quick;
use crate::builtins::{GLOBAL, HB_PREFIX, Param, all};
use crate::value::Value;

/// A value that is known, or known where to find.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Constant {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    /// The text of a literal.
    Text(ExprId),
    Path(ExprId),
    EmptyList,
    EmptyAttrs,
    /// The function of this number.
    Builtin(u32),
    /// The value of the builtin of this number, which is computed when it is needed.
    Computed(u32),
    /// The set of all builtins.
    Builtins,
    /// The set of the typed primitives, `hb`.
    Primitives,
    /// What the variables beside the globals have under a name.
    Scoped(Name),
}

impl Constant {
    /// Whether the value may have to be evaluated.
    pub(super) fn may_be_delayed(self) -> bool {
        matches!(self, Self::Computed(_) | Self::Scoped(_))
    }

    /// What tells it from others of its text.
    pub(super) fn key(self) -> (u8, u64) {
        match self {
            Self::Null => (0, 0),
            Self::Bool(truth) => (1, truth.into()),
            Self::Int(number) => (2, number.cast_unsigned()),
            Self::Float(number) => (3, number.to_bits()),
            Self::Text(id) => (4, id.0.into()),
            Self::Path(id) => (5, id.0.into()),
            Self::EmptyList => (6, 0),
            Self::EmptyAttrs => (7, 0),
            Self::Builtin(number) => (8, number.into()),
            Self::Computed(number) => (9, number.into()),
            Self::Builtins => (10, 0),
            Self::Primitives => (11, 0),
            Self::Scoped(name) => (12, name.0.into()),
        }
    }

    /// The constant that a value is which needs no memory.
    pub(super) fn of(value: Value) -> Option<Self> {
        if value == Value::NULL {
            return Some(Self::Null);
        }
        let int = || value.as_small_int().map(Self::Int);
        let builtin = || value.as_builtin().map(Self::Builtin);
        value.as_bool().map(Self::Bool).or_else(int).or_else(builtin)
    }
}

/// The names that every text sees.
pub(crate) struct Names {
    /// Of each builtin, by its number.
    params: Vec<&'static [Param]>,
    quick: Vec<Option<Quick>>,
    /// The number of `map`.
    pub(super) map: u32,
    builtins: FxHashMap<&'static str, Constant>,
    primitives: FxHashMap<&'static str, Constant>,
}

/// What comes before the name of a builtin that is no variable of its own name.
const HIDDEN: &str = "__";

/// The variable whose attributes are the typed primitives.
const PRIMITIVES: &str = "hb";

impl Default for Names {
    fn default() -> Self {
        let mut builtins = FxHashMap::default();
        let mut primitives = FxHashMap::default();
        for (number, builtin) in all().enumerate() {
            let constant = match builtin.params.is_empty() {
                true => Constant::Computed(number as u32),
                false => Constant::Builtin(number as u32),
            };
            match builtin.name.strip_prefix(HB_PREFIX) {
                Some(name) => primitives.insert(name, constant),
                None => builtins.insert(builtin.name, constant),
            };
        }
        builtins.extend([
            ("true", Constant::Bool(true)),
            ("false", Constant::Bool(false)),
            ("null", Constant::Null),
            ("builtins", Constant::Builtins),
        ]);
        let Some(&Constant::Builtin(map)) = builtins.get("map") else {
            unreachable!("it is in the table")
        };
        Self {
            map,
            params: all().map(|builtin| builtin.params).collect(),
            quick: all().map(|builtin| Quick::of(builtin.name)).collect(),
            builtins,
            primitives,
        }
    }
}

impl Names {
    /// What a global variable is.
    pub(super) fn global(&self, name: &str, dialect: Dialect) -> Option<Constant> {
        if name == PRIMITIVES && dialect != Dialect::Nix {
            return Some(Constant::Primitives);
        }
        match name.strip_prefix(HIDDEN) {
            Some(hidden) => self.builtin(hidden).filter(|_| !GLOBAL.contains(&hidden)),
            None => self.builtin(name).filter(|_| GLOBAL.contains(&name)),
        }
    }

    /// The parameters of a builtin.
    pub(super) fn params(&self, number: u32) -> &'static [Param] {
        self.params[number as usize]
    }

    /// What the run loop does of a builtin by itself.
    pub(super) fn quick(&self, number: u32) -> Option<Quick> {
        self.quick[number as usize]
    }

    /// What an attribute of `builtins` is.
    pub(super) fn builtin(&self, name: &str) -> Option<Constant> {
        self.builtins.get(name).copied()
    }

    /// The contract of a name: what `hb` has under a name that begins with a capital.
    pub(super) fn contract(&self, name: &str) -> Option<Constant> {
        self.primitives.get(name).copied().filter(|_| name.starts_with(char::is_uppercase))
    }

    /// Every name that begins with a capital in `hb`.
    pub(super) fn contracts(&self) -> impl Iterator<Item = &'static str> {
        self.primitives.keys().copied().filter(|name| name.starts_with(char::is_uppercase))
    }

    /// The name of every global variable.
    pub(crate) fn globals(&self, dialect: Dialect) -> impl Iterator<Item = String> {
        let builtins = self.builtins.keys().map(|name| match GLOBAL.contains(name) {
            true => (*name).to_owned(),
            false => format!("{HIDDEN}{name}"),
        });
        builtins.chain((dialect != Dialect::Nix).then(|| PRIMITIVES.to_owned()))
    }
}
