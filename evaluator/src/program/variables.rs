//! Variables, and what is known of an expression without running it.

use hb_lang::ast::{AttrName, Expr, ExprId, Name, UnaryOp};
use hb_lang::suggest::nearest;
use hb_lang::{Diagnostic, Dialect, Span};

use super::compile::Compiler;
use super::function::Variable;
use super::op::{Op, Source};
use super::scope::{Meaning, With};
use super::strings::constant_text;
use crate::value::Value;

/// What a call's function or a name is known to be.
pub(super) enum Known {
    Variable(Variable),
    Constant(Value),
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
        let symbol = self.symbol(name);
        if let Some(value) = self.unit.scope.and_then(|scope| scope.get(symbol)) {
            return Known::Constant(value);
        }
        if let Some(value) = self.machine.globals().get(symbol, self.unit.dialect) {
            return Known::Constant(value);
        }
        if self.in_contract
            && let Some(value) = self.machine.globals().contract(symbol, self.ast.name(name))
        {
            return Known::Constant(value);
        }
        match self.scopes.withs.last() {
            None => Known::Undefined,
            Some(With::Builtins) => match self.machine.builtins_set().get(symbol) {
                Some(value) => Known::Constant(value),
                None => Known::Dynamic,
            },
            Some(With::Variable(_)) => Known::Dynamic,
        }
    }

    /// What an expression is known to be without running anything.
    pub(super) fn known(&mut self, id: ExprId) -> Known {
        match self.ast.expr(id) {
            Expr::Var(name) => self.lookup(*name),
            Expr::Select { base, path, default: None } => {
                let [AttrName::Static { name, .. }] = &**path else {
                    return Known::Dynamic;
                };
                let Known::Constant(set) = self.known(*base) else { return Known::Dynamic };
                let builtins = self.machine.globals().is_builtins(set);
                match builtins.and_then(|builtins| builtins.get(self.symbol(*name))) {
                    Some(value) => Known::Constant(value),
                    None => Known::Dynamic,
                }
            }
            _ => self.literal(id).map_or(Known::Dynamic, Known::Constant),
        }
    }

    /// The value of a constant expression.
    pub(super) fn literal(&mut self, id: ExprId) -> Option<Value> {
        match self.ast.expr(id) {
            Expr::Int(number) => Some(self.machine.int(*number)),
            Expr::Float(number) => Some(self.machine.float(*number)),
            Expr::Str(parts) => {
                let text = constant_text(parts)?;
                Some(self.machine.string(text.as_bytes()))
            }
            Expr::List(items) if items.is_empty() => Some(self.machine.heap.empty_list()),
            Expr::Attrs { bindings, .. }
                if bindings.fixed.is_empty()
                    && bindings.dynamic.is_empty()
                    && bindings.inherit_from.is_empty() =>
            {
                Some(self.machine.heap.empty_attrs())
            }
            Expr::Unary { op: UnaryOp::Negate, operand } => {
                let operand = self.literal(*operand)?.as_int()?;
                Some(self.machine.int(operand.checked_neg()?))
            }
            Expr::Path(parts) => self.constant_path(parts),
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
        let name = self.machine.string(name.as_bytes());
        if find.is_none() && folders.is_none() {
            let constant = self.constant(name);
            return self.emit_at(Op::FindInSearchPath(constant), 1, span);
        }
        for (redefined, global, force) in
            [(find, "__findFile", Some(span)), (folders, "__nixPath", None)]
        {
            let symbol = self.machine.symbols.intern(global.as_bytes());
            let global = self.machine.globals().get(symbol, self.unit.dialect);
            match (redefined, global) {
                (Some(Meaning::Variable(variable)), _) => self.push_variable(variable, force),
                (Some(Meaning::Constant(value)), _) | (None, Some(value)) => {
                    self.push_constant(value);
                    if force.is_some() && value.is_thunk() {
                        self.emit_at(Op::Force, 0, span);
                    }
                }
                (None, None) => unreachable!("both are global"),
            }
        }
        self.push_constant(name);
        self.emit_at(Op::Call(2), -2, span);
    }

    /// What the text around makes of a global's name, if it binds it.
    fn redefined(&mut self, text: &str) -> Option<Meaning> {
        let number = self.ast.names.iter().position(|name| &**name == text);
        let bound = number.and_then(|number| self.scopes.innermost(Name(number as u32)));
        bound.or_else(|| {
            let symbol = self.machine.symbols.intern(text.as_bytes());
            self.unit.scope.and_then(|scope| scope.get(symbol)).map(Meaning::Constant)
        })
    }

    pub(super) fn strict_variable(&mut self, name: Name, span: Span) {
        match self.lookup(name) {
            Known::Variable(variable) => self.push_variable(variable, Some(span)),
            Known::Constant(value) => {
                self.push_constant(value);
                if value.is_thunk() {
                    self.emit_at(Op::Force, 0, span);
                }
            }
            Known::Dynamic => self.dynamic_variable(name, span),
            Known::Undefined => self.undefined(name, span),
        }
    }

    /// Look a name up in every `with` around, the innermost first.
    fn dynamic_variable(&mut self, name: Name, span: Span) {
        let symbol = self.symbol(name);
        let height = self.height();
        let mut found = Vec::new();
        for with in self.scopes.withs.clone().into_iter().rev() {
            match with {
                With::Variable(variable) => self.push_variable(variable, Some(span)),
                With::Builtins => {
                    let builtins = self.machine.builtins_set().value();
                    self.push_constant(builtins);
                }
            }
            self.emit_at(Op::WithOrSkip(symbol), 0, span);
            found.push(self.here().jump(Op::Jump, -1));
        }
        self.emit_at(Op::Undefined(symbol), 1, span);
        for jump in found {
            self.here().land(jump);
        }
        self.here().height = height + 1;
        self.emit_at(Op::Force, 0, span);
    }

    pub(super) fn undefined(&mut self, name: Name, span: Span) {
        let text = self.ast.name(name);
        let globals = self.machine.globals().names(self.unit.dialect);
        let mut globals: Vec<String> = globals
            .map(|symbol| self.machine.symbols.text(symbol).into_owned())
            .filter(|name| !name.starts_with("__"))
            .collect();
        if self.in_contract {
            let names = self.machine.globals().primitives();
            let names = names.map(|name| self.machine.symbols.text(name).into_owned());
            globals.extend(names.filter(|name| name.starts_with(char::is_uppercase)));
        }
        globals.sort();
        let names = self.scopes.names().map(|name| self.ast.name(name));
        let near =
            nearest(text, names).or_else(|| nearest(text, globals.iter().map(String::as_str)));
        let mut problem = Diagnostic::error(
            "eval.undefined-variable",
            format!("undefined variable ‘{text}’"),
            span,
        )
        .here("nothing here has this name");
        let symbol = self.symbol(name);
        if self.unit.dialect != Dialect::Nix
            && self.machine.globals().contract(symbol, text).is_some()
        {
            problem =
                problem.help(format!("this contract is ‘hb.{text}’ where no `|` stands before"));
        } else if let Some(near) = near {
            problem = problem.help(format!("did you mean ‘{near}’?"));
        }
        self.problems.push(problem);
        self.emit(Op::Bool(false), 1);
    }
}
