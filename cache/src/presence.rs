//! Keeping those apart who push and those who remove what is old.
//!
//! Whoever comes puts an entry that says so, and looks only then for the others: so at least
//! one of two sees the other, whatever the order. Entries that are not renewed lapse, as those
//! of processes that died must. All times are the cache's own.

use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use crate::{
    Cache, Watch,
    entry::{COLLECTING, Entry, PUSHING, Visit},
    fault::Fault,
    storage::Listed,
    watch::Report,
};

/// How long an entry counts that is not renewed.
const LEASE: Duration = Duration::from_secs(3600);

/// How long before it is renewed.
const RENEWAL: Duration = Duration::from_secs(300);

/// How often whoever waits looks again.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// Somebody at a cache. What says so goes away with it.
pub(crate) struct Presence<'a> {
    cache: &'a Cache,
    entry: Entry,
    renewed: Mutex<SystemTime>,
}

impl<'a> Presence<'a> {
    fn begin(cache: &'a Cache, entry: Entry) -> Result<Self, Fault> {
        let presence = Self { cache, entry, renewed: Mutex::new(SystemTime::now()) };
        presence.put()?;
        Ok(presence)
    }

    /// Be there to push: waits until nobody removes anything. `None` where nobody ever does.
    pub(crate) fn push(cache: &'a Cache, watch: Watch) -> Result<Option<Self>, Fault> {
        if !cache.is_collected() {
            return Ok(None);
        }
        let mut told = false;
        loop {
            let presence = Self::begin(cache, Entry::Pushing(random()?))?;
            let now = presence.now()?;
            if !cache.list(COLLECTING)?.iter().any(|it| is_alive(it, now)) {
                return Ok(Some(presence));
            }
            drop(presence);
            if !std::mem::replace(&mut told, true) {
                (watch.report)(Report::Waiting);
            }
            if (watch.cancelled)() {
                return Err(Fault::Cancelled);
            }
            thread::sleep(LOOK_INTERVAL);
        }
    }

    /// Be there to remove what is old, while nobody pushes.
    pub(crate) fn collect(cache: &'a Cache) -> Result<Self, Fault> {
        if !cache.is_collected() {
            return Err(Fault::NotCollected);
        }
        let presence = Self::begin(cache, Entry::Collecting(random()?))?;
        let now = presence.now()?;
        let own = presence.entry.name();
        for other in cache.list(COLLECTING)?.iter().filter(|other| other.name != own) {
            if is_alive(other, now) {
                return Err(Fault::Busy(
                    "somebody removes what is old there, or died doing so less than an hour ago",
                ));
            }
            cache.remove(&other.name)?;
        }
        for other in cache.list(PUSHING)? {
            if is_alive(&other, now) {
                return Err(Fault::Busy(
                    "somebody pushes to it, or died doing so less than an hour ago",
                ));
            }
            cache.remove(&other.name)?;
        }
        Ok(presence)
    }

    /// What the cache's clock says.
    pub(crate) fn now(&self) -> Result<SystemTime, Fault> {
        let own = self.entry.name();
        let folder = &own[..=own.find('/').unwrap_or_default()];
        let listed = self.cache.list(folder)?;
        listed.iter().find(|it| it.name == own).map(|it| it.put).ok_or(Fault::Lapsed)
    }

    fn put(&self) -> Result<(), Fault> {
        let who = format!("process {}\n", std::process::id());
        self.cache.put(&self.entry, who.as_bytes(), &[]).map(|_| ())
    }

    /// Say again that we are there, if that was long ago. To be called often.
    pub(crate) fn renew(&self) -> Result<(), Fault> {
        let mut renewed = self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        match renewed.elapsed() {
            Ok(elapsed) if elapsed < RENEWAL => Ok(()),
            Ok(elapsed) if elapsed < LEASE - RENEWAL => {
                self.put()?;
                *renewed = SystemTime::now();
                Ok(())
            }
            // The machine slept, or its clock was set.
            _ => Err(Fault::Lapsed),
        }
    }
}

impl Drop for Presence<'_> {
    fn drop(&mut self) {
        // What is left lapses.
        let _ = self.cache.remove(&self.entry.name());
    }
}

fn is_alive(other: &Listed, now: SystemTime) -> bool {
    // One from the future is alive.
    !now.duration_since(other.put).is_ok_and(|age| age >= LEASE)
}

fn random() -> Result<Visit, Fault> {
    let error = |error: getrandom::Error| Fault::Protocol(format!("no random number: {error}"));
    getrandom::u64().map(Visit).map_err(error)
}
