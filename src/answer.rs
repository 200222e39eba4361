//! Questions to cited answers.
//!
//! The way of an answer: the question is made to stand alone, passages are retrieved, the model is
//! held by a grammar to copy the sentence that answers, code finds that sentence in the evidence,
//! several signals together decide whether it supports an answer, and only then is the answer written
//! and streamed. What is shown as a quotation are the document's bytes, never the model's.
//!
//! This module knows no HTTP and no vendor; every part it asks may be missing, and the answer says
//! which one was.

pub mod extractive;
pub mod json_text;
pub mod quotation;
pub mod quote;
pub mod rank;
pub mod sentence;
pub mod support;
pub mod words;

mod choose;
mod condense;
mod foresee;
mod generate;
mod prompt;
mod reply;
mod retrieve;
#[cfg(test)]
mod tests;
mod tools;
mod write;

use std::{pin::Pin, sync::Arc, time::Duration};

use async_stream::try_stream;
use futures::{Stream, StreamExt};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, Span, field::Empty};

use crate::{
    catalog::{Catalog, CatalogError},
    config::AnswerConfig,
    domain::{
        Answer, Citation, Collection, Component, ConversationId, DocumentId, Evidence, Outcome,
        Question,
    },
    ports::{Index, LanguageModel, PortError},
};

/// What the service is made of.
pub struct AnswererParts {
    pub catalog: Arc<Catalog>,
    pub index: Arc<Index>,
    /// `None`: every answer is extractive.
    pub model: Option<Arc<dyn LanguageModel>>,
    pub config: AnswerConfig,
    /// Ends every answer in work.
    pub cancel: CancellationToken,
    /// Holds what must finish after an answer was given: recording the turn.
    pub tracker: TaskTracker,
}

/// Answers questions and searches.
pub struct Answerer {
    parts: AnswererParts,
    prompts: prompt::Prompts,
    /// Places for turns that are being recorded.
    turns: Arc<Semaphore>,
}

/// A search for passages.
#[derive(Debug, Clone)]
pub struct Search {
    pub query: Question,
    pub collection: Option<Collection>,
    pub top_k: Option<usize>,
}

/// How an answer that is spoken begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beginning {
    /// With the sentence that the model points at.
    Pointed,
    /// Where one sentence of the evidence plainly answers, with that one, before the model is asked.
    Plain,
}

impl Beginning {
    /// Whether a proven quotation comes first.
    #[must_use]
    pub fn of(quote_first: bool) -> Self {
        match quote_first {
            true => Self::Plain,
            false => Self::Pointed,
        }
    }
}

/// A question to be answered.
#[derive(Debug, Clone)]
pub struct Ask {
    pub question: Question,
    pub collection: Option<Collection>,
    /// The conversation it belongs to; a new one is begun without.
    pub conversation: Option<ConversationId>,
    pub top_k: Option<usize>,
}

/// What a search found, best first.
#[derive(Debug, Clone)]
pub struct Found {
    pub passages: Vec<Evidence>,
    pub degraded: Vec<Component>,
    pub took: Duration,
}

/// What an answer's stream yields: `Evidence` once, then citations and deltas, then `Done` once.
/// The deltas, put together, are the answer's text.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerEvent {
    Evidence(Vec<Evidence>),
    Citation(Citation),
    Delta(String),
    Done(Box<Answer>),
}

/// Why a question could not be answered at all. A part that is down is no such reason.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A prompt template cannot be filled: a fault of this program.
    #[error("a prompt template failed: {0}")]
    Template(#[from] minijinja::Error),
    #[error(transparent)]
    Port(#[from] PortError),
    /// The daemon is stopping.
    #[error("the daemon is stopping; ask again when it is back")]
    Stopping,
}

/// An answer as it comes. Dropping it cancels all work for it, down to the worker.
pub type AnswerStream = Pin<Box<dyn Stream<Item = Result<AnswerEvent, AnswerError>> + Send>>;

/// Passages asked for at most, whatever the request says.
const MAX_TOP_K: usize = 100;

impl Answerer {
    /// Puts the service together.
    ///
    /// # Errors
    /// When a prompt template does not compile.
    pub fn new(parts: AnswererParts) -> Result<Arc<Self>, AnswerError> {
        let prompts = prompt::Prompts::new()?;
        Ok(Arc::new(Self {
            parts,
            prompts,
            turns: Arc::new(Semaphore::new(generate::TURNS)),
        }))
    }

    /// The passages that fit a query best, by meaning and by words.
    pub async fn search(&self, search: Search) -> Result<Found, AnswerError> {
        let top_k = self.top_k(search.top_k);
        let found = self
            .retrieve(search.query.as_str(), search.collection.as_ref(), top_k)
            .await?;
        Ok(Found {
            passages: retrieve::as_found(found.passages),
            degraded: found.degraded,
            took: found.took,
        })
    }

    /// Answers a question, as a stream.
    pub fn ask(self: &Arc<Self>, ask: Ask) -> AnswerStream {
        self.stream(ask, generate::Manner::Written)
    }

    /// Answers a question for somebody who may not hear the answer to its end, or at all: the turn is not
    /// recorded. What was heard is told to [`heard`](Self::heard) afterwards.
    pub fn ask_aloud(self: &Arc<Self>, ask: Ask, beginning: Beginning) -> AnswerStream {
        self.stream(ask, generate::Manner::Aloud(beginning))
    }

    /// Records what was heard of an answer, which is all that later questions may lean on.
    pub async fn heard(
        &self,
        conversation: ConversationId,
        question: String,
        heard: String,
        documents: Vec<DocumentId>,
    ) {
        generate::record(
            &self.parts.catalog,
            conversation,
            question,
            heard,
            documents,
        )
        .await;
    }

    /// Says what calls of tools have brought, out of nothing but that: there is no evidence and no citation. Like
    /// an answer aloud it is not recorded. `question`: what was asked, as far as anybody knows.
    pub fn relay(
        self: &Arc<Self>,
        question: String,
        outcomes: Vec<Outcome>,
        conversation: ConversationId,
    ) -> AnswerStream {
        self.until_stopped(tools::relay(
            Arc::clone(self),
            question,
            outcomes,
            conversation,
        ))
    }

    fn stream(self: &Arc<Self>, ask: Ask, manner: generate::Manner) -> AnswerStream {
        self.until_stopped(generate::stream(Arc::clone(self), ask, manner))
    }

    fn until_stopped(
        &self,
        events: impl Stream<Item = Result<AnswerEvent, AnswerError>> + Send + 'static,
    ) -> AnswerStream {
        let stopping = self.parts.cancel.clone();
        // For a collector of traces: how it went, nothing that was said.
        let span = tracing::info_span!(
            target: "griot::trace", "answer",
            supported = Empty, degraded = Empty, citations = Empty, otel.error = Empty,
        );
        let mut events = Box::pin(events);
        Box::pin(try_stream! {
            loop {
                let event = tokio::select! {
                    event = events.next().instrument(span.clone()) => event,
                    () = stopping.cancelled() => Some(Err(AnswerError::Stopping)),
                };
                match event {
                    Some(event) => {
                        tell(&span, &event);
                        yield event?;
                    }
                    None => break,
                }
            }
        })
    }

    /// Answers a question, whole.
    pub async fn answer(self: &Arc<Self>, ask: Ask) -> Result<Answer, AnswerError> {
        let mut events = self.ask(ask);
        while let Some(event) = events.next().await {
            if let AnswerEvent::Done(answer) = event? {
                return Ok(*answer);
            }
        }
        Err(AnswerError::Stopping)
    }

    fn top_k(&self, asked: Option<usize>) -> usize {
        asked.unwrap_or(self.parts.config.top_k).clamp(1, MAX_TOP_K)
    }
}

/// Notes on the answer's span how it ended.
fn tell(span: &Span, event: &Result<AnswerEvent, AnswerError>) {
    match event {
        Ok(AnswerEvent::Done(answer)) => {
            let degraded: Vec<&str> = answer.degraded.iter().map(|part| part.as_str()).collect();
            span.record("supported", answer.supported);
            span.record("citations", answer.citations.len());
            span.record("degraded", degraded.join(","));
        }
        Ok(_) => {}
        Err(error) => {
            span.record("otel.error", error.to_string());
        }
    }
}
