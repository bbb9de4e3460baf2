//! Prints a program the way `nix-instantiate --parse` does.
//!
//! Nix prints what it has made of a text and not the text: every expression in
//! parentheses, attributes sorted, some operators as calls of builtins.

use crate::ast::{
    Ast, AttrName, BinaryOp, BindingValue, Bindings, Expr, ExprId, Field, Name, Param, Pattern,
    StrPart, UnaryOp,
};
use std::fmt::Write;
use std::path::{Component, Path, PathBuf};

/// What relative paths are relative to.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The folder of the text.
    pub base: &'a Path,
    /// The user's home, for `~/…`.
    pub home: &'a Path,
}

/// A program in Nix's notation of parsed programs.
pub fn print(ast: &Ast, places: Places<'_>) -> String {
    let mut printer = Printer { ast, places, out: String::new() };
    if let Some(root) = ast.root {
        printer.expr(root);
    }
    printer.out
}

/// The names that need quotes as attributes.
const KEYWORDS: [&str; 9] = ["if", "then", "else", "assert", "with", "let", "in", "rec", "inherit"];

/// Whether a text can stand as a name without quotes.
pub fn is_plain_name(text: &str) -> bool {
    let start = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let more = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'\'' | b'-');
    text.as_bytes().first().is_some_and(start)
        && text.bytes().all(more)
        && !KEYWORDS.contains(&text)
}

/// A string literal with this text.
pub fn string_literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    let mut rest = text.chars().peekable();
    while let Some(char) = rest.next() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '$' if rest.peek() == Some(&'{') => out.push_str("\\$"),
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

/// A float as C's `%g` prints it.
pub fn float(number: f64) -> String {
    if !number.is_finite() {
        return if number.is_nan() {
            "nan".into()
        } else if number > 0.0 {
            "inf".into()
        } else {
            "-inf".into()
        };
    }
    // Six significant digits; the exponent is that of the rounded number.
    let scientific = format!("{number:.5e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trimmed = |digits: &str| -> String {
        if digits.contains('.') {
            digits.trim_end_matches('0').trim_end_matches('.').into()
        } else {
            digits.into()
        }
    };
    if (-4..6).contains(&exponent) {
        trimmed(&format!("{number:.*}", (5 - exponent) as usize))
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{}e{sign}{:02}", trimmed(mantissa), exponent.abs())
    }
}

struct Printer<'a> {
    ast: &'a Ast,
    places: Places<'a>,
    out: String,
}

impl Printer<'_> {
    fn text(&mut self, text: &str) {
        self.out.push_str(text);
    }

    fn name(&mut self, name: Name) {
        let text = self.ast.name(name);
        if is_plain_name(text) {
            self.out.push_str(text);
        } else if text.is_empty() || KEYWORDS.contains(&text) {
            self.out.extend(["\"", text, "\""]);
        } else {
            self.out.push_str(&string_literal(text));
        }
    }

    fn expr(&mut self, id: ExprId) {
        match self.ast.expr(id) {
            Expr::Error => self.text("<error>"),
            Expr::Int(number) => {
                // Writing to a string cannot fail.
                let _ = write!(self.out, "{number}");
            }
            Expr::Float(number) => self.text(&float(*number)),
            Expr::Str(parts) => self.string(parts),
            Expr::Path(parts) => self.path(parts),
            Expr::CurPos => self.text("__curPos"),
            Expr::Var(name) => self.name(*name),
            Expr::Select { base, path, default } => {
                self.text("(");
                self.expr(*base);
                self.text(").");
                self.attr_path(path);
                if let Some(default) = default {
                    self.text(" or (");
                    self.expr(*default);
                    self.text(")");
                }
            }
            Expr::HasAttr { base, path } => {
                self.text("((");
                self.expr(*base);
                self.text(") ? ");
                self.attr_path(path);
                self.text(")");
            }
            Expr::Apply { .. } | Expr::SearchPath(_) | Expr::Unary { op: UnaryOp::Negate, .. } => {
                self.text("(");
                self.call(id);
                self.text(")");
            }
            Expr::Lambda { param, body } => self.lambda(param, *body),
            Expr::Let { bindings, body } => {
                self.text("(let ");
                self.bindings(bindings);
                self.text("in ");
                self.expr(*body);
                self.text(")");
            }
            Expr::LegacyLet(bindings) => {
                self.text("(rec { ");
                self.bindings(bindings);
                self.text("}).body");
            }
            Expr::With { scope, body } => {
                self.text("(with ");
                self.expr(*scope);
                self.text("; ");
                self.expr(*body);
                self.text(")");
            }
            Expr::Assert { condition, body } => {
                self.text("assert ");
                self.expr(*condition);
                self.text("; ");
                self.expr(*body);
            }
            Expr::If { condition, yes, no } => {
                self.text("(if ");
                self.expr(*condition);
                self.text(" then ");
                self.expr(*yes);
                self.text(" else ");
                self.expr(*no);
                self.text(")");
            }
            Expr::List(elements) => {
                self.text("[ ");
                for element in elements {
                    self.text("(");
                    self.expr(*element);
                    self.text(") ");
                }
                self.text("]");
            }
            Expr::Attrs { recursive, bindings } => {
                self.text(if *recursive { "rec { " } else { "{ " });
                self.bindings(bindings);
                self.text("}");
            }
            Expr::Unary { op: UnaryOp::Not, operand } => {
                self.text("(! ");
                self.expr(*operand);
                self.text(")");
            }
            Expr::Check { value, .. } => self.expr(*value),
            Expr::Arrow { from, to } => {
                self.text("(");
                self.expr(*from);
                self.text(" -> ");
                self.expr(*to);
                self.text(")");
            }
            Expr::Binary { op, left, right } => self.binary(id, *op, *left, *right),
        }
    }

    /// A function and all its arguments, without parentheses in between. Some operators are
    /// calls too, which take more arguments as any does.
    fn call(&mut self, id: ExprId) {
        match self.ast.expr(id) {
            Expr::Apply { function, argument } => {
                self.call(*function);
                self.text(" ");
                self.expr(*argument);
            }
            Expr::SearchPath(path) => {
                self.text("__findFile __nixPath ");
                self.text(&string_literal(path));
            }
            Expr::Unary { op: UnaryOp::Negate, operand } => {
                self.text("__sub 0 ");
                self.expr(*operand);
            }
            Expr::Binary { op, left, right } => match primitive(*op) {
                Some(name) => {
                    let [first, second] = match op {
                        BinaryOp::More => [right, left],
                        _ => [left, right],
                    };
                    self.text(name);
                    self.text(" ");
                    self.expr(*first);
                    self.text(" ");
                    self.expr(*second);
                }
                None => self.expr(id),
            },
            _ => self.expr(id),
        }
    }

    fn binary(&mut self, id: ExprId, op: BinaryOp, left: ExprId, right: ExprId) {
        let (before, first, between, second, after) = match op {
            BinaryOp::Concat => ("(", left, " ++ ", right, ")"),
            BinaryOp::Update => ("(", left, " // ", right, ")"),
            BinaryOp::Add => ("(", left, " + ", right, ")"),
            BinaryOp::Eq => ("(", left, " == ", right, ")"),
            BinaryOp::NotEq => ("(", left, " != ", right, ")"),
            BinaryOp::And => ("(", left, " && ", right, ")"),
            BinaryOp::Or => ("(", left, " || ", right, ")"),
            BinaryOp::Implies => ("(", left, " -> ", right, ")"),
            BinaryOp::LessEq => ("(! (__lessThan ", right, " ", left, "))"),
            BinaryOp::MoreEq => ("(! (__lessThan ", left, " ", right, "))"),
            BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Less | BinaryOp::More => {
                self.text("(");
                self.call(id);
                self.text(")");
                return;
            }
        };
        self.text(before);
        self.expr(first);
        self.text(between);
        self.expr(second);
        self.text(after);
    }

    fn string(&mut self, parts: &[StrPart]) {
        match parts {
            [] => self.text("\"\""),
            [StrPart::Text(text)] => self.text(&string_literal(text)),
            parts => {
                self.text("(");
                self.joined(parts, string_literal);
                self.text(")");
            }
        }
    }

    fn joined(&mut self, parts: &[StrPart], first: impl Fn(&str) -> String) {
        for (at, part) in parts.iter().enumerate() {
            if at > 0 {
                self.text(" + ");
            }
            match part {
                StrPart::Text(text) if at == 0 => self.text(&first(text)),
                StrPart::Text(text) => self.text(&string_literal(text)),
                StrPart::Interpolation(id) => self.expr(*id),
            }
        }
    }

    fn path(&mut self, parts: &[StrPart]) {
        let places = self.places;
        let absolute = move |text: &str| resolve(text, places);
        match parts {
            [StrPart::Text(text)] => self.text(&absolute(text)),
            parts => {
                self.text("(");
                self.joined(parts, absolute);
                self.text(")");
            }
        }
    }

    fn attr_path(&mut self, path: &[AttrName]) {
        for (at, name) in path.iter().enumerate() {
            if at > 0 {
                self.text(".");
            }
            match name {
                AttrName::Static { name, .. } => self.name(*name),
                AttrName::Dynamic { value, .. } => self.computed_name(*value),
            }
        }
    }

    fn computed_name(&mut self, value: ExprId) {
        self.text("\"${");
        self.expr(value);
        self.text("}\"");
    }

    fn lambda(&mut self, param: &Param, body: ExprId) {
        self.text("(");
        match param {
            Param::Name { name, .. } => self.name(*name),
            Param::Pattern(pattern) => {
                let Pattern { fields, ellipsis, alias, .. } = &**pattern;
                self.text("{ ");
                let mut sorted: Vec<&Field> = fields.iter().collect();
                sorted.sort_by_key(|field| self.ast.name(field.name));
                for (at, field) in sorted.iter().enumerate() {
                    if at > 0 {
                        self.text(", ");
                    }
                    self.name(field.name);
                    self.contract(field.contract);
                    if let Some(default) = field.default {
                        self.text(" ? ");
                        self.expr(default);
                    }
                }
                if *ellipsis {
                    self.text(if fields.is_empty() { "..." } else { ", ..." });
                }
                self.text(" }");
                if let Some(alias) = alias {
                    self.text(" @ ");
                    self.name(*alias);
                }
            }
        }
        self.text(": ");
        self.expr(body);
        self.text(")");
    }

    /// Inherited names first, then those of each source, then the rest, each sorted.
    fn bindings(&mut self, bindings: &Bindings) {
        let mut sorted: Vec<_> = bindings.fixed.iter().collect();
        sorted.sort_by_key(|binding| self.ast.name(binding.name));
        let names = |wanted: BindingValue| -> Vec<Name> {
            sorted.iter().filter(|b| b.value == wanted).map(|b| b.name).collect()
        };
        let inherited = names(BindingValue::Inherit);
        if !inherited.is_empty() {
            self.text("inherit");
            self.inherited(&inherited);
        }
        for (at, source) in bindings.inherit_from.iter().enumerate() {
            let inherited = names(BindingValue::InheritFrom(at as u32));
            if !inherited.is_empty() {
                self.text("inherit (");
                self.expr(*source);
                self.text(")");
                self.inherited(&inherited);
            }
        }
        for binding in &sorted {
            if let BindingValue::Expr(value) = binding.value {
                self.name(binding.name);
                self.contract(self.contract_of(value));
                self.text(" = ");
                self.expr(value);
                self.text("; ");
            }
        }
        for (name, value, _) in &bindings.dynamic {
            self.computed_name(*name);
            self.contract(self.contract_of(*value));
            self.text(" = ");
            self.expr(*value);
            self.text("; ");
        }
    }

    /// The contract of a definition's value.
    fn contract_of(&self, value: ExprId) -> Option<ExprId> {
        match self.ast.expr(value) {
            Expr::Check { contract, .. } => Some(*contract),
            _ => None,
        }
    }

    fn contract(&mut self, contract: Option<ExprId>) {
        if let Some(contract) = contract {
            self.text(" | (");
            self.expr(contract);
            self.text(")");
        }
    }

    fn inherited(&mut self, names: &[Name]) {
        for name in names {
            self.text(" ");
            self.name(*name);
        }
        self.text("; ");
    }
}

/// The function that an operator calls, where it is one.
fn primitive(op: BinaryOp) -> Option<&'static str> {
    match op {
        BinaryOp::Sub => Some("__sub"),
        BinaryOp::Mul => Some("__mul"),
        BinaryOp::Div => Some("__div"),
        BinaryOp::Less | BinaryOp::More => Some("__lessThan"),
        _ => None,
    }
}

/// The absolute path that a path literal's first part names; a slash at its end stays.
fn resolve(text: &str, places: Places<'_>) -> String {
    if let Some(rest) = text.strip_prefix('~') {
        return format!("{}{rest}", places.home.display());
    }
    let mut path = PathBuf::from("/");
    for component in places.base.join(text).components() {
        match component {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => {
                path.pop();
            }
            _ => {}
        }
    }
    let slash = if text.len() > 1 && text.ends_with('/') { "/" } else { "" };
    format!("{}{slash}", path.display())
}
