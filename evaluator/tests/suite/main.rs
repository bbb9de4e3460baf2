//! The evaluator's tests through its public entry: one module for each area.

mod core;
mod support;
