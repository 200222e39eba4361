//! What was lost, from when to when, and what it cost.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Component, IncidentId};

/// One loss of a part: it worked (or was expected to), then it did not. Written when it is noticed
/// and again, under the same id, whenever something about it changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
    pub component: Component,
    /// Which of a component's parts, where it has several: `embedded`, or a server's address.
    pub part: String,
    pub opened: Timestamp,
    /// None while it lasts.
    pub closed: Option<Timestamp>,
    /// What was seen first, in a sentence.
    pub cause: String,
    /// What was done about it, in a sentence: "rested 2 times, restarted 3 times".
    pub action: String,
    /// Answers that were given at a lower level meanwhile.
    pub degraded_answers: u64,
    /// What was seen and done, oldest first: the first and the latest of it, where it was much.
    #[serde(default)]
    pub events: Vec<IncidentEvent>,
}

/// One thing that was seen or done while an incident lasted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncidentEvent {
    pub at: Timestamp,
    pub kind: IncidentEventKind,
    pub text: String,
}

/// What an event of an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentEventKind {
    /// What was seen to be wrong.
    Cause,
    /// What was done about it.
    Action,
    /// What the process wrote last.
    Output,
}

impl IncidentEventKind {
    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cause => "cause",
            Self::Action => "action",
            Self::Output => "output",
        }
    }
}

impl Incident {
    /// How long it lasted. None while it does.
    #[must_use]
    pub fn lasted(&self) -> Option<std::time::Duration> {
        let closed = self.closed?;
        Some(closed.duration_since(self.opened).unsigned_abs())
    }
}
