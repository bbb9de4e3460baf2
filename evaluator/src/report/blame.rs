//! The other end of a fault: where the thing that did not fit was bound.
//!
//! Evaluating keeps no record of that. When an error is reported, and only then, the
//! text is parsed again, the expression at the fault's place is found, and the
//! variables and attributes that it uses are followed to their definitions.

use hb_lang::ast::{
    Ast, AttrName, Binding, BindingValue, Bindings, Expr, ExprId, Name, Param, StrPart,
};
use hb_lang::{Span, parse_program};

use crate::error::{Fault, PlaceLabel};
use crate::source::{Place, Sources};

/// Definitions followed from one variable: a chain of aliases longer than this ends.
const MAX_STEPS: usize = 16;

/// Where what a fault is about was bound, for faults about a value.
pub(super) fn definitions(fault: &Fault, place: Place, sources: &Sources) -> Vec<PlaceLabel> {
    if let Fault::BrokenContract { argument: Some(argument), .. } = fault {
        return given(argument, place, sources).into_iter().collect();
    }
    let about_a_value = matches!(
        fault,
        Fault::Type { .. }
            | Fault::Operands { .. }
            | Fault::NotAFunction { .. }
            | Fault::NoString { .. }
            | Fault::Assertion
    );
    if !about_a_value {
        return Vec::new();
    }
    let source = sources.get(place.source);
    let parsed = parse_program(&source.text, source.dialect);
    let text = Text::new(&parsed.ast);
    let only_the_function = matches!(fault, Fault::NotAFunction { .. });
    let mut labels: Vec<PlaceLabel> = Vec::new();
    for operand in text.operands_at(place.span, only_the_function) {
        let Some(definition) = text.definition(operand) else { continue };
        let place = Place { span: definition.span, ..place };
        if labels.iter().all(|label| label.place != place) {
            labels.push(PlaceLabel { place, text: definition.text(text.ast) });
        }
    }
    labels
}

/// Where a call gives an argument of this name, if it writes its arguments out.
fn given(argument: &str, call: Place, sources: &Sources) -> Option<PlaceLabel> {
    let source = sources.get(call.source);
    let parsed = parse_program(&source.text, source.dialect);
    let text = Text::new(&parsed.ast);
    let operands = text.operands_at(call.span, false).into_iter();
    let mut bindings = operands.filter_map(|operand| text.literal_set(operand));
    let binding = bindings.find_map(|bindings| {
        bindings.fixed.iter().find(|binding| text.ast.name(binding.name) == argument)
    })?;
    let place = Place { span: binding.span, ..call };
    Some(PlaceLabel { place, text: format!("'{argument}' is given here") })
}

/// Where a name gets its value.
#[derive(Clone, Copy)]
struct Definition {
    name: Name,
    span: Span,
    /// The bound expression; of an argument, there is none.
    value: Option<ExprId>,
    is_argument: bool,
}

impl Definition {
    fn text(&self, ast: &Ast) -> String {
        let name = ast.name(self.name);
        match self.is_argument {
            true => format!("'{name}' is what the caller gave"),
            false => format!("'{name}' is bound here"),
        }
    }
}

/// A text with the way up from each expression.
struct Text<'a> {
    ast: &'a Ast,
    parents: Vec<Option<ExprId>>,
}

impl<'a> Text<'a> {
    fn new(ast: &'a Ast) -> Self {
        let mut parents = vec![None; ast.exprs.len()];
        for (i, expr) in ast.exprs.iter().enumerate() {
            for child in children(expr) {
                parents[child.0 as usize] = Some(ExprId(i as u32));
            }
        }
        Self { ast, parents }
    }

    /// What the expression at a place works on.
    fn operands_at(&self, span: Span, only_the_function: bool) -> Vec<ExprId> {
        let mut operands = Vec::new();
        for (i, expr) in self.ast.exprs.iter().enumerate() {
            // A selection's place is that of the attribute's name.
            if let Expr::Select { base, path, .. } = expr
                && let Some(at) = path.iter().position(|part| part_span(part) == span)
                && at == 0
            {
                operands.push(*base);
            }
            if self.ast.spans[i] != span {
                continue;
            }
            match expr {
                Expr::Var(_) | Expr::Select { .. } => operands.push(ExprId(i as u32)),
                Expr::Binary { left, right, .. } => operands.extend([*left, *right]),
                Expr::Apply { .. } => {
                    let mut function = ExprId(i as u32);
                    while let Expr::Apply { function: inner, argument } = self.ast.expr(function) {
                        if !only_the_function {
                            operands.push(*argument);
                        }
                        function = *inner;
                    }
                    if only_the_function {
                        operands.push(function);
                    }
                }
                Expr::Str(parts) => operands.extend(interpolations(parts)),
                _ => {}
            }
        }
        operands
    }

    /// Where an expression's value was bound, if it is a variable or a selection that can
    /// be followed.
    fn definition(&self, id: ExprId) -> Option<Definition> {
        match self.ast.expr(id) {
            Expr::Var(name) => self.variable(*name, id),
            Expr::Select { base, path, .. } => {
                let mut found = None;
                let mut value = *base;
                for part in path {
                    let AttrName::Static { name, .. } = part else { return None };
                    let bindings = self.literal_set(value)?;
                    let binding = bindings.fixed.iter().find(|b| b.name == *name)?;
                    let definition = of_binding(binding);
                    value = definition.value.unwrap_or(value);
                    found = Some(definition);
                }
                found
            }
            _ => None,
        }
    }

    /// The set that an expression is, perhaps by way of variables.
    fn literal_set(&self, mut id: ExprId) -> Option<&'a Bindings> {
        for _ in 0..MAX_STEPS {
            match self.ast.expr(id) {
                Expr::Attrs { bindings, .. } => return Some(bindings),
                Expr::Var(name) => id = self.variable(*name, id)?.value?,
                _ => return None,
            }
        }
        None
    }

    /// Where a name that an expression uses is bound.
    fn variable(&self, name: Name, user: ExprId) -> Option<Definition> {
        let mut at = user;
        while let Some(parent) = self.parents[at.0 as usize] {
            at = parent;
            match self.ast.expr(at) {
                Expr::Let { bindings, .. }
                | Expr::LegacyLet(bindings)
                | Expr::Attrs { recursive: true, bindings } => {
                    let binding = bindings.fixed.iter().find(|binding| binding.name == name);
                    // What is inherited from outside is bound further out.
                    if let Some(binding) = binding
                        && binding.value != BindingValue::Inherit
                    {
                        return Some(of_binding(binding));
                    }
                }
                Expr::Lambda { param, .. } => {
                    if let Some(span) = argument(param, name) {
                        return Some(Definition { name, span, value: None, is_argument: true });
                    }
                }
                _ => {}
            }
        }
        None
    }
}

fn of_binding(binding: &Binding) -> Definition {
    let value = match binding.value {
        BindingValue::Expr(id) => Some(id),
        BindingValue::Inherit | BindingValue::InheritFrom(_) => None,
    };
    Definition { name: binding.name, span: binding.span, value, is_argument: false }
}

/// Where a parameter binds a name, if it does.
fn argument(param: &Param, name: Name) -> Option<Span> {
    match param {
        Param::Name { name: own, span } => (*own == name).then_some(*span),
        Param::Pattern(pattern) => pattern
            .fields
            .iter()
            .find(|field| field.name == name)
            .map(|field| field.span)
            .or_else(|| (pattern.alias == Some(name)).then_some(pattern.span)),
    }
}

fn part_span(part: &AttrName) -> Span {
    match part {
        AttrName::Static { span, .. } | AttrName::Dynamic { span, .. } => *span,
    }
}

fn interpolations(parts: &[StrPart]) -> impl Iterator<Item = ExprId> {
    parts.iter().filter_map(|part| match part {
        StrPart::Interpolation(id) => Some(*id),
        StrPart::Text(_) => None,
    })
}

fn computed(path: &[AttrName]) -> impl Iterator<Item = ExprId> {
    path.iter().filter_map(|part| match part {
        AttrName::Dynamic { value, .. } => Some(*value),
        AttrName::Static { .. } => None,
    })
}

fn bound(bindings: &Bindings) -> Vec<ExprId> {
    let mut ids = bindings.inherit_from.clone();
    ids.extend(bindings.fixed.iter().filter_map(|binding| match binding.value {
        BindingValue::Expr(id) => Some(id),
        BindingValue::Inherit | BindingValue::InheritFrom(_) => None,
    }));
    ids.extend(bindings.dynamic.iter().flat_map(|&(name, value, _)| [name, value]));
    ids
}

/// The expressions directly inside one.
fn children(expr: &Expr) -> Vec<ExprId> {
    match expr {
        Expr::Error
        | Expr::Int(_)
        | Expr::Float(_)
        | Expr::SearchPath(_)
        | Expr::CurPos
        | Expr::Var(_) => Vec::new(),
        Expr::Str(parts) | Expr::Path(parts) => interpolations(parts).collect(),
        Expr::Select { base, path, default } => {
            std::iter::once(*base).chain(computed(path)).chain(*default).collect()
        }
        Expr::HasAttr { base, path } => std::iter::once(*base).chain(computed(path)).collect(),
        Expr::Apply { function, argument } => vec![*function, *argument],
        Expr::Lambda { param, body } => {
            let fields = match param {
                Param::Name { .. } => &[],
                Param::Pattern(pattern) => pattern.fields.as_slice(),
            };
            let parts = fields.iter().flat_map(|field| [field.contract, field.default]);
            parts.flatten().chain([*body]).collect()
        }
        Expr::Let { bindings, body } => bound(bindings).into_iter().chain([*body]).collect(),
        Expr::LegacyLet(bindings) | Expr::Attrs { bindings, .. } => bound(bindings),
        Expr::With { scope, body } => vec![*scope, *body],
        Expr::Assert { condition, body } => vec![*condition, *body],
        Expr::If { condition, yes, no } => vec![*condition, *yes, *no],
        Expr::List(items) => items.clone(),
        Expr::Unary { operand, .. } => vec![*operand],
        Expr::Check { value, contract, .. } => vec![*value, *contract],
        Expr::Arrow { from, to } => vec![*from, *to],
        Expr::Binary { left, right, .. } => vec![*left, *right],
    }
}
