//! Waiting for a part that does not work.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::ports::PortError;

/// The first wait; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(250);

/// The longest wait. A part that is back is noticed within this.
const LONGEST: Duration = Duration::from_secs(15);

/// How often something was tried in vain.
#[derive(Debug, Default)]
pub(super) struct Patience {
    pub(super) tries: u32,
}

impl Patience {
    /// Waits before the next try, as long as `error` asks for or longer each time. `false` when
    /// `cancelled` comes first.
    pub(super) async fn wait(
        &mut self,
        error: Option<&PortError>,
        cancelled: &CancellationToken,
    ) -> bool {
        let delay = match error {
            // Its breaker knows when it may be asked; not a try.
            Some(PortError::Resting { retry_after, .. }) => (*retry_after).clamp(FIRST, LONGEST),
            _ => {
                self.tries += 1;
                FIRST
                    .saturating_mul(1 << (self.tries - 1).min(10))
                    .min(LONGEST)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(delay) => true,
            () = cancelled.cancelled() => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::domain::Component;

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_a_limit_and_end_when_cancelled() {
        let cancelled = CancellationToken::new();
        let mut patience = Patience::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            let before = Instant::now();
            assert!(patience.wait(None, &cancelled).await);
            waits.push((Instant::now() - before).as_millis());
        }
        assert_eq!(
            waits,
            [250, 500, 1000, 2000, 4000, 8000, 15000, 15000, 15000]
        );
        let resting = PortError::Resting {
            component: Component::Embedder,
            retry_after: Duration::from_secs(3),
        };
        let before = Instant::now();
        assert!(patience.wait(Some(&resting), &cancelled).await);
        assert_eq!((Instant::now() - before).as_millis(), 3000);
        assert_eq!(patience.tries, 9);
        cancelled.cancel();
        assert!(!patience.wait(None, &cancelled).await);
    }
}
