//! Attributes by computed name, and what to say of missing ones.

use hb_lang::suggest::nearest;

use super::Machine;
use super::access::type_fault;
use crate::error::{Error, Eval, Fault};
use crate::heap::Attrs;
use crate::source::{Place, Pos};
use crate::symbol::Symbol;
use crate::value::Value;

impl Machine {
    /// The symbol of a computed attribute name.
    pub fn attribute_name(&mut self, name: Value) -> Eval<Symbol> {
        let name = self.expect_plain_string(name, "an attribute's name")?;
        Ok(self.symbol_of(name))
    }

    /// `Op::AddAttr`.
    #[cold]
    pub(super) fn add_attribute(&mut self) -> Eval<()> {
        let top = self.stack.len();
        let (set, name, value) = (self.stack[top - 3], self.stack[top - 2], self.stack[top - 1]);
        let Some(attrs) = set.as_attrs() else { unreachable!("the compiler pushes a set") };
        let result = match name {
            Value::NULL => set,
            _ => {
                let symbol = self.attribute_name(name)?;
                if let Some((_, pos)) = attrs.find(symbol) {
                    let name = self.symbols.text(symbol).into_owned();
                    return Err(Error::from(Fault::DuplicateAttribute { name })
                        .with_label(self.sources.word_at(pos), "defined here already"));
                }
                let pos = self.running_pos();
                let Some(added) = self.heap.attrs_sorted(&[(symbol, pos, value)]).as_attrs() else {
                    unreachable!("just made")
                };
                self.heap.update(attrs, added)
            }
        };
        self.stack.truncate(top - 3);
        self.stack.push(result);
        Ok(())
    }

    /// `Op::Override`: thunks captured already are led to the values that replace them.
    #[cold]
    pub(super) fn override_variables(&mut self, list: u32, overrides: Attrs, base: usize) {
        for &(name, slot) in &self.program.overrides[list as usize] {
            if let Some(value) = overrides.get(name)
                && let Some(thunk) = self.stack[base + slot as usize].as_thunk()
                && thunk.result().is_none()
            {
                thunk.redirect(self.alias, value);
            }
        }
    }

    /// The fault of a selection that found nothing.
    #[cold]
    pub fn selection_fault(&mut self, set: Value, name: Symbol) -> Error {
        let Some(attrs) = set.as_attrs() else {
            return type_fault("a set", set);
        };
        let attrs = self.heap.flat(attrs);
        let wanted = self.symbols.text(name).into_owned();
        let names: Vec<_> = attrs.iter().map(|(name, ..)| self.symbols.text(name)).collect();
        let near = nearest(&wanted, names.iter().map(|name| &**name)).map(str::to_owned);
        let near_pos = near.as_ref().and_then(|near| {
            let symbol = self.symbols.find(near.as_bytes())?;
            attrs.find(symbol).map(|(_, pos)| pos)
        });
        // Where the set comes from: a near attribute, or else any.
        let (pos, text) = match (near_pos, attrs.iter().map(|(_, pos, _)| pos).min()) {
            (Some(pos), _) => (pos, "the set has this one"),
            (None, Some(pos)) => (pos, "the set is defined here"),
            (None, None) => (Pos::NONE, ""),
        };
        let place: Option<Place> = self.sources.word_at(pos);
        Error::from(Fault::MissingAttribute { name: wanted, path: None })
            .with_label(place, text)
            .with_help(near.map(|near| format!("did you mean '{near}'?")))
    }

    /// Force a set's attribute that must be there.
    pub fn select(&mut self, set: Value, name: Symbol) -> Eval<Value> {
        let set = self.force(set)?;
        match set.as_attrs().and_then(|attrs| attrs.get(name)) {
            Some(value) => self.force(value),
            None => Err(self.selection_fault(set, name)),
        }
    }
}
