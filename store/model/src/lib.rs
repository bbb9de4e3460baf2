//! Ids, derivations, their encoding and the hashing rules. Pure.
