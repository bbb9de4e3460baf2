//! The sink that builds the compact program.
//!
//! Completed pieces wait on a stack; a node takes all since its mark and leaves one in
//! their place. No tree is built on the way, and no token is copied but into the
//! interned names and the decoded strings.

mod sets;
mod text;

use crate::ast::{
    self, Ast, AttrName, BinaryOp, Expr, ExprId, Field, Name, Param, Pattern, StrPart, UnaryOp,
};
use crate::kind::SyntaxKind;
use crate::sink::Sink;
use crate::{Diagnostic, Dialect, Program, Span};
use rustc_hash::FxHashMap;

/// The longest text that spans can name.
pub const MAX_TEXT_LENGTH: usize = u32::MAX as usize - 1;

/// Parse a text into the evaluator's compact program.
pub fn parse_program(text: &str, dialect: Dialect) -> Program {
    if text.len() > MAX_TEXT_LENGTH {
        let problem =
            Diagnostic::error("parse.too-long", "four gigabytes or more", Span::default());
        return Program { ast: Ast::default(), problems: vec![problem] };
    }
    let tokens = crate::lexer::lex(text);
    let builder = Builder::new(text, tokens.len());
    let (builder, mut problems) = crate::parser::parse(text, &tokens, dialect, builder);
    let (ast, found) = builder.finish();
    problems.extend(found);
    problems.sort_by_key(|problem| problem.labels.first().map(|label| label.span.start));
    Program { ast, problems }
}

/// A piece that waits for the node that it is part of.
#[derive(Clone, Copy, Debug)]
enum Item {
    /// A token that has a meaning of its own.
    Token(SyntaxKind, Span),
    /// A complete expression.
    Expr(ExprId),
    /// One element of an attribute path.
    Name(Name, Span),
    /// One that is computed.
    Computed(ExprId, Span),
    /// The source of an `inherit`.
    From(ExprId),
    /// A name that an `inherit` defines.
    Inherited(Name, Span),
    /// A function's name for all its arguments.
    Alias(Name),
    /// What the name before it promises to be.
    Contract(ExprId),
}

impl Item {
    /// Whether this is an element of an attribute path.
    fn is_name(&self) -> bool {
        matches!(self, Self::Name(..) | Self::Computed(..))
    }
}

/// Up to this many names are searched one by one.
const MAX_LINEAR_SEARCH: usize = 8;

struct Builder<'t> {
    text: &'t str,
    ast: Ast,
    /// Names as they stand in the text.
    names: FxHashMap<&'t str, Name>,
    /// Names that strings gave and that were not in `names` then.
    decoded: FxHashMap<Box<str>, Name>,
    items: Vec<Item>,
    /// The arguments of functions whose bodies are not complete yet.
    patterns: Vec<Pattern>,
    problems: Vec<Diagnostic>,
}

impl Sink for Builder<'_> {
    type Mark = u32;

    fn mark(&mut self, _next: u32) -> u32 {
        self.items.len() as u32
    }

    fn token(&mut self, kind: SyntaxKind, span: Span) {
        use SyntaxKind::*;
        let plain = matches!(
            kind,
            If | Then
                | Else
                | Assert
                | With
                | Let
                | In
                | BraceOpen
                | BraceClose
                | BracketOpen
                | BracketClose
                | ParenOpen
                | ParenClose
                | Colon
                | Semicolon
                | Comma
                | Dot
                | At
                | Assign
                | Question
                | Bar
                | StringOpen
                | StringClose
                | IndentedClose
                | InterpolationOpen
        );
        if !plain {
            self.items.push(Item::Token(kind, span));
        }
    }

    #[inline(always)]
    fn leaf(&mut self, node: SyntaxKind, token: SyntaxKind, span: Span) {
        let expr = match node {
            SyntaxKind::Variable => self.variable(span),
            SyntaxKind::Literal => self.literal(token, span),
            SyntaxKind::AttrName => {
                let name = self.intern(self.text_of(span));
                return self.items.push(Item::Name(name, span));
            }
            SyntaxKind::Alias => {
                let name = self.intern(self.text_of(span));
                return self.items.push(Item::Alias(name));
            }
            SyntaxKind::Error => return,
            _ => return self.items.push(Item::Token(token, span)),
        };
        self.push_item(expr, span);
    }

    #[inline(always)]
    fn node(&mut self, mark: u32, kind: SyntaxKind, span: Span) {
        use SyntaxKind::*;
        let mark = mark as usize;
        let expr = match kind {
            // These stand for what they hold.
            Parens | Interpolation | AttrPath | Binding | Field | ParamName => return,
            Error => return self.items.truncate(mark),
            AttrName => return self.attribute_name(mark, span),
            Contract => return self.contract(mark),
            Pattern => return self.pattern(mark, span),
            InheritFrom => return self.inherit_from(mark),
            InheritBinding => return self.inherit(mark),
            Root => {
                self.ast.root = self.items.drain(mark..).find_map(|item| match item {
                    Item::Expr(id) => Some(id),
                    _ => None,
                });
                return;
            }
            StringExpr => self.string(mark),
            PathExpr => self.path(mark),
            List => Expr::List(self.list(mark)),
            AttrSet => self.attribute_set(mark),
            LetIn => self.let_in(mark),
            LegacyLet => Expr::LegacyLet(self.bindings(mark).into()),
            WithExpr => self.two(mark, |scope, body| Expr::With { scope, body }),
            AssertExpr => self.two(mark, |condition, body| Expr::Assert { condition, body }),
            IfElse => self.if_else(mark),
            Lambda => self.lambda(mark),
            Apply => self.two(mark, |function, argument| Expr::Apply { function, argument }),
            Select => self.select(mark),
            HasAttr => self.has_attr(mark),
            Unary => self.unary(mark),
            Binary => self.binary(mark),
            Arrow => self.arrow(mark),
            _ => Expr::Error,
        };
        self.items.truncate(mark);
        self.push_item(expr, span);
    }
}

impl<'t> Builder<'t> {
    fn new(text: &'t str, tokens: usize) -> Self {
        let mut ast = Ast::default();
        ast.exprs.reserve(tokens / 2);
        ast.spans.reserve(tokens / 2);
        Self {
            text,
            ast,
            names: FxHashMap::default(),
            decoded: FxHashMap::default(),
            items: Vec::with_capacity(256),
            patterns: Vec::new(),
            problems: Vec::new(),
        }
    }

    fn finish(self) -> (Ast, Vec<Diagnostic>) {
        (self.ast, self.problems)
    }

    fn push(&mut self, expr: Expr, span: Span) -> ExprId {
        let id = ExprId(self.ast.exprs.len() as u32);
        self.ast.exprs.push(expr);
        self.ast.spans.push(span);
        id
    }

    /// Push an expression that waits for the node that it is part of.
    fn push_item(&mut self, expr: Expr, span: Span) {
        let id = self.push(expr, span);
        self.items.push(Item::Expr(id));
    }

    fn text_of(&self, span: Span) -> &'t str {
        &self.text[std::ops::Range::<usize>::from(span)]
    }

    fn intern(&mut self, text: &'t str) -> Name {
        match self.names.get(text) {
            Some(&name) => name,
            None => self.intern_new(text),
        }
    }

    #[cold]
    fn intern_new(&mut self, text: &'t str) -> Name {
        let names = &mut self.ast.names;
        let name = self.decoded.get(text).copied().unwrap_or_else(|| {
            names.push(text.into());
            Name(names.len() as u32 - 1)
        });
        self.names.insert(text, name);
        name
    }

    /// Intern a text that the source may not have as it is: a decoded string.
    fn intern_decoded(&mut self, text: Box<str>) -> Name {
        if let Some(&name) = self.names.get(&*text) {
            return name;
        }
        let names = &mut self.ast.names;
        *self.decoded.entry(text).or_insert_with_key(|text| {
            names.push(text.clone());
            Name(names.len() as u32 - 1)
        })
    }

    /// The expressions since a mark, tokens and names left out.
    fn exprs(&self, mark: usize) -> impl Iterator<Item = ExprId> {
        self.items[mark..].iter().filter_map(|item| match item {
            Item::Expr(id) => Some(*id),
            _ => None,
        })
    }

    fn list(&self, mark: usize) -> Vec<ExprId> {
        let mut elements = Vec::with_capacity(self.items.len() - mark);
        elements.extend(self.exprs(mark));
        elements
    }

    /// A node of two expressions.
    fn two(&self, mark: usize, make: impl FnOnce(ExprId, ExprId) -> Expr) -> Expr {
        match self.items[mark..] {
            [Item::Expr(first), Item::Expr(second)] => make(first, second),
            _ => Expr::Error,
        }
    }

    fn variable(&mut self, span: Span) -> Expr {
        match self.text_of(span) {
            "__curPos" => Expr::CurPos,
            name => Expr::Var(self.intern(name)),
        }
    }

    fn literal(&mut self, kind: SyntaxKind, span: Span) -> Expr {
        let text = self.text_of(span);
        match kind {
            SyntaxKind::Int => match text.parse() {
                Ok(number) => Expr::Int(number),
                Err(_) => {
                    let message = format!("{text} does not fit into 64 bits");
                    self.problems.push(
                        Diagnostic::error("parse.integer-too-large", message, span)
                            .here(format!("the largest integer is {}", i64::MAX)),
                    );
                    Expr::Error
                }
            },
            SyntaxKind::Float => match text::float(text) {
                Some(number) => Expr::Float(number),
                None => {
                    let message = format!("{text} is not a number that a float can hold");
                    self.problems.push(Diagnostic::error("parse.float-range", message, span));
                    Expr::Error
                }
            },
            SyntaxKind::SearchPath => Expr::SearchPath(text[1..text.len() - 1].into()),
            _ => Expr::Str(vec![StrPart::Text(text.into())]),
        }
    }

    fn string(&self, mark: usize) -> Expr {
        match &self.items[mark..] {
            [Item::Token(SyntaxKind::IndentedOpen, _), pieces @ ..] => self.indented(pieces),
            pieces => self.quoted(pieces),
        }
    }

    fn quoted(&self, pieces: &[Item]) -> Expr {
        let part = |item: &Item| match *item {
            Item::Token(_, span) => Some(StrPart::Text(text::unescape(self.text_of(span)))),
            Item::Expr(id) => Some(StrPart::Interpolation(id)),
            _ => None,
        };
        let mut parts = Vec::with_capacity(pieces.len());
        parts.extend(pieces.iter().filter_map(part));
        Expr::Str(parts)
    }

    fn indented(&self, pieces: &[Item]) -> Expr {
        let piece = |item: &Item| match *item {
            Item::Token(SyntaxKind::Text, span) => Some(text::Piece::Text(self.text_of(span))),
            Item::Token(_, span) => Some(text::Piece::Escape(self.text_of(span))),
            Item::Expr(id) => Some(text::Piece::Interpolation(id)),
            _ => None,
        };
        let pieces: Vec<_> = pieces.iter().filter_map(piece).collect();
        let parts = text::strip_indentation(&pieces);
        match parts[..] {
            // Nix reads `''${"a"}''` as the constant that it holds.
            [StrPart::Interpolation(id)] => match self.ast.expr(id) {
                Expr::Str(inner) if ast::is_constant(inner) => Expr::Str(inner.clone()),
                _ => Expr::Str(parts),
            },
            _ => Expr::Str(parts),
        }
    }

    fn path(&mut self, mark: usize) -> Expr {
        let mut parts = Vec::new();
        for item in &self.items[mark..] {
            match *item {
                Item::Token(_, span) => {
                    let text = self.text_of(span);
                    let anchored = !parts.is_empty()
                        || ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start));
                    let text = if anchored { text.into() } else { format!("./{text}").into() };
                    parts.push(StrPart::Text(text));
                }
                Item::Expr(id) => parts.push(StrPart::Interpolation(id)),
                _ => {}
            }
        }
        Expr::Path(parts)
    }

    fn if_else(&self, mark: usize) -> Expr {
        match self.items[mark..] {
            [Item::Expr(condition), Item::Expr(yes), Item::Expr(no)] => {
                Expr::If { condition, yes, no }
            }
            _ => Expr::Error,
        }
    }

    fn attribute_name(&mut self, mark: usize, span: Span) {
        let item = match self.items.get(mark) {
            Some(&Item::Expr(id)) => self.constant_name(id, span),
            _ => Item::Computed(self.push(Expr::Error, span), span),
        };
        self.items.truncate(mark);
        self.items.push(item);
    }

    /// The name that a constant string is; computed where it is anything else.
    fn constant_name(&mut self, id: ExprId, span: Span) -> Item {
        let Expr::Str(parts) = self.ast.expr(id) else { return Item::Computed(id, span) };
        if !ast::is_constant(parts) {
            return Item::Computed(id, span);
        }
        let text = match &parts[..] {
            [StrPart::Text(text)] => text.clone(),
            _ => Box::default(),
        };
        if id.0 as usize + 1 == self.ast.exprs.len() {
            self.ast.exprs.pop();
            self.ast.spans.pop();
        }
        Item::Name(self.intern_decoded(text), span)
    }

    fn attr_names(&self, mark: usize) -> Box<[AttrName]> {
        let name = |item: &Item| match *item {
            Item::Name(name, span) => Some(AttrName::Static { name, span }),
            Item::Computed(value, span) => Some(AttrName::Dynamic { value, span }),
            _ => None,
        };
        // As many as there are, so that nothing is moved once it is there.
        let items = &self.items[mark..];
        let mut names = Vec::with_capacity(items.iter().filter(|item| item.is_name()).count());
        names.extend(items.iter().filter_map(name));
        names.into_boxed_slice()
    }

    fn select(&mut self, mark: usize) -> Expr {
        let mut exprs = self.exprs(mark);
        match (exprs.next(), exprs.next()) {
            (Some(base), default) => Expr::Select { base, path: self.attr_names(mark), default },
            _ => Expr::Error,
        }
    }

    fn has_attr(&mut self, mark: usize) -> Expr {
        match self.exprs(mark).next() {
            Some(base) => Expr::HasAttr { base, path: self.attr_names(mark) },
            None => Expr::Error,
        }
    }

    fn unary(&self, mark: usize) -> Expr {
        match self.items[mark..] {
            [Item::Token(SyntaxKind::Bang, _), Item::Expr(operand)] => {
                Expr::Unary { op: UnaryOp::Not, operand }
            }
            [Item::Token(SyntaxKind::Minus, _), Item::Expr(operand)] => {
                Expr::Unary { op: UnaryOp::Negate, operand }
            }
            _ => Expr::Error,
        }
    }

    fn binary(&self, mark: usize) -> Expr {
        let [Item::Expr(left), Item::Token(token, _), Item::Expr(right)] = self.items[mark..]
        else {
            return Expr::Error;
        };
        match token {
            SyntaxKind::PipeInto => Expr::Apply { function: right, argument: left },
            SyntaxKind::PipeFrom => Expr::Apply { function: left, argument: right },
            token => match binary_op(token) {
                Some(op) => Expr::Binary { op, left, right },
                None => Expr::Error,
            },
        }
    }

    fn arrow(&self, mark: usize) -> Expr {
        match self.items[mark..] {
            [Item::Expr(from), Item::Token(..), Item::Expr(to)] => Expr::Arrow { from, to },
            _ => Expr::Error,
        }
    }

    /// A contract takes the place of its expression.
    fn contract(&mut self, mark: usize) {
        let contract = self.exprs(mark).next();
        self.items.truncate(mark);
        self.items.extend(contract.map(Item::Contract));
    }

    fn lambda(&mut self, mark: usize) -> Expr {
        match self.items[mark..] {
            [Item::Token(_, span), Item::Expr(body)] => {
                let name = self.intern(self.text_of(span));
                Expr::Lambda { param: Param::Name { name, span }, body }
            }
            [Item::Expr(body)] => match self.patterns.pop() {
                Some(pattern) => Expr::Lambda { param: Param::Pattern(pattern.into()), body },
                None => Expr::Error,
            },
            _ => Expr::Error,
        }
    }

    fn pattern(&mut self, mark: usize, span: Span) {
        let mut fields: Vec<Field> = Vec::new();
        let mut ellipsis = false;
        let mut alias = None;
        for at in mark..self.items.len() {
            match self.items[at] {
                Item::Token(SyntaxKind::Ident, span) => {
                    let name = self.intern(self.text_of(span));
                    fields.push(Field { name, span, contract: None, default: None });
                }
                Item::Token(SyntaxKind::Ellipsis, _) => ellipsis = true,
                Item::Alias(name) => alias = Some(name),
                Item::Contract(contract) => {
                    if let Some(field) = fields.last_mut() {
                        field.contract = Some(contract);
                    }
                }
                Item::Expr(default) => {
                    if let Some(field) = fields.last_mut() {
                        field.default = Some(default);
                    }
                }
                _ => {}
            }
        }
        self.items.truncate(mark);
        self.check_arguments(&fields, alias, span);
        self.patterns.push(Pattern { fields, ellipsis, alias, span });
    }

    /// No two arguments, the alias included, have one name.
    fn check_arguments(&mut self, fields: &[Field], alias: Option<Name>, pattern: Span) {
        // Most have a few, which are compared with one another; many go into a table.
        let mut table = FxHashMap::default();
        for (at, field) in fields.iter().enumerate() {
            let earlier = match fields.len() <= MAX_LINEAR_SEARCH {
                true => fields[..at].iter().rfind(|other| other.name == field.name),
                false => table.insert(field.name, field),
            };
            let alias = (alias == Some(field.name)).then_some(pattern);
            if let Some(first) = earlier.map(|field| field.span).or(alias) {
                let name = self.ast.name(field.name);
                self.problems.push(
                    Diagnostic::error(
                        "parse.duplicate-argument",
                        format!("the argument `{name}` occurs twice"),
                        field.span,
                    )
                    .here("again here")
                    .label(first, "first here"),
                );
            }
        }
    }
}

fn binary_op(token: SyntaxKind) -> Option<BinaryOp> {
    Some(match token {
        SyntaxKind::Concat => BinaryOp::Concat,
        SyntaxKind::Update => BinaryOp::Update,
        SyntaxKind::Plus => BinaryOp::Add,
        SyntaxKind::Minus => BinaryOp::Sub,
        SyntaxKind::Star => BinaryOp::Mul,
        SyntaxKind::Slash => BinaryOp::Div,
        SyntaxKind::Less => BinaryOp::Less,
        SyntaxKind::LessEq => BinaryOp::LessEq,
        SyntaxKind::More => BinaryOp::More,
        SyntaxKind::MoreEq => BinaryOp::MoreEq,
        SyntaxKind::Equal => BinaryOp::Eq,
        SyntaxKind::NotEqual => BinaryOp::NotEq,
        SyntaxKind::AndAnd => BinaryOp::And,
        SyntaxKind::OrOr => BinaryOp::Or,
        SyntaxKind::Implies => BinaryOp::Implies,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
