//! Power failures: all that a process writes to the store is recorded, cut at some point,
//! and what may then be on the disk is put back. Whatever that is, the store opens, every
//! object that is registered is whole, what a caller was told is there, and the work
//! succeeds when it is done again.
//!
//! A child works under `ptrace`, which sees the system calls with their data;
//! `support/disk.rs` says what a disk may hold of them. There is a cut before and after
//! each flush, and there are others at points drawn by lot, in all as many as
//! `HB_TEST_CUTS` says for each kind of work. A cut in twenty is one in the work that goes
//! on from another cut. `HB_TEST_SEED` draws other lots.

#![cfg(target_arch = "x86_64")]

#[path = "support/disk.rs"]
mod disk;
#[path = "support/record.rs"]
mod record;
mod support;
#[path = "support/trace.rs"]
mod trace;
#[path = "support/work.rs"]
mod work;

use std::env;

use disk::{Disk, Event};
use fastrand::Rng;
use record::Recording;
use support::{Fixture, Folder};
use work::{Known, Mark, Work, look};

/// So many cuts for each kind of work, unless the environment says another number.
const CUTS: usize = 60;

/// One in so many is a cut in the work that goes on after a cut.
const SECOND: usize = 20;

#[test]
fn power_fails_while_publishing() {
    check(Work::Publish);
}

#[test]
fn power_fails_while_adding() {
    check(Work::Add);
}

#[test]
fn power_fails_while_adding_derivations() {
    check(Work::Derive);
}

#[test]
fn power_fails_while_keeping() {
    check(Work::Keep);
}

#[test]
fn power_fails_while_collecting() {
    check(Work::Collect);
}

#[test]
fn power_fails_while_opening() {
    check(Work::Open);
}

#[test]
fn power_fails_while_migrating() {
    check(Work::Migrate);
}

#[test]
fn power_fails_while_importing() {
    check(Work::Import);
}

#[test]
fn power_fails_while_repairing() {
    check(Work::Repair);
}

#[test]
fn power_fails_while_optimising() {
    check(Work::Optimise);
}

#[test]
fn power_fails_in_a_life_of_everything() {
    check(Work::Life);
}

fn number(variable: &str, otherwise: usize) -> usize {
    env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

fn check(work: Work) {
    let seed = number("HB_TEST_SEED", 0) as u64;
    let mut random = Rng::with_seed(seed);
    let fixture = Fixture::new();
    work.prepare(&fixture);
    let before = Known::of(&fixture.store);
    let folder = fixture.close();
    let cuts = Cuts::new(work, &folder, &before);
    let all = number("HB_TEST_CUTS", CUTS);
    let flushes = cuts.at_flushes();
    assert!(flushes.len() > 2, "{work:?} flushes nothing: {} events", cuts.events.len());
    let points = flushes.iter().copied().map(Some).chain(std::iter::repeat(None));
    for (number, point) in points.take(all.max(flushes.len())).enumerate() {
        let point = point.unwrap_or_else(|| random.usize(cuts.first..=cuts.events.len()));
        let known = cuts.restore(point, &folder, &mut random);
        let when = format!("without power after {point} of {} (seed {seed})", cuts.events.len());
        if number % SECOND == SECOND - 1 {
            let cuts = Cuts::new(work, &folder, known);
            let point = random.usize(cuts.first..=cuts.events.len());
            let known = cuts.restore(point, &folder, &mut random);
            let when = format!("{when}, and again after {point} of {}", cuts.events.len());
            look(work, Folder::at(folder.path()), known, &when);
        } else {
            look(work, Folder::at(folder.path()), known, &when);
        }
    }
}

/// What a child did, to be cut anywhere.
struct Cuts {
    events: Vec<Event>,
    /// The first event that the child caused.
    first: usize,
    /// The event by which it said that it was done.
    done: usize,
    /// What must be there before and after that.
    before: Known,
    after: Known,
}

impl Cuts {
    /// Let a child work in the folder, where so much is known to be.
    fn new(work: Work, folder: &Folder, known: &Known) -> Self {
        let Recording { events, .. } = Recording::of(folder.path(), work::child(work, folder));
        let position = |is: fn(&Event) -> bool| events.iter().position(is).unwrap();
        let first = position(|event| matches!(event, Event::FlushedAll)) + 1;
        let done = position(|event| matches!(event, Event::Said(it) if *it == Mark::Done as u64));
        let fixture = Fixture::open(Folder::at(folder.path()), hb_store::Durability::Relaxed);
        let after = Known::of(&fixture.store);
        // What gc takes may be gone before it says so.
        let before = if work.collects() { known.and(&after) } else { known.clone() };
        Self { events, first, done, before, after }
    }

    /// Just before and just after each flush.
    fn at_flushes(&self) -> Vec<usize> {
        let is_flush =
            |index: &usize| matches!(self.events[*index], Event::Flushed(..) | Event::FlushedAll);
        let flushes = (self.first..self.events.len()).filter(is_flush);
        flushes.flat_map(|index| [index, index + 1]).collect()
    }

    /// Put on the disk what may be there if power fails at this point; what must be.
    fn restore(&self, point: usize, folder: &Folder, random: &mut Rng) -> &Known {
        folder.clear();
        Disk::after(&self.events[..point]).fail(random).restore(folder.path(), random);
        if point > self.done { &self.after } else { &self.before }
    }
}

#[test]
#[ignore = "run under ptrace by the tests above"]
fn child() {
    work::do_the_work_named_in_the_environment();
}
