//! What waits for the engine, the oldest first: what counts here, looks there.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::SyncSender,
    },
};

use rustix::{
    process::setpriority_process,
    thread::{Pid, gettid},
};

use crate::wire::{Header, Reply};

/// Of a thread whose work nobody wants: it has 1.5 % of a core that somebody else wants too.
const SUNK: i32 = 19;

/// Utterances that wait at most, of all callers.
const WAITING: usize = 64;

/// One utterance.
pub struct Job {
    pub header: Header,
    pub samples: Vec<f32>,
    /// Set when its caller has gone.
    pub gone: Arc<AtomicBool>,
    /// Has room for the one reply.
    pub reply: SyncSender<Reply>,
}

impl Job {
    pub fn is_cancelled(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }
}

/// Both queues. Each is worked off by a thread of its own: a look that nobody wants any more still keeps its
/// thread until its encoder is done, which nothing interrupts, and nobody is to wait for that.
#[derive(Default)]
pub struct Queues {
    pub finals: Queue,
    pub looks: Queue,
}

impl Queues {
    /// The one for such an utterance.
    pub fn of(&self, header: &Header) -> &Queue {
        match header.partial {
            true => &self.looks,
            false => &self.finals,
        }
    }
}

#[derive(Default)]
pub struct Queue {
    /// Held for a push or a pop.
    waiting: Mutex<VecDeque<Job>>,
    pushed: Condvar,
    /// Held for a look or a change.
    running: Mutex<Option<Running>>,
}

/// What the engine's thread has in work.
struct Running {
    gone: Arc<AtomicBool>,
    thread: Pid,
    /// Its thread has lost its place for good: niceness only grows.
    sunk: bool,
}

impl Queue {
    /// Takes the job in.
    ///
    /// # Errors
    /// The job back, when too many wait.
    pub fn push(&self, job: Job) -> Result<(), Job> {
        let mut waiting = self.lock();
        waiting.retain(|job| !job.is_cancelled());
        if waiting.len() >= WAITING {
            return Err(job);
        }
        waiting.push_back(job);
        drop(waiting);
        self.pushed.notify_one();
        Ok(())
    }

    /// The next one that somebody still waits for.
    pub fn pop(&self) -> Job {
        let mut waiting = self.lock();
        loop {
            waiting.retain(|job| !job.is_cancelled());
            if let Some(job) = waiting.pop_front() {
                *self.running() = Some(Running {
                    gone: Arc::clone(&job.gone),
                    thread: gettid(),
                    sunk: false,
                });
                return job;
            }
            waiting = self
                .pushed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// What was popped last is done. Whether its thread was sunk, and another one has to go on.
    pub fn done(&self) -> bool {
        self.running().take().is_some_and(|running| running.sunk)
    }

    /// Nobody waits for this any more. An encoder at work on it is not interrupted by anything, so that its thread
    /// at least leaves the cores to others.
    pub fn sink(&self, gone: &Arc<AtomicBool>) {
        let mut running = self.running();
        if let Some(running) = running
            .as_mut()
            .filter(|running| Arc::ptr_eq(&running.gone, gone))
        {
            // On Linux niceness is a thread's own.
            running.sunk = setpriority_process(Some(running.thread), SUNK).is_ok();
        }
    }

    fn running(&self) -> MutexGuard<'_, Option<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Job>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn job(name: &str, partial: bool) -> Job {
        Job {
            header: Header {
                partial,
                prompt: Some(name.to_owned()),
                ..Header::default()
            },
            samples: Vec::new(),
            gone: Arc::default(),
            reply: sync_channel(1).0,
        }
    }

    #[test]
    fn looks_wait_elsewhere_and_what_is_cancelled_nowhere() {
        let queues = Queues::default();
        let gone = job("gone", false);
        gone.gone.store(true, Ordering::Relaxed);
        for job in [
            job("look", true),
            gone,
            job("first", false),
            job("second", false),
        ] {
            assert!(queues.of(&job.header).push(job).is_ok());
        }
        let name = |queue: &Queue| queue.pop().header.prompt.unwrap();
        assert_eq!(name(&queues.finals), "first");
        assert_eq!(name(&queues.looks), "look");
        assert_eq!(name(&queues.finals), "second");
    }

    #[test]
    fn what_nobody_waits_for_leaves_the_cores_to_others() {
        let queue = Queue::default();
        let niceness = || rustix::process::getpriority_process(Some(gettid())).unwrap();
        std::thread::scope(|scope| {
            let worker = scope.spawn(|| {
                let (first, second) = (job("first", true), job("second", true));
                let (kept, dropped) = (Arc::clone(&first.gone), Arc::clone(&second.gone));
                assert!(queue.push(first).is_ok() && queue.push(second).is_ok());
                let before = niceness();
                queue.pop();
                queue.sink(&dropped);
                assert_eq!(niceness(), before, "another one is in work");
                assert!(!queue.done());
                queue.sink(&kept);
                assert_eq!(niceness(), before, "it is done already");

                queue.pop();
                queue.sink(&dropped);
                assert_eq!(niceness(), SUNK);
                assert!(queue.done());
            });
            worker.join().unwrap();
        });
    }

    #[test]
    fn it_is_bounded() {
        let queue = Queue::default();
        for _ in 0..WAITING {
            assert!(queue.push(job("one", true)).is_ok());
        }
        assert!(queue.push(job("one more", false)).is_err());
    }
}
