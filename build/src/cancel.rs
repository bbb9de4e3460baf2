//! Asking a build to stop, from wherever the wish arises.

use std::future;

use tokio::sync::watch;

/// The side that asks. Dropping it asks for nothing.
#[derive(Debug)]
pub struct Canceller(watch::Sender<bool>);

/// The side that is asked; clones are all asked at once.
#[derive(Clone, Debug)]
pub struct Cancel(watch::Receiver<bool>);

impl Canceller {
    /// A pair of the two sides.
    pub fn new() -> (Self, Cancel) {
        let (sender, receiver) = watch::channel(false);
        (Self(sender), Cancel(receiver))
    }

    /// Ask. Asking again does nothing.
    pub fn cancel(&self) {
        self.0.send_replace(true);
    }
}

impl Cancel {
    /// Whether it has been asked.
    pub fn is_cancelled(&self) -> bool {
        *self.0.borrow()
    }

    /// Completes when it is asked; never if the asking side is gone.
    pub async fn cancelled(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|asked| *asked).await.is_err() {
            future::pending().await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_is_asked() {
        let (canceller, cancel) = Canceller::new();
        let clone = cancel.clone();
        assert!(!clone.is_cancelled());
        canceller.cancel();
        clone.cancelled().await;
        assert!(cancel.is_cancelled());
    }
}
