//! Every interleaving of processes that share a store, up to a number of preemptions: the
//! functions of this module, on parts whose every step is one of the system's.
//!
//! A lock of loom's stands for a lock or an operation that the system makes in one piece,
//! so loom tries all orders of them.

use std::{
    cell::Cell,
    collections::{BTreeMap, BTreeSet},
};

use loom::{
    model::Builder,
    sync::{Arc, Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard},
    thread,
};

use super::{Attempt, LockFile, Parts, attempt, forget, hold, publish, release, sweep};
use crate::error::Result;

/// Try all orders in which processes are interrupted at most so many times where they could
/// go on, and `HB_TEST_PREEMPTIONS` times more.
fn explore(preemptions: usize, model: impl Fn() + Sync + Send + 'static) {
    let more = std::env::var("HB_TEST_PREEMPTIONS").map_or(0, |text| text.parse().unwrap());
    let mut builder = Builder::new();
    builder.preemption_bound = Some(preemptions + more);
    builder.max_branches = 10_000;
    builder.check(model);
}

/// What lies at the place of a lock, and all lock files that there ever were.
#[derive(Default)]
struct Locks {
    at: Option<usize>,
    files: Vec<Lock>,
    /// Counts what happened.
    now: usize,
    /// When a lock was given back last.
    given_back: usize,
    /// Who had the right, from when until when.
    terms: Vec<(u32, usize, Option<usize>)>,
}

#[derive(Default)]
struct Lock {
    is_locked: bool,
    text: Option<u32>,
}

/// The place of a lock as one process sees it.
#[derive(Clone)]
struct Seat {
    locks: Arc<(Mutex<Locks>, Condvar)>,
    process: u32,
}

impl Seat {
    /// One operation of the system.
    fn step<T>(&self, step: impl FnOnce(&mut Locks) -> T) -> T {
        let mut locks = self.locks.0.lock().unwrap();
        locks.now += 1;
        step(&mut locks)
    }

    /// Wait until a lock was given back after this time; in life that is a while.
    fn wait(&self, begun: usize) {
        let mut locks = self.locks.0.lock().unwrap();
        while locks.given_back <= begun {
            locks = self.locks.1.wait(locks).unwrap();
        }
    }
}

struct Handle {
    seat: Seat,
    number: usize,
    has_lock: Cell<bool>,
}

impl LockFile for Handle {
    type Place = Seat;

    fn open(place: &Seat) -> Result<Self> {
        let number = place.step(|locks| {
            *locks.at.get_or_insert_with(|| {
                locks.files.push(Lock::default());
                locks.files.len() - 1
            })
        });
        Ok(Self { seat: place.clone(), number, has_lock: Cell::new(false) })
    }

    fn try_lock(&self, place: &Seat) -> Result<bool> {
        let is_ours =
            place.step(|locks| !std::mem::replace(&mut locks.files[self.number].is_locked, true));
        self.has_lock.set(is_ours);
        Ok(is_ours)
    }

    fn is_at(&self, place: &Seat) -> Result<bool> {
        Ok(place.step(|locks| locks.at == Some(self.number)))
    }

    fn holder(&mut self, place: &Seat) -> Result<Option<u32>> {
        Ok(place.step(|locks| locks.files[self.number].text))
    }

    fn write_holder(&mut self, place: &Seat) -> Result<()> {
        place.step(|locks| {
            locks.files[self.number].text = Some(place.process);
            locks.terms.push((place.process, locks.now, None));
        });
        Ok(())
    }

    fn remove(place: &Seat) {
        place.step(|locks| locks.at = None);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if self.has_lock.get() {
            self.seat.step(|locks| {
                locks.files[self.number].is_locked = false;
                let (process, now) = (self.seat.process, locks.now);
                let own = locks.terms.iter_mut().filter(|term| term.0 == process);
                own.for_each(|term| term.2 = term.2.or(Some(now)));
                locks.given_back = now;
            });
            self.seat.locks.1.notify_all();
        }
    }
}

/// No process has this number.
const NONE: u32 = 0;

/// What a build made, as a record in the database would say.
#[derive(Default)]
struct Record {
    is_building: bool,
    builds: usize,
}

/// A process that wants something built; in that of the number `fails` the build does.
fn want(seat: &Seat, record: &Mutex<Record>, fails: u32) {
    loop {
        let begun = seat.step(|locks| locks.now);
        match attempt::<Handle>(seat).unwrap() {
            Attempt::Acquired(lock) => {
                // Whoever gets the right looks for the record once more.
                if record.lock().unwrap().builds == 0 {
                    build(record, seat.process != fails);
                }
                release(lock, seat);
                return;
            }
            Attempt::Held { by } => {
                let had_it = |process: u32, locks: &Locks| {
                    let mut terms = locks.terms.iter().filter(|term| term.0 == process);
                    terms.any(|term| term.2.is_none_or(|end| end >= begun))
                };
                // Who is named had the right while we tried for it.
                seat.step(|locks| assert!(by.is_none_or(|process| had_it(process, locks))));
                seat.wait(begun);
            }
        }
    }
}

fn build(record: &Mutex<Record>, succeeds: bool) {
    assert!(!std::mem::replace(&mut record.lock().unwrap().is_building, true), "two build");
    let mut record = record.lock().unwrap();
    record.is_building = false;
    record.builds += usize::from(succeeds);
}

fn seats(count: u32) -> (Vec<Seat>, Arc<Mutex<Record>>) {
    let locks = Arc::new((Mutex::new(Locks::default()), Condvar::new()));
    let seats = (1..=count).map(|process| Seat { locks: Arc::clone(&locks), process });
    (seats.collect(), Arc::new(Mutex::new(Record::default())))
}

/// Let each process want the same.
fn all_want(seats: Vec<Seat>, record: &Arc<Mutex<Record>>, fails: u32) {
    let threads: Vec<_> = seats
        .into_iter()
        .map(|seat| {
            let record = Arc::clone(record);
            thread::spawn(move || want(&seat, &record, fails))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn each_derivation_is_built_once_and_the_others_learn_by_whom() {
    for (processes, preemptions) in [(2, 5), (3, 2)] {
        explore(preemptions, move || {
            let (seats, record) = seats(processes);
            all_want(seats, &record, NONE);
            assert_eq!(record.lock().unwrap().builds, 1);
        });
    }
}

#[test]
fn after_a_build_that_failed_only_one_builds_at_a_time() {
    explore(2, || {
        let (seats, record) = seats(3);
        all_want(seats, &record, 1);
        assert_eq!(record.lock().unwrap().builds, 1);
    });
}

#[test]
fn a_builder_that_dies_leaves_the_right_to_the_next() {
    explore(3, || {
        let (mut seats, record) = seats(3);
        let dying = seats.pop().unwrap();
        // It dies after it got the right, and removes nothing.
        match attempt::<Handle>(&dying).unwrap() {
            Attempt::Acquired(lock) => drop(lock),
            Attempt::Held { .. } => panic!("nobody else is there"),
        }
        // For an instant it may still be named.
        dying.step(|locks| locks.terms[0].2 = None);
        all_want(seats, &record, NONE);
        assert_eq!(record.lock().unwrap().builds, 1);
    });
}

/// What an object is called. Each refers to the one before it.
type Name = u8;

/// A store, as all processes see it.
#[derive(Default)]
struct World {
    gc: RwLock<()>,
    /// What each living process has named.
    held: [Mutex<BTreeSet<Name>>; 2],
    /// The database's write lock.
    writing: Mutex<()>,
    /// What is registered, as far as it was committed.
    rows: Mutex<BTreeSet<Name>>,
    /// What lies in the folder of objects, and whether it is as it should be.
    disk: Mutex<BTreeMap<Name, bool>>,
}

impl World {
    /// The objects that some process needs, with what they refer to.
    fn needed(&self) -> BTreeSet<Name> {
        let held = self.held.iter().flat_map(|held| held.lock().unwrap().clone());
        held.flat_map(|name| 0..=name).collect()
    }

    fn is_whole(&self, name: Name) -> bool {
        self.rows.lock().unwrap().contains(&name)
            && self.disk.lock().unwrap().get(&name) == Some(&true)
    }
}

/// A process.
#[derive(Clone, Copy)]
struct Process<'w> {
    world: &'w World,
    number: usize,
}

/// A transaction: what will be registered once it is committed.
struct Change<'w> {
    rows: std::cell::RefCell<BTreeSet<Name>>,
    _lock: MutexGuard<'w, ()>,
}

impl<'w> Parts for Process<'w> {
    type Name = Name;
    type New = Name;
    type Entry = Name;
    type Away = ();
    type Naming<'a>
        = RwLockReadGuard<'a, ()>
    where
        Self: 'a;
    type Deciding<'a>
        = RwLockWriteGuard<'a, ()>
    where
        Self: 'a;
    type Writing<'a> = Change<'a>;

    fn begin_naming(&self) -> Result<RwLockReadGuard<'_, ()>> {
        Ok(self.world.gc.read().unwrap())
    }

    fn name(&self, _: &mut RwLockReadGuard<'_, ()>, names: &[Name]) -> Result<()> {
        self.world.held[self.number].lock().unwrap().extend(names);
        Ok(())
    }

    fn begin_deciding(&self) -> Result<RwLockWriteGuard<'_, ()>> {
        Ok(self.world.gc.write().unwrap())
    }

    fn is_registered(&self, name: &Name) -> Result<bool> {
        Ok(self.world.rows.lock().unwrap().contains(name))
    }

    fn is_on_disk(&self, name: &Name) -> bool {
        self.world.disk.lock().unwrap().contains_key(name)
    }

    fn name_of(&self, new: &Name) -> Name {
        *new
    }

    fn flush_staged(&self) -> Result<()> {
        Ok(())
    }

    fn write<T>(&self, change: impl FnOnce(&Change<'_>) -> Result<T>) -> Result<T> {
        let lock = self.world.writing.lock().unwrap();
        let rows = self.world.rows.lock().unwrap().clone();
        let writing = Change { rows: rows.into(), _lock: lock };
        let outcome = change(&writing)?;
        let rows = writing.rows.borrow().clone();
        let disk = self.world.disk.lock().unwrap().clone();
        assert!(rows.iter().all(|name| disk.get(name) == Some(&true)), "{rows:?} in {disk:?}");
        *self.world.rows.lock().unwrap() = rows;
        Ok(outcome)
    }

    fn is_known(&self, writing: &Change<'_>, new: &Name) -> Result<bool> {
        Ok(writing.rows.borrow().contains(new))
    }

    fn is_entry_known(&self, writing: &Change<'_>, entry: &Name) -> Result<bool> {
        Ok(writing.rows.borrow().contains(entry))
    }

    fn move_in(&self, new: &Name) -> Result<()> {
        self.world.disk.lock().unwrap().insert(*new, true);
        Ok(())
    }

    fn flush_moved(&self) -> Result<()> {
        Ok(())
    }

    fn register(&self, writing: &Change<'_>, new: &Name) -> Result<()> {
        let mut rows = writing.rows.borrow_mut();
        assert!((0..*new).all(|reference| rows.contains(&reference)), "a reference is missing");
        rows.insert(*new);
        Ok(())
    }

    fn forget(&self, writing: &Change<'_>, name: &Name) -> Result<()> {
        writing.rows.borrow_mut().remove(name);
        Ok(())
    }

    fn move_out(&self, entry: &Name, (): &()) -> Result<()> {
        self.world.disk.lock().unwrap().remove(entry);
        Ok(())
    }
}

/// Build the object 0 if it is missing, and 1 from it.
fn build_both(world: &World, number: usize) {
    let process = Process { world, number };
    if !hold(&process, &[0]).unwrap().is_empty() {
        publish(&process, &[0], |_| Ok(())).unwrap();
    }
    assert!(world.is_whole(0), "what was held has gone");
    publish(&process, &[1], |_| Ok(())).unwrap();
    assert!(world.is_whole(0) && world.is_whole(1), "what was published has gone");
    // The process ends.
    world.held[number].lock().unwrap().clear();
}

/// Remove what nobody needs.
fn collect(world: &World) {
    let process = Process { world, number: 0 };
    let mut going = Vec::new();
    forget(&process, || {
        let needed = world.needed();
        let rows = world.rows.lock().unwrap().clone();
        let dead: Vec<_> = rows.difference(&needed).copied().collect();
        let found = world.disk.lock().unwrap().clone();
        let known = world.rows.lock().unwrap().clone();
        going.clone_from(&dead);
        going.extend(found.into_keys().filter(|name| !known.contains(name)));
        Ok(dead)
    })
    .unwrap();
    {
        let rows = world.rows.lock().unwrap();
        assert!(
            !rows.contains(&1) || rows.contains(&0),
            "what is registered refers to what has gone"
        );
    }
    sweep(&process, &going, &()).unwrap();
}

/// Builders beside gc, in a store that holds the object 0, registered or only left there.
fn build_and_collect(builders: usize, collectors: usize, is_registered: bool) {
    let world = Arc::new(World::default());
    world.disk.lock().unwrap().insert(0, is_registered);
    if is_registered {
        world.rows.lock().unwrap().insert(0);
    }
    let spawn = |work: Box<dyn FnOnce(&World)>| {
        let world = Arc::clone(&world);
        thread::spawn(move || work(&world))
    };
    let builders = (0..builders).map(|number| spawn(Box::new(move |it| build_both(it, number))));
    let collectors = (0..collectors).map(|_| spawn(Box::new(collect)));
    let threads: Vec<_> = builders.chain(collectors).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    // Whatever there is after all is whole, and gc can take it.
    collect(&world);
    assert!(world.rows.lock().unwrap().is_empty() && world.disk.lock().unwrap().is_empty());
}

#[test]
fn gc_beside_a_build_takes_nothing_that_it_needs() {
    for is_registered in [true, false] {
        explore(3, move || build_and_collect(1, 1, is_registered));
    }
}

#[test]
fn two_gcs_beside_a_build_take_nothing_that_it_needs() {
    explore(2, || build_and_collect(1, 2, true));
}

#[test]
fn gc_beside_two_builds_of_the_same_takes_nothing_that_they_need() {
    for is_registered in [true, false] {
        explore(1, move || build_and_collect(2, 1, is_registered));
    }
}
