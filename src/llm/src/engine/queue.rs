//! The line before the engine: bounded, and without those who have left.

use std::{
    collections::VecDeque,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// Something that waits, and may stop waiting.
pub trait Waiting {
    /// Nobody wants the result any more.
    fn has_left(&self) -> bool;
}

/// Why something could not be queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Turned {
    #[error("the server is busy: {limit} requests are waiting already; try again shortly")]
    Full { limit: usize },
    #[error("the server is stopping")]
    Closed,
}

/// What came of waiting.
#[derive(Debug, PartialEq, Eq)]
pub enum Popped<T> {
    Item(T),
    TimedOut,
    /// Closed, and nothing is left.
    Closed,
}

/// A bounded queue between async handlers and one thread. The lock is held for moments only and
/// never across an await.
#[derive(Debug)]
pub struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
    limit: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
}

impl<T: Waiting> Queue<T> {
    /// At most `limit` wait; 0 is taken as 1.
    pub fn new(limit: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                closed: false,
            }),
            changed: Condvar::new(),
            limit: limit.max(1),
        }
    }

    /// A panic while the lock was held leaves a whole queue behind: every change is one call.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues, or says why not. Those who have left make room first; what left comes back counted.
    pub fn push(&self, item: T) -> Result<usize, Turned> {
        let mut state = self.lock();
        if state.closed {
            return Err(Turned::Closed);
        }
        let before = state.items.len();
        state.items.retain(|waiting| !waiting.has_left());
        let left = before - state.items.len();
        if state.items.len() >= self.limit {
            return Err(Turned::Full { limit: self.limit });
        }
        state.items.push_back(item);
        drop(state);
        self.changed.notify_one();
        Ok(left)
    }

    /// Waits for the next; until `deadline` when there is one.
    pub fn pop(&self, deadline: Option<Instant>) -> Popped<T> {
        let mut state = self.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                return Popped::Item(item);
            }
            if state.closed {
                return Popped::Closed;
            }
            state = match deadline {
                None => self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Popped::TimedOut;
                    }
                    self.changed
                        .wait_timeout(state, left)
                        .unwrap_or_else(PoisonError::into_inner)
                        .0
                }
            };
        }
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.lock()
            .items
            .iter()
            .filter(|waiting| !waiting.has_left())
            .count()
    }

    /// Takes no more; what waits is still given out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    #[derive(Debug, Clone)]
    struct Guest(u32, Arc<AtomicBool>);

    impl Guest {
        fn new(number: u32) -> Self {
            Self(number, Arc::default())
        }

        fn leave(&self) {
            self.1.store(true, Ordering::Relaxed);
        }
    }

    impl Waiting for Guest {
        fn has_left(&self) -> bool {
            self.1.load(Ordering::Relaxed)
        }
    }

    fn number(popped: Popped<Guest>) -> Option<u32> {
        match popped {
            Popped::Item(guest) => Some(guest.0),
            Popped::TimedOut | Popped::Closed => None,
        }
    }

    #[test]
    fn first_come_first_served_up_to_the_limit() {
        let queue = Queue::new(2);
        assert_eq!(queue.push(Guest::new(1)), Ok(0));
        assert_eq!(queue.push(Guest::new(2)), Ok(0));
        assert_eq!(queue.push(Guest::new(3)), Err(Turned::Full { limit: 2 }));
        assert_eq!(number(queue.pop(None)), Some(1));
        assert_eq!(queue.push(Guest::new(4)), Ok(0));
        assert_eq!(number(queue.pop(None)), Some(2));
        assert_eq!(number(queue.pop(None)), Some(4));
    }

    #[test]
    fn who_left_makes_room() {
        let queue = Queue::new(2);
        let leaver = Guest::new(1);
        queue.push(leaver.clone()).unwrap();
        queue.push(Guest::new(2)).unwrap();
        leaver.leave();
        assert_eq!(queue.len(), 1);
        assert_eq!(queue.push(Guest::new(3)), Ok(1));
        assert_eq!(number(queue.pop(None)), Some(2));
    }

    #[test]
    fn closed_gives_out_the_rest() {
        let queue = Queue::new(2);
        queue.push(Guest::new(1)).unwrap();
        queue.close();
        assert_eq!(queue.push(Guest::new(2)), Err(Turned::Closed));
        assert_eq!(number(queue.pop(None)), Some(1));
        assert!(matches!(queue.pop(None), Popped::Closed));
    }

    #[test]
    fn a_deadline_in_the_past_does_not_wait() {
        let queue: Queue<Guest> = Queue::new(1);
        assert!(matches!(queue.pop(Some(Instant::now())), Popped::TimedOut));
    }
}
