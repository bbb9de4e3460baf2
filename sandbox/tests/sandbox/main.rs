//! Sandboxes for real: what a build sees, what it is kept from, how it ends.

mod again;
mod calls;
mod ends;
mod harness;
mod limits;
mod overhead;
mod people;
mod reach;
mod sees;
mod terminal;
mod walls;
