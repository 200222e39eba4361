//! The seams. A trait stands where there are two real implementations and a fake, or where one and a fake keep
//! a machine testable.
//!
//! Every port returns one error type, [`PortError`]; retry, breaker and HTTP status follow from its
//! case, never from its message.

pub mod embedder;
pub mod engines;
pub mod fakes;
pub mod hearing;
pub mod index;
pub mod language_model;
pub mod synthesizer;
pub mod transcriber;
pub mod vector_store;

use std::time::Duration;

use futures::future::BoxFuture;

pub use embedder::{EmbedKind, Embedder};
pub use engines::Engines;
pub use hearing::{Hearing, TurnEnd, VoiceActivity};
pub use index::{Beside, Found, Generations, Index, Pair};
pub use language_model::{
    Alternative, ChatEvent, ChatRequest, ChatStream, Finish, LanguageModel, Message, Role,
    TokenLogprob,
};
pub use synthesizer::{Clause, Synthesizer, Voice};
pub use transcriber::{Purpose, Segment, Transcriber, Transcript, Utterance, Word};
pub use vector_store::{Filter, Point, QueryVector, ScoredPoint, SearchRequest, VectorStore};

use crate::domain::Component;

/// What went wrong at a seam, as far as a caller treats it differently.
#[derive(Debug, thiserror::Error)]
pub enum PortError {
    /// It could not be reached, or it broke: a fault.
    #[error("{component} is unavailable: {source}")]
    Unavailable {
        component: Component,
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// No answer in time: a fault.
    #[error("{component} gave no answer within {limit:?}")]
    TimedOut {
        component: Component,
        limit: Duration,
    },
    /// It answered: no. Not a fault; asking again changes nothing.
    #[error("{component} refused: {reason}")]
    Refused {
        component: Component,
        reason: String,
    },
    /// It was not asked, because its breaker rests. Not a fault.
    #[error("{component} rests after faults; it is asked again in {retry_after:?}")]
    Resting {
        component: Component,
        retry_after: Duration,
    },
    /// It was not asked, because as many wait for it as may. Not a fault: it works.
    #[error("{component} has as much to do as it can; ask again shortly")]
    Busy { component: Component },
    /// It has no room on the disk for what it was to write. Not a fault: what it holds can be asked for, and the
    /// disk has a place of its own among the parts.
    #[error("{component} has no room on the disk for this; free some space")]
    NoRoom { component: Component },
}

/// A call whose turn it is. Dropping it gives the work up.
///
/// Where few calls are worked on at once a port has `in_turn`, which waits for one's turn and gives this
/// back: how long the part takes is counted from here, and how long others are at it speaks for nobody's
/// illness. The plain call takes no turn: it is for whoever wants to know whether the part works.
pub type Work<'a, T> = BoxFuture<'a, Result<T, PortError>>;

impl PortError {
    /// The part concerned.
    #[must_use]
    pub fn component(&self) -> Component {
        match self {
            Self::Unavailable { component, .. }
            | Self::TimedOut { component, .. }
            | Self::Refused { component, .. }
            | Self::Resting { component, .. }
            | Self::Busy { component }
            | Self::NoRoom { component } => *component,
        }
    }

    /// Whether a breaker counts it against the part.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::TimedOut { .. })
    }

    /// A fault with its cause.
    pub fn unavailable(
        component: Component,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Unavailable {
            component,
            source: source.into(),
        }
    }
}
