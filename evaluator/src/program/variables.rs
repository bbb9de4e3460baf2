//! Variables, and what is known of an expression without running it.

use hb_lang::ast::{AttrName, Expr, ExprId, Name, StrPart, UnaryOp};
use hb_lang::suggest::nearest;
use hb_lang::{Diagnostic, Dialect, Span};

use super::code::Entry;
use super::compile::{Compiler, Surroundings};
use super::constant::Constant;
use super::function::Variable;
use super::op::{Op, Source};
use super::scope::{Meaning, With};
use super::strings::is_text;

/// What a call's function or a name is known to be.
pub(super) enum Known {
    Variable(Variable),
    Constant(Constant),
    Dynamic,
    Undefined,
}

impl Compiler<'_> {
    /// What a name means here.
    pub(super) fn lookup(&mut self, name: Name) -> Known {
        match self.scopes.innermost(name) {
            Some(Meaning::Variable(variable)) => return Known::Variable(variable),
            Some(Meaning::Constant(value)) => return Known::Constant(value),
            None => {}
        }
        let text = self.ast.name(name);
        let Surroundings { dialect, names, .. } = self.around;
        let contract = || names.contract(text).filter(|_| self.in_contract);
        let known = self.scoped(name).or_else(|| names.global(text, dialect)).or_else(contract);
        if let Some(value) = known {
            return Known::Constant(value);
        }
        match self.scopes.withs.last() {
            None => Known::Undefined,
            Some(With::Builtins) => match names.builtin(text) {
                Some(value) => Known::Constant(value),
                None => Known::Dynamic,
            },
            Some(With::Variable(_)) => Known::Dynamic,
        }
    }

    /// What the variables beside the globals have under a name.
    fn scoped(&self, name: Name) -> Option<Constant> {
        let (symbols, scope) = self.around.scope?;
        let value = scope.get(symbols.find(self.name(name).as_bytes())?)?;
        Some(Constant::of(value).unwrap_or(Constant::Scoped(name)))
    }

    /// What an expression is known to be without running anything.
    pub(super) fn known(&mut self, id: ExprId) -> Known {
        match self.ast.expr(id) {
            Expr::Var(name) => self.lookup(*name),
            Expr::Select { base, path, default: None } => {
                let [AttrName::Static { name, .. }] = &**path else {
                    return Known::Dynamic;
                };
                match self.known(*base) {
                    Known::Constant(Constant::Builtins) => {
                        let found = self.around.names.builtin(self.ast.name(*name));
                        found.map_or(Known::Dynamic, Known::Constant)
                    }
                    _ => Known::Dynamic,
                }
            }
            _ => self.literal(id).map_or(Known::Dynamic, Known::Constant),
        }
    }

    /// The value of a constant expression.
    pub(super) fn literal(&self, id: ExprId) -> Option<Constant> {
        match self.ast.expr(id) {
            Expr::Int(number) => Some(Constant::Int(*number)),
            Expr::Float(number) => Some(Constant::Float(*number)),
            Expr::Str(parts) => is_text(parts).then_some(Constant::Text(id)),
            Expr::List(items) if items.is_empty() => Some(Constant::EmptyList),
            Expr::Attrs { bindings, .. }
                if bindings.fixed.is_empty()
                    && bindings.dynamic.is_empty()
                    && bindings.inherit_from.is_empty() =>
            {
                Some(Constant::EmptyAttrs)
            }
            Expr::Unary { op: UnaryOp::Negate, operand } => match self.literal(*operand)? {
                Constant::Int(number) => number.checked_neg().map(Constant::Int),
                _ => None,
            },
            // What is in the home folder depends on the user.
            Expr::Path(parts) => {
                let at_home =
                    matches!(parts.first(), Some(StrPart::Text(text)) if text.starts_with('~'));
                (is_text(parts) && !at_home).then_some(Constant::Path(id))
            }
            _ => None,
        }
    }

    /// Push a variable as it is, or evaluated.
    pub(super) fn push_variable(&mut self, variable: Variable, force: Option<Span>) {
        let op = match (self.source(variable), force) {
            (Source::Local(slot), None) => Op::Local(slot),
            (Source::Upvalue(index), None) => Op::Upvalue(index),
            (Source::Local(slot), Some(_)) => Op::ForceLocal(slot),
            (Source::Upvalue(index), Some(_)) => Op::ForceUpvalue(index),
        };
        match force {
            Some(span) => self.emit_at(op, 1, span),
            None => self.emit(op, 1),
        }
    }

    /// `<name>` stands for `__findFile __nixPath "name"`, whatever those two mean here.
    pub(super) fn search_path(&mut self, name: &str, span: Span) {
        let find = self.redefined("__findFile");
        let folders = self.redefined("__nixPath");
        if find.is_none() && folders.is_none() {
            let constant = self.entry(Entry::Text(name.as_bytes()));
            return self.emit_at(Op::FindInSearchPath(constant), 1, span);
        }
        for (redefined, global, force) in
            [(find, "__findFile", Some(span)), (folders, "__nixPath", None)]
        {
            let global = self.around.names.global(global, self.around.dialect);
            match (redefined, global) {
                (Some(Meaning::Variable(variable)), _) => self.push_variable(variable, force),
                (Some(Meaning::Constant(value)), _) | (None, Some(value)) => {
                    self.push_constant(value);
                    if force.is_some() && value.may_be_delayed() {
                        self.emit_at(Op::Force, 0, span);
                    }
                }
                (None, None) => unreachable!("both are global"),
            }
        }
        self.push_entry(Entry::Text(name.as_bytes()));
        self.emit_at(Op::Call(2), -2, span);
    }

    /// What the text around makes of a global's name, if it binds it.
    fn redefined(&mut self, text: &'static str) -> Option<Meaning> {
        let name = self.name_of(text);
        self.scopes.innermost(name).or_else(|| self.scoped(name).map(Meaning::Constant))
    }

    pub(super) fn strict_variable(&mut self, name: Name, span: Span) {
        match self.lookup(name) {
            Known::Variable(variable) => self.push_variable(variable, Some(span)),
            Known::Constant(value) => {
                self.push_constant(value);
                if value.may_be_delayed() {
                    self.emit_at(Op::Force, 0, span);
                }
            }
            Known::Dynamic => self.dynamic_variable(name, span),
            Known::Undefined => self.undefined(name, span),
        }
    }

    /// Look a name up in every `with` around, the innermost first.
    fn dynamic_variable(&mut self, name: Name, span: Span) {
        let name = self.symbol(name);
        let height = self.height();
        let mut found = Vec::new();
        for with in self.scopes.withs.clone().into_iter().rev() {
            match with {
                With::Variable(variable) => self.push_variable(variable, Some(span)),
                With::Builtins => self.push_constant(Constant::Builtins),
            }
            self.emit_at(Op::with_or_skip(name), 0, span);
            found.push(self.here().jump(Op::Jump, -1));
        }
        self.emit_at(Op::Undefined(name), 1, span);
        for jump in found {
            self.here().land(jump);
        }
        self.here().height = height + 1;
        self.emit_at(Op::Force, 0, span);
    }

    pub(super) fn undefined(&mut self, name: Name, span: Span) {
        let text = self.ast.name(name);
        let Surroundings { dialect, names, .. } = self.around;
        let mut globals: Vec<String> =
            names.globals(dialect).filter(|name| !name.starts_with("__")).collect();
        if self.in_contract {
            globals.extend(names.contracts().map(str::to_owned));
        }
        globals.sort();
        let bound = self.scopes.names().map(|name| self.name(name));
        let near =
            nearest(text, bound).or_else(|| nearest(text, globals.iter().map(String::as_str)));
        let mut problem = Diagnostic::error(
            "eval.undefined-variable",
            format!("undefined variable '{text}'"),
            span,
        )
        .here("nothing here has this name");
        if dialect != Dialect::Nix && names.contract(text).is_some() {
            problem =
                problem.help(format!("this contract is 'hb.{text}' where no `|` stands before"));
        } else if let Some(near) = near {
            problem = problem.help(format!("did you mean '{near}'?"));
        }
        self.problems.push(problem);
        self.emit(Op::Bool(false), 1);
    }
}
