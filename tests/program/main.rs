//! Whole-program tests: the real `hb`, real sandboxes, a hello program where the real
//! recipe would take minutes. One module for each promise.

mod bad_input;
mod crash;
mod hello;
mod isolation;
mod places;
mod support;
