//! Speech to text.

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::BoxFuture;

use super::{PortError, Work};

/// What a transcript is for, which says what it may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A look while the person still speaks: as cheap as possible, and given up as soon as it is not
    /// wanted any more. A doubtful result is not tried again.
    Partial,
    /// What counts. A result that repeats itself is tried once more, with all the care there is.
    Final,
}

/// One stretch of speech to be written down.
#[derive(Debug, Clone, PartialEq)]
pub struct Utterance {
    /// One channel at [`LISTEN_RATE`](crate::domain::audio::LISTEN_RATE), at most [`LONGEST_S`] seconds.
    pub samples: Arc<[f32]>,
    pub purpose: Purpose,
    /// ISO 639-1; `None` lets the model find out.
    pub language: Option<String>,
    /// What was said before, or words to be expected (names above all).
    pub prompt: Option<String>,
    /// Tokens to write at most; `None`: as many as anybody says in that time.
    pub max_tokens: Option<u32>,
    /// Whether the segments carry the times of their words.
    pub words: bool,
}

/// Seconds of one utterance at most: what the models hear at once.
pub const LONGEST_S: u32 = 30;

impl Utterance {
    /// The samples, to be written down for good, in the language that they turn out to be in.
    pub fn new(samples: impl Into<Arc<[f32]>>) -> Self {
        Self {
            samples: samples.into(),
            purpose: Purpose::Final,
            language: None,
            prompt: None,
            max_tokens: None,
            words: false,
        }
    }
}

/// What was said, as far as the model can tell. It says something for silence and noise too: see the
/// probabilities.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript {
    /// Without spaces at its ends; empty where nothing was said.
    pub text: String,
    /// In order. Their texts together, trimmed, are `text`.
    pub segments: Vec<Segment>,
    /// ISO 639-1, given or found out.
    pub language: Option<String>,
    /// That there is no speech in it at all, 0 to 1.
    pub no_speech: f32,
    /// The mean of the tokens' natural log-probabilities: how sure the model is of the words.
    pub avg_logprob: f32,
    /// Whether the model repeated itself and was cut off there.
    pub looped: bool,
}

/// A part of a transcript. Times are seconds from the beginning of the utterance.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Segment {
    pub start: f32,
    pub end: f32,
    /// As the model wrote it, the space before it included.
    pub text: String,
    /// The model's numbers of the tokens of `text`.
    pub tokens: Vec<i32>,
    pub no_speech: f32,
    pub avg_logprob: f32,
    /// Empty unless asked for.
    pub words: Vec<Word>,
}

/// A word and when it was said, in seconds from the beginning of the utterance.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Word {
    pub start: f32,
    pub end: f32,
    pub text: String,
}

/// Writes down what is said.
#[async_trait]
pub trait Transcriber: Send + Sync {
    /// The model's name.
    fn name(&self) -> String;

    /// The languages it knows, ISO 639-1, the usual one first.
    fn languages(&self) -> Vec<String>;

    /// Writes one utterance down. Dropping the future cancels the work, down to the worker, within some
    /// milliseconds.
    ///
    /// # Errors
    /// As [`PortError`] says; refused is an utterance that is empty or too long, and a language that the
    /// model does not know.
    async fn transcribe(&self, utterance: Utterance) -> Result<Transcript, PortError>;

    /// Waits until the utterance's turn has come: what counts goes before looks.
    ///
    /// # Errors
    /// [`PortError::Busy`] where too many wait already.
    fn in_turn(
        &self,
        utterance: Utterance,
    ) -> BoxFuture<'_, Result<Work<'_, Transcript>, PortError>> {
        Box::pin(async move { Ok(self.transcribe(utterance)) })
    }
}
