//! Waiting for a part that does not work.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::retries::Retries;
use crate::{
    domain::spread::{around, jitter},
    ports::PortError,
};

/// The first wait; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(250);

/// The longest wait, give or take a quarter. A part that is back is noticed within this.
const LONGEST: Duration = Duration::from_secs(15);

/// How often something was tried in vain.
#[derive(Debug, Default)]
pub(super) struct Patience {
    pub(super) tries: u32,
}

impl Patience {
    /// Waits before the next try, as long as `error` asks for or longer each time, and as long as the tries
    /// of everybody else leave room for another one. `false` when `cancelled` comes first.
    pub(super) async fn wait(
        &mut self,
        error: Option<&PortError>,
        retries: &Retries,
        cancelled: &CancellationToken,
    ) -> bool {
        let delay = self.delay(error, jitter());
        let room = match error {
            // It was not asked, and will be when its breaker says so.
            None | Some(PortError::Resting { .. }) => Duration::ZERO,
            Some(error) => retries.retry(error.component()),
        };
        tokio::select! {
            () = tokio::time::sleep(delay.max(room)) => true,
            () = cancelled.cancelled() => false,
        }
    }

    fn delay(&mut self, error: Option<&PortError>, jitter: f64) -> Duration {
        if let Some(PortError::Resting { retry_after, .. }) = error {
            // Its breaker knows when it may be asked, and spreads that itself; not a try.
            return (*retry_after).clamp(FIRST, LONGEST);
        }
        self.tries += 1;
        let doubled = FIRST.saturating_mul(1 << (self.tries - 1).min(10));
        around(doubled.min(LONGEST), jitter)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::domain::Component;

    #[test]
    fn waits_grow_to_a_limit_and_are_spread() {
        let mut patience = Patience::default();
        let waits: Vec<_> = (0..9)
            .map(|_| patience.delay(None, 0.5).as_millis())
            .collect();
        assert_eq!(
            waits,
            [250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]
        );
        let resting = PortError::Resting {
            component: Component::Embedder,
            retry_after: Duration::from_secs(3),
        };
        assert_eq!(patience.delay(Some(&resting), 0.9).as_millis(), 3000);
        assert_eq!(patience.tries, 9);
        let earliest = Patience::default().delay(None, 0.0).as_millis();
        let latest = Patience::default().delay(None, 1.0).as_millis();
        assert_eq!((earliest, latest), (187, 312));
    }

    #[tokio::test(start_paused = true)]
    async fn who_tries_again_waits_for_the_tries_of_others_and_ends_when_cancelled() {
        let (cancelled, retries) = (CancellationToken::new(), Retries::default());
        let down = PortError::unavailable(Component::VectorStore, "gone");
        let began = Instant::now();
        let waits = (0..40).map(|_| async {
            assert!(
                Patience::default()
                    .wait(Some(&down), &retries, &cancelled)
                    .await
            );
        });
        futures::future::join_all(waits).await;
        // Ten are free, the other thirty come every five seconds.
        assert_eq!(began.elapsed().as_secs(), 150);
        cancelled.cancel();
        let mut patience = Patience::default();
        assert!(!patience.wait(None, &retries, &cancelled).await);
    }
}
