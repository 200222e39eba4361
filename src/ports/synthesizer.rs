//! Text to speech, one clause at a time.

use async_trait::async_trait;
use futures::future::BoxFuture;

use super::{PortError, Work};
use crate::domain::audio::Pcm;

/// A voice that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voice {
    /// As requests and profiles name it.
    pub name: String,
    /// ISO 639-1, with a region where that matters: `en`, `en-us`.
    pub language: String,
    /// Samples a second of what it speaks.
    pub rate: u32,
}

/// Something to be said in one breath. What is to be spoken must be speakable: numbers, dates and marks
/// written as they are said.
#[derive(Debug, Clone, PartialEq)]
pub struct Clause {
    pub text: String,
    /// One of [`Synthesizer::voices`]; `None`: the usual one of the language.
    pub voice: Option<String>,
    /// ISO 639-1; `None`: the voice's.
    pub language: Option<String>,
    /// 1 is the voice's own pace, 2 twice as fast; 0.25 to 4.
    pub speed: f32,
}

impl Clause {
    /// The text in the usual voice at its own pace.
    pub fn new(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            voice: None,
            language: None,
            speed: 1.0,
        }
    }
}

/// Speaks.
#[async_trait]
pub trait Synthesizer: Send + Sync {
    /// The voices there are now, the usual one first. Reads no model.
    fn voices(&self) -> Vec<Voice>;

    /// The sound of one clause, at the rate of its voice; nothing for a clause without a word in it.
    /// Clauses spoken one after another join without a gap of their own. Dropping the future gives the
    /// work up as soon as it can be.
    ///
    /// # Errors
    /// As [`PortError`] says; refused is a voice or a language that there is not.
    async fn speak(&self, clause: Clause) -> Result<Pcm, PortError>;

    /// As [`speak`](Self::speak), for whoever only guesses that the clause will be wanted: it gives way to all other
    /// work of this machine, and may take many times as long.
    ///
    /// # Errors
    /// As those of [`speak`](Self::speak).
    async fn ahead(&self, clause: Clause) -> Result<Pcm, PortError> {
        self.speak(clause).await
    }

    /// Waits until the clause's turn has come.
    ///
    /// # Errors
    /// As those of [`speak`](Self::speak) that are known before anything is spoken.
    fn in_turn(&self, clause: Clause) -> BoxFuture<'_, Result<Work<'_, Pcm>, PortError>> {
        Box::pin(async move { Ok(self.speak(clause)) })
    }
}
