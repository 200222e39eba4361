//! How many may be let in at once. One more is told at once to come back later: what waits in a queue of
//! ours would only be answered when its asker has given up.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// A number of places, which may be changed at any time.
#[derive(Debug)]
pub struct Admission {
    what: &'static str,
    limit: AtomicUsize,
    taken: AtomicUsize,
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
        })
    }

    /// From now on there are so many places. Who has one keeps it.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// A place, if one is free.
    pub fn enter(self: &Arc<Self>) -> Option<Place> {
        let limit = self.limit.load(Ordering::Relaxed);
        let entered = self
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                (taken < limit).then_some(taken + 1)
            });
        if entered.is_err() {
            metrics::counter!("griot_rejections_total", "what" => self.what).increment(1);
            return None;
        }
        Some(Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
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
}
