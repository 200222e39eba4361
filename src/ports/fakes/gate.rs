//! A point that a fake does not pass before the test says so.

use std::sync::Arc;

use tokio::sync::watch;

/// A point in a script. The fake waits there; the test can wait for it to arrive, and lets it go on.
/// Clones are the same gate. Once released it stays open.
#[derive(Debug, Clone)]
pub struct Gate {
    reached: Arc<watch::Sender<bool>>,
    released: Arc<watch::Sender<bool>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self {
            reached: Arc::new(watch::Sender::new(false)),
            released: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Lets through whoever waits, and whoever comes later.
    pub fn release(&self) {
        self.released.send_replace(true);
    }

    /// Returns when somebody has come to the gate (at once, when that has been so before).
    pub async fn reached(&self) {
        wait_until_true(&self.reached).await;
    }

    /// The fake's side: notes the arrival and waits for the release.
    pub async fn pass(&self) {
        self.reached.send_replace(true);
        wait_until_true(&self.released).await;
    }
}

async fn wait_until_true(flag: &watch::Sender<bool>) {
    flag.subscribe()
        .wait_for(|set| *set)
        .await
        .expect("the sender lives as long as the gate borrowed here");
}
