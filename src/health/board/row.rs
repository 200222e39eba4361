//! What is known of one part, and what that comes to.

use std::{sync::Weak, time::Duration};

use jiff::Timestamp;

use super::{super::gate::Gate, BreakerState, ComponentState};
use crate::domain::Component;

/// What is known of one part.
pub(super) struct Row {
    pub(super) component: Component,
    pub(super) part: String,
    pub(super) process: Process,
    pub(super) breaker: BreakerState,
    /// An operator holds the breaker.
    pub(super) held: bool,
    /// Decides for an operator; gone with the part.
    pub(super) gate: Weak<Gate>,
    /// Closed, but its last answers were not all good.
    pub(super) suspect: bool,
    pub(super) since: Timestamp,
    pub(super) latency: Option<Duration>,
    pub(super) last_error: Option<String>,
    /// It answers, and says that it cannot do its work (its model is not there).
    pub(super) unable: bool,
    pub(super) restarts: u32,
}

/// The process behind a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
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
    /// A part of which nothing is known yet.
    pub(super) fn new(component: Component, part: String) -> Self {
        Self {
            component,
            part,
            process: Process::None,
            breaker: BreakerState::Closed,
            held: false,
            gate: Weak::new(),
            suspect: false,
            since: Timestamp::now(),
            latency: None,
            last_error: None,
            unable: false,
            restarts: 0,
        }
    }

    pub(super) fn state(&self) -> ComponentState {
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
    pub(super) fn is_lost(&self) -> bool {
        match self.process {
            Process::Ended => true,
            Process::None | Process::Running | Process::Starting => {
                self.breaker == BreakerState::Open
            }
            Process::Missing | Process::Off => false,
        }
    }
}
