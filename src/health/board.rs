//! What is known about every part, in one place. Parts write to it as things happen to them;
//! `/api/health`, `/readyz` and `griot status` read it, and reading never asks a part.
//!
//! A component may have several parts (two language models in order); each has a [`Slot`].

mod row;
mod slot;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use serde::Serialize;
use tokio::sync::watch;

use row::{Process, Row};
pub use slot::Slot;

use super::{breaker::Hold, incidents::Incidents, traffic::Traffic};
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

impl ComponentState {
    /// The name in JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Degraded => "degraded",
            Self::Starting => "starting",
            Self::Down => "down",
            Self::Off => "off",
        }
    }
}

/// Whether a component is asked. See [`super::breaker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerState {
    Closed,
    Open,
    HalfOpen,
}

impl BreakerState {
    /// The name in JSON and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
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
    /// An operator holds the breaker, whatever its calls say.
    pub held: bool,
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
    /// Never held across an await.
    traffic: Mutex<Traffic>,
    /// Marks every change of a component's state.
    changed: watch::Sender<()>,
}

impl Board {
    /// An empty board; the daemon's uptime begins now.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            rows: Mutex::default(),
            incidents: Arc::default(),
            traffic: Mutex::default(),
            changed: watch::Sender::new(()),
        })
    }

    /// A place for one part of `component`, called `part` in logs and incidents: `embedded`, `edge`,
    /// a server's address. The first part of a component is the preferred one.
    pub fn slot(self: &Arc<Self>, component: Component, part: impl Into<String>) -> Slot {
        let mut rows = self.rows();
        rows.push(Row::new(component, part.into()));
        Slot::new(Arc::clone(self), rows.len() - 1, component)
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

    /// Holds the breakers of a component's parts, or lets them go. Whether there are any.
    pub fn hold(&self, component: Component, held: Option<Hold>) -> bool {
        let gates: Vec<_> = self
            .rows()
            .iter()
            .filter(|row| row.component == component)
            .filter_map(|row| row.gate.upgrade())
            .collect();
        for gate in &gates {
            gate.hold(held);
        }
        !gates.is_empty()
    }

    /// How calls and questions went lately.
    pub fn traffic(&self) -> MutexGuard<'_, Traffic> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
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
        held: parts.iter().any(|row| row.held),
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
