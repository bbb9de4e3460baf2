//! Which variable a name means.
//!
//! Names are per file and dense, so the scopes are one stack of meanings for each name;
//! the innermost is on top. Static scopes win over `with`, whichever is inner.

use hb_lang::ast::Name;

use super::constant::Constant;
use super::function::Variable;

/// What a name in a static scope means.
#[derive(Clone, Copy)]
pub(super) enum Meaning {
    /// A variable in a slot.
    Variable(Variable),
    /// A value known when compiling.
    Constant(Constant),
}

/// A `with` around the code being compiled.
#[derive(Clone, Copy)]
pub(super) enum With {
    /// The set is in a hidden variable.
    Variable(Variable),
    /// `with builtins`.
    Builtins,
}

/// All scopes around the code being compiled.
pub(super) struct Scopes {
    meanings: Vec<Vec<Meaning>>,
    pub(super) withs: Vec<With>,
}

impl Scopes {
    pub(super) fn new(names: usize) -> Self {
        Self { meanings: vec![Vec::new(); names], withs: Vec::new() }
    }

    pub(super) fn innermost(&self, name: Name) -> Option<Meaning> {
        self.meanings.get(name.0 as usize)?.last().copied()
    }

    pub(super) fn enter(&mut self, name: Name, meaning: Meaning) {
        self.meanings[name.0 as usize].push(meaning);
    }

    pub(super) fn leave(&mut self, name: Name) {
        self.meanings[name.0 as usize].pop();
    }

    /// Names that mean something here.
    pub(super) fn names(&self) -> impl Iterator<Item = Name> {
        let bound =
            |(i, stack): (usize, &Vec<Meaning>)| (!stack.is_empty()).then_some(Name(i as u32));
        self.meanings.iter().enumerate().filter_map(bound)
    }
}
