//! How many calls of a part may be tries of something that failed before. Whoever works beside others (readers,
//! the stages after them, the index being filled) may be patient alone; together they would still be many
//! calls for a part that is in trouble, and a herd when it is back.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use crate::domain::Component;

/// What the bucket holds at most, and at the beginning. With [`PER_CALL`] as gRPC throttles retries
/// (proposal A6, "Throttling Retry Attempts and Hedged RPCs": 10 tokens, a tenth of one for each call).
const MOST: f64 = 10.0;

/// What a call earns that succeeds: so one call in eleven may be a retry in the long run.
const PER_CALL: f64 = 0.1;

/// What comes in each second, calls or not: a part that is asked for nothing else is still tried every five
/// seconds.
const PER_SECOND: f64 = 0.2;

/// The budget of one part. A value: time is an argument.
#[derive(Debug, Clone, Copy)]
struct Budget {
    /// Below zero: tries that were let in and wait for their time.
    tokens: f64,
    at: Option<Instant>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            tokens: MOST,
            at: None,
        }
    }
}

impl Budget {
    fn called(&mut self) {
        self.tokens = (self.tokens + PER_CALL).min(MOST);
    }

    /// Lets one try in. When it may be made.
    fn retry(&mut self, now: Instant) -> Duration {
        let passed = self.at.replace(now).map_or(0.0, |at| {
            now.saturating_duration_since(at).as_secs_f64() * PER_SECOND
        });
        self.tokens = (self.tokens + passed).min(MOST) - 1.0;
        Duration::from_secs_f64((-self.tokens / PER_SECOND).max(0.0))
    }
}

/// The budgets of all parts.
#[derive(Debug, Default)]
pub(super) struct Retries(Mutex<HashMap<Component, Budget>>);

impl Retries {
    /// A call of the part that succeeded.
    pub(super) fn called(&self, part: Component) {
        self.with(part, Budget::called);
    }

    /// How long a try of something that failed has to wait. It counts as made.
    pub(super) fn retry(&self, part: Component) -> Duration {
        self.with(part, |budget| budget.retry(Instant::now()))
    }

    fn with<T>(&self, part: Component, change: impl FnOnce(&mut Budget) -> T) -> T {
        let mut budgets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(budgets.entry(part).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(budget: &mut Budget, now: Instant) -> u64 {
        budget.retry(now).as_secs_f64().round() as u64
    }

    #[test]
    fn a_part_in_trouble_is_tried_every_five_seconds_whoever_asks() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        for _ in 0..10 {
            assert_eq!(seconds(&mut budget, now), 0);
        }
        // Each further one waits behind the others.
        assert_eq!(
            [seconds(&mut budget, now), seconds(&mut budget, now)],
            [5, 10]
        );
        let later = now + Duration::from_secs(10);
        assert_eq!(seconds(&mut budget, later), 5);
        // It does not save up more than it holds.
        let much_later = later + Duration::from_secs(3600);
        let free = (0..100).take_while(|_| seconds(&mut budget, much_later) == 0);
        assert_eq!(free.count(), 10);
    }

    #[test]
    fn in_the_long_run_one_call_in_eleven_is_a_retry() {
        let (mut budget, now) = (Budget::default(), Instant::now());
        let mut retried = 0;
        for _ in 0..10_000 {
            budget.called();
            // Whatever fails is tried again as soon as that is free.
            let mut after = budget;
            if after.retry(now).is_zero() {
                budget = after;
                retried += 1;
            }
        }
        assert!((1000..=1000 + MOST as u32).contains(&retried), "{retried}");
    }

    #[test]
    fn each_part_has_its_own() {
        let retries = Retries::default();
        for _ in 0..10 {
            assert!(retries.retry(Component::Embedder).is_zero());
        }
        assert!(!retries.retry(Component::Embedder).is_zero());
        assert!(retries.retry(Component::VectorStore).is_zero());
    }
}
