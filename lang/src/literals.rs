//! Literals that a text can do without: addresses, and paths that depend on more than where
//! the text lies. They are allowed, unless who reads the text asks for less.

use crate::lexer::{Token, lex};
use crate::{Diagnostic, Severity, SyntaxKind};

/// How bad each kind of literal is; what is not said is allowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiteralRules {
    /// `https://example.org`
    pub url: Option<Severity>,
    /// `/a` and `~/a`
    pub absolute_path: Option<Severity>,
    /// `a/b`
    pub short_path: Option<Severity>,
}

impl LiteralRules {
    /// What a text has against these rules.
    pub fn problems(self, text: &str) -> Vec<Diagnostic> {
        if [self.url, self.absolute_path, self.short_path].iter().all(Option::is_none) {
            return Vec::new();
        }
        let tokens = lex(text).into_iter();
        tokens.filter_map(|token| self.problem(text, token)).collect()
    }

    fn problem(self, text: &str, token: Token) -> Option<Diagnostic> {
        let span = token.span();
        let literal = &text[std::ops::Range::<usize>::from(span)];
        let (severity, code, message, help) = match (token.kind, literal.as_bytes().first()?) {
            (SyntaxKind::Uri, _) => {
                (self.url, "parse.url-literal", "an address without quotes", "put it in quotes")
            }
            (SyntaxKind::PathStart, b'/' | b'~') => (
                self.absolute_path,
                "parse.path-literal",
                "this path is another file on each machine",
                "take it as an argument, or begin it with './'",
            ),
            (SyntaxKind::PathStart, b'.') => return None,
            (SyntaxKind::PathStart, _) => (
                self.short_path,
                "parse.path-literal",
                "this path does not begin with a dot",
                "begin it with './'",
            ),
            _ => return None,
        };
        Some(
            Diagnostic { severity: severity?, ..Diagnostic::error(code, message, span) }.help(help),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_rule_names_is_found_and_nothing_else() {
        let text = "[ http://x.org/y /a ~/b c/d ./e ../f /g${h/i}/j \"k/l\" m / n ] # o/p";
        let found = |rules: LiteralRules| -> Vec<&str> {
            let problems = rules.problems(text);
            problems.iter().map(|p| &text[std::ops::Range::from(p.labels[0].span)]).collect()
        };
        let yes = Some(Severity::Error);
        assert!(found(LiteralRules::default()).is_empty());
        assert_eq!(found(LiteralRules { url: yes, ..Default::default() }), ["http://x.org/y"]);
        let absolute = LiteralRules { absolute_path: yes, ..Default::default() };
        assert_eq!(found(absolute), ["/a", "~/b", "/g"]);
        assert_eq!(found(LiteralRules { short_path: yes, ..Default::default() }), ["c/d", "h/i"]);
    }
}
