//! The daemon's own tasks that live as long as it does: one that panics is begun anew, and one that gets no
//! further is found out. It does not know what they do, and not whom to tell.

use std::{
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use futures::FutureExt;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Before a task that panicked is begun anew for the first time; each further wait is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(15);

/// One that ran for so long counts as healthy: its next panic begins anew with [`FIRST_WAIT`].
const HEALTHY: Duration = Duration::from_secs(60);

/// The pulses of all tasks. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Tasks(Arc<Mutex<Vec<Weak<Beat>>>>);

/// One task's pulse: when it began what it is at. Dropped with its task.
#[derive(Debug)]
pub struct Pulse(Arc<Beat>);

#[derive(Debug)]
struct Beat {
    task: &'static str,
    /// A piece of its work takes no longer than this.
    limit: Duration,
    /// None while it waits for something to do, for however long. Never held across an await.
    at_work_since: Mutex<Option<Instant>>,
}

/// A task that should have got further by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Late {
    pub task: &'static str,
    /// Since when it is at the same piece of work.
    pub at_it_for: Duration,
}

impl Tasks {
    /// A pulse for `task`, which is late when a piece of work takes longer than `limit`: longer than all
    /// the deadlines inside it together.
    #[must_use]
    pub fn pulse(&self, task: &'static str, limit: Duration) -> Pulse {
        let beat = Arc::new(Beat {
            task,
            limit,
            at_work_since: Mutex::new(None),
        });
        let mut all = lock(&self.0);
        all.retain(|other| other.strong_count() > 0);
        all.push(Arc::downgrade(&beat));
        Pulse(beat)
    }

    /// Those that should have got further, the longest first.
    #[must_use]
    pub fn late(&self) -> Vec<Late> {
        let now = Instant::now();
        let mut late: Vec<Late> = lock(&self.0)
            .iter()
            .filter_map(|beat| {
                let beat = beat.upgrade()?;
                let at_it_for = now.saturating_duration_since((*lock(&beat.at_work_since))?);
                (at_it_for > beat.limit).then_some(Late {
                    task: beat.task,
                    at_it_for,
                })
            })
            .collect();
        late.sort_by_key(|late| std::cmp::Reverse(late.at_it_for));
        late
    }
}

impl Pulse {
    /// Runs a piece of work. Dropping the future ends it as well.
    pub async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let working = self.begin();
        let done = work.await;
        drop(working);
        done
    }

    /// Begins a piece of work, which ends when the value is dropped.
    pub fn begin(&self) -> Working<'_> {
        *lock(&self.0.at_work_since) = Some(Instant::now());
        Working(self)
    }
}

/// A piece of work under way.
#[derive(Debug)]
#[must_use = "the work ends when it is dropped"]
pub struct Working<'a>(&'a Pulse);

impl Working<'_> {
    /// It got further: the time begins anew.
    pub fn goes_on(&self) {
        *lock(&self.0.0.at_work_since) = Some(Instant::now());
    }
}

impl Drop for Working<'_> {
    fn drop(&mut self) {
        *lock(&self.0.0.at_work_since) = None;
    }
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    // Valid after every statement, so a panic elsewhere is of no concern.
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs what `make` makes until it ends by itself or `cancel` comes, and makes it anew when it panics. What
/// it held is lost with it, so it should begin with a look at what is there.
pub async fn kept_running<F: Future<Output = ()>>(
    task: &'static str,
    cancel: &CancellationToken,
    make: impl Fn() -> F,
) {
    let mut wait = FIRST_WAIT;
    loop {
        let began = Instant::now();
        // Nothing of it is looked at again after a panic.
        if AssertUnwindSafe(make()).catch_unwind().await.is_ok() || cancel.is_cancelled() {
            return;
        }
        if began.elapsed() >= HEALTHY {
            wait = FIRST_WAIT;
        }
        metrics::counter!("griot_task_restarts_total", "task" => task).increment(1);
        tracing::error!(
            task,
            wait_ms = wait.as_millis(),
            "{task} broke off, a fault of this program; it begins anew in {wait:.1?}"
        );
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = cancel.cancelled() => return,
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn late(tasks: &Tasks) -> Vec<(&'static str, u64)> {
        let late = tasks.late().into_iter();
        late.map(|late| (late.task, late.at_it_for.as_secs()))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn who_gets_no_further_is_late_and_who_waits_is_not() {
        let tasks = Tasks::default();
        let (busy, idle) = (tasks.pulse("busy", LIMIT), tasks.pulse("idle", LIMIT));
        idle.during(async {}).await;
        let work = busy.begin();
        tokio::time::advance(LIMIT).await;
        assert_eq!(late(&tasks), []);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(late(&tasks), [("busy", 61)]);
        work.goes_on();
        assert_eq!(late(&tasks), []);
        let other = idle.begin();
        tokio::time::advance(LIMIT * 2).await;
        work.goes_on();
        tokio::time::advance(LIMIT * 2).await;
        assert_eq!(late(&tasks), [("idle", 240), ("busy", 120)]);
        drop((work, other));
        assert_eq!(late(&tasks), []);
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_dropped_and_a_task_that_is_gone_are_not_late() {
        let tasks = Tasks::default();
        let pulse = tasks.pulse("cancelled", LIMIT);
        let never = pulse.during(std::future::pending::<()>());
        assert!(tokio::time::timeout(LIMIT * 2, never).await.is_err());
        assert_eq!(late(&tasks), []);
        let gone = tasks.pulse("gone", LIMIT);
        std::mem::forget(gone.begin());
        tokio::time::advance(LIMIT * 2).await;
        assert_eq!(late(&tasks), [("gone", 120)]);
        drop(gone);
        assert_eq!(late(&tasks), []);
        let _other = tasks.pulse("other", LIMIT);
        assert_eq!(lock(&tasks.0).len(), 2, "what is gone is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_panics_begins_anew_after_longer_waits() {
        let (begun, cancel) = (AtomicUsize::new(0), CancellationToken::new());
        let before = Instant::now();
        kept_running("test", &cancel, || async {
            let time = begun.fetch_add(1, Ordering::SeqCst);
            assert!(time >= 4, "a fault of this test's, {time}");
        })
        .await;
        assert_eq!(begun.load(Ordering::SeqCst), 5);
        assert_eq!(
            before.elapsed(),
            Duration::from_millis(250 + 500 + 1000 + 2000)
        );

        begun.store(0, Ordering::SeqCst);
        let stopping = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            cancel.cancel();
        };
        let kept = kept_running("test", &cancel, || async {
            begun.fetch_add(1, Ordering::SeqCst);
            panic!("again");
        });
        tokio::join!(kept, stopping);
        assert_eq!(
            begun.load(Ordering::SeqCst),
            2,
            "not begun anew once it is to stop"
        );
    }
}
