//! What the engine is asked, and what it says.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::queue::Waiting;
use crate::{
    prompt::template::TemplateError,
    shelf::Weights,
    wire::{
        keep_alive::KeepAlive,
        options::Options,
        reply::{Counts, DoneReason, TokenLogprob},
        request::{Format, Prompt},
    },
};

/// A request on its way to the engine.
#[derive(Debug)]
pub struct Job {
    pub weights: Arc<Weights>,
    pub work: Work,
    /// `None`: the engine's default.
    pub keep_alive: Option<KeepAlive>,
    /// The client's; closed when it has left. Has room for the longest reply.
    pub events: Sender<Event>,
}

/// What is to be done.
#[derive(Debug)]
pub enum Work {
    /// Have the model in memory; with `keep_alive` 0: out of it.
    Load,
    Generate(Generate),
    Embed(Embed),
}

#[derive(Debug)]
pub struct Generate {
    pub prompt: Prompt,
    pub options: Options,
    pub format: Format,
    /// Report log-probabilities, with this many alternatives.
    pub logprobs: Option<usize>,
}

#[derive(Debug)]
pub struct Embed {
    pub input: Vec<String>,
    pub truncate: bool,
    pub num_ctx: Option<usize>,
    pub dimensions: Option<usize>,
}

/// What a client hears of its job: `Started` before the first piece, then pieces, then `Done`; or
/// `Embedded`; or at any time `Failed`, after which nothing comes.
#[derive(Debug)]
pub enum Event {
    /// The prompt fits and is being read.
    Started,
    Piece {
        text: String,
        logprobs: Vec<TokenLogprob>,
    },
    Done {
        reason: DoneReason,
        counts: Counts,
    },
    Embedded {
        /// `[texts, dimensions]`, each of length 1.
        vectors: Vec<Vec<f32>>,
        counts: Counts,
    },
    Failed(Failure),
}

/// Why a job could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    // The request's fault.
    #[error(
        "the prompt is {tokens} tokens long, and with at least one token of reply the limit is {limit}; shorten it{}",
        raise(*.limit, *.most)
    )]
    LongPrompt {
        tokens: usize,
        limit: usize,
        most: usize,
    },
    #[error("the prompt is {bytes} bytes long, which cannot fit {limit} tokens; shorten it")]
    HugePrompt { bytes: usize, limit: usize },
    #[error("the prompt is empty")]
    EmptyPrompt,
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("the schema in \"format\" cannot be held: {reason}")]
    Schema { reason: &'static str },
    #[error(
        "input {index} is {tokens} tokens long, and the limit is {limit}; shorten it or send \"truncate\": true"
    )]
    LongInput {
        index: usize,
        tokens: usize,
        limit: usize,
    },
    #[error("this model has no decoder that gives embeddings")]
    NoEmbeddings,
    // Nobody's fault.
    #[error("the client has left")]
    Left,
    #[error("the server is stopping")]
    Stopping,
    // Ours.
    #[error("the model file cannot be loaded ({reason}); pull it again, or free some memory")]
    Load { reason: String },
    #[error(
        "llama.cpp could not make room for a context of {context} tokens; lower --context or free some memory"
    )]
    Context { context: usize },
    #[error("llama.cpp failed: {reason}")]
    Llama { reason: String },
    #[error("the model gave no token that may come next")]
    NoToken,
    #[error("a bug in griot-llm ended this request; please report it")]
    Bug,
}

fn raise(limit: usize, most: usize) -> String {
    if limit < most {
        format!(" or raise \"num_ctx\" (up to {most})")
    } else {
        String::new()
    }
}

impl Failure {
    /// Whether the model's state may be wrong now.
    pub fn is_ours(&self) -> bool {
        matches!(
            self,
            Self::Load { .. }
                | Self::Context { .. }
                | Self::Llama { .. }
                | Self::NoToken
                | Self::Bug
        )
    }
}

impl Job {
    /// A job, and where to hear of it. The channel holds everything a reply of `context` tokens can
    /// come to: an event a token, and the first and the last few.
    pub fn new(
        weights: Arc<Weights>,
        work: Work,
        keep_alive: Option<KeepAlive>,
        context: usize,
    ) -> (Self, Receiver<Event>) {
        let (events, receiver) = channel(context + 8);
        (
            Self {
                weights,
                work,
                keep_alive,
                events,
            },
            receiver,
        )
    }

    /// Whether this is a request to unload.
    pub fn unloads(&self) -> bool {
        matches!(self.work, Work::Load) && self.keep_alive.is_some_and(KeepAlive::is_zero)
    }

    /// Sends an event; false when nobody listens any more. Never blocks: the channel has room, and
    /// a client that has left takes none.
    pub fn send(&self, event: Event) -> bool {
        self.events.try_send(event).is_ok()
    }

    pub fn fail(&self, failure: Failure) {
        self.send(Event::Failed(failure));
    }

    /// Answers a request that only loads or unloads.
    pub fn loaded(&self, unloaded: bool, load: Duration) {
        let reason = if unloaded {
            DoneReason::Unload
        } else {
            DoneReason::Load
        };
        self.send(Event::Done {
            reason,
            counts: Counts {
                load,
                ..Counts::default()
            },
        });
    }
}

impl Waiting for Job {
    fn has_left(&self) -> bool {
        self.events.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_prompt_is_told_what_would_help() {
        let message = |limit, most| {
            Failure::LongPrompt {
                tokens: 900,
                limit,
                most,
            }
            .to_string()
        };
        assert_eq!(
            message(512, 4096),
            "the prompt is 900 tokens long, and with at least one token of reply the limit is 512; shorten it or raise \"num_ctx\" (up to 4096)"
        );
        assert!(message(512, 512).ends_with("is 512; shorten it"));
    }
}
