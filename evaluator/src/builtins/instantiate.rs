//! From what a recipe says to a recorded derivation and the value that stands for it.
//!
//! Contexts hold ids; here they become a derivation's inputs, and a derivation becomes
//! strings that carry it in their contexts.

use std::collections::BTreeSet;
use std::sync::Arc;

use hb_model::{Derivation, DerivationId, Input, OutputName, SortedSet, StorePath};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::context::{ContextElement, ContextParts};
use crate::error::{Error, Eval, Fault};
use crate::machine::{Machine, Made};
use crate::source::Pos;
use crate::symbol::{Symbol, well_known};
use crate::value::Value;

/// Attributes of a derivation set that no output may take the name of.
pub(super) const RESERVED: &[&str] =
    &["all", "drvAttrs", "drvPath", "name", "outPath", "outputName", "outputs", "system", "type"];

/// What the contexts of strings ask to be there when building.
pub(super) fn inputs(m: &mut Machine, context: &ContextParts) -> Eval<SortedSet<Input>> {
    check_scheme(m)?;
    let context = m.contexts.union_of(context);
    let context = m.contexts.get(context);
    let mut inputs = Vec::with_capacity(context.len());
    let mut closures = Closures::default();
    let mut alone = Vec::new();
    for element in context {
        match element {
            ContextElement::Source(path) => {
                inputs.push(Input::Path(path.clone()));
            }
            ContextElement::Output { derivation, output } => {
                let (derivation, output) = (*derivation, output.clone());
                inputs.push(Input::Output { derivation, output });
            }
            ContextElement::Derivation { id, deep: true } => closures.add(m, id),
            ContextElement::Derivation { id, deep: false } => {
                inputs.push(Input::Path(derivation_path(m, id)));
                alone.push(*id);
            }
        }
    }
    // No output of theirs is needed, so that building does not know of them.
    if !alone.is_empty() {
        m.world.add_derivations(&in_order(&m.derivations, &alone))?;
    }
    inputs.extend(closures.inputs);
    Ok(inputs.into())
}

/// hb's own derivations are refused where evaluation is with Nix's paths.
fn check_scheme(m: &Machine) -> Eval<()> {
    let reason = "it makes hb's own derivations, and evaluation is with Nix's paths";
    match m.nix {
        Some(_) => Err(Fault::Refused { builtin: "hb", reason }.into()),
        None => Ok(()),
    }
}

/// Some derivations and all that they need, each after what it needs.
fn in_order<'a>(
    derivations: &'a FxHashMap<DerivationId, Made>,
    ids: &[DerivationId],
) -> Vec<(&'a DerivationId, &'a Derivation)> {
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    let mut pending: Vec<_> = ids.iter().map(|&id| (id, false)).collect();
    while let Some((id, needed_are_there)) = pending.pop() {
        let Some((key, Made { derivation, .. })) = derivations.get_key_value(&id) else { continue };
        if needed_are_there {
            order.push((key, &**derivation));
        } else if seen.insert(id) {
            pending.push((id, true));
            pending.extend(derivation.inputs.iter().filter_map(|input| match input {
                Input::Output { derivation, .. } => Some((*derivation, false)),
                Input::Path(_) => None,
            }));
        }
    }
    order
}

/// What some derivations and all that they need consist of.
#[derive(Default)]
struct Closures {
    inputs: BTreeSet<Input>,
    seen: BTreeSet<DerivationId>,
}

impl Closures {
    /// Add all outputs of a derivation, and of every derivation that it needs.
    fn add(&mut self, m: &Machine, id: &DerivationId) {
        let mut pending = vec![*id];
        while let Some(id) = pending.pop() {
            if !self.seen.insert(id) {
                continue;
            }
            let Made { derivation, path, .. } = &m.derivations[&id];
            self.inputs.insert(Input::Path(path.clone()));
            let outputs = derivation.output_names();
            self.inputs.extend(outputs.map(|output| Input::Output { derivation: id, output }));
            for input in &derivation.inputs {
                match input {
                    Input::Path(_) => drop(self.inputs.insert(input.clone())),
                    Input::Output { derivation, .. } => pending.push(*derivation),
                }
            }
        }
    }
}

/// The store object of a recorded derivation.
pub(super) fn derivation_path(m: &Machine, id: &DerivationId) -> StorePath {
    match &m.nix {
        Some(scheme) => scheme.path(id).clone(),
        None => m.derivations[id].path.clone(),
    }
}

/// A recorded derivation, as texts with contexts.
pub(super) struct Recorded {
    /// The path of the derivation itself.
    pub(super) path: Value,
    /// Each output's path or placeholder.
    pub(super) outputs: OfOutputs<(OutputName, Value)>,
}

/// Something for each output, of which there are mostly few.
type OfOutputs<T> = SmallVec<[T; 4]>;

/// Record a derivation.
pub(super) fn record(m: &mut Machine, derivation: Derivation) -> Eval<Recorded> {
    check_scheme(m)?;
    let names: OfOutputs<OutputName> = derivation.output_names().collect();
    for output in &names {
        output.object_name(&derivation.name).map_err(bad_name)?;
    }
    let references = derivation.inputs.iter().map(|input| match input {
        Input::Path(path) => path.clone(),
        Input::Output { derivation, .. } => derivation_path(m, derivation),
    });
    let references = BTreeSet::from_iter(references);
    let id = derivation.id();
    let path = derivation.store_path(&id, &references).map_err(bad_name)?;
    let context = m.contexts.single(ContextElement::Derivation { id, deep: true });
    let text = path.text_in(m.world.store_dir());
    let path_value = m.string_with_context(text.as_bytes(), context);
    let outputs = names.into_iter().map(|output| {
        let element = ContextElement::Output { derivation: id, output: output.clone() };
        let context = m.contexts.single(element);
        let text = derivation.output_text(&id, &output);
        let value = m.string_with_context(text.as_bytes(), context);
        (output, value)
    });
    let outputs = outputs.collect();
    let made = Made { derivation: Arc::new(derivation), path, pos: m.running_pos() };
    m.derivations.insert(id, made);
    Ok(Recorded { path: path_value, outputs })
}

fn bad_name(error: hb_model::NameError) -> Error {
    Fault::Argument { builtin: "derivation", reason: error.to_string() }.into()
}

/// Record a derivation and make the set that stands for it: that of its first output
/// (`out`, if there is one), with every output's set as an attribute.
pub(super) fn derivation_set(m: &mut Machine, derivation: Derivation) -> Eval<Value> {
    let (name, system) = (m.string(derivation.name.as_str()), m.string(&derivation.system));
    let recorded = record(m, derivation)?;
    let kind = m.string("derivation");
    let names: OfOutputs<Value> =
        recorded.outputs.iter().map(|(output, _)| m.string(output.as_str())).collect();
    let outputs = m.list(&names);
    let symbols: OfOutputs<Symbol> =
        recorded.outputs.iter().map(|(output, _)| m.intern(output.as_str().as_bytes())).collect();
    let common = [
        (well_known::TYPE, kind),
        (well_known::NAME, name),
        (well_known::SYSTEM, system),
        (well_known::OUTPUTS, outputs),
        (well_known::DRV_PATH, recorded.path),
        (well_known::EVERY_OUTPUT, Value::NULL),
    ];
    let mut sets = OfOutputs::with_capacity(symbols.len());
    for ((_, path), &name) in recorded.outputs.iter().zip(&names) {
        let own = [(well_known::OUTPUT_NAME, name), (well_known::OUT_PATH, *path)];
        let each = symbols.iter().map(|&symbol| (symbol, Value::NULL));
        let attributes = common.into_iter().chain(own).chain(each);
        sets.push(m.attrs(attributes.map(|(name, value)| (name, Pos::NONE, value)).collect()));
    }
    // Every output's set holds all of them, itself included: now that they are made, put
    // them in.
    let all = m.list(&sets);
    for set in &sets {
        let Some(attrs) = set.as_attrs() else { unreachable!("it was just made") };
        attrs.complete(well_known::EVERY_OUTPUT, all);
        for (&symbol, &other) in symbols.iter().zip(&sets) {
            attrs.complete(symbol, other);
        }
    }
    let first = recorded.outputs.iter().position(|(output, _)| *output == OutputName::out());
    Ok(sets[first.unwrap_or(0)])
}
