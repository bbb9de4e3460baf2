//! Definitions to sets: paths become nested sets, sets that are defined in pieces
//! become one, and what is defined twice is reported with both places.

use super::{Builder, Item, MAX_LINEAR_SEARCH};
use crate::ast::{Binding, BindingValue, Bindings, Expr, ExprId, Name};
use crate::{Diagnostic, Span};
use rustc_hash::FxHashMap;

/// A set that may still grow. Sets inside of it that may grow too are kept beside the
/// bindings that will hold them; they become expressions last, innermost first.
#[derive(Default)]
struct Draft {
    recursive: bool,
    span: Span,
    bindings: Bindings,
    /// By index into `bindings.fixed`.
    nested: FxHashMap<usize, Draft>,
    /// By index into `bindings.dynamic`.
    nested_dynamic: FxHashMap<usize, Draft>,
    /// Where each name is, once there are many.
    index: FxHashMap<Name, usize>,
}

/// The value of a binding that a nested draft will give.
const LATER: ExprId = ExprId(u32::MAX);

impl Draft {
    fn find(&self, name: Name) -> Option<usize> {
        if self.bindings.fixed.len() <= MAX_LINEAR_SEARCH {
            self.bindings.fixed.iter().position(|binding| binding.name == name)
        } else {
            self.index.get(&name).copied()
        }
    }

    fn push(&mut self, binding: Binding) -> usize {
        let at = self.bindings.fixed.len();
        if at == MAX_LINEAR_SEARCH {
            let known = self.bindings.fixed.iter().enumerate();
            self.index = known.map(|(at, binding)| (binding.name, at)).collect();
        }
        if at >= MAX_LINEAR_SEARCH {
            self.index.insert(binding.name, at);
        }
        self.bindings.fixed.push(binding);
        at
    }
}

impl Builder<'_> {
    pub(super) fn attribute_set(&mut self, mark: usize) -> Expr {
        use crate::kind::SyntaxKind::Rec;
        let recursive = matches!(self.items.get(mark), Some(Item::Token(Rec, _)));
        let bindings = self.bindings(mark + usize::from(recursive));
        Expr::Attrs { recursive, bindings: bindings.into() }
    }

    pub(super) fn let_in(&mut self, mark: usize) -> Expr {
        let Some(Item::Expr(body)) = self.items.pop() else { return Expr::Error };
        let mut bindings = self.bindings(mark);
        for (.., span) in bindings.dynamic.drain(..) {
            self.problems.push(
                Diagnostic::error(
                    "parse.dynamic-let",
                    "the names that a `let` defines are fixed",
                    span,
                )
                .here("computed name")
                .help("put it in a set: `let set = { ${name} = …; }; in …`"),
            );
        }
        Expr::Let { bindings: bindings.into(), body }
    }

    pub(super) fn inherit_from(&mut self, mark: usize) {
        if let Some(&Item::Expr(id)) = self.items.get(mark) {
            self.items[mark] = Item::From(id);
        }
    }

    /// Its names become definitions; none may be computed.
    pub(super) fn inherit(&mut self, mark: usize) {
        for at in mark..self.items.len() {
            match self.items[at] {
                Item::Name(name, span) => self.items[at] = Item::Inherited(name, span),
                Item::Computed(_, span) => {
                    self.problems.push(
                        Diagnostic::error(
                            "parse.dynamic-inherit",
                            "an inherited name cannot be computed",
                            span,
                        )
                        .help("define it: `${name} = set.${name};`"),
                    );
                    // A name that nothing else can have stands for it no longer.
                    self.items[at] = Item::Token(crate::kind::SyntaxKind::Error, span);
                }
                _ => {}
            }
        }
    }

    /// The definitions since a mark, merged.
    pub(super) fn bindings(&mut self, mark: usize) -> Bindings {
        let waiting = std::mem::take(&mut self.items);
        let items = &waiting[mark..];
        let mut draft = Draft::default();
        draft.bindings.fixed.reserve(items.len() / 2);
        let mut path_start = 0;
        let mut from = None;
        for (at, item) in items.iter().enumerate() {
            match *item {
                Item::Name(..) | Item::Computed(..) | Item::Contract(_) => continue,
                Item::Expr(value) => self.define(&mut draft, &items[path_start..at], value),
                Item::Token(..) => from = None,
                Item::From(id) => {
                    draft.bindings.inherit_from.push(id);
                    from = Some(draft.bindings.inherit_from.len() as u32 - 1);
                }
                Item::Inherited(name, span) => {
                    let value = from.map_or(BindingValue::Inherit, BindingValue::InheritFrom);
                    self.add(&mut draft, Binding { name, span, value });
                }
                Item::Alias(_) => {}
            }
            path_start = at + 1;
        }
        self.items = waiting;
        self.items.truncate(mark);
        self.complete(draft)
    }

    /// `path = value;` and `path | contract = value;`
    fn define(&mut self, draft: &mut Draft, path: &[Item], value: ExprId) {
        let whole = path.iter().filter_map(place).reduce(Span::cover).unwrap_or_default();
        let (path, value) = match *path {
            [ref path @ .., Item::Contract(contract)] => {
                let check = Expr::Check { value, contract, subject: whole };
                (path, self.push(check, self.ast.span(value)))
            }
            _ => (path, value),
        };
        let Some((last, outer)) = path.split_last() else { return };
        let mut draft = draft;
        for (depth, element) in outer.iter().enumerate() {
            // As for Nix, all that a path defines stands where the path begins.
            let here = path[..=depth]
                .iter()
                .filter_map(place)
                .fold(whole, |_, end| Span { start: whole.start, end: end.end });
            draft = match *element {
                Item::Name(name, _) => match self.nested(draft, name, here) {
                    Ok(nested) => nested,
                    Err(first) => return self.defined_twice(&path[..=depth], here, first),
                },
                Item::Computed(name, _) => {
                    let at = draft.bindings.dynamic.len();
                    draft.bindings.dynamic.push((name, LATER, here));
                    draft
                        .nested_dynamic
                        .entry(at)
                        .or_insert(Draft { span: here, ..Draft::default() })
                }
                _ => return,
            };
        }
        match *last {
            Item::Name(name, _) => {
                let value = BindingValue::Expr(value);
                if let Err(first) = self.try_add(draft, Binding { name, span: whole, value }) {
                    self.defined_twice(path, whole, first);
                }
            }
            Item::Computed(name, _) => draft.bindings.dynamic.push((name, value, whole)),
            _ => {}
        }
    }

    /// The set that a name of a draft holds, to define more in it; the place of the
    /// definition where it is something else.
    fn nested<'d>(
        &mut self,
        draft: &'d mut Draft,
        name: Name,
        span: Span,
    ) -> Result<&'d mut Draft, Span> {
        let at = match draft.find(name) {
            Some(at) => {
                self.reopen(draft, at)?;
                at
            }
            None => {
                let value = BindingValue::Expr(LATER);
                let at = draft.push(Binding { name, span, value });
                draft.nested.insert(at, Draft { span, ..Draft::default() });
                at
            }
        };
        Ok(draft.nested.entry(at).or_default())
    }

    /// Make a draft again of a set that is complete.
    fn reopen(&mut self, draft: &mut Draft, at: usize) -> Result<(), Span> {
        if draft.nested.contains_key(&at) {
            return Ok(());
        }
        let binding = &mut draft.bindings.fixed[at];
        match self.take_set(binding) {
            Some(set) => {
                binding.value = BindingValue::Expr(LATER);
                draft.nested.insert(at, set);
                Ok(())
            }
            None => Err(binding.span),
        }
    }

    /// Take the set that a binding is out of the program.
    fn take_set(&mut self, binding: &Binding) -> Option<Draft> {
        let BindingValue::Expr(id) = binding.value else { return None };
        let slot = self.ast.exprs.get_mut(id.0 as usize)?;
        let Expr::Attrs { recursive, bindings } = slot else { return None };
        let recursive = *recursive;
        let mut draft =
            Draft { recursive, span: self.ast.spans[id.0 as usize], ..Draft::default() };
        let taken = std::mem::take(&mut **bindings);
        *slot = Expr::Error;
        draft.bindings.dynamic = taken.dynamic;
        draft.bindings.inherit_from = taken.inherit_from;
        for binding in taken.fixed {
            draft.push(binding);
        }
        Some(draft)
    }

    fn add(&mut self, draft: &mut Draft, binding: Binding) {
        let (name, span) = (binding.name, binding.span);
        if let Err(first) = self.try_add(draft, binding) {
            self.defined_twice(&[Item::Name(name, span)], span, first);
        }
    }

    /// Add a definition; two of one name are one if both are sets.
    fn try_add(&mut self, draft: &mut Draft, binding: Binding) -> Result<(), Span> {
        let Some(at) = draft.find(binding.name) else {
            draft.push(binding);
            return Ok(());
        };
        let first = draft.bindings.fixed[at].span;
        if !self.is_set(&binding) {
            return Err(first);
        }
        self.reopen(draft, at)?;
        if let (Some(into), Some(more)) = (draft.nested.get_mut(&at), self.take_set(&binding)) {
            self.merge(into, more);
        }
        Ok(())
    }

    fn is_set(&self, binding: &Binding) -> bool {
        match binding.value {
            BindingValue::Expr(id) => {
                matches!(self.ast.exprs.get(id.0 as usize), Some(Expr::Attrs { .. }))
            }
            _ => false,
        }
    }

    fn merge(&mut self, into: &mut Draft, more: Draft) {
        let offset = into.bindings.inherit_from.len() as u32;
        for mut binding in more.bindings.fixed {
            if let BindingValue::InheritFrom(index) = &mut binding.value {
                *index += offset;
            }
            self.add(into, binding);
        }
        into.bindings.inherit_from.extend(more.bindings.inherit_from);
        into.bindings.dynamic.extend(more.bindings.dynamic);
    }

    /// Turn the drafts inside into expressions.
    fn complete(&mut self, mut draft: Draft) -> Bindings {
        for (at, nested) in in_order(draft.nested) {
            draft.bindings.fixed[at].value = BindingValue::Expr(self.complete_set(nested));
        }
        for (at, nested) in in_order(draft.nested_dynamic) {
            draft.bindings.dynamic[at].1 = self.complete_set(nested);
        }
        draft.bindings
    }

    fn complete_set(&mut self, draft: Draft) -> ExprId {
        let (recursive, span) = (draft.recursive, draft.span);
        let bindings = self.complete(draft);
        self.push(Expr::Attrs { recursive, bindings: bindings.into() }, span)
    }

    fn defined_twice(&mut self, path: &[Item], span: Span, first: Span) {
        let names = path.iter().map(|item| match *item {
            Item::Name(name, _) => self.ast.name(name),
            _ => "${…}",
        });
        let names = names.collect::<Vec<_>>().join(".");
        self.problems.push(
            Diagnostic::error(
                "parse.duplicate-attribute",
                format!("the attribute `{names}` is defined twice"),
                span,
            )
            .here("again here")
            .label(first, "first here"),
        );
    }
}

/// Drafts in the order of what they belong to. Most sets have none, which costs nothing.
fn in_order(drafts: FxHashMap<usize, Draft>) -> Vec<(usize, Draft)> {
    let mut drafts: Vec<_> = drafts.into_iter().collect();
    drafts.sort_unstable_by_key(|(at, _)| *at);
    drafts
}

/// Where an element of a path stands.
fn place(item: &Item) -> Option<Span> {
    match *item {
        Item::Name(_, span) | Item::Computed(_, span) => Some(span),
        _ => None,
    }
}
