//! Pulling what many steps want as one: what they share is brought once, and nobody waits
//! for a server where another one's pieces could be on their way.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use hb_cache::{Error, Watch};
use hb_model::StorePath;
use hb_store::StoreError;
use tokio::sync::oneshot;

use super::{Inner, Pulling};
use crate::{Cancel, realise::blocking};

/// Why something did not come from a cache.
pub(crate) enum NotPulled {
    /// It has to be made; the reason, if nobody was told it.
    Made(Option<String>),
    /// Not wanted any longer.
    Stopped,
    /// The store failed; nothing can go on.
    Store(StoreError),
}

/// What waits for the next pull.
#[derive(Default)]
pub(super) struct Queue(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: Vec<Wish>,
    /// Somebody pulls, and will take what waits.
    is_served: bool,
}

/// What one step wants.
struct Wish {
    paths: Vec<StorePath>,
    answer: oneshot::Sender<Result<(), NotPulled>>,
}

impl Queue {
    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Pulling {
    /// Bring objects, with all that they refer to, into the store; they are held.
    pub(crate) async fn pull(
        &self,
        paths: Vec<StorePath>,
        cancel: &Cancel,
    ) -> Result<(), NotPulled> {
        let (answer, outcome) = oneshot::channel();
        let is_served = self.0.queue.with(|state| {
            state.waiting.push(Wish { paths, answer });
            std::mem::replace(&mut state.is_served, true)
        });
        if !is_served {
            let (inner, cancel) = (Arc::clone(&self.0), cancel.clone());
            tokio::spawn(blocking(move || inner.serve(&cancel)));
        }
        outcome.await.unwrap_or(Err(NotPulled::Stopped))
    }
}

impl Inner {
    /// Pull until nobody wants anything.
    fn serve(&self, cancel: &Cancel) {
        loop {
            let wishes = self.queue.with(|state| {
                let wishes = std::mem::take(&mut state.waiting);
                state.is_served = !wishes.is_empty();
                wishes
            });
            if wishes.is_empty() {
                return;
            }
            self.pull(wishes, cancel);
        }
    }

    fn pull(&self, wishes: Vec<Wish>, cancel: &Cancel) {
        let roots: Vec<_> = wishes.iter().flat_map(|wish| wish.paths.clone()).collect();
        let mut left: HashMap<usize, (usize, Wish)> =
            wishes.into_iter().map(|wish| (wish.paths.len(), wish)).enumerate().collect();
        let mut wanted: HashMap<StorePath, Vec<usize>> = HashMap::new();
        for (number, (_, wish)) in &left {
            wish.paths.iter().for_each(|it| wanted.entry(it.clone()).or_default().push(*number));
        }
        let cancelled = || cancel.is_cancelled();
        let report = |report| self.tell(report);
        let watch = Watch { cancelled: &cancelled, report: &report };
        let outcome = self.caches.pull(&self.store, &roots, watch, &mut |path| {
            for number in wanted.get(path).into_iter().flatten() {
                let Some((missing, _)) = left.get_mut(number) else { continue };
                *missing -= 1;
                if *missing == 0
                    && let Some((_, wish)) = left.remove(number)
                {
                    // Nobody waits for a step that was stopped.
                    let _ = wish.answer.send(Ok(()));
                }
            }
        });
        let failed = match outcome {
            Ok(failed) => failed,
            Err(Error::Store(error)) => {
                // One is told, and ends everything.
                let mut error = Some(error);
                for (_, wish) in left.into_values() {
                    let last = error.take().map_or(NotPulled::Stopped, NotPulled::Store);
                    let _ = wish.answer.send(Err(last));
                }
                return;
            }
            Err(Error::Cache(_) | Error::Nowhere(_)) => {
                for (_, wish) in left.into_values() {
                    let _ = wish.answer.send(Err(NotPulled::Stopped));
                }
                return;
            }
        };
        for (_, wish) in left.into_values() {
            let reason = wish.paths.iter().find_map(|path| failed.get(path));
            let reason = reason.filter(|_| !self.caches.is_empty()).map(ToString::to_string);
            let _ = wish.answer.send(Err(NotPulled::Made(reason)));
        }
    }
}
