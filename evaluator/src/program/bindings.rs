//! `let`, sets, and patterns: names bound to slots.
//!
//! A binding's value is made in its slot, in source order. One that captures a later
//! binding of its group is allocated empty and filled in when all are there.

use hb_lang::Span;
use hb_lang::ast::{self, Binding, BindingValue, Bindings, Expr, ExprId, Field, Name};
use rustc_hash::FxHashSet;

use super::compile::Compiler;
use super::constant::Constant;
use super::encoding::Encode as _;
use super::function::Variable;
use super::op::{Op, Source};
use super::scope::Meaning;
use super::variables::Known;
use crate::symbol::Symbol;

/// How a binding's value is made.
enum Maker {
    /// Push something that depends on no binding of the group.
    Constant(Constant),
    Outer(Variable),
    /// A closure or thunk.
    Closure(u32),
    Thunk(u32),
    /// A thunk, unless its expression can be had at once.
    Tried(ExprId, u32),
}

/// Names to leave.
pub(super) struct Scope(Vec<Name>);

/// Where an attribute's value is while its set is made.
#[derive(Clone, Copy)]
enum Place {
    Slot(u32),
    Constant(Constant),
    Outer(Variable),
}

impl Compiler<'_> {
    pub(super) fn leave_scope(&mut self, scope: Scope) {
        for name in scope.0.into_iter().rev() {
            self.scopes.leave(name);
        }
    }

    pub(super) fn bind_let(&mut self, bindings: &Bindings) -> Scope {
        for &(.., span) in &bindings.dynamic {
            self.problems.push(
                hb_lang::Diagnostic::error(
                    "parse.dynamic-let",
                    "a variable's name must be known before evaluating",
                    span,
                )
                .help("make a set, and select from it"),
            );
        }
        self.bind_group(bindings, false).0
    }

    /// Bind the names of a `let` or `rec` and make their values; says where each is. Where
    /// they may be `overridable`, each is a thunk.
    fn bind_group(&mut self, bindings: &Bindings, overridable: bool) -> (Scope, Vec<Place>) {
        let level = self.level();
        let start = self.height();
        let sources = bindings.inherit_from.len() as u32;

        // Meanings of inherited names are those outside; so are those of other names that
        // are but variables from there. What is inherited under a `with`, or may be
        // overridden, is evaluated out here.
        let own: FxHashSet<Name> = bindings.fixed.iter().map(|binding| binding.name).collect();
        let ast = self.ast;
        let outer_name = |binding: &Binding| match binding.value {
            BindingValue::Inherit => Some(binding.name),
            BindingValue::Expr(id) => match ast.expr(id) {
                Expr::Var(name) if !overridable && !own.contains(name) => Some(*name),
                _ => None,
            },
            BindingValue::InheritFrom(_) => None,
        };
        let mut makers: Vec<Option<Maker>> = Vec::with_capacity(bindings.fixed.len());
        for binding in &bindings.fixed {
            makers.push(match outer_name(binding).map(|name| self.lookup(name)) {
                Some(Known::Variable(variable)) if !overridable => Some(Maker::Outer(variable)),
                Some(Known::Constant(value)) if !overridable => Some(Maker::Constant(value)),
                _ => (binding.value == BindingValue::Inherit)
                    .then(|| Maker::Thunk(self.delayed_variable(binding.name, binding.span))),
            });
        }
        // A source is evaluated among the names that are bound here.
        let builtins = self.builtin_sources(bindings, true);
        for (binding, maker) in bindings.fixed.iter().zip(&mut makers) {
            let known = match binding.value {
                _ if overridable => None,
                BindingValue::Expr(id) if self.must_delay(id) => None,
                BindingValue::Expr(id) => self.literal(id),
                BindingValue::Inherit => None,
                BindingValue::InheritFrom(index) => {
                    self.inherited_builtin(&builtins, index, binding)
                }
            };
            if let Some(value) = known {
                *maker = Some(Maker::Constant(value));
            }
        }

        // Slots: the sources of `inherit (…)`, then whatever needs one.
        let mut next = start + sources;
        let mut places = Vec::with_capacity(makers.len());
        let mut names = Vec::with_capacity(makers.len());
        for (binding, maker) in bindings.fixed.iter().zip(&makers) {
            let place = match maker {
                Some(Maker::Constant(value)) => Place::Constant(*value),
                Some(Maker::Outer(variable)) => Place::Outer(*variable),
                _ => {
                    next += 1;
                    Place::Slot(next - 1)
                }
            };
            places.push(place);
            names.push(binding.name);
        }
        for (&name, &place) in names.iter().zip(&places) {
            let meaning = match place {
                Place::Constant(value) => Meaning::Constant(value),
                Place::Outer(variable) => Meaning::Variable(variable),
                Place::Slot(slot) => Meaning::Variable(Variable { level, slot }),
            };
            self.scopes.enter(name, meaning);
        }

        // Compile the values: what they capture says what must be there first.
        let mut values = Vec::with_capacity((next - start) as usize);
        for (&id, builtins) in bindings.inherit_from.iter().zip(builtins) {
            values.push(match builtins {
                true => Maker::Constant(Constant::Builtins),
                false => Maker::Thunk(self.delayed(id, None)),
            });
        }
        for (binding, maker) in bindings.fixed.iter().zip(makers) {
            let symbol = self.symbol(binding.name);
            let maker = match (maker, &binding.value) {
                (Some(Maker::Constant(_) | Maker::Outer(_)), _) => continue,
                (Some(maker), _) => maker,
                (None, BindingValue::Expr(id)) if overridable => {
                    Maker::Thunk(self.delayed(*id, Some(symbol)))
                }
                (None, BindingValue::Expr(id)) => self.binding_maker(*id, symbol),
                (None, BindingValue::InheritFrom(index)) => {
                    let source = Variable { level, slot: start + index };
                    Maker::Thunk(self.delayed_select(source, symbol, binding.span))
                }
                (None, BindingValue::Inherit) => unreachable!("made above"),
            };
            values.push(maker);
        }

        let end = start + values.len() as u32;
        let mut late = Vec::new();
        for (i, maker) in values.into_iter().enumerate() {
            let slot = start + i as u32;
            let prototype = match maker {
                Maker::Closure(prototype)
                | Maker::Thunk(prototype)
                | Maker::Tried(_, prototype) => prototype,
                Maker::Constant(value) => {
                    self.push_constant(value);
                    continue;
                }
                Maker::Outer(_) => unreachable!("these have no slot"),
            };
            let captures = self.here().captures_of(prototype);
            let is_late = captures
                .iter()
                .any(|&source| matches!(source, Source::Local(s) if s > slot && s < end));
            if is_late {
                late.push(slot);
            }
            match (maker, is_late) {
                (Maker::Closure(_), false) => self.emit(Op::Closure(prototype), 1),
                (Maker::Closure(_), true) => self.emit(Op::AllocateClosure(prototype), 1),
                (_, true) => self.emit(Op::AllocateThunk(prototype), 1),
                (Maker::Tried(id, _), false) => self.try_or_delay(id, prototype, slot),
                (_, false) => self.emit(Op::Thunk(prototype), 1),
            }
        }
        for slot in late {
            self.emit(Op::Fill(slot), 0);
        }
        (Scope(names), places)
    }

    /// For each source of `inherit (…)`, whether it is known to be the set of all builtins:
    /// what is inherited from it is known too, as are calls of it.
    fn builtin_sources(&mut self, bindings: &Bindings, recursive: bool) -> Vec<bool> {
        let source = |&id: &ExprId| match self.ast.expr(id) {
            _ if self.around.delay_as_nix => false,
            Expr::Var(name)
                if recursive && bindings.fixed.iter().any(|binding| binding.name == *name) =>
            {
                false
            }
            Expr::Var(name) => matches!(self.lookup(*name), Known::Constant(Constant::Builtins)),
            _ => false,
        };
        bindings.inherit_from.iter().map(source).collect()
    }

    /// The builtin that a binding inherits, if it is known.
    fn inherited_builtin(
        &self,
        builtins: &[bool],
        source: u32,
        binding: &Binding,
    ) -> Option<Constant> {
        let name = self.ast.name(binding.name);
        builtins[source as usize].then(|| self.around.names.builtin(name)).flatten()
    }

    fn binding_maker(&mut self, id: ExprId, symbol: Symbol) -> Maker {
        let is_tried = !self.must_delay(id);
        match self.ast.expr(id) {
            Expr::Lambda { .. } if is_tried => {
                Maker::Closure(self.lambda_prototype(id, Some(symbol)))
            }
            _ if is_tried && self.gives_no_thunk(id) => {
                Maker::Tried(id, self.delayed(id, Some(symbol)))
            }
            _ => Maker::Thunk(self.delayed(id, Some(symbol))),
        }
    }

    /// A thunk of a variable that only a `with` may have.
    fn delayed_variable(&mut self, name: Name, span: Span) -> u32 {
        let symbol = self.symbol(name);
        self.nested(0, Some(symbol), None, span, |compiler| {
            compiler.strict_variable(name, span);
            compiler.emit(Op::Resolve, -1);
        })
    }

    fn delayed_select(&mut self, source: Variable, name: Symbol, span: Span) -> u32 {
        self.nested(0, Some(name), None, span, |compiler| {
            compiler.push_variable(source, Some(span));
            compiler.emit_at(Op::select(name), 0, span);
            compiler.emit(Op::Resolve, -1);
        })
    }

    /// A set literal.
    pub(super) fn attrs(&mut self, recursive: bool, bindings: &Bindings, _span: Span) {
        let before = self.height();
        match recursive {
            true => {
                let overrides = bindings
                    .fixed
                    .iter()
                    .position(|binding| self.ast.name(binding.name) == "__overrides");
                let (scope, places) = self.bind_group(bindings, overrides.is_some());
                if let Some(index) = overrides {
                    self.override_group(bindings, &places, index);
                }
                self.set_of_places(bindings, &places);
                if let Some(index) = overrides {
                    self.push_overrides(bindings, &places, index);
                    self.emit_at(Op::Update, -1, bindings.fixed[index].span);
                }
                self.dynamic_attrs(bindings);
                self.leave_scope(scope);
            }
            false => {
                let level = self.level();
                for &id in &bindings.inherit_from {
                    self.lazy(id, None);
                }
                let builtins = self.builtin_sources(bindings, false);
                for binding in &bindings.fixed {
                    let symbol = self.symbol(binding.name);
                    match binding.value {
                        BindingValue::Expr(id) => self.lazy(id, Some(symbol)),
                        BindingValue::Inherit => self.lazy_variable(binding.name, binding.span),
                        BindingValue::InheritFrom(index) => {
                            let known = self.inherited_builtin(&builtins, index, binding);
                            if let Some(value) = known {
                                self.push_constant(value);
                                continue;
                            }
                            let source = Variable { level, slot: before + index };
                            let thunk = self.delayed_select(source, symbol, binding.span);
                            if !self.around.delay_as_nix {
                                self.push_variable(source, None);
                                self.emit(Op::try_select(symbol), -1);
                            }
                            self.emit(Op::Thunk(thunk), 1);
                        }
                    }
                }
                self.make_set(bindings);
                self.dynamic_attrs(bindings);
            }
        }
        self.slide_to(before);
    }

    /// Push the value of a group's `__overrides`, its binding number `index`.
    fn push_overrides(&mut self, bindings: &Bindings, places: &[Place], index: usize) {
        let Place::Slot(slot) = places[index] else {
            unreachable!("bindings that may be overridden are in slots")
        };
        let variable = Variable { level: self.level(), slot };
        self.push_variable(variable, Some(bindings.fixed[index].span));
    }

    fn override_group(&mut self, bindings: &Bindings, places: &[Place], index: usize) {
        self.push_overrides(bindings, places, index);
        let variables =
            bindings.fixed.iter().zip(places).filter_map(|(binding, place)| match place {
                Place::Slot(slot) => Some((self.symbol(binding.name), *slot)),
                Place::Constant(_) | Place::Outer(_) => None,
            });
        let variables: Vec<_> = variables.collect();
        let list = self.here().overrides.push(|out| {
            (variables.len() as u32).put(out);
            for (name, slot) in variables {
                name.put(out);
                slot.put(out);
            }
        });
        self.emit_at(Op::Override(list), -1, bindings.fixed[index].span);
    }

    fn lazy_variable(&mut self, name: Name, span: Span) {
        match self.lookup(name) {
            Known::Variable(variable) => self.push_variable(variable, None),
            Known::Constant(value) => self.push_constant(value),
            Known::Dynamic => {
                let thunk = self.delayed_variable(name, span);
                self.emit(Op::Thunk(thunk), 1);
            }
            Known::Undefined => self.strict_variable(name, span),
        }
    }

    /// Push the values of a recursive set, and make it.
    fn set_of_places(&mut self, bindings: &Bindings, places: &[Place]) {
        let level = self.level();
        for &place in places {
            match place {
                Place::Slot(slot) => self.push_variable(Variable { level, slot }, None),
                Place::Constant(value) => self.push_constant(value),
                Place::Outer(variable) => self.push_variable(variable, None),
            }
        }
        self.make_set(bindings);
    }

    /// Make a set of the values on top, in the order of the text.
    fn make_set(&mut self, bindings: &Bindings) {
        let count = bindings.fixed.len() as i32;
        let name = |binding: &Binding| (Symbol(binding.name.0), binding.span.start);
        let shape = self.here().shape(bindings.fixed.iter().map(name));
        self.emit(Op::Attrs(shape), 1 - count);
    }

    fn dynamic_attrs(&mut self, bindings: &Bindings) {
        for &(name, value, span) in &bindings.dynamic {
            self.strict(name);
            self.lazy(value, None);
            self.emit_at(Op::AddAttr, -2, span);
        }
    }

    /// `let { …; body = …; }`.
    pub(super) fn legacy_let(&mut self, bindings: &Bindings, span: Span) {
        self.attrs(true, bindings, span);
        let body = self.name_of("body");
        let name = self.symbol(body);
        self.emit_at(Op::select(name), 0, span);
    }

    /// A default's value, if there is nothing to evaluate and no contract to keep.
    fn constant_default(&mut self, field: &Field, default: ExprId) -> Option<Constant> {
        if field.contract.is_some() || self.must_delay(default) {
            return None;
        }
        match self.known(default) {
            Known::Constant(value) if !value.may_be_delayed() => Some(value),
            _ => None,
        }
    }

    /// Bind a pattern's names; the argument is in `slot`, and the fields go above it.
    pub(super) fn bind_pattern(&mut self, slot: u32, pattern: &ast::Pattern) -> Vec<Name> {
        let ast::Pattern { ref fields, alias, span, .. } = *pattern;
        let mut bound = Vec::new();
        self.emit_at(Op::ForceLocal(slot), 1, span);
        let start = self.height() - 1;
        // The function's pattern, whichever that is.
        self.emit_at(Op::Match(0), fields.len() as i32 - 1, span);
        for (i, field) in fields.iter().enumerate() {
            self.bind_slot(field.name, start + i as u32);
            bound.push(field.name);
        }
        if let Some(alias) = alias {
            self.bind_slot(alias, slot);
            bound.push(alias);
        }
        // Defaults may refer to each other: allocate all that are needed, then fill in.
        let mut defaults = Vec::new();
        for (i, field) in fields.iter().enumerate() {
            let Some(default) = field.default else { continue };
            let Ok(slot) = u16::try_from(start + i as u32) else {
                let message = "the pattern has more than 65,535 fields";
                let problem = hb_lang::Diagnostic::error("eval.pattern-size", message, span);
                self.problems.push(problem);
                break;
            };
            if let Some(value) = self.constant_default(field, default) {
                let constant = self.constant(value);
                self.emit(Op::ConstantDefault { slot, constant }, 0);
                continue;
            }
            let symbol = self.symbol(field.name);
            let prototype = self.default_prototype(field, default, symbol);
            self.emit(Op::AllocateDefault { slot, prototype }, 0);
            defaults.push(u32::from(slot));
        }
        for (i, field) in fields.iter().enumerate() {
            self.check_argument(field, start + i as u32);
        }
        for slot in defaults {
            self.emit(Op::FillDefault(slot), 0);
        }
        bound
    }
}
