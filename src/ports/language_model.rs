//! Text out of text, as a stream.

use std::{pin::Pin, time::Duration};

use async_trait::async_trait;
use futures::Stream;

use super::PortError;

/// Who says a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    System,
    User,
    Assistant,
}

/// One message of a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub role: Role,
    pub content: String,
}

/// What to generate. Messages that begin like those of an earlier request are cheaper, because the
/// worker keeps the state of the common beginning: put what is fixed first.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatRequest {
    pub messages: Vec<Message>,
    /// A JSON schema that the whole reply must satisfy (held by a grammar).
    pub format: Option<serde_json::Value>,
    /// Tokens to write at most.
    pub max_tokens: u32,
    /// 0 is greedy.
    pub temperature: f32,
    pub seed: Option<u32>,
    /// Texts that end the reply; they are not part of it.
    pub stop: Vec<String>,
    /// Whether each delta carries its tokens' log-probabilities and the likeliest alternatives.
    pub logprobs: bool,
}

/// A token that was written and the natural logarithm of the probability the model gave it, before
/// any grammar or sampling.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenLogprob {
    pub token: String,
    pub logprob: f32,
    /// The likeliest tokens at this place, the written one among them if it is one; empty where the
    /// server gives none.
    pub alternatives: Vec<Alternative>,
}

/// A token that could have been written, and the natural logarithm of its probability.
#[derive(Debug, Clone, PartialEq)]
pub struct Alternative {
    pub token: String,
    pub logprob: f32,
}

/// Why a reply ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// The model was done, or met a stop text.
    Stop,
    /// `max_tokens` were written.
    Length,
}

/// What a reply's stream yields: deltas, then `Done` once.
#[derive(Debug, Clone, PartialEq)]
pub enum ChatEvent {
    Delta {
        text: String,
        /// Empty unless asked for.
        logprobs: Vec<TokenLogprob>,
    },
    Done {
        finish: Finish,
        prompt_tokens: u64,
        completion_tokens: u64,
        /// Time spent reading the prompt.
        prompt_eval: Duration,
        /// Time spent writing.
        eval: Duration,
    },
}

/// A reply as it is written. Dropping it cancels the generation, down to the worker.
pub type ChatStream = Pin<Box<dyn Stream<Item = Result<ChatEvent, PortError>> + Send>>;

/// Writes text.
#[async_trait]
pub trait LanguageModel: Send + Sync {
    /// The model's name, as answers show it.
    fn name(&self) -> String;

    /// Begins a reply.
    ///
    /// # Errors
    /// As [`PortError`] says. Once begun, the stream ends with `Done` or with one error.
    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, PortError>;
}
