//! The kinds of tokens and nodes, shared by the lexer, the parser and both sinks.

macro_rules! kinds {
    ($($(#[$meta:meta])* $name:ident),* $(,)?) => {
        /// What a token or a node is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum SyntaxKind {
            $($(#[$meta])* $name),*
        }

        impl SyntaxKind {
            /// Every kind; one's place here is its number.
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];
        }
    };
}

kinds! {
    // Trivia
    /// Blanks and line ends.
    Whitespace,
    /// `# …`
    LineComment,
    /// `/* … */`
    BlockComment,
    /// `/** … */`
    DocComment,

    // Names, literals and their pieces
    /// A name that is not a keyword.
    Ident,
    /// A run of digits.
    Int,
    /// A number with a point.
    Float,
    /// A bare address such as `https://example.org`.
    Uri,
    /// `<nixpkgs/lib>`
    SearchPath,
    /// The beginning of a path.
    PathStart,
    /// More of a path, after an interpolation or a doubled slash.
    PathText,
    /// `"` that opens a string.
    StringOpen,
    /// `"` that closes a string.
    StringClose,
    /// `''` that opens an indented string, with the rest of its line where blank.
    IndentedOpen,
    /// `''` that closes an indented string.
    IndentedClose,
    /// Literal text of a string.
    Text,
    /// An escape in an indented string: `''$`, `'''`, `''\n`.
    IndentedEscape,
    /// `${`
    InterpolationOpen,

    // Keywords
    /// `if`
    If,
    /// `then`
    Then,
    /// `else`
    Else,
    /// `assert`
    Assert,
    /// `with`
    With,
    /// `let`
    Let,
    /// `in`
    In,
    /// `rec`
    Rec,
    /// `inherit`
    Inherit,
    /// `or`, which is also a name
    Or,

    // Punctuation
    /// `{`
    BraceOpen,
    /// `}`, also the end of an interpolation
    BraceClose,
    /// `[`
    BracketOpen,
    /// `]`
    BracketClose,
    /// `(`
    ParenOpen,
    /// `)`
    ParenClose,
    /// `:`
    Colon,
    /// `;`
    Semicolon,
    /// `,`
    Comma,
    /// `.`
    Dot,
    /// `...`
    Ellipsis,
    /// `@`
    At,
    /// `=`
    Assign,
    /// `?`
    Question,
    /// `|`
    Bar,

    // Operators
    /// `!`
    Bang,
    /// `+`
    Plus,
    /// `-`
    Minus,
    /// `*`
    Star,
    /// `/`
    Slash,
    /// `++`
    Concat,
    /// `//`
    Update,
    /// `<`
    Less,
    /// `<=`
    LessEq,
    /// `>`
    More,
    /// `>=`
    MoreEq,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `&&`
    AndAnd,
    /// `||`
    OrOr,
    /// `->`
    Implies,
    /// `|>`
    PipeInto,
    /// `<|`
    PipeFrom,

    // Tokens that are wrong by themselves
    /// Bytes that begin no token.
    Unknown,
    /// `/* …` without its end.
    UnclosedComment,
    /// The end of the text.
    End,

    // Nodes
    /// A whole file.
    Root,
    /// Tokens that fit nowhere.
    Error,
    /// The place of an expression that is missing or broken.
    BadExpr,
    /// A variable.
    Variable,
    /// A number, an address or a search path.
    Literal,
    /// A string of either form.
    StringExpr,
    /// A path.
    PathExpr,
    /// `${ … }`
    Interpolation,
    /// `( … )`
    Parens,
    /// `[ … ]`
    List,
    /// `{ … }` and `rec { … }`
    AttrSet,
    /// `let … in …`
    LetIn,
    /// `let { … }`
    LegacyLet,
    /// `with …; …`
    WithExpr,
    /// `assert …; …`
    AssertExpr,
    /// `if … then … else …`
    IfElse,
    /// `x: …` and `{ … }: …`
    Lambda,
    /// The name that a function binds.
    ParamName,
    /// `{ a, b ? 1, ... } @ all`
    Pattern,
    /// One named argument.
    Field,
    /// The name beside `@`.
    Alias,
    /// `| T` behind the name of an argument or a definition.
    Contract,
    /// `A -> B` in a contract.
    Arrow,
    /// `f x`
    Apply,
    /// `a.b or c`
    Select,
    /// `a ? b`
    HasAttr,
    /// `!a`, `-a`
    Unary,
    /// Any other operator.
    Binary,
    /// `a.b = c;`
    Binding,
    /// `inherit …;`
    InheritBinding,
    /// `(…)` of an `inherit`.
    InheritFrom,
    /// `a."b".${c}`
    AttrPath,
    /// One element of it.
    AttrName,
}

impl SyntaxKind {
    /// Whether this is blank space or a comment.
    pub fn is_trivia(self) -> bool {
        self <= Self::DocComment
    }

    /// Whether this is a comment.
    pub fn is_comment(self) -> bool {
        matches!(self, Self::LineComment | Self::BlockComment | Self::DocComment)
    }
}
