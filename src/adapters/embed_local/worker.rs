//! The threads that run the model: one for questions, and one per core for passages.
//!
//! A question never waits for passages: it has a thread of its own, and those for passages give way to
//! it on the processor. Each of them runs batches of its own on one core. That is as fast as all cores
//! on one batch or faster, since nobody waits for the slowest part of each product.

use std::{
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use rten::{RunOptions, ThreadPool};

use super::{
    LoadError,
    lane::{Bulk, Job, Lanes},
    model::{Loaded, Source},
    task,
};

/// How much passages give way. Of a core that both want a question gets nine tenths.
const NICENESS: i32 = 10;

/// The running threads. Dropping it ends them and waits for them: one batch each at most.
#[derive(Debug)]
pub(super) struct Workers {
    lanes: Arc<Lanes>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads have in common.
struct Bench {
    source: Source,
    /// Read at the first use, and once. Held while it is read.
    model: Mutex<Option<Arc<Loaded>>>,
    lanes: Arc<Lanes>,
    batch: usize,
    /// Threads, of questions together, of passages one each.
    threads: usize,
}

impl Workers {
    pub(super) fn start(source: Source, lanes: Arc<Lanes>, batch: usize, threads: usize) -> Self {
        let bench = Arc::new(Bench {
            source,
            model: Mutex::new(None),
            lanes: Arc::clone(&lanes),
            batch,
            threads,
        });
        let mut workers = Self {
            lanes,
            threads: Vec::new(),
        };
        workers.spawn("embed-question", &bench, Bench::serve_questions);
        for _ in 0..threads {
            workers.spawn("embed-passages", &bench, Bench::serve_passages);
        }
        workers
    }

    fn spawn(&mut self, name: &str, bench: &Arc<Bench>, serve: fn(&Bench)) {
        let bench = Arc::clone(bench);
        let spawned = thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || serve(&bench));
        match spawned {
            Ok(thread) => self.threads.push(thread),
            Err(error) => {
                tracing::error!(%error, "an embedding thread could not be started");
                // Calls end with an error instead of waiting for a thread that is not there.
                self.lanes.close();
            }
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.lanes.close();
        for thread in self.threads.drain(..) {
            // It ends by itself; that it panicked was logged where it happened.
            let _ = thread.join();
        }
    }
}

impl Bench {
    fn serve_questions(&self) {
        let run = run_on(self.threads);
        while let Some(job) = self.lanes.question() {
            if let Some((model, job)) = self.ready(job) {
                // Questions are short, so one batch is all there usually is.
                for batch in task::cut(job, self.batch, 1) {
                    batch.run(&model, &run);
                }
            }
        }
    }

    fn serve_passages(&self) {
        // Before the pool: threads are born with the priority of the one that starts them.
        if let Err(error) = rustix::process::nice(NICENESS) {
            tracing::debug!(%error, "passages are embedded at the usual priority");
        }
        let run = run_on(1);
        while let Some(work) = self.lanes.bulk() {
            match work {
                Bulk::Job(job) => {
                    if let Some((_, job)) = self.ready(job) {
                        self.lanes
                            .push_batches(task::cut(job, self.batch, self.threads));
                    }
                }
                Bulk::Batch(batch) => {
                    // It was read before the batch was cut.
                    if let Ok(model) = self.model() {
                        batch.run(&model, &run);
                    }
                }
            }
        }
    }

    /// The job back with the model that it needs; without one it is answered.
    fn ready(&self, job: Job) -> Option<(Arc<Loaded>, Job)> {
        match self.model() {
            Ok(model) => Some((model, job)),
            Err(error) => {
                task::fail(job, error);
                None
            }
        }
    }

    fn model(&self) -> Result<Arc<Loaded>, LoadError> {
        let mut model = self.model.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = &*model {
            return Ok(Arc::clone(model));
        }
        let loaded = Arc::new(self.source.load()?);
        *model = Some(Arc::clone(&loaded));
        Ok(loaded)
    }
}

fn run_on(threads: usize) -> RunOptions {
    let pool = ThreadPool::with_num_threads(threads);
    RunOptions::default().with_thread_pool(Some(Arc::new(pool)))
}
