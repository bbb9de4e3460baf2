//! What is documented: builtins from their table, all else from the `/** … */` before a
//! definition or a function. The texts are looked at only when somebody asks.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use hb_lang::docs::{DocComment, comment_at, signature_at};
use hb_lang::parse_tree;
use hb_lang::syntax::SyntaxNode;

use crate::builtins::Builtin;
use crate::error::Eval;
use crate::heap::Kind;
use crate::machine::Machine;
use crate::source::{Place, Pos, Source, SourceId};
use crate::value::Value;

/// Sets in sets, of a library, that are looked into.
const MAX_DEPTH: usize = 8;

/// What is known of a value for those who use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Documentation {
    /// How to get at it, such as `strings.splitString`.
    pub name: String,
    /// How to call it, if it is a function.
    pub signature: Option<String>,
    /// What its author says, as Markdown.
    pub text: String,
    /// Where that stands, as `file:line:column`; of builtins, nowhere.
    pub place: Option<String>,
}

impl Builtin {
    /// The builtin's documentation.
    pub fn documentation(&self) -> Documentation {
        let names: Vec<_> = self.params.iter().map(|param| param.name).collect();
        let mut text = self.doc.to_owned();
        if !self.params.is_empty() {
            text.push('\n');
        }
        for param in self.params {
            text += &format!("\n- `{}`: {}", param.name, param.doc);
        }
        Documentation {
            name: self.name.to_owned(),
            signature: (!names.is_empty()).then(|| format!("{} {}", self.name, names.join(" "))),
            text,
            place: None,
        }
    }
}

/// Reads documentation for a machine; keeps the trees that it needed.
pub(crate) struct Reader<'a> {
    machine: &'a mut Machine,
    trees: BTreeMap<SourceId, SyntaxNode>,
}

/// A comment: where it is, and what it says.
type Found = (Place, String);

impl<'a> Reader<'a> {
    pub(crate) fn new(machine: &'a mut Machine) -> Self {
        Self { machine, trees: BTreeMap::new() }
    }

    /// The documentation of an evaluated value that may be bound at `pos`.
    pub(crate) fn of(&mut self, name: String, value: Value, pos: Pos) -> Option<Documentation> {
        if let Some(number) = value.as_builtin() {
            return Some(self.machine.builtin(number).documentation());
        }
        let function = self.function_place(value);
        let signature = function.and_then(|place| self.signature(place));
        let (place, text) = self
            .bound_at(pos)
            .or_else(|| function.and_then(|place| self.comment(place.source, place.span.start)))?;
        let sources = &self.machine.sources;
        let (line, column) = sources.line_column(place.source, place.span.start);
        let place = format!("{}:{line}:{column}", sources.get(place.source).name);
        Some(Documentation { name, signature, text, place: Some(place) })
    }

    /// Everything documented in a set, the outermost first. The set is reachable from a
    /// root. What fails to evaluate is passed over.
    pub(crate) fn library(&mut self, prefix: &str, set: Value) -> Eval<Vec<Documentation>> {
        let mut found = Vec::new();
        let mut places = BTreeSet::new();
        let mut seen = BTreeSet::from([set.bits()]);
        let mut waiting = VecDeque::from([(prefix.to_owned(), set, 0)]);
        while let Some((prefix, set, depth)) = waiting.pop_front() {
            let attrs = self.machine.expect_attrs(set)?;
            for (symbol, pos, value) in self.machine.sorted_attrs(attrs) {
                let Ok(value) = self.machine.force(value) else { continue };
                let attribute = self.machine.symbols.text(symbol).into_owned();
                let name = match prefix.as_str() {
                    "" => attribute,
                    prefix => format!("{prefix}.{attribute}"),
                };
                let documentation = self.of(name.clone(), value, pos);
                found.extend(documentation.filter(|of| places.insert(of.place.clone())));
                let Some(inner) = value.as_attrs() else { continue };
                let is_derivation = self.machine.is_derivation(inner).unwrap_or(true);
                if !is_derivation && depth < MAX_DEPTH && seen.insert(value.bits()) {
                    waiting.push_back((name, value, depth + 1));
                }
            }
        }
        Ok(found)
    }

    /// Where a function that is written in a text begins.
    fn function_place(&self, value: Value) -> Option<Place> {
        let closure = match value.of_kind(Kind::Partial) {
            Some(partial) => partial.value(0).of_kind(Kind::Closure)?,
            None => value.of_kind(Kind::Closure)?,
        };
        self.machine.program.prototype_place(closure.extra())
    }

    fn bound_at(&mut self, pos: Pos) -> Option<Found> {
        let (source, offset) = self.machine.sources.locate(pos)?;
        self.comment(source, offset)
    }

    fn comment(&mut self, source: SourceId, offset: u32) -> Option<Found> {
        let DocComment { start, text } = comment_at(self.tree(source), offset)?;
        let span = hb_lang::Span { start, end: start };
        Some((Place { source, span }, text))
    }

    fn signature(&mut self, place: Place) -> Option<String> {
        signature_at(self.tree(place.source), place.span.start)
    }

    fn tree(&mut self, source: SourceId) -> &SyntaxNode {
        let Source { text, dialect, .. } = self.machine.sources.get(source);
        self.trees.entry(source).or_insert_with(|| parse_tree(text, *dialect).root())
    }
}
