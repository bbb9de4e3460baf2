//! Trees to values to derivations.
