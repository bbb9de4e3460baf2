//! What an interactive session needs beyond one evaluation: variables of its own, names
//! to complete, and memory given back between its lines.

use std::path::Path;

use hb_lang::Dialect;

use crate::error::Eval;
use crate::evaluator::{Evaluator, Held};

impl Evaluator {
    /// Evaluate a text that sees the attributes of a set as variables.
    pub fn eval_with_scope(
        &mut self,
        text: &str,
        folder: &Path,
        dialect: Dialect,
        scope: Held,
    ) -> Eval<Held> {
        let scope = self.machine.expect_attrs(self.value(scope))?;
        let name = "«input»".to_owned();
        let value =
            self.machine.load_text(name, false, text.into(), folder, dialect, Some(scope))?;
        let held = self.hold(value);
        self.force(held)?;
        Ok(held)
    }

    /// Add a set's attributes to a held set, in its place; those of the same name are
    /// replaced. Nothing in either is evaluated.
    pub fn extend(&mut self, set: Held, more: Held) -> Eval<()> {
        let left = self.machine.expect_attrs(self.value(set))?;
        let right = self.machine.expect_attrs(self.value(more))?;
        let both = self.machine.heap.update(left, right);
        self.replace(set, both);
        Ok(())
    }

    /// The attributes of a set in order, as they are; nothing if the value is no set.
    pub fn attributes(&mut self, held: Held) -> Eval<Option<Vec<(String, Held)>>> {
        let value = self.machine.force(self.value(held))?;
        let Some(attrs) = value.as_attrs() else { return Ok(None) };
        let sorted = self.machine.sorted_attrs(attrs);
        let hold = |(symbol, _, value)| {
            let name = self.machine.symbols.text(symbol).into_owned();
            (name, self.hold(value))
        };
        Ok(Some(sorted.into_iter().map(hold).collect()))
    }

    /// The variables that every file of a dialect sees.
    pub fn global_names(&self, dialect: Dialect) -> Vec<String> {
        let mut names: Vec<_> = self.machine.globals().names().globals(dialect).collect();
        names.sort();
        names
    }

    /// Free what nothing holds any more, unless hardly anything was made since the last
    /// time.
    pub fn give_memory_back(&mut self) {
        self.machine.give_memory_back();
    }
}
