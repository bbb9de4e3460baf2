//! Typed views of the tree's nodes.
//!
//! A view is a node whose kind is known. Accessors give `None` where a broken text
//! lacks the part.

use super::{Hb, SyntaxNode, SyntaxToken};
use crate::kind::SyntaxKind;
use rowan::ast::{AstNode, support};

macro_rules! views {
    ($($(#[$meta:meta])* $view:ident => $kind:ident),* $(,)?) => {
        $(
            $(#[$meta])*
            #[derive(Clone, Debug, PartialEq, Eq, Hash)]
            pub struct $view(SyntaxNode);

            impl AstNode for $view {
                type Language = Hb;

                fn can_cast(kind: SyntaxKind) -> bool {
                    kind == SyntaxKind::$kind
                }

                fn cast(node: SyntaxNode) -> Option<Self> {
                    Self::can_cast(node.kind()).then_some(Self(node))
                }

                fn syntax(&self) -> &SyntaxNode {
                    &self.0
                }
            }
        )*
    };
}

views! {
    /// A whole file.
    RootNode => Root,
    /// `let … in …`
    LetInNode => LetIn,
    /// `{ … }` and `rec { … }`
    AttrSetNode => AttrSet,
    /// `a.b = c;`
    BindingNode => Binding,
    /// `inherit …;`
    InheritNode => InheritBinding,
    /// `a."b".${c}`
    AttrPathNode => AttrPath,
    /// One element of an attribute path.
    AttrNameNode => AttrName,
    /// `x: …` and `{ … }: …`
    LambdaNode => Lambda,
    /// `{ a, b ? 1, ... } @ all`
    PatternNode => Pattern,
    /// One named argument.
    FieldNode => Field,
    /// `with …; …`
    WithNode => WithExpr,
    /// `( … )`
    ParensNode => Parens,
    /// A variable.
    VariableNode => Variable,
}

/// Whether a node is an expression.
pub fn is_expression(kind: SyntaxKind) -> bool {
    use SyntaxKind::*;
    matches!(
        kind,
        BadExpr
            | Variable
            | Literal
            | StringExpr
            | PathExpr
            | Parens
            | List
            | AttrSet
            | LetIn
            | LegacyLet
            | WithExpr
            | AssertExpr
            | IfElse
            | Lambda
            | Apply
            | Select
            | HasAttr
            | Unary
            | Binary
            | Arrow
    )
}

/// The expressions right below a node, in order.
pub fn expressions(node: &SyntaxNode) -> impl Iterator<Item = SyntaxNode> {
    node.children().filter(|child| is_expression(child.kind()))
}

impl RootNode {
    /// The file's expression.
    pub fn expression(&self) -> Option<SyntaxNode> {
        expressions(&self.0).next()
    }
}

impl LetInNode {
    /// `a = b;`
    pub fn bindings(&self) -> impl Iterator<Item = BindingNode> {
        support::children(&self.0)
    }

    /// `inherit …;`
    pub fn inherits(&self) -> impl Iterator<Item = InheritNode> {
        support::children(&self.0)
    }

    /// What comes after `in`.
    pub fn body(&self) -> Option<SyntaxNode> {
        expressions(&self.0).last()
    }
}

impl AttrSetNode {
    /// The keyword `rec`.
    pub fn rec_token(&self) -> Option<SyntaxToken> {
        support::token(&self.0, SyntaxKind::Rec)
    }

    /// `a = b;`
    pub fn bindings(&self) -> impl Iterator<Item = BindingNode> {
        support::children(&self.0)
    }

    /// `inherit …;`
    pub fn inherits(&self) -> impl Iterator<Item = InheritNode> {
        support::children(&self.0)
    }
}

impl BindingNode {
    /// The left side.
    pub fn path(&self) -> Option<AttrPathNode> {
        support::child(&self.0)
    }

    /// The right side.
    pub fn value(&self) -> Option<SyntaxNode> {
        expressions(&self.0).next()
    }
}

impl InheritNode {
    /// The names that it defines.
    pub fn names(&self) -> impl Iterator<Item = AttrNameNode> {
        support::children(&self.0)
    }

    /// The `(…)` that they come from.
    pub fn from(&self) -> Option<SyntaxNode> {
        self.0.children().find(|child| child.kind() == SyntaxKind::InheritFrom)
    }
}

impl AttrPathNode {
    /// Its elements.
    pub fn names(&self) -> impl Iterator<Item = AttrNameNode> {
        support::children(&self.0)
    }
}

impl AttrNameNode {
    /// The plain name, where it is one and not a string or computed.
    pub fn ident(&self) -> Option<SyntaxToken> {
        support::token(&self.0, SyntaxKind::Ident)
            .or_else(|| support::token(&self.0, SyntaxKind::Or))
    }
}

impl LambdaNode {
    /// The name in `x: …`.
    pub fn name(&self) -> Option<SyntaxToken> {
        let name = self.0.children().find(|child| child.kind() == SyntaxKind::ParamName)?;
        name.first_token()
    }

    /// The pattern in `{ … }: …`.
    pub fn pattern(&self) -> Option<PatternNode> {
        support::child(&self.0)
    }

    /// What comes after the colon.
    pub fn body(&self) -> Option<SyntaxNode> {
        expressions(&self.0).last()
    }
}

impl PatternNode {
    /// The named arguments.
    pub fn fields(&self) -> impl Iterator<Item = FieldNode> {
        support::children(&self.0)
    }

    /// The name beside `@`.
    pub fn alias(&self) -> Option<SyntaxToken> {
        let alias = self.0.children().find(|child| child.kind() == SyntaxKind::Alias)?;
        alias.first_token()
    }

    /// `...`
    pub fn ellipsis(&self) -> Option<SyntaxToken> {
        support::token(&self.0, SyntaxKind::Ellipsis)
    }
}

impl FieldNode {
    /// The argument's name.
    pub fn name(&self) -> Option<SyntaxToken> {
        support::token(&self.0, SyntaxKind::Ident)
    }

    /// What comes after `?`.
    pub fn default(&self) -> Option<SyntaxNode> {
        expressions(&self.0).next()
    }
}

impl WithNode {
    /// The set whose names come into scope.
    pub fn scope(&self) -> Option<SyntaxNode> {
        expressions(&self.0).next()
    }

    /// What comes after the semicolon.
    pub fn body(&self) -> Option<SyntaxNode> {
        expressions(&self.0).nth(1)
    }
}

impl ParensNode {
    /// What is inside.
    pub fn inner(&self) -> Option<SyntaxNode> {
        expressions(&self.0).next()
    }
}

impl VariableNode {
    /// The name.
    pub fn ident(&self) -> Option<SyntaxToken> {
        self.0.first_token()
    }
}
