//! Keeps a processor busy for the length of a round.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// The least favoured: whatever else runs goes first.
const LOWEST_PRIORITY: i32 = 19;

/// A thread that does nothing, busily, until this is dropped.
pub(crate) struct Load(Arc<AtomicBool>);

impl Load {
    pub(crate) fn start() -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&done);
        thread::spawn(move || {
            // On Linux a priority belongs to a thread; without it, the load is just higher.
            let _ = rustix::process::setpriority_process(
                Some(rustix::thread::gettid()),
                LOWEST_PRIORITY,
            );
            while !seen.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
        Self(done)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
