//! The layouts of expressions.

use super::doc::{Doc, group, text};
use super::{Formatter, comments, strings};
use crate::SyntaxKind::{self, *};
use crate::syntax::{SyntaxElement, SyntaxNode, SyntaxToken, expressions};
use rowan::NodeOrToken::{Node, Token};

/// How deep layouts go; what stands deeper stays as it is written.
const MAX_LAYOUT_DEPTH: usize = 200;

/// The children of a node without blanks and comments.
pub(super) fn elements(node: &SyntaxNode) -> Vec<SyntaxElement> {
    node.children_with_tokens().filter(|element| !element.kind().is_trivia()).collect()
}

impl Formatter {
    /// An expression or a part of one.
    pub(super) fn node(&self, node: &SyntaxNode) -> Doc {
        let laid_out = if node.ancestors().nth(MAX_LAYOUT_DEPTH).is_some() {
            None
        } else {
            match node.kind() {
                LetIn => self.let_in(node),
                AttrSet | LegacyLet => self.set(node),
                List => self.list(node),
                Binding => self.binding(node),
                InheritBinding => self.inherit(node),
                InheritFrom => self.inherit_from(node),
                AttrPath => {
                    Some(Doc::Concat(elements(node).iter().map(|e| self.element(e)).collect()))
                }
                Lambda => self.lambda(node),
                Pattern => self.pattern(node),
                Field => self.field(node),
                IfElse => self.if_else(node),
                WithExpr | AssertExpr => self.scoped(node),
                Parens => self.parens(node),
                Apply => self.apply(node),
                Select => self.select(node),
                HasAttr => self.has_attr(node),
                Unary => self.unary(node),
                Binary | Arrow => self.binary(node),
                Contract => self.contract(node),
                StringExpr => self.string(node),
                _ => None,
            }
        };
        laid_out.unwrap_or_else(|| self.verbatim(node))
    }

    pub(super) fn element(&self, element: &SyntaxElement) -> Doc {
        match element {
            Node(node) => self.node(node),
            Token(token) => self.token(token),
        }
    }

    fn string(&self, node: &SyntaxNode) -> Option<Doc> {
        let last = node.last_token()?;
        if !matches!(last.kind(), StringClose | IndentedClose) {
            return None;
        }
        let mut docs = self.leading(&node.first_token()?);
        docs.push(strings::string(node));
        docs.extend(self.trailing(&last));
        Some(Doc::Concat(docs))
    }

    /// Whether own-line comments stand before a node.
    fn has_leading(&self, node: &SyntaxNode) -> bool {
        node.first_token().is_some_and(|first| !self.leading(&first).is_empty())
    }

    /// What comes after `=`, `?` or `:`: on the same line where it opens something,
    /// else as a whole on this line or the next one.
    pub(super) fn value(&self, node: &SyntaxNode) -> Doc {
        if absorbs(node) && !self.has_leading(node) {
            Doc::Concat(vec![text(" "), self.node(node)])
        } else {
            group(vec![Doc::Indent(vec![Doc::Line, self.led(node)])])
        }
    }

    /// The same for what is not indented: the body of a function or a `with`.
    fn body(&self, node: &SyntaxNode) -> Doc {
        if absorbs(node) && !self.has_leading(node) {
            Doc::Concat(vec![text(" "), self.node(node)])
        } else {
            group(vec![Doc::Line, self.led(node)])
        }
    }

    fn lambda(&self, node: &SyntaxNode) -> Option<Doc> {
        let [Node(param), Token(colon), Node(body)] = &elements(node)[..] else { return None };
        let at_top = node.parent().is_some_and(|parent| parent.kind() == Root);
        let body = if at_top && param.kind() == Pattern && set_off(body) {
            Doc::Concat(vec![Doc::Blank, self.led(body)])
        } else if param.kind() == Pattern && self.is_tall(param) {
            Doc::Concat(vec![Doc::Hard, self.led(body)])
        } else if param.kind() == Pattern {
            group(vec![Doc::Line, self.led(body)])
        } else if (names_argument(body) || opens_block(body)) && !self.has_leading(body) {
            Doc::Concat(vec![text(" "), self.node(body)])
        } else {
            group(vec![Doc::Line, self.led(body)])
        };
        Some(Doc::Concat(vec![self.node(param), self.token(colon), body]))
    }

    fn if_else(&self, node: &SyntaxNode) -> Option<Doc> {
        let mut docs = Vec::new();
        let mut node = node.clone();
        loop {
            let parts = elements(&node);
            let [Token(if_), Node(condition), Token(then), Node(yes), Token(else_), Node(no)] =
                &parts[..]
            else {
                return None;
            };
            docs.extend([self.token(if_), text(" "), Doc::Indent(vec![self.node(condition)])]);
            docs.extend([text(" "), self.token(then)]);
            docs.push(Doc::Indent(vec![Doc::Line, self.led(yes)]));
            docs.extend([Doc::Line, self.token(else_)]);
            let chained = no.kind() == IfElse && !self.has_leading(no) && elements(no).len() == 6;
            if !chained {
                docs.push(Doc::Indent(vec![Doc::Line, self.led(no)]));
                return Some(group(docs));
            }
            docs.push(text(" "));
            node = no.clone();
        }
    }

    /// `with …; …` and `assert …; …`
    fn scoped(&self, node: &SyntaxNode) -> Option<Doc> {
        let [Token(keyword), Node(scope), Token(semicolon), Node(body)] = &elements(node)[..]
        else {
            return None;
        };
        let body = match node.kind() {
            WithExpr => self.body(body),
            _ => Doc::Concat(vec![Doc::Hard, self.led(body)]),
        };
        let scope = self.node(scope);
        Some(Doc::Concat(vec![self.token(keyword), text(" "), scope, self.token(semicolon), body]))
    }

    fn parens(&self, node: &SyntaxNode) -> Option<Doc> {
        let [Token(open), Node(inner), Token(close)] = &elements(node)[..] else { return None };
        let (open, close) = (self.token(open), self.token(close));
        if ends_in_block(inner) && !self.has_leading(inner) {
            return Some(Doc::Concat(vec![open, self.node(inner), close]));
        }
        let is_element = node.parent().is_some_and(|parent| parent.kind() == List);
        if is_element && inner.kind() == Apply && !self.has_leading(inner) {
            return Some(group(vec![open, self.node(inner), Doc::Soft, close]));
        }
        Some(group(vec![open, Doc::Indent(vec![Doc::Soft, self.led(inner)]), Doc::Soft, close]))
    }

    fn apply(&self, node: &SyntaxNode) -> Option<Doc> {
        let (function, arguments) = spine(node)?;
        let mut docs = vec![self.node(&function)];
        if absorbs(node) {
            let last = arguments.len() - 1;
            for (at, argument) in arguments.iter().enumerate() {
                let argument = self.node(argument);
                docs.push(text(" "));
                docs.push(if at < last { Doc::Flat(vec![argument]) } else { argument });
            }
            return Some(Doc::Concat(docs));
        }
        for argument in &arguments {
            docs.push(Doc::Indent(vec![Doc::Line, self.led(argument)]));
        }
        Some(group(docs))
    }

    fn select(&self, node: &SyntaxNode) -> Option<Doc> {
        let parts = elements(node);
        let [Node(base), Token(dot), Node(path), default @ ..] = &parts[..] else { return None };
        let mut docs = vec![self.node(base)];
        if matches!(base.kind(), Literal | PathExpr) {
            // `1.a` and `./b.a` would be other tokens.
            docs.push(text(" "));
        }
        docs.extend([self.token(dot), self.node(path)]);
        match default {
            [] => {}
            [Token(or), Node(default)] => {
                let or = vec![Doc::Line, self.token(or), text(" "), self.node(default)];
                docs.push(Doc::Indent(or));
            }
            _ => return None,
        }
        Some(group(docs))
    }

    fn has_attr(&self, node: &SyntaxNode) -> Option<Doc> {
        let [Node(base), Token(question), Node(path)] = &elements(node)[..] else { return None };
        let (base, path) = (self.node(base), self.node(path));
        Some(Doc::Concat(vec![base, text(" "), self.token(question), text(" "), path]))
    }

    fn unary(&self, node: &SyntaxNode) -> Option<Doc> {
        let [Token(operator), Node(operand)] = &elements(node)[..] else { return None };
        // A minus is a part of what could be a path.
        let first = operand.first_token().and_then(|first| first.parent());
        let apart = operator.kind() == Minus && first.is_some_and(|first| first.kind() == PathExpr);
        let between = text(if apart { " " } else { "" });
        Some(Doc::Concat(vec![self.token(operator), between, self.node(operand)]))
    }

    fn binary(&self, node: &SyntaxNode) -> Option<Doc> {
        let (first, links) = chain(node)?;
        let hug = absorbs(node);
        let first = self.node(&first);
        let mut docs = vec![if hug { Doc::Flat(vec![first]) } else { first }];
        for (operator, operand) in &links {
            docs.push(if hug { text(" ") } else { Doc::Line });
            docs.extend([self.token(operator), text(" "), self.node(operand)]);
        }
        Some(group(docs))
    }
}

/// Whether an expression may stay on a line though it does not fit, because it goes on
/// below a bracket at that line's end.
fn absorbs(node: &SyntaxNode) -> bool {
    node.kind() == Parens
        || last_part(node).is_some_and(|last| last.kind() == Parens)
        || ends_in_block(node)
}

/// The same, where the bracket is that of a set, a list or a string.
pub(super) fn ends_in_block(node: &SyntaxNode) -> bool {
    opens_block(node) || last_part(node).is_some_and(|last| opens_block(&last))
}

/// The last argument or operand, if all before it is simple.
fn last_part(node: &SyntaxNode) -> Option<SyntaxNode> {
    match node.kind() {
        Apply => {
            let (function, mut arguments) = spine(node)?;
            let last = arguments.pop()?;
            let simple = is_simple(&function) && arguments.iter().all(is_simple);
            simple.then_some(last)
        }
        Binary | Arrow => {
            let (first, mut links) = chain(node)?;
            let (_, last) = links.pop()?;
            (links.is_empty() && is_simple_operand(&first)).then_some(last)
        }
        _ => None,
    }
}

/// Whether functions and `with`s lead to nothing but a set, a list or a string.
fn opens_block(node: &SyntaxNode) -> bool {
    let mut node = node.clone();
    loop {
        let inner = match node.kind() {
            Lambda if names_argument(&node) => expressions(&node).next(),
            WithExpr => expressions(&node).nth(1),
            AttrSet | List | LegacyLet => return true,
            StringExpr => {
                return node.first_token().is_some_and(|token| token.kind() == IndentedOpen);
            }
            _ => None,
        };
        match inner {
            Some(inner) => node = inner,
            None => return false,
        }
    }
}

/// How wide an argument may be to stand before one that opens a bracket.
const MAX_SIMPLE_WIDTH: usize = 50;

/// Whether an expression is short, or has no parts that could be broken.
fn is_simple(node: &SyntaxNode) -> bool {
    match node.kind() {
        Variable | Literal | PathExpr => true,
        StringExpr => node.first_token().is_some_and(|token| token.kind() == StringOpen),
        Select | Parens | List | AttrSet => width(node).is_some_and(|w| w <= MAX_SIMPLE_WIDTH),
        _ => false,
    }
}

/// Whether an operand may stand before an operator whose right side opens a bracket.
fn is_simple_operand(node: &SyntaxNode) -> bool {
    match node.kind() {
        Apply => width(node).is_some_and(|width| width <= MAX_SIMPLE_WIDTH),
        _ => is_simple(node),
    }
}

/// How wide a node would be on one line, about; none if it cannot be on one. Blanks
/// do not count, so that the answer is the same after formatting.
pub(super) fn width(node: &SyntaxNode) -> Option<usize> {
    let mut width = 0;
    for token in node.descendants_with_tokens().filter_map(|element| element.into_token()) {
        match token.kind() {
            Whitespace => {}
            kind if kind.is_trivia() || kind == IndentedOpen => return None,
            _ => width += token.text().len() + 1,
        }
    }
    Some(width)
}

/// Whether this is `x: …`.
fn names_argument(node: &SyntaxNode) -> bool {
    node.kind() == Lambda && node.children().any(|child| child.kind() == ParamName)
}

/// Whether an empty line stands before a node.
pub(super) fn set_off(node: &SyntaxNode) -> bool {
    node.first_token().is_some_and(|first| comments::before(&first).set_off())
}

/// A function and all its arguments.
fn spine(node: &SyntaxNode) -> Option<(SyntaxNode, Vec<SyntaxNode>)> {
    let mut function = node.clone();
    let mut arguments = Vec::new();
    while function.kind() == Apply {
        let [Node(inner), Node(argument)] = &elements(&function)[..] else { return None };
        arguments.push(argument.clone());
        function = inner.clone();
    }
    arguments.reverse();
    Some((function, arguments))
}

/// An operator and what comes after it.
type Link = (SyntaxToken, SyntaxNode);

/// The operands of one operator that is used several times without parentheses.
fn chain(node: &SyntaxNode) -> Option<(SyntaxNode, Vec<Link>)> {
    let (mut first, operator, mut last) = operands(node)?;
    let kind = operator.kind();
    let same = |node: &SyntaxNode| {
        operands(node).filter(|(_, operator, _)| level(operator.kind()) == level(kind))
    };
    let mut before = Vec::new();
    let mut operator = operator;
    if let Some(mut inner) = same(&first) {
        loop {
            before.push((operator, last));
            (first, operator, last) = inner;
            match same(&first) {
                Some(next) => inner = next,
                None => break,
            }
        }
        before.push((operator, last));
        before.reverse();
        return Some((first, before));
    }
    while let Some((next, inner, after)) = same(&last) {
        before.push((operator, next));
        operator = inner;
        last = after;
    }
    before.push((operator, last));
    Some((first, before))
}

/// Operators that stand side by side without parentheses.
fn level(operator: SyntaxKind) -> SyntaxKind {
    match operator {
        Minus => Plus,
        Slash => Star,
        other => other,
    }
}

fn operands(node: &SyntaxNode) -> Option<(SyntaxNode, SyntaxToken, SyntaxNode)> {
    if !matches!(node.kind(), Binary | Arrow) {
        return None;
    }
    match &elements(node)[..] {
        [Node(left), Token(operator), Node(right)] => {
            Some((left.clone(), operator.clone(), right.clone()))
        }
        _ => None,
    }
}

/// Whether a line end stands before a token in the source.
pub(super) fn newline_before(element: &SyntaxElement) -> bool {
    let token = match element {
        Node(node) => node.first_token(),
        Token(token) => Some(token.clone()),
    };
    token.is_some_and(|token| comments::before(&token).newline)
}
