//! Where two values differ, for tests: the places inside of them, and not only that.

use crate::error::Eval;
use crate::heap::Attrs;
use crate::machine::Machine;
use crate::print::{Printing, attribute_name, print};
use crate::value::{Type, Value};

/// One place where a value is not what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where in the value, such as `.a.b[2]`; empty for the whole.
    pub path: String,
    /// What should be there, printed; nothing if nothing should.
    pub expected: Option<String>,
    /// What is there.
    pub found: Option<String>,
}

/// Compares values, which are reachable from roots.
pub(crate) struct Comparison<'a> {
    machine: &'a mut Machine,
    found: Vec<Difference>,
}

impl<'a> Comparison<'a> {
    /// All differences, in the order of the values' parts.
    pub(crate) fn of(
        machine: &'a mut Machine,
        expected: Value,
        found: Value,
    ) -> Eval<Vec<Difference>> {
        let mut comparison = Self { machine, found: Vec::new() };
        comparison.values(String::new(), expected, found)?;
        Ok(comparison.found)
    }

    fn values(&mut self, path: String, expected: Value, found: Value) -> Eval<()> {
        let expected = self.machine.force(expected)?;
        let found = self.machine.force(found)?;
        if let (Some(a), Some(b)) = (expected.as_list(), found.as_list()) {
            return self.lists(&path, a, b);
        }
        if let (Some(a), Some(b)) = (expected.as_attrs(), found.as_attrs())
            && !(self.machine.is_derivation(a)? && self.machine.is_derivation(b)?)
        {
            return self.sets(&path, a, b);
        }
        let is_function = found.type_of() == Some(Type::Lambda) && expected == found;
        if !is_function && !self.machine.equal(expected, found)? {
            self.differ(path, Some(expected), Some(found))?;
        }
        Ok(())
    }

    fn lists(&mut self, path: &str, expected: &[Value], found: &[Value]) -> Eval<()> {
        for index in 0..expected.len().max(found.len()) {
            let path = format!("{path}[{index}]");
            self.parts(path, expected.get(index).copied(), found.get(index).copied())?;
        }
        Ok(())
    }

    fn sets(&mut self, path: &str, expected: Attrs, found: Attrs) -> Eval<()> {
        let Some(both) = self.machine.heap.update(expected, found).as_attrs() else {
            unreachable!("sets update to a set")
        };
        for (name, ..) in self.machine.sorted_attrs(both) {
            let mut text = path.as_bytes().to_vec();
            text.push(b'.');
            attribute_name(self.machine.symbols.bytes(name), &mut text);
            let path = String::from_utf8_lossy(&text).into_owned();
            self.parts(path, expected.get(name), found.get(name))?;
        }
        Ok(())
    }

    fn parts(&mut self, path: String, expected: Option<Value>, found: Option<Value>) -> Eval<()> {
        match (expected, found) {
            (Some(a), Some(b)) => {
                let Self { machine, found } = self;
                machine.deeper(|machine| {
                    let mut inner = Comparison { machine, found: std::mem::take(found) };
                    let result = inner.values(path, a, b);
                    *found = inner.found;
                    result
                })
            }
            (expected, found) => self.differ(path, expected, found),
        }
    }

    fn differ(&mut self, path: String, expected: Option<Value>, found: Option<Value>) -> Eval<()> {
        let mut printed = |value: Option<Value>| -> Eval<Option<String>> {
            let Some(value) = value else { return Ok(None) };
            let text = print(self.machine, value, Printing::Strict)?;
            Ok(Some(String::from_utf8_lossy(&text).into_owned()))
        };
        let (expected, found) = (printed(expected)?, printed(found)?);
        self.found.push(Difference { path, expected, found });
        Ok(())
    }
}
