//! Upkeep: what makes the stores' files forget, and stay fast.
//!
//! Nothing of a deleted document is found any more when its delete returns. Its traces in the catalog's
//! file are removed by the delete itself, unless deletes come faster than that can be done
//! ([`Pace`]); the vectors of its points leave the index's files here, when the queue is empty. Both are
//! marked on the disk where they are due, so a kill only puts them off.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::shared::Shared;
use crate::{
    catalog::{Catalog, CatalogError},
    domain::Component,
    ports::PortError,
};

/// Rests between two rounds are this many times as long as the round took.
const REST: u32 = 10;

/// Quiet that goes before a round: what comes in a row is done in one go.
const QUIET: Duration = Duration::from_secs(2);

/// When a round that failed is tried again, unless something new is asked for before.
const RETRY: Duration = Duration::from_secs(60);

/// When one is that found the disk full: what is freed is noticed soon, and upkeep may free more.
const FULL_RETRY: Duration = Duration::from_secs(5);

/// Longer than writing a large index anew takes.
const LIMIT: Duration = Duration::from_secs(3600);

/// How often the traces are gone after before that is left for later: each time a reader was in the way.
const TRIES: usize = 3;

/// Work that must not take more than a share of the time, however often it is asked for.
#[derive(Debug, Default)]
pub(super) struct Pace {
    not_before: Option<Instant>,
    /// The last try found the disk full.
    full: bool,
}

impl Pace {
    /// How long to wait until it may be done again.
    fn rest(&self, now: Instant) -> Duration {
        self.not_before
            .map_or(Duration::ZERO, |then| then.saturating_duration_since(now))
    }

    fn done(&mut self, begun: Instant, now: Instant) {
        self.not_before = Some(now + now.saturating_duration_since(begun) * REST);
        self.full = false;
    }

    /// It could not be done. When to try again.
    fn failed(&mut self, begun: Instant, now: Instant, full: bool) -> Duration {
        self.done(begun, now);
        self.full = full;
        self.retry(now)
    }

    /// What took long is not tried again soon, though it failed.
    fn retry(&self, now: Instant) -> Duration {
        self.rest(now)
            .max(if self.full { FULL_RETRY } else { RETRY })
    }
}

/// Removes the catalog's traces of what was deleted, if it is time to. Whether none are left.
pub(super) async fn remove_traces(shared: &Shared) -> bool {
    let mut pace = shared.traces.lock().await;
    match shared.catalog.call(Catalog::has_traces).await {
        // Another delete waited for the same.
        Ok(false) => return true,
        Ok(true) if pace.rest(Instant::now()) > Duration::ZERO => return false,
        Ok(true) => {}
        Err(error) => return failed(&error),
    }
    let begun = Instant::now();
    let mut gone = false;
    for _ in 0..TRIES {
        gone = match shared.catalog.call(Catalog::remove_traces).await {
            Ok(gone) => gone,
            Err(error) => {
                let full = matches!(error, CatalogError::DiskFull);
                let told = full && pace.full;
                pace.failed(begun, Instant::now(), full);
                return !told && failed(&error);
            }
        };
        if gone {
            break;
        }
    }
    pace.done(begun, Instant::now());
    gone
}

fn failed(error: &CatalogError) -> bool {
    tracing::warn!(%error, "traces of deleted documents stay in the catalog's file for now");
    false
}

/// Works off what is due, at start and whenever something new is. Ends when the daemon stops.
pub(super) async fn run(shared: Arc<Shared>) {
    let pulse = shared.tasks.pulse("ingest.upkeep", LIMIT);
    let mut store = Pace::default();
    loop {
        tokio::select! {
            () = tokio::time::sleep(QUIET) => {}
            () = shared.cancel.cancelled() => return,
        }
        let next = tokio::select! {
            next = pulse.during(round(&shared, &mut store)) => next,
            () = shared.cancel.cancelled() => return,
        };
        let due = async {
            match next {
                Some(wait) => tokio::time::sleep(wait.saturating_sub(QUIET)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => {}
            () = shared.upkeep.notified() => {}
            () = shared.cancel.cancelled() => return,
        }
    }
}

/// When the next round is due; `None`: when something is asked for.
async fn round(shared: &Arc<Shared>, store: &mut Pace) -> Option<Duration> {
    let traces = if remove_traces(shared).await {
        None
    } else {
        let pace = shared.traces.lock().await;
        let rest = pace.rest(Instant::now());
        Some(if rest.is_zero() {
            pace.retry(Instant::now())
        } else {
            rest
        })
    };
    let index = tend_index(shared, store).await;
    [traces, index].into_iter().flatten().min()
}

async fn tend_index(shared: &Arc<Shared>, pace: &mut Pace) -> Option<Duration> {
    let queued = shared.catalog.call(Catalog::queued).await;
    let busy = shared.claimed() > 0 || queued.is_ok_and(|queued| queued > 0);
    // Documents that wait for room on the disk may wait for just this.
    if busy && shared.room.for_documents().await.is_ok() {
        // Whoever empties the queue asks again.
        return Some(QUIET);
    }
    let rest = pace.rest(Instant::now());
    if !rest.is_zero() {
        return Some(rest);
    }
    let _points = shared.points.lock().await;
    let begun = Instant::now();
    let tended = match shared.open_store().await {
        Ok(()) => shared.store.upkeep().await,
        Err(error) => Err(error),
    };
    match tended {
        Ok(true) => {
            pace.done(begun, Instant::now());
            tracing::info!(
                took_ms = begun.elapsed().as_millis() as u64,
                "the index's files were written anew"
            );
            None
        }
        Ok(false) => None,
        // Its breaker or its opener tells of it; here it is only put off.
        Err(PortError::Resting { retry_after, .. }) => Some(retry_after.max(QUIET)),
        Err(error) => {
            tracing::debug!(%error, "the index's files are left as they are for now");
            let full = matches!(error, PortError::NoRoom { .. });
            Some(pace.failed(begun, Instant::now(), full))
        }
    }
}

/// The parts whose files are still to be put in order after a delete of `points` points.
pub(super) fn sweeping(traces_gone: bool, points: u64) -> Vec<Component> {
    let mut parts = Vec::new();
    if !traces_gone {
        parts.push(Component::Catalog);
    }
    if points > 0 {
        parts.push(Component::VectorStore);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_round_is_followed_by_a_rest_ten_times_as_long() {
        let mut pace = Pace::default();
        let begun = Instant::now();
        assert_eq!(pace.rest(begun), Duration::ZERO);
        let end = begun + Duration::from_millis(300);
        pace.done(begun, end);
        assert_eq!(pace.rest(end), Duration::from_secs(3));
        assert_eq!(
            pace.rest(end + Duration::from_secs(2)),
            Duration::from_secs(1)
        );
        assert_eq!(pace.rest(end + Duration::from_secs(9)), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_disk_is_looked_at_again_soon_unless_the_look_takes_long() {
        let check = |took: u64, full: bool, expected: u64| {
            let begun = Instant::now();
            let mut pace = Pace::default();
            let retry = pace.failed(begun, begun + Duration::from_millis(took), full);
            assert_eq!(retry, Duration::from_millis(expected), "{took} {full}");
        };
        check(0, false, 60_000);
        check(0, true, 5_000);
        check(1_000, true, 10_000);
    }
}
