//! Whole-program tests: the real `hb`, real sandboxes, a hello program where the real
//! recipe would take minutes. One module for each promise.

mod audit;
mod bad_input;
mod caches;
mod clock;
mod crash;
mod derivations;
mod documentation;
mod full_disk;
mod git;
mod hello;
mod hostile;
mod interrupt;
mod isolation;
mod kept_code;
mod limits;
mod lower_stores;
mod memory;
mod messages;
mod moving;
mod pins;
mod places;
mod printing;
mod recipe_tests;
mod repair;
mod repl;
mod sharing;
mod support;
mod terminal;
mod together;
