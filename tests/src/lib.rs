//! Whole-program tests live in this crate.
