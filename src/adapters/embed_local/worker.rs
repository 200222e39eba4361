//! The thread that runs the model.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    thread::{self, JoinHandle},
};

use super::{
    lane::{Job, Lanes, Next},
    model::{Loaded, Source},
};
use crate::{
    domain::{Component, Embedding},
    ports::PortError,
};

/// The running thread. Dropping it ends the thread and waits for it: one batch at most.
#[derive(Debug)]
pub(super) struct Worker {
    lanes: Arc<Lanes>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(super) fn start(source: Source, lanes: Arc<Lanes>, batch: usize) -> Self {
        let taken = Arc::clone(&lanes);
        let thread = thread::Builder::new()
            .name("embed".to_owned())
            .spawn(move || serve(&source, &taken, batch))
            .map_err(|error| tracing::error!(%error, "the embedding thread could not be started"))
            .ok();
        if thread.is_none() {
            lanes.close();
        }
        Self { lanes, thread }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.lanes.close();
        if let Some(thread) = self.thread.take() {
            // It ends by itself; that it panicked was logged where it happened.
            let _ = thread.join();
        }
    }
}

/// A job whose texts are tokens already, being worked off in batches.
struct Task {
    job: Job,
    ids: Vec<Vec<i32>>,
    /// Indices into `ids`, longest first, so that a batch is padded little.
    order: Vec<usize>,
    done: usize,
    vectors: Vec<Option<Embedding>>,
}

impl Task {
    fn begin(job: Job) -> Option<Self> {
        let ids: Result<Vec<_>, _> = job
            .texts
            .iter()
            .map(|text| job.tokens.encode(text))
            .collect();
        match ids {
            Ok(ids) => {
                let mut order: Vec<usize> = (0..ids.len()).collect();
                order.sort_by_key(|&n| std::cmp::Reverse(ids[n].len()));
                Some(Self {
                    vectors: vec![None; ids.len()],
                    done: 0,
                    order,
                    ids,
                    job,
                })
            }
            Err(error) => {
                fail(job, error);
                None
            }
        }
    }

    /// Runs one batch. Gives the task back while something is left to do.
    fn step(mut self, model: &Loaded, batch: usize) -> Option<Self> {
        if self.job.reply.is_closed() {
            return None;
        }
        let some = &self.order[self.done..self.order.len().min(self.done + batch)];
        let ids: Vec<&[i32]> = some.iter().map(|&n| self.ids[n].as_slice()).collect();
        // A damaged model may make its interpreter panic; the thread has to outlive that.
        let vectors = match catch_unwind(AssertUnwindSafe(|| model.run(&ids))) {
            Ok(Ok(vectors)) => vectors,
            Ok(Err(error)) => {
                fail(self.job, error);
                return None;
            }
            Err(panic) => {
                fail(self.job, message(&*panic));
                return None;
            }
        };
        for (&n, vector) in some.iter().zip(vectors) {
            self.vectors[n] = Some(vector);
        }
        self.done += some.len();
        if self.done < self.order.len() {
            return Some(self);
        }
        let vectors = self.vectors.into_iter().flatten().collect();
        // The caller may have gone just now.
        let _ = self.job.reply.send(Ok(vectors));
        None
    }
}

fn serve(source: &Source, lanes: &Lanes, batch: usize) {
    let mut model: Option<Loaded> = None;
    let mut passages: Option<Task> = None;
    loop {
        let task = match lanes.next(passages.is_some()) {
            Next::Closed => return,
            Next::GoOn => passages.take(),
            Next::Job(job) => {
                if model.is_none() {
                    match source.load() {
                        Ok(loaded) => model = Some(loaded),
                        Err(error) => {
                            fail(job, error);
                            continue;
                        }
                    }
                }
                Task::begin(job)
            }
        };
        let (Some(mut task), Some(model)) = (task, model.as_ref()) else {
            continue;
        };
        // A question is short and is answered at once; of passages, one batch between two looks.
        let question = passages.is_some();
        while let Some(rest) = task.step(model, batch) {
            if question {
                task = rest;
            } else {
                passages = Some(rest);
                break;
            }
        }
    }
}

fn fail(job: Job, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) {
    let error = PortError::unavailable(Component::Embedder, why);
    let _ = job.reply.send(Err(error));
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given");
    format!("the embedding model panicked: {text}")
}
