//! The hb language: text to tree, diagnostics, formatter. No I/O.
