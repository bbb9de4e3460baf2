//! The evaluator's tests through its public entry: one module for each area.

mod cases;
mod core;
mod oracle;
mod primitives;
mod support;
