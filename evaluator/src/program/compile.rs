//! Tree to instructions.
//!
//! Two ways to compile an expression: `strict` code leaves its value, evaluated;
//! `lazy` code leaves a value if there is nothing to do for it (a constant, a variable, a
//! function) or it can be had at once (see `attempt`), or else a thunk.

use hb_lang::ast::{Ast, BinaryOp, Expr, ExprId, Name, UnaryOp, is_constant};
use hb_lang::{Diagnostic, Dialect, Span};
use rustc_hash::FxHashMap;

use super::code::{Code, Draft, Entry, Header};
use super::conditions::ShortCut;
use super::constant::{Constant, Names};
use super::function::{Function, Variable};
use super::op::{Infix, Op, Source};
use super::scope::{Scopes, With};
use super::strings::text_of;
use super::variables::Known;
use super::{Keeper, Pattern};
use crate::heap::Attrs;
use crate::symbol::{Symbol, Symbols};
use crate::value::Value;
use crate::world::CodeKey;

/// Native stack to leave, and to add, when expressions nest deeply.
pub(super) const RED_ZONE: usize = 128 * 1024;
pub(super) const STACK_SEGMENT: usize = 2 * 1024 * 1024;

/// Literals with at most this many elements are made at once where a thunk would do,
/// if every element is at hand.
const SMALL_LITERAL: usize = 8;

/// What a text sees around it.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings<'a> {
    /// Which globals it sees.
    pub(crate) dialect: Dialect,
    /// Whether to delay everything that Nix delays.
    pub(crate) delay_as_nix: bool,
    /// The globals.
    pub(crate) names: &'a Names,
    /// Variables beside them (`scopedImport`).
    pub(crate) scope: Option<(&'a Symbols, Attrs)>,
}

/// Compile a text, of which the code has this key if it is to be kept.
pub(crate) fn compile(
    ast: Ast,
    around: Surroundings<'_>,
    key: Option<&CodeKey>,
) -> Result<Code, Vec<Diagnostic>> {
    let Some(root) = ast.root else {
        return Err(vec![Diagnostic::error(
            "parse.expected-expression",
            "there is no expression",
            Span::default(),
        )]);
    };
    let mut compiler = Compiler {
        ast: &ast,
        around,
        more_names: Vec::new(),
        scopes: Scopes::new(ast.names.len()),
        functions: Vec::new(),
        spare: Vec::new(),
        captures: Vec::new(),
        arguments: Vec::new(),
        problems: Vec::new(),
        in_contract: false,
        constants: FxHashMap::default(),
        draft: Draft::default(),
    };
    let header = compiler.delayed_header(root, None);
    let Compiler { problems, draft, more_names, .. } = compiler;
    if !problems.is_empty() {
        return Err(problems);
    }
    // The expressions go before the code is copied into one piece.
    let names = ast.into_names();
    Ok(draft.finish(key, names.iter().map(|name| &**name).chain(more_names), header))
}

pub(super) struct Compiler<'a> {
    pub(super) ast: &'a Ast,
    pub(super) around: Surroundings<'a>,
    /// Names that the code needs and the text does not have; they follow the text's.
    more_names: Vec<&'static str>,
    pub(super) scopes: Scopes,
    /// The functions being compiled, the innermost last.
    functions: Vec<Function>,
    /// Those that are complete, empty: their memory is used again.
    spare: Vec<Function>,
    /// The captures of the last complete function.
    captures: Vec<Source>,
    /// The arguments of the calls being compiled.
    pub(super) arguments: Vec<ExprId>,
    pub(super) problems: Vec<Diagnostic>,
    /// Whether names may be those of contracts.
    pub(super) in_contract: bool,
    /// The number of each constant so far.
    constants: FxHashMap<(u8, u64), u32>,
    draft: Draft,
}

impl<'a> Compiler<'a> {
    // Helpers.

    /// A name's number, which stands for its symbol until the code is linked.
    pub(super) fn symbol(&self, name: Name) -> Symbol {
        Symbol(name.0)
    }

    /// The text of a name, whether the text has it or not.
    pub(super) fn name(&self, name: Name) -> &'a str {
        let index = name.0 as usize;
        match self.ast.names.get(index) {
            Some(text) => text,
            None => self.more_names[index - self.ast.names.len()],
        }
    }

    /// The name that this text is.
    pub(super) fn name_of(&mut self, text: &'static str) -> Name {
        let names = self.ast.names.iter().map(|name| &**name);
        let known = names.chain(self.more_names.iter().copied()).position(|name| name == text);
        let number = known.unwrap_or_else(|| {
            self.more_names.push(text);
            self.ast.names.len() + self.more_names.len() - 1
        });
        Name(number as u32)
    }

    pub(super) fn here(&mut self) -> &mut Function {
        match self.functions.last_mut() {
            Some(function) => function,
            None => unreachable!("compiling happens inside a function"),
        }
    }

    pub(super) fn level(&self) -> usize {
        self.functions.len() - 1
    }

    pub(super) fn emit(&mut self, op: Op, delta: i32) {
        self.here().emit(op, delta);
    }

    pub(super) fn emit_at(&mut self, op: Op, delta: i32, span: Span) {
        self.here().emit_at(op, delta, span);
    }

    pub(super) fn height(&mut self) -> u32 {
        self.here().height
    }

    /// Add an entry to the table of constants; gives its number.
    pub(super) fn entry(&mut self, entry: Entry<'_>) -> u32 {
        self.draft.constant(entry)
    }

    /// Push what an entry of the table of constants says.
    pub(super) fn push_entry(&mut self, entry: Entry<'_>) {
        let number = self.entry(entry);
        self.emit(Op::Constant(number), 1);
    }

    pub(super) fn push_constant(&mut self, constant: Constant) {
        let op = match constant {
            Constant::Bool(truth) => Op::Bool(truth),
            Constant::Int(int) if Value::small_int(int).is_some() => Op::Int(int as i32),
            _ => Op::Constant(self.constant(constant)),
        };
        self.emit(op, 1);
    }

    /// The number of a constant in the table of constants.
    pub(super) fn constant(&mut self, constant: Constant) -> u32 {
        let key = constant.key();
        if let Some(&known) = self.constants.get(&key) {
            return known;
        }
        let ast = self.ast;
        let text = |id| match ast.expr(id) {
            Expr::Str(parts) | Expr::Path(parts) => text_of(parts),
            _ => unreachable!("only these are texts"),
        };
        let number = match constant {
            Constant::Null => self.entry(Entry::Null),
            Constant::Bool(truth) => self.entry(Entry::Bool(truth)),
            Constant::Int(number) => self.entry(Entry::Int(number)),
            Constant::Float(number) => self.entry(Entry::Float(number)),
            Constant::Text(id) => self.entry(Entry::Text(text(id).as_bytes())),
            Constant::Path(id) => self.entry(Entry::Path(text(id).as_bytes())),
            Constant::EmptyList => self.entry(Entry::EmptyList),
            Constant::EmptyAttrs => self.entry(Entry::EmptyAttrs),
            Constant::Builtin(number) => self.entry(Entry::Builtin(number)),
            Constant::Computed(number) => self.entry(Entry::Computed(number)),
            Constant::Builtins => self.entry(Entry::Builtins),
            Constant::Primitives => self.entry(Entry::Primitives),
            Constant::Scoped(name) => self.entry(Entry::Scoped(self.symbol(name))),
        };
        self.constants.insert(key, number);
        number
    }

    /// Where the running code finds a variable.
    pub(super) fn source(&mut self, variable: Variable) -> Source {
        let level = self.level();
        match variable.level == level {
            true => Source::Local(variable.slot),
            false => Source::Upvalue(self.capture(level, variable)),
        }
    }

    fn capture(&mut self, level: usize, variable: Variable) -> u32 {
        if let Some(&index) = self.functions[level].captured.get(&variable) {
            return index;
        }
        let source = match variable.level + 1 == level {
            true => Source::Local(variable.slot),
            false => Source::Upvalue(self.capture(level - 1, variable)),
        };
        let function = &mut self.functions[level];
        let index = function.captures.len() as u32;
        function.captures.push(source);
        function.captured.insert(variable, index);
        index
    }

    /// Compile a prototype of its own.
    pub(super) fn nested(
        &mut self,
        arity: usize,
        name: Option<Symbol>,
        pattern: Option<Pattern>,
        span: Span,
        body: impl FnOnce(&mut Self),
    ) -> u32 {
        let header = self.header(arity, name, pattern, span, body);
        self.adopt(header)
    }

    /// Compile a prototype, for [`Compiler::adopt`] or to be a constant.
    fn header(
        &mut self,
        arity: usize,
        name: Option<Symbol>,
        pattern: Option<Pattern>,
        span: Span,
        body: impl FnOnce(&mut Self),
    ) -> Header {
        let mut function = self.spare.pop().unwrap_or_default();
        function.height = arity as u32;
        function.max_height = function.height;
        self.functions.push(function);
        body(self);
        let Some(mut function) = self.functions.pop() else { unreachable!("pushed above") };
        function.shorten_jumps();
        let capture_count = function.captures.len();
        if capture_count > usize::from(u16::MAX) {
            let message = "the function uses more than 65,535 variables from outside";
            self.problems.push(Diagnostic::error("eval.too-many-captures", message, span));
        }
        let header = Header {
            body: self.draft.body(&function, span),
            arity: arity as u16,
            capture_count: capture_count as u16,
            height: function.max_height,
            name,
            span,
            pattern,
        };
        std::mem::swap(&mut self.captures, &mut function.captures);
        function.clear();
        self.spare.push(function);
        header
    }

    /// Make the prototype that has just been compiled one of the function around.
    pub(super) fn adopt(&mut self, header: Header) -> u32 {
        let captures = std::mem::take(&mut self.captures);
        let number = self.here().adopt(header, &captures);
        self.captures = captures;
        number
    }

    /// The prototype of a thunk of an expression.
    pub(super) fn delayed(&mut self, id: ExprId, name: Option<Symbol>) -> u32 {
        let header = self.delayed_header(id, name);
        self.adopt(header)
    }

    /// The same, for [`Compiler::adopt`] or to be a constant.
    pub(super) fn delayed_header(&mut self, id: ExprId, name: Option<Symbol>) -> Header {
        let span = self.ast.span(id);
        self.header(0, name, None, span, |compiler| compiler.body(id, Op::Resolve))
    }

    // Expressions.

    /// Code whose last instruction is `end`, after which nothing of it runs.
    pub(super) fn body(&mut self, id: ExprId, end: Op) {
        let grow = |compiler: &mut Self| match compiler.ast.expr(id) {
            Expr::Let { bindings, body } => {
                let scope = compiler.bind_let(bindings);
                compiler.body(*body, end);
                compiler.leave_scope(scope);
            }
            Expr::With { scope, body } => {
                compiler.enter_with(*scope);
                compiler.body(*body, end);
                compiler.scopes.withs.pop();
            }
            Expr::Assert { condition, body } => {
                compiler.strict(*condition);
                let span = compiler.ast.span(*condition);
                compiler.emit_at(Op::Assert, -1, span);
                compiler.body(*body, end);
            }
            Expr::If { condition, yes, no } => {
                let otherwise = compiler.branch(*condition, false);
                let height = compiler.height();
                compiler.body(*yes, end);
                compiler.here().land(otherwise);
                compiler.here().height = height;
                compiler.body(*no, end);
            }
            _ => {
                compiler.strict(id);
                compiler.emit(end, -1);
            }
        };
        stacker::maybe_grow(RED_ZONE, STACK_SEGMENT, || grow(self));
    }

    /// Code that leaves the value of an expression, evaluated.
    pub(super) fn strict(&mut self, id: ExprId) {
        stacker::maybe_grow(RED_ZONE, STACK_SEGMENT, || self.strict_here(id));
    }

    fn strict_here(&mut self, id: ExprId) {
        if let Some(value) = self.literal(id) {
            return self.push_constant(value);
        }
        let ast = self.ast;
        let span = ast.span(id);
        match ast.expr(id) {
            Expr::Int(_) | Expr::Float(_) => unreachable!("literals are done"),
            Expr::Error => {
                // The problem is reported already; the code is never run.
                self.emit(Op::Bool(false), 1);
            }
            Expr::Str(parts) => self.string(parts, span),
            Expr::Path(parts) => self.path(parts, span),
            Expr::SearchPath(name) => self.search_path(name, span),
            Expr::CurPos => self.emit_at(Op::CurrentPosition, 1, span),
            Expr::Var(name) => self.strict_variable(*name, span),
            Expr::Select { base, path, default } => self.select(id, *base, path, *default),
            Expr::HasAttr { base, path } => self.has_attr(*base, path),
            Expr::Apply { .. } => self.apply(id),
            Expr::Lambda { .. } => self.lambda(id, None),
            Expr::Let { bindings, body } => {
                let before = self.height();
                let scope = self.bind_let(bindings);
                self.strict(*body);
                self.leave_scope(scope);
                self.slide_to(before);
            }
            Expr::LegacyLet(bindings) => self.legacy_let(bindings, span),
            Expr::With { scope, body } => {
                let before = self.height();
                self.enter_with(*scope);
                self.strict(*body);
                self.scopes.withs.pop();
                self.slide_to(before);
            }
            Expr::Assert { condition, body } => {
                self.strict(*condition);
                let span = ast.span(*condition);
                self.emit_at(Op::Assert, -1, span);
                self.strict(*body);
            }
            Expr::If { condition, yes, no } => {
                let otherwise = self.branch(*condition, false);
                self.strict(*yes);
                let end = self.here().jump(Op::Jump, -1);
                self.here().land(otherwise);
                self.strict(*no);
                self.here().land(end);
            }
            Expr::List(items) => {
                for &item in items {
                    self.lazy(item, None);
                }
                let count = items.len() as i32;
                self.emit(Op::List(count as u32), 1 - count);
            }
            Expr::Attrs { recursive, bindings } => self.attrs(*recursive, bindings, span),
            Expr::Unary { op, operand } => {
                self.strict(*operand);
                let op = match op {
                    UnaryOp::Not => Op::Not,
                    UnaryOp::Negate => Op::Negate,
                };
                self.emit_at(op, 0, ast.span(*operand));
            }
            Expr::Check { value, contract, subject } => {
                self.strict(*value);
                let keeper = Keeper::Definition(ast.span(*value));
                self.check(*contract, *subject, keeper);
            }
            Expr::Arrow { from, to } => self.arrow(*from, *to, span),
            Expr::Binary { op, left, right } => self.binary(*op, *left, *right, span),
        }
    }

    /// Drop what lies between a height and the top.
    pub(super) fn slide_to(&mut self, height: u32) {
        let count = self.height() - height - 1;
        if count > 0 {
            self.emit(Op::Slide(count), -(count as i32));
        }
    }

    /// Code that leaves the value of an expression, perhaps as a thunk.
    pub(super) fn lazy(&mut self, id: ExprId, name: Option<Symbol>) {
        if self.must_delay(id) {
            let prototype = self.delayed(id, name);
            return self.emit(Op::Thunk(prototype), 1);
        }
        if let Some(value) = self.literal(id) {
            return self.push_constant(value);
        }
        let ast = self.ast;
        match ast.expr(id) {
            Expr::Var(variable) => match self.lookup(*variable) {
                Known::Variable(variable) => return self.push_variable(variable, None),
                Known::Constant(value) => return self.push_constant(value),
                Known::Undefined => return self.undefined(*variable, ast.span(id)),
                Known::Dynamic => {}
            },
            Expr::Lambda { .. } => return self.lambda(id, name),
            Expr::Select { default: None, .. } => {
                if let Known::Constant(value) = self.known(id) {
                    return self.push_constant(value);
                }
            }
            Expr::List(items)
                if items.len() <= SMALL_LITERAL && items.iter().all(|&item| self.is_atom(item)) =>
            {
                return self.strict(id);
            }
            Expr::Attrs { recursive: false, bindings } if self.is_small_set(bindings) => {
                return self.strict(id);
            }
            _ => {}
        }
        let thunk = self.delayed(id, name);
        let end = self.height();
        self.try_or_delay(id, thunk, end);
    }

    /// Whether an expression gets a thunk because Nix would make one.
    pub(super) fn must_delay(&self, id: ExprId) -> bool {
        let is_plain = || match self.ast.expr(id) {
            Expr::Int(_) | Expr::Float(_) | Expr::Var(_) => true,
            Expr::Str(parts) | Expr::Path(parts) => is_constant(parts),
            Expr::List(items) => items.is_empty(),
            _ => false,
        };
        self.around.delay_as_nix && !is_plain()
    }

    /// Whether an expression's value is at hand without a thunk.
    pub(super) fn is_atom(&mut self, id: ExprId) -> bool {
        match self.ast.expr(id) {
            Expr::Var(name) => !matches!(self.lookup(*name), Known::Dynamic),
            Expr::Lambda { .. } => true,
            Expr::Str(parts) => is_constant(parts),
            _ => self.literal(id).is_some(),
        }
    }

    fn is_small_set(&mut self, bindings: &hb_lang::ast::Bindings) -> bool {
        use hb_lang::ast::BindingValue;
        bindings.fixed.len() <= SMALL_LITERAL
            && bindings.dynamic.is_empty()
            && bindings.inherit_from.is_empty()
            && bindings.fixed.iter().all(|binding| match binding.value {
                BindingValue::Expr(id) => self.is_atom(id),
                BindingValue::Inherit => !matches!(self.lookup(binding.name), Known::Dynamic),
                BindingValue::InheritFrom(_) => false,
            })
    }

    fn enter_with(&mut self, scope: ExprId) {
        if let Known::Constant(Constant::Builtins) = self.known(scope) {
            self.scopes.withs.push(With::Builtins);
            return;
        }
        self.lazy(scope, None);
        let variable = Variable { level: self.level(), slot: self.height() - 1 };
        self.scopes.withs.push(With::Variable(variable));
    }

    fn binary(&mut self, op: BinaryOp, left: ExprId, right: ExprId, span: Span) {
        if let Some(short_cut) = ShortCut::of(op) {
            return self.short_cut(short_cut, left, right);
        }
        self.strict(left);
        self.strict(right);
        self.emit_at(infix(op).into(), -1, span);
    }
}

pub(super) fn infix(op: BinaryOp) -> Infix {
    match op {
        BinaryOp::Concat => Infix::Concat,
        BinaryOp::Update => Infix::Update,
        BinaryOp::Add => Infix::Add,
        BinaryOp::Sub => Infix::Sub,
        BinaryOp::Mul => Infix::Mul,
        BinaryOp::Div => Infix::Div,
        BinaryOp::Less => Infix::Less,
        BinaryOp::LessEq => Infix::LessEq,
        BinaryOp::More => Infix::More,
        BinaryOp::MoreEq => Infix::MoreEq,
        BinaryOp::Eq => Infix::Equal,
        BinaryOp::NotEq => Infix::NotEqual,
        BinaryOp::And | BinaryOp::Or | BinaryOp::Implies => {
            unreachable!("these don't evaluate both sides")
        }
    }
}
