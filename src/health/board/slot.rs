//! Where whatever watches a part writes down what it sees.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::{
    super::{breaker::Hold, gate::Gate, incidents::Action},
    Board, BreakerState, ComponentState,
    row::{Process, Row},
};
use crate::domain::Component;

/// One part's place on the board.
#[derive(Clone)]
pub struct Slot {
    board: Arc<Board>,
    index: usize,
    component: Component,
    restart: Arc<Restart>,
}

/// A wish that the part's process be started anew, on its way to whoever keeps it running.
#[derive(Default)]
struct Restart {
    /// Never held across an await.
    why: Mutex<Option<String>>,
    asked: Notify,
}

impl Slot {
    pub(super) fn new(board: Arc<Board>, index: usize, component: Component) -> Self {
        Self {
            board,
            index,
            component,
            restart: Arc::default(),
        }
    }

    /// The component that the part belongs to.
    #[must_use]
    pub fn component(&self) -> Component {
        self.component
    }

    /// The part's name.
    #[must_use]
    pub fn part(&self) -> String {
        self.board.rows()[self.index].part.clone()
    }

    /// Changes the row, then opens or closes its incident as the row now stands.
    pub(super) fn update(&self, change: impl FnOnce(&mut Row)) {
        let mut rows = self.board.rows();
        let row = &mut rows[self.index];
        let before = row.state();
        change(row);
        let after = row.state();
        if after != before {
            row.since = Timestamp::now();
        }
        if after == ComponentState::Ok && before != after {
            row.last_error = None;
        }
        if after != before {
            metrics::counter!(
                "griot_part_transitions_total",
                "component" => row.component.as_str(),
                "to" => after.as_str()
            )
            .increment(1);
        }
        // Under the lock, so that incidents open and close in the order in which the states came.
        if row.is_lost() {
            let cause = row.last_error.as_deref().unwrap_or("no cause is known");
            self.board
                .incidents
                .open(self.index, row.component, &row.part, cause);
        } else if matches!(after, ComponentState::Ok | ComponentState::Off) {
            self.board.incidents.close(self.index);
        }
        drop(rows);
        if after != before {
            self.board.changed.send_replace(());
        }
    }

    /// An operator may hold its breaker.
    pub(in crate::health) fn operated_by(&self, gate: &Arc<Gate>) {
        self.update(|row| row.gate = Arc::downgrade(gate));
    }

    /// Asks whoever keeps its process running to end it and start it anew.
    pub(in crate::health) fn ask_for_restart(&self, why: &str) {
        *self
            .restart
            .why
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(why.to_owned());
        self.restart.asked.notify_one();
    }

    /// A process was started: whatever was wished for was meant for the one before.
    pub(in crate::health) fn is_fresh(&self) {
        let why = &self.restart.why;
        *why.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Waits until somebody asks for a restart, and says why.
    pub(in crate::health) async fn restart_asked(&self) -> String {
        loop {
            let why = self
                .restart
                .why
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            if let Some(why) = why {
                return why;
            }
            self.restart.asked.notified().await;
        }
    }

    /// What its process wrote last, for the incident.
    pub(in crate::health) fn said(&self, lines: &[String]) {
        self.board.incidents.said(self.index, lines);
    }

    /// A caller was told that it rests.
    pub(in crate::health) fn rejected(&self) {
        metrics::counter!("griot_breaker_rejections_total", "component" => self.component.as_str())
            .increment(1);
    }

    fn counted(&self, outcome: &'static str) {
        metrics::counter!(
            "griot_part_calls_total",
            "component" => self.component.as_str(),
            "outcome" => outcome
        )
        .increment(1);
    }

    /// A call ended well, in so long.
    pub(in crate::health) fn answered(&self, latency: Duration) {
        self.counted("answered");
        metrics::histogram!(
            "griot_part_call_duration_seconds",
            "component" => self.component.as_str()
        )
        .record(latency);
        self.update(|row| {
            row.latency = Some(latency);
            row.unable = false;
            // It was not wanted because something was missing, which has come since.
            if row.process == Process::Off {
                row.process = Process::None;
            }
        });
    }

    /// It answered a probe's glance: that it can do its work, or why it cannot.
    pub(in crate::health) fn glanced(&self, able: Result<(), &str>) {
        self.update(|row| {
            row.unable = able.is_err();
            if let Err(reason) = able {
                row.last_error = Some(reason.to_owned());
            }
        });
    }

    /// Whether it said last that it cannot do its work.
    pub(in crate::health) fn is_unable(&self) -> bool {
        self.board.rows()[self.index].unable
    }

    /// A call ended badly.
    pub(in crate::health) fn faulted(&self, error: &str) {
        self.counted("faulted");
        self.board.traffic().faulted(Instant::now());
        self.update(|row| {
            // That its process is not there says more than that it could not be reached.
            if matches!(row.process, Process::None | Process::Running) {
                row.last_error = Some(error.to_owned());
            }
        });
    }

    /// The breaker stands so now.
    pub(in crate::health) fn breaker(
        &self,
        breaker: BreakerState,
        suspect: bool,
        held: Option<Hold>,
    ) {
        let mut before = breaker;
        self.update(|row| {
            before = row.breaker;
            row.breaker = breaker;
            row.suspect = suspect;
            row.held = held.is_some();
        });
        if before == breaker {
            return;
        }
        metrics::counter!(
            "griot_breaker_transitions_total",
            "component" => self.component.as_str(),
            "to" => breaker.as_str()
        )
        .increment(1);
        if breaker == BreakerState::Open {
            self.board.incidents.acted(self.index, Action::Rest);
        }
    }

    /// The process was started and has not said yet that it is ready.
    pub(in crate::health) fn starting(&self) {
        let mut again = false;
        self.update(|row| {
            again = row.process == Process::Ended;
            row.process = Process::Starting;
            row.restarts += u32::from(again);
        });
        if again {
            self.board.incidents.acted(self.index, Action::Restart);
        }
    }

    /// The process said that it is ready.
    pub(in crate::health) fn running(&self) {
        self.update(|row| row.process = Process::Running);
    }

    /// The process cannot be started; `what_to_do` is for the person who reads the board.
    pub fn missing(&self, what_to_do: &str) {
        self.update(|row| {
            row.process = Process::Missing;
            row.last_error = Some(what_to_do.to_owned());
        });
    }

    /// It is not there and need not be: nothing counts it as missing. `what_to_do` is for who wants it.
    pub fn unwanted(&self, what_to_do: &str) {
        self.update(|row| {
            row.process = Process::Off;
            row.last_error = Some(what_to_do.to_owned());
        });
    }

    /// The process ended, or never became ready.
    pub(in crate::health) fn ended(&self, cause: &str) {
        self.update(|row| {
            row.process = Process::Ended;
            row.last_error = Some(cause.to_owned());
        });
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({}, {})", self.component, self.part())
    }
}
