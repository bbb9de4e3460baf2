//! Questions about values that only the machine's tables answer.

use hb_lang::ast::{Expr, Param};
use hb_lang::parse_program;
use hb_model::DerivationId;

use super::Machine;
use crate::context::ContextElement;
use crate::error::Eval;
use crate::heap::{Kind, Obj};
use crate::source::Pos;
use crate::symbol::{Symbol, well_known};
use crate::value::Value;

/// The named arguments that a function takes.
pub struct NamedArguments {
    /// Name, and whether it has a default, sorted by symbol.
    pub fields: Vec<(Symbol, bool)>,
    /// Where each field stands, in the same order.
    pub positions: Vec<Pos>,
    /// Whether others are allowed.
    pub ellipsis: bool,
}

impl Machine {
    /// The named arguments of an evaluated function, if it takes a set of such.
    pub fn pattern_of(&self, function: Value) -> Option<NamedArguments> {
        let (closure, given) = self.closure_of(function)?;
        let number = closure.extra();
        let prototype = self.program.prototype(number);
        // Of a partly applied function: whether the next parameter is the pattern.
        if given + 1 != prototype.arity as usize {
            return None;
        }
        let pattern = self.program.pattern_of(number)?;
        let source = self.program.prototype_place(number).map(|place| place.source);
        let pos = |start| source.map_or(Pos::NONE, |source| self.sources.pos(source, start));
        Some(NamedArguments {
            fields: pattern.fields.iter().map(|field| (field.name, field.has_default)).collect(),
            positions: pattern.fields.iter().map(|field| pos(field.span.start)).collect(),
            ellipsis: pattern.ellipsis,
        })
    }

    /// The next parameter of a written function: where the function that takes it stands, and
    /// the name of the parameter, or of the whole set that it takes.
    pub fn parameter(&self, function: Value) -> Option<(Pos, Option<String>)> {
        let (closure, given) = self.closure_of(function)?;
        let place = self.program.prototype_place(closure.extra())?;
        let source = self.sources.get(place.source);
        // Evaluating needs no names: read the text of the function again.
        let text = &source.text[std::ops::Range::<usize>::from(place.span)];
        let ast = parse_program(text, source.dialect).ast;
        let mut at = ast.root?;
        let mut left = given;
        while let Expr::Lambda { param, body } = ast.expr(at) {
            if left == 0 {
                let pos = self.sources.pos(place.source, place.span.start + ast.span(at).start);
                let name = match param {
                    Param::Name { name, .. } => Some(*name),
                    Param::Pattern(pattern) => pattern.alias,
                };
                return Some((pos, name.map(|name| ast.name(name).to_owned())));
            }
            (at, left) = (*body, left - 1);
        }
        None
    }

    /// The number of the builtin of which an evaluated value has some of the arguments.
    pub(crate) fn partial_builtin(&self, value: Value) -> Option<u32> {
        value.of_kind(Kind::Partial)?.value(0).as_builtin()
    }

    /// An evaluated function as Nix shows it to people: its name, and where it stands.
    pub(crate) fn described_function(&self, function: Value) -> String {
        if let Some(guarded) = function.as_object().and_then(|object| self.guarded(object)) {
            return self.described_function(guarded);
        }
        if let Some(number) = function.as_builtin() {
            return format!("«primop {}»", self.builtin(number).name);
        }
        if let Some(number) = self.partial_builtin(function) {
            return format!("«partially applied primop {}»", self.builtin(number).name);
        }
        let mut text = "«lambda".to_owned();
        let name = self.closure_of(function).and_then(|(closure, _)| {
            let name = self.program.prototype(closure.extra()).name?;
            Some(self.symbols.text(name))
        });
        text.extend(name.map(|name| format!(" {name}")));
        let place = self.parameter(function).and_then(|(pos, _)| self.sources.locate(pos));
        text.extend(place.map(|(source, offset)| {
            let (line, column) = self.sources.line_column(source, offset);
            format!(" @ {}:{line}:{column}", self.sources.get(source).name)
        }));
        text + "»"
    }

    /// The written function that an evaluated function is, and how many arguments it has.
    fn closure_of(&self, function: Value) -> Option<(Obj, usize)> {
        let object = function.as_object()?;
        match object.kind() {
            Kind::Partial => Some((object.value(0).of_kind(Kind::Closure)?, object.small())),
            Kind::Closure => match self.guarded(object) {
                Some(function) => self.closure_of(function),
                None => Some((object, 0)),
            },
            _ => None,
        }
    }

    /// The derivation that a value is, if it is one. It is reachable from a root.
    pub fn derivation_of(&mut self, value: Value) -> Eval<Option<DerivationId>> {
        let value = self.force(value)?;
        let Some(attrs) = value.as_attrs() else { return Ok(None) };
        if !self.is_derivation(attrs)? {
            return Ok(None);
        }
        let Some(path) = attrs.get(well_known::DRV_PATH) else { return Ok(None) };
        let path = self.expect_string(path)?;
        let context = self.contexts.get(self.context_of(path));
        let derivations = context.filter_map(|element| match element {
            ContextElement::Derivation { id, .. } => Some(*id),
            _ => None,
        });
        Ok(derivations.min())
    }
}
