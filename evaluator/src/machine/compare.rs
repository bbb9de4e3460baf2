//! Deep equality and deep forcing.

use super::{Machine, quick};
use crate::error::Eval;
use crate::heap::Attrs;
use crate::symbol::well_known;
use crate::value::Value;

impl Machine {
    /// Whether two values are equal. Both are evaluated, or reachable from a root.
    ///
    /// Contexts don't count. Functions are never equal, except that one and the same
    /// function inside two equal structures does not make them differ.
    pub fn equal(&mut self, left: Value, right: Value) -> Eval<bool> {
        let (left, right) = (self.force(left)?, self.force(right)?);
        if let Some(known) = quick::equal(left, right) {
            return Ok(known);
        }
        match (left.as_attrs(), right.as_attrs()) {
            (Some(a), Some(b)) => self.deeper(|m| m.equal_attrs(a, b)),
            _ => {
                let items = (left.as_list(), right.as_list());
                let (Some(a), Some(b)) = items else { unreachable!("all else is known") };
                self.deeper(|m| m.equal_items(a, b))
            }
        }
    }

    fn equal_items(&mut self, left: &[Value], right: &[Value]) -> Eval<bool> {
        for (&a, &b) in left.iter().zip(right) {
            if !self.same_or_equal(a, b)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn same_or_equal(&mut self, left: Value, right: Value) -> Eval<bool> {
        let (a, b) = (self.force(left)?, self.force(right)?);
        Ok(a == b || self.equal(a, b)?)
    }

    fn equal_attrs(&mut self, left: Attrs, right: Attrs) -> Eval<bool> {
        if self.is_derivation(left)? && self.is_derivation(right)? {
            let paths = (left.get(well_known::OUT_PATH), right.get(well_known::OUT_PATH));
            if let (Some(a), Some(b)) = paths {
                return self.equal(a, b);
            }
        }
        if left.len() != right.len() {
            return Ok(false);
        }
        let (left, right) = (self.heap.flat(left), self.heap.flat(right));
        for ((a_name, _, a), (b_name, _, b)) in left.iter().zip(right.iter()) {
            if a_name != b_name || !self.same_or_equal(a, b)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a set says that it is a derivation.
    pub fn is_derivation(&mut self, attrs: Attrs) -> Eval<bool> {
        let Some(kind) = attrs.get(well_known::TYPE) else { return Ok(false) };
        let kind = self.force(kind)?;
        Ok(kind.as_bytes() == Some(b"derivation"))
    }

    /// Force a value and everything in it. It is reachable from a root.
    pub fn force_deep(&mut self, value: Value) -> Eval<Value> {
        let mut seen = rustc_hash::FxHashSet::default();
        self.force_deep_unseen(value, &mut seen)
    }

    fn force_deep_unseen(
        &mut self,
        value: Value,
        seen: &mut rustc_hash::FxHashSet<u32>,
    ) -> Eval<Value> {
        let value = self.force(value)?;
        if let Some(items) = value.as_list() {
            if !items.is_empty() && seen.insert(value.bits()) {
                self.deeper(|m| {
                    items.iter().try_for_each(|&item| m.force_deep_unseen(item, seen).map(drop))
                })?;
            }
        } else if let Some(attrs) = value.as_attrs()
            && seen.insert(value.bits())
        {
            self.deeper(|m| {
                for (name, pos, item) in m.sorted_attrs(attrs) {
                    if let Err(error) = m.force_deep_unseen(item, seen) {
                        return Err(m.in_attribute(error, name, pos));
                    }
                }
                Ok(())
            })?;
        }
        Ok(value)
    }
}
