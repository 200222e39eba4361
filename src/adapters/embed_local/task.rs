//! One call on its way through the model: its texts as token numbers, cut into batches that any worker
//! may run, and put together again.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{
    lane::Job,
    model::{Loaded, RunFailed},
};
use crate::{
    domain::{Component, Embedding},
    ports::PortError,
};

/// A call whose texts are tokens already.
struct Task {
    ids: Vec<Vec<i32>>,
    /// Held to put vectors in, never while the model runs.
    results: Mutex<Results>,
}

struct Results {
    vectors: Vec<Option<Embedding>>,
    missing: usize,
    /// Gone once the call was answered.
    reply: Option<oneshot::Sender<Result<Vec<Embedding>, PortError>>>,
    _permit: OwnedSemaphorePermit,
}

/// Texts of one call that are run together.
pub(super) struct Batch {
    task: Arc<Task>,
    /// Indices into the task's texts, of about one length.
    places: Vec<usize>,
}

/// Cuts a call into batches of at most `size` texts, enough of them that each of `workers` gets one. A
/// call that cannot be run is answered here, and there are none.
pub(super) fn cut(job: Job, size: usize, workers: usize) -> Vec<Batch> {
    let ids: Result<Vec<_>, _> = job
        .texts
        .iter()
        .map(|text| job.tokens.encode(text))
        .collect();
    let ids = match ids {
        Ok(ids) => ids,
        Err(error) => {
            fail(job, error);
            return Vec::new();
        }
    };
    // Longest first: a batch is padded little, and at the end no worker waits long for another.
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|&n| std::cmp::Reverse(ids[n].len()));
    let size = size.min(ids.len().div_ceil(workers)).max(1);
    let task = Arc::new(Task {
        results: Mutex::new(Results {
            vectors: vec![None; ids.len()],
            missing: ids.len(),
            reply: Some(job.reply),
            _permit: job.permit,
        }),
        ids,
    });
    order
        .chunks(size)
        .map(|places| Batch {
            task: Arc::clone(&task),
            places: places.to_vec(),
        })
        .collect()
}

impl Batch {
    /// Runs it, unless nobody waits for its call any more; the last one answers the call.
    pub(super) fn run(self, model: &Loaded, run: &rten::RunOptions) {
        if self.task.results().is_over() {
            return;
        }
        let ids: Vec<&[i32]> = self
            .places
            .iter()
            .map(|&n| self.task.ids[n].as_slice())
            .collect();
        // A damaged model may make its interpreter panic; the thread has to outlive that.
        let vectors = match catch_unwind(AssertUnwindSafe(|| model.run(&ids, run))) {
            Ok(vectors) => vectors,
            Err(panic) => Err(RunFailed::panicked(message(&*panic))),
        };
        let mut results = self.task.results();
        match vectors {
            Ok(vectors) => results.put(&self.places, vectors),
            Err(error) => results.answer(Err(PortError::unavailable(Component::Embedder, error))),
        }
    }
}

impl Task {
    fn results(&self) -> MutexGuard<'_, Results> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Results {
    fn is_over(&self) -> bool {
        self.reply.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    fn put(&mut self, places: &[usize], vectors: Vec<Embedding>) {
        for (&place, vector) in places.iter().zip(vectors) {
            self.vectors[place] = Some(vector);
            self.missing -= 1;
        }
        if self.missing == 0 {
            let vectors = self.vectors.drain(..).flatten().collect();
            self.answer(Ok(vectors));
        }
    }

    fn answer(&mut self, answer: Result<Vec<Embedding>, PortError>) {
        if let Some(reply) = self.reply.take() {
            // The caller may have gone just now.
            let _ = reply.send(answer);
        }
    }
}

/// Answers a call that was not begun.
pub(super) fn fail(job: Job, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) {
    let error = PortError::unavailable(Component::Embedder, why);
    let _ = job.reply.send(Err(error));
}

fn message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given")
}
