//! What was lost, kept in memory and written down by a journal.
//!
//! The log takes every change at once and never waits: whoever notices a loss may be in the middle of
//! a question. The journal writes what changed since it last looked, so an incident that changes ten
//! times while the disk is slow is written once.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::Notify;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use crate::domain::{Incident, IncidentEvent, IncidentEventKind, IncidentId};
use crate::{
    catalog::{Catalog, CatalogError},
    domain::Component,
};

/// Closed incidents kept in memory, and unwritten ones kept for the journal.
const KEPT: usize = 256;

/// Events of an incident that are kept: these of its beginning, and as many of its latest.
const FIRST_EVENTS: usize = 10;

/// The journal tries again after this long when writing failed.
const WRITE_AGAIN: Duration = Duration::from_secs(10);

/// The log of incidents of this run.
#[derive(Default)]
pub struct Incidents {
    /// Never held across an await.
    log: Mutex<Log>,
    /// Wakes the journal.
    changed: Notify,
}

#[derive(Default)]
struct Log {
    /// By the slot of the board that has the loss: one at a time each.
    open: HashMap<usize, Ongoing>,
    /// Oldest first.
    closed: VecDeque<Incident>,
    unwritten: BTreeMap<IncidentId, Incident>,
}

struct Ongoing {
    incident: Incident,
    rests: u32,
    restarts: u32,
}

impl Ongoing {
    /// Notes what was seen or done, unless that is what was noted last.
    fn note(&mut self, kind: IncidentEventKind, text: &str) {
        let events = &mut self.incident.events;
        if events
            .last()
            .is_some_and(|last| last.kind == kind && last.text == text)
        {
            return;
        }
        if events.len() == 2 * FIRST_EVENTS {
            events.remove(FIRST_EVENTS);
        }
        events.push(IncidentEvent {
            at: Timestamp::now(),
            kind,
            text: text.to_owned(),
        });
    }

    /// What was done about it, in a sentence.
    fn describe_action(&mut self) {
        let times = |n: u32| {
            if n == 1 {
                "once".to_owned()
            } else {
                format!("{n} times")
            }
        };
        let mut done = Vec::new();
        if self.restarts > 0 {
            done.push(format!("restarted {}", times(self.restarts)));
        }
        if self.rests > 0 {
            done.push(format!(
                "given a rest {} and probed after it",
                times(self.rests)
            ));
        }
        self.incident.action = if done.is_empty() {
            "none yet".to_owned()
        } else {
            done.join(", ")
        };
    }
}

/// Something that was done about a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Its breaker opened: it is left alone for a while, then probed.
    Rest,
    /// Its process was started again.
    Restart,
}

impl Incidents {
    fn log(&self) -> MutexGuard<'_, Log> {
        // A panic elsewhere must not take health reporting down with it; the log is valid after
        // every statement.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens one for the slot, or notes the cause in the one that is open there.
    pub(super) fn open(&self, slot: usize, component: Component, part: &str, cause: &str) {
        let mut log = self.log();
        if let Some(ongoing) = log.open.get_mut(&slot) {
            let known = ongoing.incident.events.iter();
            if known
                .filter(|event| event.kind == IncidentEventKind::Cause)
                .all(|event| event.text != cause)
            {
                ongoing.note(IncidentEventKind::Cause, cause);
                let incident = ongoing.incident.clone();
                log.unwritten.insert(incident.id, incident);
                drop(log);
                self.changed.notify_one();
            }
            return;
        }
        let mut ongoing = Ongoing {
            incident: Incident {
                id: IncidentId::new(),
                component,
                part: part.to_owned(),
                opened: Timestamp::now(),
                closed: None,
                cause: cause.to_owned(),
                action: String::new(),
                degraded_answers: 0,
                events: Vec::new(),
            },
            rests: 0,
            restarts: 0,
        };
        ongoing.describe_action();
        ongoing.note(IncidentEventKind::Cause, cause);
        tracing::warn!(
            incident = %ongoing.incident.id, %component, part, cause,
            "{component} ({part}) was lost: {cause}"
        );
        log.unwritten
            .insert(ongoing.incident.id, ongoing.incident.clone());
        log.open.insert(slot, ongoing);
        drop(log);
        self.changed.notify_one();
    }

    /// Notes what was done about the slot's incident, if one is open.
    pub(super) fn acted(&self, slot: usize, action: Action) {
        self.change(slot, |ongoing| {
            match action {
                Action::Rest => {
                    ongoing.rests += 1;
                    ongoing.note(IncidentEventKind::Action, "given a rest");
                }
                Action::Restart => {
                    ongoing.restarts += 1;
                    ongoing.note(IncidentEventKind::Action, "started again");
                }
            }
            ongoing.describe_action();
        });
    }

    /// Notes what the slot's process wrote last.
    pub(super) fn said(&self, slot: usize, lines: &[String]) {
        self.change(slot, |ongoing| {
            for line in lines {
                ongoing.note(IncidentEventKind::Output, line);
            }
        });
    }

    /// Counts an answer that was given at a lower level because of the slot's loss.
    pub(super) fn degraded_answer(&self, slot: usize) {
        self.change(slot, |ongoing| ongoing.incident.degraded_answers += 1);
    }

    fn change(&self, slot: usize, change: impl FnOnce(&mut Ongoing)) {
        let mut log = self.log();
        let log = &mut *log;
        if let Some(ongoing) = log.open.get_mut(&slot) {
            change(ongoing);
            log.unwritten
                .insert(ongoing.incident.id, ongoing.incident.clone());
            while log.unwritten.len() > KEPT {
                log.unwritten.pop_first();
            }
            self.changed.notify_one();
        }
    }

    /// Closes the slot's incident, if one is open.
    pub(super) fn close(&self, slot: usize) {
        let mut log = self.log();
        let Some(mut ongoing) = log.open.remove(&slot) else {
            return;
        };
        ongoing.incident.closed = Some(Timestamp::now());
        let incident = ongoing.incident;
        let lasted = incident.lasted().unwrap_or_default();
        tracing::info!(
            incident = %incident.id, component = %incident.component, part = incident.part,
            cause = incident.cause, action = incident.action,
            degraded_answers = incident.degraded_answers, lasted_ms = lasted.as_millis(),
            "{} ({}) is back after {lasted:.1?}; it was lost because {}",
            incident.component, incident.part, incident.cause
        );
        log.unwritten.insert(incident.id, incident.clone());
        while log.unwritten.len() > KEPT {
            log.unwritten.pop_first();
        }
        if log.closed.len() == KEPT {
            log.closed.pop_front();
        }
        log.closed.push_back(incident);
        drop(log);
        self.changed.notify_one();
    }

    /// How many last.
    pub fn open_count(&self) -> u32 {
        u32::try_from(self.log().open.len()).unwrap_or(u32::MAX)
    }

    /// Those of this run, newest first. Those of earlier runs are in the catalog.
    pub fn recent(&self) -> Vec<Incident> {
        let log = self.log();
        let mut all: Vec<Incident> = log
            .open
            .values()
            .map(|ongoing| ongoing.incident.clone())
            .chain(log.closed.iter().cloned())
            .collect();
        all.sort_by_key(|incident| std::cmp::Reverse(incident.id));
        all
    }

    /// Keeps every change in the catalog, until cancelled and the last change is written. Incidents
    /// that an earlier run left open are closed there first: that run ended without saying so.
    ///
    /// # Errors
    /// When those cannot be closed for another reason than a full disk. Later failures are logged and
    /// tried again.
    pub async fn keep_in(
        self: &Arc<Self>,
        catalog: Arc<Catalog>,
        tracker: &TaskTracker,
        cancel: CancellationToken,
    ) -> Result<(), CatalogError> {
        let closed = match close_stale(&catalog).await {
            Ok(()) => true,
            // Questions are answered from a full disk; it is done before the first incident is written.
            Err(CatalogError::DiskFull) => {
                tracing::warn!("the disk is full: incidents of an earlier run stay open for now");
                false
            }
            Err(error) => return Err(error),
        };
        let closed = Arc::new(AtomicBool::new(closed));
        let write = move |batch: Vec<Incident>| {
            let (catalog, closed) = (Arc::clone(&catalog), Arc::clone(&closed));
            async move {
                if !closed.load(Ordering::Relaxed) {
                    close_stale(&catalog).await?;
                    closed.store(true, Ordering::Relaxed);
                }
                catalog
                    .call(move |catalog| {
                        batch
                            .iter()
                            .try_for_each(|incident| catalog.save_incident(incident))
                    })
                    .await
            }
        };
        self.journal(write, tracker, cancel);
        Ok(())
    }

    /// Hands every change to `write`, until cancelled and the last change is written. `write` is
    /// given incidents as they stand now, to be inserted or replaced by id; when it fails, the same
    /// ones are given again later.
    pub fn journal<W, F, E>(
        self: &Arc<Self>,
        write: W,
        tracker: &TaskTracker,
        cancel: CancellationToken,
    ) where
        W: Fn(Vec<Incident>) -> F + Send + Sync + 'static,
        F: Future<Output = Result<(), E>> + Send,
        E: std::error::Error + Send,
    {
        let incidents = Arc::clone(self);
        tracker.spawn(async move {
            loop {
                // Looked at before the writing: a change during the last write is written too.
                let last = cancel.is_cancelled();
                let failed = incidents.write_down(&write).await;
                if last {
                    return;
                }
                let again = async {
                    if failed {
                        tokio::time::sleep(WRITE_AGAIN).await;
                    } else {
                        std::future::pending::<()>().await;
                    }
                };
                tokio::select! {
                    () = incidents.changed.notified() => {}
                    () = again => {}
                    () = cancel.cancelled() => {}
                }
            }
        });
    }

    /// Writes what is unwritten. Whether that failed.
    async fn write_down<W, F, E>(&self, write: &W) -> bool
    where
        W: Fn(Vec<Incident>) -> F,
        F: Future<Output = Result<(), E>>,
        E: std::error::Error,
    {
        let batch = std::mem::take(&mut self.log().unwritten);
        if batch.is_empty() {
            return false;
        }
        let Err(error) = write(batch.values().cloned().collect()).await else {
            return false;
        };
        tracing::warn!(%error, count = batch.len(), "incidents could not be written; they are tried again");
        let mut log = self.log();
        for (id, incident) in batch {
            // What changed meanwhile is newer.
            log.unwritten.entry(id).or_insert(incident);
        }
        while log.unwritten.len() > KEPT {
            log.unwritten.pop_first();
        }
        true
    }
}

/// Closes what a run that broke off left open.
async fn close_stale(catalog: &Arc<Catalog>) -> Result<(), CatalogError> {
    let stale = catalog.call(Catalog::close_stale_incidents).await?;
    if stale > 0 {
        tracing::info!(stale, "incidents of an earlier run were closed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_full_disk_does_not_keep_the_daemon_from_starting() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Arc::new(Catalog::open(&folder.path().join("catalog.sqlite")).unwrap());
        // Rows of every length about a page's: to be closed makes some longer than that.
        for length in (3500..4100).step_by(8) {
            let stale = Incident {
                id: IncidentId::new(),
                component: Component::Embedder,
                part: "local".to_owned(),
                opened: Timestamp::now(),
                closed: None,
                cause: "x".repeat(length),
                action: String::new(),
                degraded_answers: 0,
                events: Vec::new(),
            };
            catalog.save_incident(&stale).unwrap();
        }
        catalog.limit_pages(0);
        assert!(matches!(
            catalog.close_stale_incidents(),
            Err(CatalogError::DiskFull)
        ));
        let incidents = Arc::new(Incidents::default());
        let (tracker, cancel) = (TaskTracker::new(), CancellationToken::new());
        incidents
            .keep_in(Arc::clone(&catalog), &tracker, cancel.clone())
            .await
            .unwrap();

        // There is room again when the next one is written.
        catalog.limit_pages(1000);
        incidents.open(0, Component::Disk, "library", "only 3 MiB are free");
        cancel.cancel();
        tracker.close();
        tracker.wait().await;
        let all = catalog.incidents(1000).unwrap();
        let open: Vec<&str> = all
            .iter()
            .filter(|incident| incident.closed.is_none())
            .map(|incident| incident.part.as_str())
            .collect();
        assert_eq!(open, ["library"]);
    }
}
