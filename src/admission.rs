//! How many may be let in at once. One more is told at once to come back later: what waits in a queue of
//! ours would only be answered when its asker has given up. Whoever speaks and is there to hear the answer may
//! wait for a moment.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;

/// A number of places, which may be changed at any time.
#[derive(Debug)]
pub struct Admission {
    what: &'static str,
    limit: AtomicUsize,
    taken: AtomicUsize,
    /// Wakes those who wait: a place may be free.
    left: Notify,
}

/// A place. Free again when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Place(Arc<Admission>);

impl Admission {
    /// So many places for `what`, the name in metrics.
    pub fn new(what: &'static str, limit: usize) -> Arc<Self> {
        Arc::new(Self {
            what,
            limit: AtomicUsize::new(limit),
            taken: AtomicUsize::new(0),
            left: Notify::new(),
        })
    }

    /// From now on there are so many places. Who has one keeps it.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
        self.left.notify_waiters();
    }

    /// A place, if one is free.
    pub fn enter(self: &Arc<Self>) -> Option<Place> {
        let place = self.look_in();
        if place.is_none() {
            metrics::counter!("griot_rejections_total", "what" => self.what).increment(1);
        }
        place
    }

    /// A place, if one is free within `patience`.
    pub async fn wait(self: &Arc<Self>, patience: Duration) -> Option<Place> {
        let place = tokio::time::timeout(patience, async {
            loop {
                // Listens before it looks, or it might miss who leaves in between.
                let mut left = std::pin::pin!(self.left.notified());
                left.as_mut().enable();
                if let Some(place) = self.look_in() {
                    return place;
                }
                left.await;
            }
        });
        match place.await {
            Ok(place) => Some(place),
            Err(_) => self.enter(),
        }
    }

    fn look_in(self: &Arc<Self>) -> Option<Place> {
        let limit = self.limit.load(Ordering::Relaxed);
        let entered = self
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                (taken < limit).then_some(taken + 1)
            });
        entered.ok().map(|_| Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        self.0.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_given_out_up_to_the_limit_of_the_moment() {
        let admission = Admission::new("tests", 2);
        let first = admission.enter().unwrap();
        let second = admission.enter().unwrap();
        assert!(admission.enter().is_none());
        drop(first);
        let third = admission.enter().unwrap();
        admission.set_limit(1);
        drop(second);
        assert!(admission.enter().is_none(), "one is still in");
        drop(third);
        let _only = admission.enter().unwrap();
        assert!(admission.enter().is_none());
        admission.set_limit(3);
        let _more = [admission.enter().unwrap(), admission.enter().unwrap()];
        assert!(admission.enter().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_there_to_hear_it_waits_for_a_moment() {
        let admission = Admission::new("tests", 1);
        let first = admission.enter().unwrap();
        let patience = Duration::from_secs(20);
        assert!(admission.wait(patience).await.is_none());
        let (second, ()) = tokio::join!(admission.wait(patience), async { drop(first) });
        assert!(second.is_some(), "one has left");
        let (third, ()) = tokio::join!(admission.wait(patience), async {
            admission.set_limit(2);
        });
        assert!(third.is_some(), "there are more");
    }
}
