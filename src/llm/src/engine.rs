//! The one thread that owns llama.cpp: the model, its context, and the sequences kept in it.
//!
//! Requests come through a bounded queue and are worked off one at a time; results go out through a
//! channel with room for the longest reply, so that a client that reads slowly holds nobody up. A
//! client that leaves drops its end of the channel, which is looked at after every token and after
//! every batch of the prompt. One model is in memory at a time: a request for another one takes its
//! place, and after `keep_alive` without a request the memory is given back.
//!
//! Knows no HTTP.

mod embed;
mod generate;
mod grammar;
pub mod job;
mod logprob;
mod outgoing;
pub mod queue;
mod sample;
mod session;
mod slots;
pub mod status;

use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use llama_cpp_2::{llama_backend::LlamaBackend, model::LlamaModel};

use crate::{shelf::Weights, wire::keep_alive::KeepAlive};
use job::{Event, Failure, Job, Work};
use queue::{Popped, Queue, Turned, Waiting};
use session::Session;
use status::Status;

/// The tokenizers of some models match regular expressions by recursion, one frame a character
/// (libstdc++), so a long word needs a deep stack. It is only taken from the system as it is used.
const STACK: usize = 1 << 30;

/// How the engine works.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads for writing, one token at a time: bound by memory.
    pub threads: usize,
    /// Threads for reading the prompt, many tokens at a time: bound by arithmetic.
    pub threads_batch: usize,
    /// Tokens in the context, for all sequences together; also the most that one request may use.
    pub context: usize,
    /// Sequences kept for reuse.
    pub slots: usize,
    /// Requests that may wait.
    pub queue: usize,
    /// Where a request does not say.
    pub keep_alive: KeepAlive,
}

/// The engine's outside: put work in, look at its status, stop it.
#[derive(Debug)]
pub struct Engine {
    shared: Arc<Shared>,
    thread: thread::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    queue: Queue<Job>,
    status: Status,
    /// Set when even the request at work has to end.
    stop: AtomicBool,
}

/// What hands work in.
#[derive(Debug, Clone)]
pub struct EngineHandle(Arc<Shared>);

impl Engine {
    /// Starts the thread. It loads nothing until there is work.
    pub fn start(settings: Settings) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            queue: Queue::new(settings.queue),
            settings,
            status: Status::default(),
            stop: AtomicBool::new(false),
        });
        let inside = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("engine".to_owned())
            .stack_size(STACK)
            .spawn(move || run(&inside))?;
        Ok(Self { shared, thread })
    }

    pub fn handle(&self) -> EngineHandle {
        EngineHandle(Arc::clone(&self.shared))
    }

    /// Waits until the work that was taken on is done; it has to be [closed](EngineHandle::close)
    /// first. Blocks.
    pub fn join(self) {
        if self.thread.join().is_err() {
            tracing::error!("the engine thread ended in a panic");
        }
    }
}

impl EngineHandle {
    /// Puts a job in the line.
    pub fn submit(&self, job: Job) -> Result<(), Turned> {
        let left = self.0.queue.push(job)?;
        self.0.status.cancelled_many(left);
        Ok(())
    }

    pub fn status(&self) -> &Status {
        &self.0.status
    }

    /// Requests that wait.
    pub fn queued(&self) -> usize {
        self.0.queue.len()
    }

    /// Most tokens of prompt and reply together.
    pub fn context(&self) -> usize {
        self.0.settings.context
    }

    /// Takes no more work.
    pub fn close(&self) {
        self.0.queue.close();
    }

    /// Ends the work in hand, too, at its next token or batch.
    pub fn abort(&self) {
        self.0.stop.store(true, Ordering::Relaxed);
        self.close();
    }
}

fn run(shared: &Shared) {
    let backend = match LlamaBackend::init() {
        Ok(backend) => backend,
        Err(error) => {
            tracing::error!(%error, "llama.cpp could not be started; no request can be answered");
            shared.queue.close();
            return;
        }
    };
    let mut next = None;
    loop {
        let job = match next
            .take()
            .map_or_else(|| shared.queue.pop(None), Popped::Item)
        {
            Popped::Item(job) => job,
            Popped::TimedOut => continue,
            Popped::Closed => return,
        };
        if shared.skips(&job) {
            continue;
        }
        if job.unloads() {
            job.loaded(true, Duration::ZERO);
            continue;
        }
        next = shared.host(&backend, job);
    }
}

/// What became of serving one job.
enum Served {
    Well,
    /// The model has to go, because what it left behind cannot be trusted.
    Broken,
}

impl Shared {
    /// Whether there is nothing to do for a job: its client left, or the server ends.
    fn skips(&self, job: &Job) -> bool {
        if job.has_left() {
            self.status.cancelled_many(1);
            return true;
        }
        if self.stop.load(Ordering::Relaxed) {
            job.fail(Failure::Stopping);
            return true;
        }
        false
    }

    /// Loads the model of `first`, serves every job for it, and unloads it when it was not wanted
    /// for long enough. Returns a job for another model.
    fn host(&self, backend: &LlamaBackend, first: Job) -> Option<Job> {
        let weights = Arc::clone(&first.weights);
        let began = Instant::now();
        let model = match session::load(backend, &weights) {
            Ok(model) => model,
            Err(failure) => {
                tracing::error!(model = weights.name, %failure, "a model could not be loaded");
                first.fail(failure);
                return None;
            }
        };
        let next = self.host_loaded(backend, &model, &weights, first, began);
        self.status.unloaded();
        drop(model);
        tracing::info!(model = weights.name, "model unloaded");
        match next {
            Some(job) if job.weights.name == weights.name && job.unloads() => {
                job.loaded(true, Duration::ZERO);
                None
            }
            next => next,
        }
    }

    fn host_loaded(
        &self,
        backend: &LlamaBackend,
        model: &LlamaModel,
        weights: &Arc<Weights>,
        first: Job,
        began: Instant,
    ) -> Option<Job> {
        let mut session = match Session::new(backend, model, weights, &self.settings, &self.status)
        {
            Ok(session) => session,
            Err(failure) => {
                tracing::error!(model = weights.name, %failure, "a model was loaded but cannot be used");
                first.fail(failure);
                return None;
            }
        };
        let mut load = began.elapsed();
        tracing::info!(
            model = weights.name,
            took_ms = load.as_millis(),
            "model loaded"
        );
        self.status.loaded(weights, session.context_length());
        let mut job = first;
        loop {
            let keep_alive = job.keep_alive.unwrap_or(self.settings.keep_alive);
            match self.serve(&mut session, &job, load) {
                Served::Well if !keep_alive.is_zero() => {}
                Served::Well | Served::Broken => return None,
            }
            load = Duration::ZERO;
            let deadline = self.status.kept(keep_alive);
            job = loop {
                match self.queue.pop(deadline) {
                    Popped::TimedOut | Popped::Closed => return None,
                    Popped::Item(job) if self.skips(&job) => {}
                    Popped::Item(job) if job.weights.name != weights.name || job.unloads() => {
                        return Some(job);
                    }
                    Popped::Item(job) => break job,
                }
            };
        }
    }

    fn serve(&self, session: &mut Session<'_>, job: &Job, load: Duration) -> Served {
        let cancel = Cancel {
            events: &job.events,
            stop: &self.stop,
        };
        self.status.begins();
        // A bug here or an unexpected value from llama.cpp costs one request and a reload, not the
        // process.
        let outcome = catch_unwind(AssertUnwindSafe(|| match &job.work {
            Work::Load => {
                job.loaded(false, load);
                Ok(())
            }
            Work::Generate(work) => generate::run(session, work, job, load, &cancel),
            Work::Embed(work) => embed::run(session, work, job, load, &cancel),
        }));
        // By how the work ended, not by whether somebody still listens: a client that has its whole
        // answer may be gone before it is counted.
        let left = matches!(outcome, Ok(Err(Failure::Left)));
        let served = match outcome {
            Ok(Ok(())) => Served::Well,
            Ok(Err(failure)) => {
                let broken = failure.is_ours();
                if broken {
                    tracing::error!(%failure, "a request failed; the model will be loaded afresh");
                }
                if !matches!(failure, Failure::Left) {
                    job.fail(failure);
                }
                if broken { Served::Broken } else { Served::Well }
            }
            Err(_) => {
                tracing::error!("a request panicked; the model will be loaded afresh");
                job.fail(Failure::Bug);
                Served::Broken
            }
        };
        self.status.ends(left);
        served
    }
}

/// Whether the work in hand is still wanted.
struct Cancel<'a> {
    events: &'a tokio::sync::mpsc::Sender<Event>,
    stop: &'a AtomicBool,
}

impl Cancel<'_> {
    fn left(&self) -> bool {
        self.events.is_closed()
    }

    /// An error where the work has to end now.
    fn check(&self) -> Result<(), Failure> {
        if self.left() {
            Err(Failure::Left)
        } else if self.stop.load(Ordering::Relaxed) {
            Err(Failure::Stopping)
        } else {
            Ok(())
        }
    }
}
