//! The compact program: what an evaluator needs of a file and nothing else.
//!
//! The parser's events feed two sinks: the lossless tree (`syntax`) and this one.
//! Here there is no trivia: indented strings are stripped, escapes are decoded,
//! attribute paths are flat, and every node carries its span. Nodes live in one
//! arena and name each other by [`ExprId`]; names are interned per file as
//! [`Name`]s. Nested attribute definitions (`a.b = 1; a.c = 2;`) are already merged
//! into one set, duplicates reported.

use crate::Span;

/// Index of an expression in [`Ast::exprs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExprId(pub u32);

/// Index of an identifier's text in [`Ast::names`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub u32);

/// One file's program.
#[derive(Clone, Debug, Default)]
pub struct Ast {
    /// Every expression; children come before their parents.
    pub exprs: Vec<Expr>,
    /// The span of each expression, by the same index.
    pub spans: Vec<Span>,
    /// Interned identifier texts.
    pub names: Vec<Box<str>>,
    /// The whole file's expression; `None` only for a file without any.
    pub root: Option<ExprId>,
}

impl Ast {
    /// The expression behind an id.
    pub fn expr(&self, id: ExprId) -> &Expr {
        &self.exprs[id.0 as usize]
    }

    /// Where an expression stands.
    pub fn span(&self, id: ExprId) -> Span {
        self.spans[id.0 as usize]
    }

    /// The texts of the names alone; the expressions are freed.
    pub fn into_names(self) -> Vec<Box<str>> {
        self.names
    }

    /// The text of an interned name.
    pub fn name(&self, name: Name) -> &str {
        &self.names[name.0 as usize]
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are what their variant's line says")]
pub enum Expr {
    /// Where the parser reported a problem; evaluating it is a bug in the caller.
    Error,
    /// A 64-bit integer literal.
    Int(i64),
    /// A float literal.
    Float(f64),
    /// A string; one `Text` part or none means a constant.
    Str(Vec<StrPart>),
    /// A path; the first part is text that starts with `/`, `./`, `../` or `~/`. More
    /// text may follow where a slash was doubled.
    Path(Vec<StrPart>),
    /// `<nixpkgs/lib>`: a look-up in the search path.
    SearchPath(Box<str>),
    /// `__curPos`.
    CurPos,
    /// A variable.
    Var(Name),
    /// `base.a.b or default`.
    Select { base: ExprId, path: Box<[AttrName]>, default: Option<ExprId> },
    /// `base ? a.b`.
    HasAttr { base: ExprId, path: Box<[AttrName]> },
    /// `function argument`; pipes are applications already.
    Apply { function: ExprId, argument: ExprId },
    /// A function.
    Lambda { param: Param, body: ExprId },
    /// `let … in body`.
    Let { bindings: Box<Bindings>, body: ExprId },
    /// The legacy `let { …; body = …; }`, in `.nix` files only.
    LegacyLet(Box<Bindings>),
    /// `with scope; body`.
    With { scope: ExprId, body: ExprId },
    /// `assert condition; body`.
    Assert { condition: ExprId, body: ExprId },
    /// `if condition then yes else no`.
    If { condition: ExprId, yes: ExprId, no: ExprId },
    /// `[ … ]`.
    List(Vec<ExprId>),
    /// `{ … }` or `rec { … }`.
    Attrs { recursive: bool, bindings: Box<Bindings> },
    /// `!e` or `-e`.
    Unary { op: UnaryOp, operand: ExprId },
    /// `value` of `subject | contract = value`; the subject is a path of attributes.
    Check { value: ExprId, contract: ExprId, subject: Span },
    /// `from -> to` in a contract.
    Arrow { from: ExprId, to: ExprId },
    /// Any binary operator but application, selection, `?` and the pipes.
    Binary { op: BinaryOp, left: ExprId, right: ExprId },
}

const _: () = assert!(size_of::<Expr>() == 32, "there are many, so what is large is boxed");

/// Whether a string is a constant.
pub fn is_constant(parts: &[StrPart]) -> bool {
    matches!(parts, [] | [StrPart::Text(_)])
}

/// A piece of a string or path. Texts may stand side by side: an escape in an indented
/// string begins a new one, as it does for Nix.
#[derive(Clone, Debug, PartialEq)]
pub enum StrPart {
    /// Literal text, escapes decoded and indentation stripped.
    Text(Box<str>),
    /// `${…}`.
    Interpolation(ExprId),
}

/// One element of an attribute path.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are what their variant's line says")]
pub enum AttrName {
    /// A name known when parsing: `a`, `"a"`, and `${"a"}`.
    Static { name: Name, span: Span },
    /// `${e}` or `"…${e}…"`: an expression that gives a string, or null to leave
    /// the attribute out (in definitions).
    Dynamic { value: ExprId, span: Span },
}

/// What a function binds.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the fields are what their variant's line says")]
pub enum Param {
    /// `x: …`.
    Name { name: Name, span: Span },
    /// `{ a, b ? 1, ... } @ all: …`.
    Pattern(Box<Pattern>),
}

/// A function's arguments by name.
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    /// The named arguments, in source order.
    pub fields: Vec<Field>,
    /// Whether others may be given too.
    pub ellipsis: bool,
    /// The name for all arguments in one set.
    pub alias: Option<Name>,
    /// Where the pattern stands.
    pub span: Span,
}

/// One named argument of a pattern.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// The argument's name.
    pub name: Name,
    /// Where the name stands.
    pub span: Span,
    /// What it promises to be.
    pub contract: Option<ExprId>,
    /// What it is when the caller leaves it out.
    pub default: Option<ExprId>,
}

/// The definitions of a set or a `let`, merged, in source order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bindings {
    /// Attributes whose names are known when parsing; no name occurs twice.
    pub fixed: Vec<Binding>,
    /// Attributes whose names are computed: name and value.
    pub dynamic: Vec<(ExprId, ExprId, Span)>,
    /// The sources of `inherit (e) …`; bindings point here by index, so that each
    /// source is evaluated once.
    pub inherit_from: Vec<ExprId>,
}

/// One definition.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    /// The attribute's name.
    pub name: Name,
    /// Where the name stands.
    pub span: Span,
    /// What it is bound to.
    pub value: BindingValue,
}

/// The right-hand side of a definition.
#[derive(Clone, Debug, PartialEq)]
pub enum BindingValue {
    /// `name = e;` (or a merged nested set). Evaluated inside the set's own scope if
    /// that is recursive.
    Expr(ExprId),
    /// `inherit name;`: the variable of that name in the surrounding scope.
    Inherit,
    /// `inherit (e) name;`: selects from `inherit_from[index]`.
    InheritFrom(u32),
}

/// Prefix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnaryOp {
    /// `!`
    Not,
    /// `-`
    Negate,
}

/// Infix operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each name says its operator")]
pub enum BinaryOp {
    Concat,
    Update,
    Add,
    Sub,
    Mul,
    Div,
    Less,
    LessEq,
    More,
    MoreEq,
    Eq,
    NotEq,
    And,
    Or,
    Implies,
}
