//! Which names a node defines and which it uses: what several lints ask.

use crate::Span;
use crate::SyntaxKind::{self, *};
use crate::syntax::{
    AttrNameNode, AttrPathNode, AttrSetNode, BindingNode, InheritNode, LambdaNode, SyntaxNode,
    SyntaxToken, VariableNode, span_of,
};
use rowan::WalkEvent;
use rowan::ast::AstNode;

/// What defines a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A `let`.
    Let,
    /// An `inherit` of a `let`.
    Inherit,
    /// A set that is recursive.
    Rec,
    /// `x: …`
    Argument,
    /// A named argument.
    Field,
    /// The name beside `@`.
    Alias,
}

/// A name that is defined.
#[derive(Clone, Debug)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) origin: Origin,
    /// How often it is used.
    pub(super) uses: usize,
    /// What stands for it in an outer scope, if anything does.
    pub(super) shadows: Option<Span>,
    /// What defines it: a binding, an `inherit`, an argument.
    pub(super) node: SyntaxNode,
}

/// The names of one `let`, set or function.
struct Scope {
    node: SyntaxNode,
    names: Vec<usize>,
}

/// Every name that the `let`s, recursive sets and functions of a tree define.
pub(super) fn definitions(root: &SyntaxNode) -> Vec<Definition> {
    let mut found = Found::default();
    for event in root.preorder() {
        match event {
            WalkEvent::Enter(node) => {
                found.open(&node);
                if let Some(name) = used_name(&node) {
                    found.use_name(&name, &node);
                }
            }
            WalkEvent::Leave(node) => {
                if found.scopes.last().is_some_and(|scope| scope.node == node) {
                    found.scopes.pop();
                }
            }
        }
    }
    found.definitions
}

/// The variable that a node uses: a variable, or a name of an `inherit` without source.
fn used_name(node: &SyntaxNode) -> Option<SyntaxToken> {
    match node.kind() {
        Variable => VariableNode::cast(node.clone())?.ident(),
        AttrName => {
            let parent = InheritNode::cast(node.parent()?)?;
            if parent.from().is_some() {
                return None;
            }
            AttrNameNode::cast(node.clone())?.ident()
        }
        _ => None,
    }
}

#[derive(Default)]
struct Found {
    definitions: Vec<Definition>,
    scopes: Vec<Scope>,
}

impl Found {
    /// Begin the scope that a node makes, if it makes one.
    fn open(&mut self, node: &SyntaxNode) {
        let names = match node.kind() {
            LetIn => bound(node, Origin::Let),
            LegacyLet => bound(node, Origin::Rec),
            AttrSet => match AttrSetNode::cast(node.clone()) {
                Some(set) if set.rec_token().is_some() => bound(node, Origin::Rec),
                _ => return,
            },
            Lambda => match LambdaNode::cast(node.clone()) {
                Some(lambda) => arguments(&lambda),
                None => return,
            },
            _ => return,
        };
        let mut scope = Scope { node: node.clone(), names: Vec::new() };
        for (token, origin, node) in names {
            let name = token.text().to_owned();
            let shadows = self.find(&name).map(|at| self.definitions[at].span);
            let span = span_of(token.text_range());
            scope.names.push(self.definitions.len());
            self.definitions.push(Definition { name, span, origin, uses: 0, shadows, node });
        }
        self.scopes.push(scope);
    }

    fn find(&self, name: &str) -> Option<usize> {
        let names = self.scopes.iter().rev().flat_map(|scope| scope.names.iter());
        names.copied().find(|&at| self.definitions[at].name == name)
    }

    fn use_name(&mut self, name: &SyntaxToken, node: &SyntaxNode) {
        // `let inherit x; in …` takes the `x` outside of the `let`.
        let inherited = node.kind() == AttrName;
        let owner = node.parent().and_then(|inherit| inherit.parent());
        let own = self.scopes.last().is_some_and(|scope| Some(&scope.node) == owner.as_ref());
        let skipped = if inherited && own { self.scopes.pop() } else { None };
        if let Some(at) = self.find(name.text()) {
            self.definitions[at].uses += 1;
        }
        self.scopes.extend(skipped);
    }
}

type Name = (SyntaxToken, Origin, SyntaxNode);

/// The names that a `let` or a set defines at its top.
fn bound(node: &SyntaxNode, origin: Origin) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for child in node.children() {
        if let Some(inherit) = InheritNode::cast(child.clone()) {
            let origin = if origin == Origin::Let { Origin::Inherit } else { origin };
            let idents = inherit.names().filter_map(|name| name.ident());
            names.extend(idents.map(|name| (name, origin, child.clone())));
        } else if let Some(name) =
            BindingNode::cast(child.clone()).and_then(|b| b.path()).and_then(head)
        {
            // `a.b = 1; a.c = 2;` defines one name.
            if !names.iter().any(|(known, ..)| known.text() == name.text()) {
                names.push((name, origin, child));
            }
        }
    }
    names
}

fn head(path: AttrPathNode) -> Option<SyntaxToken> {
    path.names().next()?.ident()
}

fn arguments(lambda: &LambdaNode) -> Vec<Name> {
    let node = lambda.syntax().clone();
    if let Some(name) = lambda.name() {
        return vec![(name, Origin::Argument, node)];
    }
    let Some(pattern) = lambda.pattern() else { return Vec::new() };
    let alias = pattern.alias().map(|name| (name, Origin::Alias, node));
    let fields = pattern.fields();
    let fields =
        fields.filter_map(|field| Some((field.name()?, Origin::Field, field.syntax().clone())));
    fields.chain(alias).collect()
}

/// Whether a `with` stands anywhere around a node.
pub(super) fn in_with(node: &SyntaxNode) -> bool {
    node.ancestors().any(|around| around.kind() == SyntaxKind::WithExpr)
}
