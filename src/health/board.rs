//! What is known about every part, in one place. Parts write to it as things happen to them;
//! `/api/health`, `/readyz` and `griot status` read it, and reading never asks a part.
//!
//! A component may have several parts (two language models in order); each has a [`Slot`].

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use super::incidents::{Action, Incidents};
use crate::domain::Component;

/// How a component does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ComponentState {
    Ok,
    /// It works in part: faults lately, a probe is out, or another part stands in for the first.
    Degraded,
    /// Its process was started and has not said that it is ready.
    Starting,
    Down,
    /// Not wanted.
    Off,
}

/// Whether a component is asked. See [`super::breaker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    Closed,
    Open,
    HalfOpen,
}

/// The daemon as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Overall {
    Ok,
    /// Questions are answered, some of them at a lower level.
    Degraded,
    /// Nothing can be answered: the catalog is lost.
    Down,
}

/// One component, as `/api/health` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ComponentReport {
    pub name: Component,
    pub state: ComponentState,
    pub breaker: BreakerState,
    /// When it came into this state.
    pub since: Timestamp,
    /// Of its last good answer; for a reply that streams, the time to its first token.
    pub latency_ms: Option<u64>,
    /// What is wrong now, and what to do about it where that is known. None while all is well.
    pub last_error: Option<String>,
    /// How often its process was started again.
    pub restarts: u32,
}

/// The body of `/api/health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HealthReport {
    pub status: Overall,
    pub components: Vec<ComponentReport>,
    pub incidents_open: u32,
    pub version: &'static str,
    pub uptime_s: u64,
}

/// The board. One per daemon.
pub struct Board {
    started: Instant,
    /// Never held across an await.
    rows: Mutex<Vec<Row>>,
    incidents: Arc<Incidents>,
    /// Marks every change of a component's state.
    changed: watch::Sender<()>,
}

/// What is known of one part.
struct Row {
    component: Component,
    part: String,
    process: Process,
    breaker: BreakerState,
    /// Closed, but its last answers were not all good.
    suspect: bool,
    since: Timestamp,
    latency: Option<Duration>,
    last_error: Option<String>,
    /// It answers, and says that it cannot do its work (its model is not there).
    unable: bool,
    restarts: u32,
}

/// The process behind a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Process {
    /// None of ours: a library in this process, or a server elsewhere.
    None,
    Starting,
    Running,
    /// It cannot be started: its program or its files are not there. Nothing was lost.
    Missing,
    /// It ended and is started again soon, or late when it keeps ending.
    Ended,
    /// Not wanted.
    Off,
}

impl Row {
    fn state(&self) -> ComponentState {
        match (self.process, self.breaker) {
            (Process::Off, _) => ComponentState::Off,
            (Process::Starting, _) => ComponentState::Starting,
            (Process::Missing | Process::Ended, _)
            | (Process::None | Process::Running, BreakerState::Open) => ComponentState::Down,
            (Process::None | Process::Running, BreakerState::HalfOpen) => ComponentState::Degraded,
            (Process::None | Process::Running, BreakerState::Closed) => {
                if self.unable {
                    ComponentState::Down
                } else if self.suspect {
                    ComponentState::Degraded
                } else {
                    ComponentState::Ok
                }
            }
        }
    }

    /// Whether something that worked, or was asked, does not answer.
    fn is_lost(&self) -> bool {
        match self.process {
            Process::Ended => true,
            Process::None | Process::Running | Process::Starting => {
                self.breaker == BreakerState::Open
            }
            Process::Missing | Process::Off => false,
        }
    }
}

impl Board {
    /// An empty board; the daemon's uptime begins now.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            rows: Mutex::default(),
            incidents: Arc::default(),
            changed: watch::Sender::new(()),
        })
    }

    /// A place for one part of `component`, called `part` in logs and incidents: `embedded`, `edge`,
    /// a server's address. The first part of a component is the preferred one.
    pub fn slot(self: &Arc<Self>, component: Component, part: impl Into<String>) -> Slot {
        let mut rows = self.rows();
        rows.push(Row {
            component,
            part: part.into(),
            process: Process::None,
            breaker: BreakerState::Closed,
            suspect: false,
            since: Timestamp::now(),
            latency: None,
            last_error: None,
            unable: false,
            restarts: 0,
        });
        Slot {
            board: Arc::clone(self),
            index: rows.len() - 1,
            component,
        }
    }

    /// A component that is not wanted: nothing counts it as missing.
    pub fn off(self: &Arc<Self>, component: Component) {
        let slot = self.slot(component, "off");
        slot.update(|row| row.process = Process::Off);
    }

    fn rows(&self) -> MutexGuard<'_, Vec<Row>> {
        // Each update is complete in itself, so the rows are valid after a panic elsewhere.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything, as of now.
    #[must_use]
    pub fn report(&self) -> HealthReport {
        let components = self.components();
        HealthReport {
            status: overall(&components),
            components,
            incidents_open: self.incidents.open_count(),
            version: env!("CARGO_PKG_VERSION"),
            uptime_s: self.started.elapsed().as_secs(),
        }
    }

    /// Changes whenever the state of a part does. A receiver sees changes from its making on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// How one component does. None when the board has no place for it.
    #[must_use]
    pub fn state(&self, component: Component) -> Option<ComponentState> {
        let components = self.components();
        let found = components.iter().find(|report| report.name == component)?;
        Some(found.state)
    }

    fn components(&self) -> Vec<ComponentReport> {
        let rows = self.rows();
        let mut names: Vec<Component> = rows.iter().map(|row| row.component).collect();
        names.sort_unstable();
        names.dedup();
        names
            .into_iter()
            .filter_map(|name| {
                let parts: Vec<&Row> = rows.iter().filter(|row| row.component == name).collect();
                summary(name, &parts)
            })
            .collect()
    }

    /// Whether questions can be taken. A part that is down does not prevent it, the answer is then
    /// given at a lower level; one that is still starting does, and so does a lost catalog.
    ///
    /// # Errors
    /// The components that are waited for.
    pub fn ready(&self) -> Result<(), Vec<Component>> {
        let waited_for: Vec<Component> = self
            .components()
            .iter()
            .filter(|report| {
                report.state == ComponentState::Starting
                    || (report.name == Component::Catalog && report.state == ComponentState::Down)
            })
            .map(|report| report.name)
            .collect();
        if waited_for.is_empty() {
            Ok(())
        } else {
            Err(waited_for)
        }
    }

    /// Counts an answer that was given without `components` towards their open incidents.
    pub fn answered_without(&self, components: &[Component]) {
        let rows = self.rows();
        for (slot, row) in rows.iter().enumerate() {
            if components.contains(&row.component) {
                self.incidents.degraded_answer(slot);
            }
        }
    }

    /// What was lost in this run.
    #[must_use]
    pub fn incidents(&self) -> &Arc<Incidents> {
        &self.incidents
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Board")
            .field("report", &self.report())
            .finish_non_exhaustive()
    }
}

/// One component out of its parts: as good as the best of them, but degraded when that is not the
/// first. None when there are no parts.
fn summary(name: Component, parts: &[&Row]) -> Option<ComponentReport> {
    let first = parts.first()?;
    let best = parts.iter().min_by_key(|row| row.state())?;
    let stands_in = best.state() == ComponentState::Ok && first.state() > ComponentState::Ok;
    let (state, since) = if stands_in {
        (ComponentState::Degraded, first.since)
    } else {
        (best.state(), best.since)
    };
    let error = |row: &&Row| {
        // A fault that did not count (its call began before the last rest) may be left behind.
        let error = row
            .last_error
            .as_ref()
            .filter(|_| row.state() != ComponentState::Ok)?;
        Some(if parts.len() == 1 {
            error.clone()
        } else {
            format!("{}: {error}", row.part)
        })
    };
    Some(ComponentReport {
        name,
        state,
        breaker: best.breaker,
        since,
        latency_ms: best.latency.map(|latency| latency.as_millis() as u64),
        last_error: parts.iter().find_map(error),
        restarts: parts.iter().map(|row| row.restarts).sum(),
    })
}

fn overall(components: &[ComponentReport]) -> Overall {
    let is = |report: &ComponentReport, state| report.state == state;
    if components
        .iter()
        .any(|report| report.name == Component::Catalog && is(report, ComponentState::Down))
    {
        Overall::Down
    } else if components
        .iter()
        .all(|report| is(report, ComponentState::Ok) || is(report, ComponentState::Off))
    {
        Overall::Ok
    } else {
        Overall::Degraded
    }
}

/// One part's place on the board: where whatever watches the part writes down what it sees.
#[derive(Clone)]
pub struct Slot {
    board: Arc<Board>,
    index: usize,
    component: Component,
}

impl Slot {
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
    fn update(&self, change: impl FnOnce(&mut Row)) {
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

    /// A call ended well, in so long.
    pub(super) fn answered(&self, latency: Duration) {
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
    pub(super) fn glanced(&self, able: Result<(), &str>) {
        self.update(|row| {
            row.unable = able.is_err();
            if let Err(reason) = able {
                row.last_error = Some(reason.to_owned());
            }
        });
    }

    /// A call ended badly.
    pub(super) fn faulted(&self, error: &str) {
        self.update(|row| {
            // That its process is not there says more than that it could not be reached.
            if matches!(row.process, Process::None | Process::Running) {
                row.last_error = Some(error.to_owned());
            }
        });
    }

    /// The breaker stands so now.
    pub(super) fn breaker(&self, breaker: BreakerState, suspect: bool) {
        let mut opened = false;
        self.update(|row| {
            opened = breaker == BreakerState::Open && row.breaker != BreakerState::Open;
            row.breaker = breaker;
            row.suspect = suspect;
        });
        if opened {
            self.board.incidents.acted(self.index, Action::Rest);
        }
    }

    /// The process was started and has not said yet that it is ready.
    pub(super) fn starting(&self) {
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
    pub(super) fn running(&self) {
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
    pub(super) fn ended(&self, cause: &str) {
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
