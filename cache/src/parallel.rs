//! Waiting for many answers at once, and taking them in order.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    },
    thread,
    time::Duration,
};

use crate::fault::Fault;

/// Enough to hide the latency of a server on the other side of a continent.
const THREADS: usize = 16;

/// How many items are under way or wait to be taken: what bounds the memory.
const WINDOW: usize = 2 * THREADS;

/// How often a waiting run looks whether it is still wanted.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Whether to stop.
pub type Cancelled<'a> = &'a (dyn Fn() -> bool + Sync);

/// Does work on items, many at once, and gives what came of each in their order. The threads
/// are its own: one that waits for a server that says nothing does not keep a run that was
/// cancelled.
pub(crate) struct Ordered<I: Iterator, T> {
    items: I,
    jobs: SyncSender<(I::Item, SyncSender<T>)>,
    waiting: VecDeque<Receiver<T>>,
}

impl<I, T> Ordered<I, T>
where
    I: Iterator<Item: Send + 'static>,
    T: Send + 'static,
{
    pub(crate) fn new(items: I, work: impl Fn(I::Item) -> T + Send + Sync + 'static) -> Self {
        let (jobs, queue) = mpsc::sync_channel::<(I::Item, SyncSender<T>)>(WINDOW);
        let queue = Arc::new(Mutex::new(queue));
        let work = Arc::new(work);
        for _ in 0..items.size_hint().1.unwrap_or(THREADS).min(THREADS) {
            let (queue, work) = (Arc::clone(&queue), Arc::clone(&work));
            thread::spawn(move || {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok((item, answer)) = next else { break };
                    // Nobody listens to a run that was cancelled.
                    let _ = answer.send(work(item));
                }
            });
        }
        Self { items, jobs, waiting: VecDeque::new() }
    }

    /// The next one's outcome; `None` after the last.
    pub(crate) fn next(&mut self, cancelled: Cancelled) -> Result<Option<T>, Fault> {
        while self.waiting.len() < WINDOW
            && let Some(item) = self.items.next()
        {
            let (sender, receiver) = mpsc::sync_channel(1);
            // The queue is as long as the window, and the threads live as long as it.
            let _ = self.jobs.send((item, sender));
            self.waiting.push_back(receiver);
        }
        let Some(first) = self.waiting.pop_front() else { return Ok(None) };
        loop {
            match first.recv_timeout(LOOK_INTERVAL) {
                Ok(outcome) => return Ok(Some(outcome)),
                Err(RecvTimeoutError::Timeout) if cancelled() => return Err(Fault::Cancelled),
                Err(RecvTimeoutError::Timeout) => {}
                // Its thread panicked, which has been printed.
                Err(RecvTimeoutError::Disconnected) => return Err(Fault::Cancelled),
            }
        }
    }

    /// All outcomes.
    pub(crate) fn all(mut self, cancelled: Cancelled) -> Result<Vec<T>, Fault> {
        let mut outcomes = Vec::new();
        while let Some(outcome) = self.next(cancelled)? {
            outcomes.push(outcome);
        }
        Ok(outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_in_order_whatever_takes_longer() {
        let slow = |item: u64| {
            thread::sleep(Duration::from_millis((item * 7) % 5));
            item
        };
        let outcomes = Ordered::new(0..500, slow).all(&|| false).unwrap();
        assert_eq!(outcomes, (0..500).collect::<Vec<_>>());
    }

    #[test]
    fn a_cancelled_run_does_not_wait_for_one_that_hangs() {
        let mut stuck = Ordered::new(0..1, |_| thread::sleep(Duration::from_secs(3600)));
        assert!(matches!(stuck.next(&|| true), Err(Fault::Cancelled)));
    }
}
