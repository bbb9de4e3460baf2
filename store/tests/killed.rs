//! Killing a process at its system calls, one after the other: whatever it was doing,
//! the store holds the whole of an object or nothing of it, and the next process
//! finishes the work.
//!
//! A child works under `ptrace` and is killed before (or after) its n-th system call. By
//! default every few calls are tried; with `HB_TEST_EVERY_CALL=1` all are.

#![cfg(target_arch = "x86_64")]

mod support;
#[path = "support/trace.rs"]
mod trace;
#[path = "support/work.rs"]
mod work;

use std::env;

use support::{Fixture, Folder};
use trace::{Stop, Then};
use work::{Known, MARK, Mark, Work, look};

#[test]
fn killed_while_publishing_the_store_is_whole() {
    check(Work::Publish, 19);
}

#[test]
fn killed_while_adding_the_store_is_whole() {
    check(Work::Add, 13);
}

#[test]
fn killed_while_adding_derivations_the_store_is_whole() {
    check(Work::Derive, 7);
}

#[test]
fn killed_while_keeping_the_store_is_whole() {
    check(Work::Keep, 13);
}

#[test]
fn killed_while_collecting_the_store_is_whole() {
    check(Work::Collect, 13);
}

#[test]
fn killed_while_opening_the_store_is_whole() {
    check(Work::Open, 37);
}

#[test]
fn killed_while_migrating_the_store_is_whole() {
    check(Work::Migrate, 37);
}

#[test]
fn killed_while_optimising_the_store_is_whole() {
    check(Work::Optimise, 11);
}

#[test]
fn killed_while_importing_the_store_is_whole() {
    check(Work::Import, 17);
}

#[test]
fn killed_while_repairing_the_store_is_whole() {
    check(Work::Repair, 13);
}

fn check(work: Work, stride: usize) {
    let stride = if env::var_os("HB_TEST_EVERY_CALL").is_some() { 1 } else { stride };
    let mut stop = 0;
    loop {
        let fixture = Fixture::new();
        work.prepare(&fixture);
        let folder = fixture.close();
        let ended = run_until(work, &folder, stop);
        look(work, folder, &Known::default(), &format!("killed at {stop}"));
        if ended {
            assert!(stop > 100, "{work:?} made only {stop} stops: nothing was tested");
            return;
        }
        stop += stride;
    }
}

/// Let the child run until the n-th stop at a system call after it has begun, and kill it.
/// Whether it was done before.
fn run_until(work: Work, folder: &Folder, last: usize) -> bool {
    let mut stops: Option<usize> = None;
    let mut is_done = false;
    trace::run(work::child(work, folder), |_, stop| {
        if let Stop::Entering(call) = stop
            && call.number == MARK
        {
            is_done |= call.arguments[0] == Mark::Done as u64;
            stops.get_or_insert(0);
        } else if let Some(stops) = &mut stops {
            *stops += 1;
        }
        if is_done || stops > Some(last) { Then::Kill } else { Then::GoOn }
    });
    is_done
}

#[test]
#[ignore = "run under ptrace by the tests above"]
fn child() {
    work::do_the_work_named_in_the_environment();
}
