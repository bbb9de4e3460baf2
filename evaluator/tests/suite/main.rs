//! The evaluator's tests through its public entry: one module for each area.

mod cases;
mod contracts;
mod core;
mod derivations;
mod generated;
mod grammar;
mod kept;
mod oracle;
mod primitives;
mod reference;
mod support;
mod traces;
