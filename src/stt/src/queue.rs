//! What waits for the engine, the oldest first: what counts here, looks there.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc::SyncSender},
};

use crate::{
    crew::Ticket,
    wire::{Header, Reply},
};

/// Utterances that wait at most, of all callers.
const WAITING: usize = 64;

/// One utterance.
pub struct Job {
    pub header: Header,
    pub samples: Vec<f32>,
    pub ticket: Arc<Ticket>,
    /// Has room for the one reply.
    pub reply: SyncSender<Reply>,
}

impl Job {
    pub fn is_cancelled(&self) -> bool {
        self.ticket.is_gone()
    }
}

/// Both queues. Each is worked off by a thread of its own: what counts does not wait for looks.
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
                return job;
            }
            waiting = self
                .pushed
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
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
            ticket: Arc::default(),
            reply: sync_channel(1).0,
        }
    }

    #[test]
    fn looks_wait_elsewhere_and_what_is_cancelled_nowhere() {
        let queues = Queues::default();
        let gone = job("gone", false);
        gone.ticket.leave();
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
    fn it_is_bounded() {
        let queue = Queue::default();
        for _ in 0..WAITING {
            assert!(queue.push(job("one", true)).is_ok());
        }
        assert!(queue.push(job("one more", false)).is_err());
    }
}
