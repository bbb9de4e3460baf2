//! Sandboxes for real: what a build sees, what it is kept from, how it ends.

mod ends;
mod harness;
mod sees;
mod walls;
