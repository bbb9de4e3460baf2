//! The order of steps by which processes that share a store leave each other what they need,
//! apart from what the steps do: that is [`Parts`].
//!
//! - What a process names is found by every gc that begins later, and what is there once it
//!   is named stays: naming and looking are one under the lock that gc decides under.
//! - What gc has forgotten may come back before it is taken away: both happen under the
//!   database's write lock, and gc looks again there.
//! - What was damaged and put aside is wanted as if it were new.
//!
//! `model.rs` runs these functions with parts that `loom` interleaves in all ways.

mod build;
#[cfg(test)]
mod model;

use std::collections::BTreeSet;

use crate::error::Result;

pub(crate) use build::{Attempt, LockFile, attempt, release};

/// What the steps do.
pub(crate) trait Parts {
    /// What an object is called.
    type Name: Clone + Ord;
    /// A staged object.
    type New;
    /// What an entry of the object folder is called, object or not.
    type Entry;
    /// Where entries are moved away to.
    type Away;
    /// The right to add to the list of what this process needs, while no gc decides.
    type Naming<'a>
    where
        Self: 'a;
    /// The right to decide what goes, while nobody names anything.
    type Deciding<'a>
    where
        Self: 'a;
    /// A transaction, under the database's write lock.
    type Writing<'a>;

    fn begin_naming(&self) -> Result<Self::Naming<'_>>;
    fn name(&self, naming: &mut Self::Naming<'_>, names: &[Self::Name]) -> Result<()>;
    fn begin_deciding(&self) -> Result<Self::Deciding<'_>>;

    fn is_registered(&self, name: &Self::Name) -> Result<bool>;
    fn is_on_disk(&self, name: &Self::Name) -> bool;
    fn name_of(&self, new: &Self::New) -> Self::Name;

    /// Everything staged reaches the disk.
    fn flush_staged(&self) -> Result<()>;
    /// All of the change happens, or nothing of it.
    fn write<T>(&self, change: impl FnOnce(&Self::Writing<'_>) -> Result<T>) -> Result<T>;
    /// Whether an object is registered; an error if it is with another digest.
    fn is_known(&self, writing: &Self::Writing<'_>, new: &Self::New) -> Result<bool>;
    fn is_entry_known(&self, writing: &Self::Writing<'_>, entry: &Self::Entry) -> Result<bool>;
    /// The object takes its place, and what lies there unregistered goes.
    fn move_in(&self, new: &Self::New) -> Result<()>;
    /// What was moved in reaches the disk.
    fn flush_moved(&self) -> Result<()>;
    fn register(&self, writing: &Self::Writing<'_>, new: &Self::New) -> Result<()>;
    fn forget(&self, writing: &Self::Writing<'_>, name: &Self::Name) -> Result<()>;
    /// The entry goes from the object folder; that there is none is fine.
    fn move_out(&self, entry: &Self::Entry, to: &Self::Away) -> Result<()>;
}

/// Name what this process needs; which of it is not registered. The rest stays, with all
/// that it refers to, until the process ends.
pub(crate) fn hold<P: Parts>(parts: &P, names: &[P::Name]) -> Result<Vec<P::Name>> {
    let mut naming = parts.begin_naming()?;
    parts.name(&mut naming, names)?;
    missing(names, |name| parts.is_registered(name))
}

/// Which of these are not registered.
pub(crate) fn missing<N: Clone>(
    names: &[N],
    is_registered: impl Fn(&N) -> Result<bool>,
) -> Result<Vec<N>> {
    let mut missing = Vec::new();
    for name in names {
        if !is_registered(name)? {
            missing.push(name.clone());
        }
    }
    Ok(missing)
}

/// Name objects; which of them are wanted: not registered, or not on the disk.
pub(crate) fn hold_and_want<P: Parts>(parts: &P, names: &[P::Name]) -> Result<BTreeSet<P::Name>> {
    let mut wanted = BTreeSet::from_iter(hold(parts, names)?);
    wanted.extend(names.iter().filter(|name| !parts.is_on_disk(name)).cloned());
    Ok(wanted)
}

/// Publish staged objects, each after what it refers to, and let `and` add to the same
/// transaction.
pub(crate) fn publish<P: Parts>(
    parts: &P,
    objects: &[P::New],
    and: impl FnOnce(&P::Writing<'_>) -> Result<()>,
) -> Result<()> {
    let names: Vec<_> = objects.iter().map(|object| parts.name_of(object)).collect();
    if !hold_and_want(parts, &names)?.is_empty() {
        parts.flush_staged()?;
    }
    parts.write(|writing| {
        let mut new = Vec::new();
        let mut has_moved = false;
        for object in objects {
            let is_known = parts.is_known(writing, object)?;
            // If it is known and not there, it was damaged and put aside.
            if !is_known || !parts.is_on_disk(&parts.name_of(object)) {
                parts.move_in(object)?;
                has_moved = true;
            }
            if !is_known {
                new.push(object);
            }
        }
        if has_moved {
            parts.flush_moved()?;
        }
        new.into_iter().try_for_each(|object| parts.register(writing, object))?;
        and(writing)
    })
}

/// Let `decide` say which objects nothing needs, and forget them. It asks first what is needed, and
/// then what is there: a process that ends in between has registered all that it will.
pub(crate) fn forget<P: Parts>(
    parts: &P,
    decide: impl FnOnce() -> Result<Vec<P::Name>>,
) -> Result<()> {
    let _deciding = parts.begin_deciding()?;
    let dead = decide()?;
    if dead.is_empty() {
        return Ok(());
    }
    parts.write(|writing| dead.iter().try_for_each(|name| parts.forget(writing, name)))
}

/// Move entries of the object folder away, unless they are registered by now.
pub(crate) fn sweep<P: Parts>(parts: &P, entries: &[P::Entry], to: &P::Away) -> Result<()> {
    parts.write(|writing| {
        for entry in entries {
            if !parts.is_entry_known(writing, entry)? {
                parts.move_out(entry, to)?;
            }
        }
        Ok(())
    })
}
