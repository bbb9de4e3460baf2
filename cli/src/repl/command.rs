//! What a line of the repl asks for.

use hb_lang::{Dialect, Severity, parse_program};

/// A line, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command<'a> {
    /// Nothing, or only a comment.
    Nothing,
    /// `name = value` or `inherit …`.
    Define(&'a str),
    /// An expression to evaluate and print.
    Evaluate(&'a str),
    /// An expression to evaluate and print all of.
    Print(&'a str),
    /// What type an expression's value has.
    Type(&'a str),
    /// The documentation of an expression's value.
    Doc(&'a str),
    /// The last error with every step of its trace.
    Trace,
    /// A file whose attributes become variables.
    Load(&'a str),
    /// Begin anew with all that was loaded and defined.
    Reload,
    /// An expression whose value is to be built.
    Build(&'a str),
    /// What can be asked for.
    Help,
    /// The end.
    Quit,
    /// No command, though it begins like one.
    Unknown(&'a str),
}

/// The commands: name, argument, what it does.
pub(super) const COMMANDS: &[(&str, &str, &str)] = &[
    ("EXPR", "", "evaluate an expression and print its value"),
    ("NAME = EXPR", "", "define a variable"),
    (":p", "EXPR", "print all of a value"),
    (":t", "EXPR", "show the type of a value"),
    (":doc", "EXPR", "show the documentation of a builtin, a function or an attribute"),
    (":b", "EXPR", "build a derivation"),
    (":l", "FILE", "load a file; the attributes of its value become variables"),
    (":r", "", "begin anew: load every file and define every variable again"),
    (":trace", "", "show the last error with its whole trace"),
    (":?", "", "show this help"),
    (":q", "", "quit"),
];

impl<'a> Command<'a> {
    /// Take a line apart.
    pub(super) fn parse(line: &'a str) -> Self {
        let line = line.trim();
        if line.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#')) {
            return Self::Nothing;
        }
        if !line.starts_with(':') {
            return match is_definition(line) {
                true => Self::Define(line.trim_end_matches(';')),
                false => Self::Evaluate(line),
            };
        }
        let (word, argument) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let argument = argument.trim();
        match word {
            ":p" => Self::Print(argument),
            ":t" => Self::Type(argument),
            ":doc" => Self::Doc(argument),
            ":b" => Self::Build(argument),
            ":l" => Self::Load(argument),
            ":r" => Self::Reload,
            ":trace" => Self::Trace,
            ":?" => Self::Help,
            ":q" => Self::Quit,
            _ => Self::Unknown(word),
        }
    }

    /// Whether more lines are needed before this means something: a bracket or a string is
    /// open, or an operator stands at the end.
    pub(super) fn is_incomplete(self) -> bool {
        let text = match self {
            Self::Define(text) => &definitions(text),
            Self::Evaluate(text)
            | Self::Print(text)
            | Self::Type(text)
            | Self::Doc(text)
            | Self::Build(text) => text,
            _ => return false,
        };
        if text.is_empty() {
            return false;
        }
        let end = match self {
            Self::Define(text) => DEFINITIONS.0.len() + text.trim_end().len(),
            _ => text.trim_end().len(),
        };
        parse_program(text, Dialect::Hb).problems.iter().any(|problem| {
            let at_end = problem.labels.iter().any(|label| label.span.start as usize >= end);
            let unclosed = ["parse.unclosed-string", "parse.unclosed-comment"];
            problem.severity == Severity::Error && (at_end || unclosed.contains(&problem.code))
        })
    }
}

/// What makes definitions a set.
const DEFINITIONS: (&str, &str) = ("rec { ", "; }");

/// Definitions as the set of what they define.
pub(super) fn definitions(text: &str) -> String {
    format!("{}{text}{}", DEFINITIONS.0, DEFINITIONS.1)
}

/// Whether a line defines something: `inherit`, or names and dots up to a `=`.
fn is_definition(line: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_'-.\"".contains(c);
    let rest = line.trim_start_matches(is_part).trim_start();
    let begins_with_name = line.starts_with(|c: char| c.is_ascii_alphabetic() || "_\"".contains(c));
    line.starts_with("inherit ")
        || (begins_with_name && rest.starts_with('=') && !rest.starts_with("=="))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command_a_definition_or_an_expression() {
        assert_eq!(Command::parse(" :p a "), Command::Print("a"));
        assert_eq!(Command::parse(":nope a"), Command::Unknown(":nope"));
        assert_eq!(Command::parse("a = 1;"), Command::Define("a = 1"));
        assert_eq!(Command::parse("a.b = 1"), Command::Define("a.b = 1"));
        assert_eq!(Command::parse("inherit (a) b"), Command::Define("inherit (a) b"));
        assert_eq!(Command::parse("let\n a = 1;"), Command::Evaluate("let\n a = 1;"));
        assert_eq!(Command::parse("a == 1"), Command::Evaluate("a == 1"));
        assert_eq!(Command::parse("{ a = 1; }"), Command::Evaluate("{ a = 1; }"));
        assert_eq!(Command::parse("# nothing"), Command::Nothing);
    }

    #[test]
    fn open_brackets_strings_and_operators_wait_for_more() {
        for text in ["{ a = 1;", "\"a", "''a", "1 +", "x:", "let a = 1;", "a = {", "f (", "/* a"] {
            assert!(Command::parse(text).is_incomplete(), "{text}");
        }
        for text in ["{ a = 1 }", "1", "1 )", "a = 1", "a = { }", ":l a", ":p", "{ a = ; }"] {
            assert!(!Command::parse(text).is_incomplete(), "{text}");
        }
    }
}
