//! The layouts of what holds items: sets, `let`s, lists, function arguments.
//!
//! What its author has opened over several lines stays open, and so does what does
//! not fit on one.

use super::doc::{Doc, MAX_WIDTH, group, text};
use super::layout::{elements, ends_in_block, newline_before, set_off, width};
use super::{Formatter, comments};
use crate::SyntaxKind::*;
use crate::syntax::{SyntaxElement, SyntaxNode, SyntaxToken};
use rowan::NodeOrToken::{Node, Token};

/// How wide a function's arguments may be on one line.
const MAX_PATTERN_WIDTH: usize = 70;

impl Formatter {
    pub(super) fn let_in(&self, node: &SyntaxNode) -> Option<Doc> {
        let parts = elements(node);
        let [Token(let_), items @ .., Token(in_), Node(body)] = &parts[..] else { return None };
        if in_.kind() != In || !are_items(items) {
            return None;
        }
        let mut docs = vec![self.token(let_)];
        docs.push(Doc::Indent(self.items(items, in_, Doc::Hard)));
        docs.extend([Doc::Hard, self.token(in_), Doc::Hard, self.led(body)]);
        Some(group(docs))
    }

    /// `{ … }`, `rec { … }` and `let { … }`
    pub(super) fn set(&self, node: &SyntaxNode) -> Option<Doc> {
        let parts = elements(node);
        let (keyword, parts) = match &parts[..] {
            [Token(keyword), rest @ ..] if keyword.kind() != BraceOpen => (Some(keyword), rest),
            parts => (None, parts),
        };
        let [Token(open), items @ .., Token(close)] = parts else { return None };
        if open.kind() != BraceOpen || close.kind() != BraceClose || !are_items(items) {
            return None;
        }
        let mut docs = Vec::new();
        if let Some(keyword) = keyword {
            docs.extend([self.token(keyword), text(" ")]);
        }
        docs.extend(self.block(open, items, close));
        Some(group(docs))
    }

    pub(super) fn list(&self, node: &SyntaxNode) -> Option<Doc> {
        let parts = elements(node);
        let [Token(open), items @ .., Token(close)] = &parts[..] else { return None };
        let whole = items.iter().all(|item| matches!(item, Node(node) if node.kind() != Error));
        if open.kind() != BracketOpen || close.kind() != BracketClose || !whole {
            return None;
        }
        Some(group(self.block(open, items, close)))
    }

    /// Items between brackets.
    fn block(&self, open: &SyntaxToken, items: &[SyntaxElement], close: &SyntaxToken) -> Vec<Doc> {
        let opened = items.first().is_some_and(newline_before);
        let line = || if opened { Doc::Hard } else { Doc::Line };
        let mut docs = vec![self.token(open)];
        if items.is_empty() && comments::before(close).leading.is_empty() {
            docs.extend([Doc::Space, self.token(close)]);
            return docs;
        }
        docs.push(Doc::Indent(self.items(items, close, line())));
        docs.extend([line(), self.token(close)]);
        docs
    }

    /// Items, each behind a line end, and the comments after the last one.
    fn items(&self, items: &[SyntaxElement], close: &SyntaxToken, before: Doc) -> Vec<Doc> {
        let mut docs = Vec::new();
        let mut before = Some(before);
        for item in items.iter().filter_map(|item| item.as_node()) {
            docs.push(match before.take() {
                Some(before) => before,
                None if set_off(item) => Doc::Blank,
                None => Doc::Line,
            });
            docs.push(self.led(item));
        }
        let apart = comments::before(close).set_off();
        let dangling = self.take_leading(close);
        if !dangling.is_empty() {
            docs.push(if apart && before.is_none() { Doc::Blank } else { Doc::Hard });
            docs.extend(dangling);
        }
        docs
    }

    pub(super) fn binding(&self, node: &SyntaxNode) -> Option<Doc> {
        let parts = elements(node);
        let [Node(path), contract @ .., Token(assign), Node(value), Token(semicolon)] = &parts[..]
        else {
            return None;
        };
        let mut docs = vec![self.node(path)];
        docs.extend(self.contract_of(contract)?);
        docs.extend([text(" "), self.token(assign), self.value(value), self.token(semicolon)]);
        Some(Doc::Concat(docs))
    }

    /// `inherit a b;` and `inherit (c) a b;`
    pub(super) fn inherit(&self, node: &SyntaxNode) -> Option<Doc> {
        let parts = elements(node);
        let [Token(inherit), names @ .., Token(semicolon)] = &parts[..] else { return None };
        let (from, names) = match names {
            [Node(from), rest @ ..] if from.kind() == InheritFrom => (Some(from), rest),
            names => (None, names),
        };
        let mut docs = vec![self.token(inherit)];
        if let Some(from) = from {
            docs.extend([text(" "), self.node(from)]);
        }
        let opened = names.first().is_some_and(newline_before);
        let mut inner = Vec::new();
        for name in names {
            let Node(name) = name else { return None };
            inner.extend([if opened { Doc::Hard } else { Doc::Line }, self.led(name)]);
        }
        inner.extend([if opened { Doc::Hard } else { Doc::Soft }, self.token(semicolon)]);
        docs.push(Doc::Indent(inner));
        Some(group(docs))
    }

    pub(super) fn inherit_from(&self, node: &SyntaxNode) -> Option<Doc> {
        let [Token(open), Node(inner), Token(close)] = &elements(node)[..] else { return None };
        Some(Doc::Concat(vec![self.token(open), self.node(inner), self.token(close)]))
    }

    /// Whether a function's arguments have a line each.
    pub(super) fn is_tall(&self, pattern: &SyntaxNode) -> bool {
        let parts = elements(pattern);
        let open = parts.iter().position(|part| part.kind() == BraceOpen);
        let opened = open
            .and_then(|open| parts.get(open + 1))
            .is_some_and(|first| first.kind() != BraceClose && newline_before(first));
        opened || width(pattern).is_none_or(|width| width > MAX_PATTERN_WIDTH)
    }

    pub(super) fn pattern(&self, node: &SyntaxNode) -> Option<Doc> {
        let parts = elements(node);
        let open = parts.iter().position(|part| part.kind() == BraceOpen)?;
        let close = parts.iter().rposition(|part| part.kind() == BraceClose)?;
        if parts.iter().any(|part| part.kind() == Error) {
            return None;
        }
        let tall = self.is_tall(node) && close > open + 1;
        let line = || if tall { Doc::Hard } else { text(" ") };
        let mut docs: Vec<_> = parts[..=open].iter().map(|part| self.element(part)).collect();
        let mut inner = Vec::new();
        for part in &parts[open + 1..close] {
            match part {
                Token(comma) if comma.kind() == Comma => {
                    // Comments before a comma belong to the argument after it.
                    let comments = self.take_leading(comma);
                    inner.push(self.token(comma));
                    if !comments.is_empty() {
                        inner.push(Doc::Hard);
                        inner.extend(comments);
                    }
                }
                Node(field) => inner.extend([line(), self.led(field)]),
                Token(ellipsis) => {
                    inner.push(line());
                    inner.extend(self.take_leading(ellipsis));
                    inner.push(self.token(ellipsis));
                }
            }
        }
        if let Token(close) = &parts[close] {
            let dangling = self.take_leading(close);
            if !dangling.is_empty() {
                inner.push(Doc::Hard);
                inner.extend(dangling);
            }
        }
        docs.extend([Doc::Indent(inner), line()]);
        docs.extend(parts[close..].iter().map(|part| self.element(part)));
        Some(Doc::Concat(docs))
    }

    pub(super) fn field(&self, node: &SyntaxNode) -> Option<Doc> {
        let parts = elements(node);
        let (name, rest) = match &parts[..] {
            [Token(name), rest @ ..] => (name, rest),
            _ => return None,
        };
        let (contract, default) = match rest {
            [rest @ .., Token(question), Node(default)] => (rest, Some((question, default))),
            rest => (rest, None),
        };
        let mut docs = vec![self.token(name)];
        docs.extend(self.contract_of(contract)?);
        if let Some((question, default)) = default {
            docs.extend([text(" "), self.token(question), self.value(default)]);
        }
        Some(Doc::Concat(docs))
    }

    /// What stands between a name and its value: nothing, or a contract.
    fn contract_of(&self, parts: &[SyntaxElement]) -> Option<Vec<Doc>> {
        match parts {
            [] => Some(Vec::new()),
            [Node(contract)] if contract.kind() == Contract => {
                Some(vec![text(" "), self.node(contract)])
            }
            _ => None,
        }
    }

    /// `| T`: on one line, or open at the bracket that its author opened. How it breaks
    /// must not follow from the value after it, which may yet be opened.
    pub(super) fn contract(&self, node: &SyntaxNode) -> Option<Doc> {
        let [Token(bar), Node(contract)] = &elements(node)[..] else { return None };
        let opened = |token: SyntaxToken| {
            matches!(token.kind(), BraceOpen | BracketOpen)
                && token.next_token().is_some_and(|next| next.text().contains('\n'))
        };
        let mut tokens = contract.descendants_with_tokens().filter_map(|part| part.into_token());
        let laid_out = if tokens.any(opened) && ends_in_block(contract) {
            self.node(contract)
        } else if width(contract).is_some_and(|width| width <= MAX_WIDTH) {
            Doc::Flat(vec![self.node(contract)])
        } else {
            self.verbatim(contract)
        };
        Some(Doc::Concat(vec![self.token(bar), text(" "), laid_out]))
    }
}

fn are_items(items: &[SyntaxElement]) -> bool {
    items.iter().all(|item| matches!(item.kind(), Binding | InheritBinding))
}
