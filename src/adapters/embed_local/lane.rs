//! What waits for the model: two bounded queues, questions and passages.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::tokens::Tokens;
use crate::{
    domain::Embedding,
    ports::{EmbedKind, PortError},
};

/// Calls of each kind that wait at most. More wait at their place, without memory of their own.
const WAITING: usize = 64;

/// One call.
pub(super) struct Job {
    pub(super) texts: Vec<String>,
    pub(super) kind: EmbedKind,
    pub(super) tokens: Arc<Tokens>,
    /// Closed when the caller has gone; the job is then dropped.
    pub(super) reply: oneshot::Sender<Result<Vec<Embedding>, PortError>>,
    /// The place in the queue, given back with the job.
    pub(super) _permit: OwnedSemaphorePermit,
}

/// The two queues. The callers push, the worker takes.
pub(super) struct Lanes {
    queries: Arc<Semaphore>,
    passages: Arc<Semaphore>,
    /// Held for a push or a pop only.
    waiting: Mutex<Waiting>,
    /// Told of each push and of the end.
    changed: Condvar,
}

#[derive(Default)]
struct Waiting {
    queries: VecDeque<Job>,
    passages: VecDeque<Job>,
    closed: bool,
}

/// What there is for the worker.
pub(super) enum Next {
    Job(Job),
    /// Nothing that goes before what it has in hand.
    GoOn,
    Closed,
}

impl std::fmt::Debug for Lanes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lanes").finish_non_exhaustive()
    }
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self {
            queries: Arc::new(Semaphore::new(WAITING)),
            passages: Arc::new(Semaphore::new(WAITING)),
            waiting: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// A place in the queue, once there is one.
    pub(super) async fn permit(&self, kind: EmbedKind) -> OwnedSemaphorePermit {
        let places = match kind {
            EmbedKind::Query => &self.queries,
            EmbedKind::Passage => &self.passages,
        };
        Arc::clone(places)
            .acquire_owned()
            .await
            .expect("these semaphores are never closed")
    }

    pub(super) fn push(&self, job: Job) {
        let mut waiting = self.lock();
        match job.kind {
            EmbedKind::Query => waiting.queries.push_back(job),
            EmbedKind::Passage => waiting.passages.push_back(job),
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// The next job: a question when there is one; else, when `busy` with passages, none.
    /// Waits only when not `busy`.
    pub(super) fn next(&self, busy: bool) -> Next {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return Next::Closed;
            }
            if let Some(job) = waiting.queries.pop_front() {
                return Next::Job(job);
            }
            if busy {
                return Next::GoOn;
            }
            if let Some(job) = waiting.passages.pop_front() {
                return Next::Job(job);
            }
            waiting = self
                .changed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the worker; what waits is dropped.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.queries.clear();
        waiting.passages.clear();
        drop(waiting);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
