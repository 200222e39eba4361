//! Stopping: a signal cancels one token, everything that was spawned is waited for, and a deadline
//! ends the wait. It does not know what the tasks are.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::tasks::Tasks;

/// How long work that has begun may go on after the signal. `griot serve` promises to be gone in ten
/// seconds; what is left of them is for closing the catalog and the worker process.
pub const DRAIN: Duration = Duration::from_secs(8);

/// The exit code of a process ended by SIGINT, as shells count it (128 + 2).
const EXIT_INTERRUPTED: i32 = 130;

/// The one token, the one tracker and the one list of pulses of the daemon. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Cancelled once, when the daemon is to stop. Child tokens are fine.
    pub token: CancellationToken,
    /// Everything the daemon spawns is spawned here.
    pub tracker: TaskTracker,
    /// The pulses of those that live as long as the daemon.
    pub tasks: Tasks,
}

impl Shutdown {
    /// A set of its own, not yet tied to any signal.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets SIGTERM and SIGINT cancel the token. A second signal ends the process at once, for the
    /// person who will not wait.
    ///
    /// # Errors
    /// When the signal handlers cannot be installed.
    pub fn on_signals(&self) -> std::io::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let token = self.token.clone();
        // Not on the tracker: it waits for a second signal for as long as the process lives.
        tokio::spawn(async move {
            loop {
                let name = tokio::select! {
                    _ = terminate.recv() => "SIGTERM",
                    _ = interrupt.recv() => "SIGINT",
                };
                if token.is_cancelled() {
                    tracing::warn!(signal = name, "second signal: stopping at once");
                    std::process::exit(EXIT_INTERRUPTED);
                }
                tracing::info!(signal = name, "stopping; a second signal stops at once");
                token.cancel();
            }
        });
        Ok(())
    }

    /// Cancels, then waits for every task. Returns whether all of them ended within `limit`.
    pub async fn drain(&self, limit: Duration) -> bool {
        self.token.cancel();
        self.tracker.close();
        let drained = tokio::time::timeout(limit, self.tracker.wait())
            .await
            .is_ok();
        if !drained {
            tracing::warn!(
                tasks = self.tracker.len(),
                limit_s = limit.as_secs(),
                "tasks did not end in time and are dropped"
            );
        }
        drained
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn drain_waits_for_tasks_that_obey_and_not_for_those_that_do_not() {
        let obeying = Shutdown::new();
        let token = obeying.token.clone();
        obeying
            .tracker
            .spawn(async move { token.cancelled().await });
        assert!(obeying.drain(DRAIN).await);

        let deaf = Shutdown::new();
        deaf.tracker.spawn(std::future::pending::<()>());
        assert!(!deaf.drain(DRAIN).await);
    }
}
