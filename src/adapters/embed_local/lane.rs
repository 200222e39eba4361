//! What waits for the model: questions, and passages in two steps: whole calls, and the batches that
//! the call at hand was cut into.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::{task::Batch, tokens::Tokens};
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
    pub(super) permit: OwnedSemaphorePermit,
}

/// The queues. The callers push, the workers take.
pub(super) struct Lanes {
    queries: Arc<Semaphore>,
    passages: Arc<Semaphore>,
    /// Held for a push or a pop only.
    waiting: Mutex<Waiting>,
    /// Told of each question and of the end.
    asked: Condvar,
    /// Told of each call with passages, of each batch and of the end.
    given: Condvar,
}

#[derive(Default)]
struct Waiting {
    queries: VecDeque<Job>,
    passages: VecDeque<Job>,
    batches: VecDeque<Batch>,
    closed: bool,
}

/// What there is for a worker of passages.
pub(super) enum Bulk {
    /// To be run.
    Batch(Batch),
    /// To be cut into batches. Given out only where no batch waits, so that calls keep their order and
    /// few texts are held as numbers.
    Job(Job),
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
            asked: Condvar::new(),
            given: Condvar::new(),
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

    /// Queues a call; once the lanes are closed it is dropped, and so is its reply.
    pub(super) fn push(&self, job: Job) {
        let mut waiting = self.lock();
        if waiting.closed {
            return;
        }
        match job.kind {
            EmbedKind::Query => {
                waiting.queries.push_back(job);
                self.asked.notify_one();
            }
            EmbedKind::Passage => {
                waiting.passages.push_back(job);
                self.given.notify_one();
            }
        }
    }

    /// Queues what a call was cut into.
    pub(super) fn push_batches(&self, batches: Vec<Batch>) {
        let mut waiting = self.lock();
        if !waiting.closed {
            waiting.batches.extend(batches);
            self.given.notify_all();
        }
    }

    /// The next question, once there is one. `None` at the end.
    pub(super) fn question(&self) -> Option<Job> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(job) = waiting.queries.pop_front() {
                return Some(job);
            }
            waiting = self
                .asked
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The next piece of work on passages, once there is one. `None` at the end.
    pub(super) fn bulk(&self) -> Option<Bulk> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(batch) = waiting.batches.pop_front() {
                return Some(Bulk::Batch(batch));
            }
            if let Some(job) = waiting.passages.pop_front() {
                return Some(Bulk::Job(job));
            }
            waiting = self
                .given
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Ends the workers; what waits is dropped.
    pub(super) fn close(&self) {
        let mut waiting = self.lock();
        waiting.closed = true;
        waiting.queries.clear();
        waiting.passages.clear();
        waiting.batches.clear();
        drop(waiting);
        self.asked.notify_all();
        self.given.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
