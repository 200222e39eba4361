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
}

impl Incident {
    /// How long it lasted. None while it does.
    #[must_use]
    pub fn lasted(&self) -> Option<std::time::Duration> {
        let closed = self.closed?;
        Some(closed.duration_since(self.opened).unsigned_abs())
    }
}
