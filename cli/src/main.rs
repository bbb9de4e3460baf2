//! The hb command line.
fn main() {}
