//! Operators on evaluated values.

use super::Machine;
use super::access::type_fault;
use crate::error::{Error, Eval, Fault};
use crate::program::Infix;
use crate::value::{Type, Value};

/// A number of either type.
#[derive(Clone, Copy)]
enum Number {
    Int(i64),
    Float(f64),
}

fn number(value: Value) -> Option<Number> {
    value.as_int().map(Number::Int).or_else(|| value.as_float().map(Number::Float))
}

fn as_float(number: Number) -> f64 {
    match number {
        Number::Int(int) => int as f64,
        Number::Float(float) => float,
    }
}

impl Machine {
    /// An infix operator on evaluated values, which are on the stack as well.
    #[inline(never)]
    pub(super) fn infix(&mut self, infix: Infix, left: Value, right: Value) -> Eval<Value> {
        match infix {
            Infix::Add => self.add(left, right),
            Infix::Sub => self.subtract(left, right),
            Infix::Mul => self.multiply(left, right),
            Infix::Div => self.divide(left, right),
            Infix::Less => Ok(Value::bool(self.less(left, right)?)),
            Infix::LessEq => Ok(Value::bool(!self.less(right, left)?)),
            Infix::More => Ok(Value::bool(self.less(right, left)?)),
            Infix::MoreEq => Ok(Value::bool(!self.less(left, right)?)),
            Infix::Equal => Ok(Value::bool(self.equal(left, right)?)),
            Infix::NotEqual => Ok(Value::bool(!self.equal(left, right)?)),
            Infix::Concat => {
                for value in [left, right] {
                    value.as_list().ok_or_else(|| type_fault("a list", value))?;
                }
                Err(self.heap_full())
            }
            Infix::Update => {
                let wrong = if left.as_attrs().is_none() { left } else { right };
                Err(type_fault("a set", wrong))
            }
        }
    }

    /// `left + right` of numbers, strings or paths, as the operator and `add` have it.
    fn add(&mut self, left: Value, right: Value) -> Eval<Value> {
        match (number(left), number(right)) {
            (Some(_), Some(_)) => self.add_numbers(left, right),
            (Some(_), None) => Err(type_fault("a number", right)),
            _ => self.add_texts(left, right),
        }
    }

    /// `left + right` of numbers.
    pub fn add_numbers(&mut self, left: Value, right: Value) -> Eval<Value> {
        self.calculate("adding", '+', left, right, i64::checked_add, |a, b| a + b)
    }

    /// `left - right`.
    pub fn subtract(&mut self, left: Value, right: Value) -> Eval<Value> {
        self.calculate("subtracting", '-', left, right, i64::checked_sub, |a, b| a - b)
    }

    /// `left * right`.
    pub fn multiply(&mut self, left: Value, right: Value) -> Eval<Value> {
        self.calculate("multiplying", '*', left, right, i64::checked_mul, |a, b| a * b)
    }

    /// `left / right`.
    pub fn divide(&mut self, left: Value, right: Value) -> Eval<Value> {
        if number(right).is_some_and(|right| as_float(right) == 0.0) && number(left).is_some() {
            return Err(Fault::DivisionByZero.into());
        }
        self.calculate("dividing", '/', left, right, i64::checked_div, |a, b| a / b)
    }

    /// `-operand`.
    pub(super) fn negate(&mut self, operand: Value) -> Eval<Value> {
        let zero = self.int(0);
        match number(operand) {
            // As Nix has it, `-0.0` is no negative zero.
            Some(Number::Float(float)) => Ok(self.float(0.0 - float)),
            _ => self.subtract(zero, operand),
        }
    }

    fn calculate(
        &mut self,
        verb: &'static str,
        sign: char,
        left: Value,
        right: Value,
        ints: fn(i64, i64) -> Option<i64>,
        floats: fn(f64, f64) -> f64,
    ) -> Eval<Value> {
        let expect = |value| number(value).ok_or_else(|| type_fault("a number", value));
        match (expect(left)?, expect(right)?) {
            (Number::Int(a), Number::Int(b)) => match ints(a, b) {
                Some(result) => Ok(self.int(result)),
                None => Err(overflow(verb, sign, a, b)),
            },
            (a, b) => Ok(self.float(floats(as_float(a), as_float(b)))),
        }
    }

    /// `left < right`, of evaluated values that can be ordered.
    pub fn less(&mut self, left: Value, right: Value) -> Eval<bool> {
        match (number(left), number(right)) {
            (Some(Number::Int(a)), Some(Number::Int(b))) => return Ok(a < b),
            (Some(a), Some(b)) => return Ok(as_float(a) < as_float(b)),
            _ => {}
        }
        if let (Some(a), Some(b)) = (left.as_bytes(), right.as_bytes()) {
            return Ok(a < b);
        }
        if let (Some(a), Some(b)) = (left.as_path(), right.as_path()) {
            return Ok(a < b);
        }
        let (Some(a), Some(b)) = (left.as_list(), right.as_list()) else {
            return Err(Fault::Operands {
                operation: "compare",
                left: left.type_of().unwrap_or(Type::Lambda),
                right: right.type_of().unwrap_or(Type::Lambda),
            }
            .into());
        };
        self.deeper(|m| {
            for (&a, &b) in a.iter().zip(b) {
                let (a, b) = (m.force(a)?, m.force(b)?);
                if !m.equal(a, b)? {
                    return m.less(a, b);
                }
            }
            Ok(a.len() < b.len())
        })
    }
}

#[cold]
fn overflow(verb: &str, sign: char, left: i64, right: i64) -> Error {
    Fault::Overflow { operation: format!("{verb} {left} {sign} {right}") }.into()
}
