//! The `hb` global: typed primitives that make derivations, one file for each, and
//! contracts.
//!
//! Every primitive checks its whole argument when it is called, so that a misspelt key
//! shows where it stands and not when something is built.

mod build;
mod contracts;
mod fetch;
mod patch;
mod root;
mod schema;
mod unpack;

pub(super) use contracts::TABLE as CONTRACTS;
pub(super) use fetch::derivation as fetch_derivation;

use super::{Builtin, instantiate};
use crate::context::ContextParts;
use crate::error::Eval;
use crate::machine::{Machine, Text};
use crate::value::Value;
use hb_model::{Derivation, Limits, Outputs, StoreName};

/// What the names in this table begin with.
pub(crate) const PREFIX: &str = "hb.";

/// Where hb's own builders run: wherever hb does.
const BUILTIN_SYSTEM: &str = "builtin";

pub(super) const TABLE: &[Builtin] = &[
    build::ENTRY,
    fetch::ENTRY,
    unpack::ENTRY,
    patch::ENTRY,
    root::ENTRY,
    Builtin {
        name: "hb.system",
        params: &[],
        doc: "The platform that evaluates, such as `x86_64-linux`.",
        run: |m, _| {
            let system = m.world.current_system()?;
            Ok(m.string(system))
        },
    },
    Builtin {
        name: "hb.version",
        params: &[],
        doc: "The version of hb.",
        run: |m, _| Ok(m.string(env!("CARGO_PKG_VERSION"))),
    },
];

/// A derivation that hb carries out itself; `attrs` are its parameters.
fn builtin_derivation(
    name: StoreName,
    builder: &str,
    outputs: Outputs,
    attrs: serde_json::Value,
    inputs: hb_model::SortedSet<hb_model::Input>,
) -> Derivation {
    Derivation {
        name,
        system: BUILTIN_SYSTEM.to_owned(),
        root: None,
        builder: builder.to_owned(),
        args: Vec::new(),
        env: Default::default(),
        files: Default::default(),
        // Maps of this type are sorted: the text is canonical.
        attrs: Some(attrs.to_string()),
        closure_info: Default::default(),
        runtime_root: None,
        inputs,
        outputs,
        limits: Limits::default(),
    }
}

/// The set of a derivation with one output that hb carries out itself.
fn builtin_step(
    m: &mut Machine,
    name: StoreName,
    builder: &str,
    attrs: serde_json::Value,
    context: &ContextParts,
) -> Eval<Value> {
    let inputs = instantiate::inputs(m, context)?;
    let outputs = Outputs::Floating(vec![hb_model::OutputName::out()].into());
    let derivation = builtin_derivation(name, builder, outputs, attrs, inputs);
    instantiate::derivation_set(m, derivation)
}

/// A value as canonical JSON text.
fn json(m: &mut Machine, value: Value, context: &mut ContextParts) -> Eval<String> {
    let mut text = Text::default();
    super::json::write(m, value, true, &mut text)?;
    context.add_all(&text.context);
    String::from_utf8(text.bytes).map_err(|_| crate::error::Fault::NotUtf8.into())
}
