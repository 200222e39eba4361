//! The thread that looks at what is being said, and one that has lost its place. Nothing interrupts an encoder at
//! work: a look that nobody wants any more would keep a core from the words that are wanted instead, and the next
//! look waiting. So its thread gives way to everybody, for good (nobody may lower a niceness), and a fresh one takes
//! over from it.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use rustix::{
    process::setpriority_process,
    thread::{Pid, gettid},
};

/// Of looks: what counts goes first. No more than that: a look may decide whether an answer goes on, beside a
/// language model that takes all cores.
const NICENESS: i32 = 5;
/// Of a look that nobody wants: it gets 1.5 % of a core that somebody else wants too.
const SUNK: i32 = 19;
/// Threads that have lost their place and are not done yet, at most: each holds a hundred megabytes of buffers.
const MOST: usize = 1;

/// Where one utterance is, for whoever waits for it and whoever works on it.
#[derive(Debug, Default)]
pub struct Ticket {
    gone: AtomicBool,
    /// Held for a look or a change, and while its thread is replaced.
    work: Mutex<Work>,
}

#[derive(Debug, Default)]
enum Work {
    #[default]
    None,
    On(Pid),
    /// Its thread has lost its place.
    Sunk,
}

impl Ticket {
    /// Its caller has gone.
    pub fn leave(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    pub fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    /// This thread works on it.
    pub fn begin(&self) {
        *self.work() = Work::On(gettid());
    }

    /// This thread is done with it. Whether it has lost its place, and another one goes on.
    pub fn end(&self) -> bool {
        matches!(std::mem::take(&mut *self.work()), Work::Sunk)
    }

    fn work(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One thread at the queue, always.
pub struct Crew {
    /// Works off the queue until its thread has lost its place.
    serve: Box<dyn Fn() + Send + Sync>,
    sunk: AtomicUsize,
}

impl Crew {
    /// Nobody works yet.
    pub fn new(serve: impl Fn() + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            serve: Box::new(serve),
            sunk: AtomicUsize::new(0),
        })
    }

    /// Puts a thread at the queue.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn hire(self: &Arc<Self>) -> io::Result<()> {
        let crew = Arc::clone(self);
        let work = move || {
            // On Linux niceness is a thread's own. Without it they are only less polite.
            let _ = rustix::process::nice(NICENESS);
            (crew.serve)();
            crew.sunk.fetch_sub(1, Ordering::Relaxed);
        };
        thread::Builder::new()
            .name("look".to_owned())
            .spawn(work)
            .map(drop)
    }

    /// Nobody wants what is being worked on any more: its thread leaves the core to others, and the queue to another
    /// one. Nothing happens where it waits or is done, nor while there is one such thread already.
    pub fn give_way(self: &Arc<Self>, ticket: &Ticket) {
        let mut work = ticket.work();
        let Work::On(thread) = *work else {
            return;
        };
        let place = (self.sunk).fetch_update(Ordering::Relaxed, Ordering::Relaxed, |sunk| {
            (sunk < MOST).then_some(sunk + 1)
        });
        if place.is_err() {
            return;
        }
        if let Err(error) = self.hire() {
            eprintln!("griot-stt: a look that nobody wants keeps its place: {error}");
            self.sunk.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let _ = setpriority_process(Some(thread), SUNK);
        *work = Work::Sunk;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use rustix::process::getpriority_process;

    use super::*;

    /// A crew whose work lasts as long as somebody says.
    struct Bench {
        crew: Arc<Crew>,
        jobs: SyncSender<Arc<Ticket>>,
        begun: Receiver<Pid>,
        go_on: SyncSender<()>,
    }

    fn bench() -> Bench {
        let (jobs, todo) = sync_channel::<Arc<Ticket>>(1);
        let (begins, begun) = sync_channel(1);
        let (go_on, may_end) = sync_channel(2);
        let (todo, may_end) = (Mutex::new(todo), Mutex::new(may_end));
        let crew = Crew::new(move || {
            loop {
                let Ok(ticket) = todo.lock().unwrap().recv() else {
                    return;
                };
                ticket.begin();
                begins.send(gettid()).unwrap();
                // Whoever comes first: the threads differ in nothing else.
                may_end.lock().unwrap().recv().unwrap();
                if ticket.end() {
                    return;
                }
            }
        });
        crew.hire().unwrap();
        Bench {
            crew,
            jobs,
            begun,
            go_on,
        }
    }

    impl Bench {
        fn begin(&self) -> (Arc<Ticket>, Pid) {
            let ticket = Arc::new(Ticket::default());
            self.jobs.send(Arc::clone(&ticket)).unwrap();
            (ticket, self.begun.recv().unwrap())
        }
    }

    #[test]
    fn what_nobody_wants_holds_nothing_up() {
        let bench = bench();
        let niceness = |thread| getpriority_process(Some(thread)).unwrap();
        let here = niceness(gettid());
        let (unwanted, first) = bench.begin();
        assert_eq!(niceness(first), (here + NICENESS).min(19));
        bench.crew.give_way(&unwanted);
        assert_eq!(niceness(first), SUNK);

        // The next is begun while that is at work, by a thread in its old place.
        let (also_unwanted, second) = bench.begin();
        assert_ne!(first, second);
        assert_eq!(niceness(second), (here + NICENESS).min(19));
        // One at a time: this one keeps its place.
        bench.crew.give_way(&also_unwanted);
        assert_eq!(niceness(second), (here + NICENESS).min(19));
        bench.go_on.send(()).unwrap();
        bench.go_on.send(()).unwrap();
        let (_, third) = bench.begin();
        assert_eq!(third, second);
        bench.go_on.send(()).unwrap();
    }

    #[test]
    fn what_waits_or_is_done_is_left_alone() {
        let bench = bench();
        bench.crew.give_way(&Ticket::default());
        let (done, first) = bench.begin();
        bench.go_on.send(()).unwrap();
        let (_, again) = bench.begin();
        assert_eq!(first, again);
        bench.crew.give_way(&done);
        bench.go_on.send(()).unwrap();
        assert_eq!(bench.begin().1, first);
        bench.go_on.send(()).unwrap();
    }
}
