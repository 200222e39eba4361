//! `/api/chat` and `/api/generate`: one engine job, told as a stream of lines or as one object.
//!
//! The status waits for the engine's first word, so that a prompt that does not fit is a 400 and not
//! a broken stream. A response that is dropped drops the job's channel, which ends the work.

use std::{io, time::Instant};

use axum::{
    body::{Body, Bytes},
    extract::{State, rejection::BytesRejection},
    http::header,
    response::{IntoResponse, Response},
};
use futures::stream;
use tokio::sync::mpsc::Receiver;

use super::{
    Site,
    error::{ApiError, json},
    listing::find,
};
use crate::{
    engine::job::{Event, Generate, Job, Work},
    wire::{
        ascii,
        reply::{self, Counts, DoneReason, Reply, Shape, TokenLogprob},
        request::Generation,
    },
};

pub async fn chat(
    State(site): State<Site>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let began = Instant::now();
    answer(&site, Generation::chat(&body?)?, Shape::Chat, began).await
}

pub async fn generate(
    State(site): State<Site>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let began = Instant::now();
    answer(&site, Generation::generate(&body?)?, Shape::Generate, began).await
}

/// Where replies go: what they are called and how they look.
struct Teller {
    model: String,
    shape: Shape,
    began: Instant,
}

impl Teller {
    fn piece(&self, text: String, logprobs: Vec<TokenLogprob>) -> Reply {
        Reply::piece(self.shape, &self.model, reply::now(), text, logprobs)
    }

    fn last(
        &self,
        text: String,
        logprobs: Vec<TokenLogprob>,
        reason: DoneReason,
        counts: &Counts,
    ) -> Reply {
        self.piece(text, logprobs)
            .ended(reason, counts, self.began.elapsed())
    }
}

async fn answer(
    site: &Site,
    asked: Generation,
    shape: Shape,
    began: Instant,
) -> Result<Response, ApiError> {
    let weights = find(site, &asked.model)?;
    let work = if asked.prompt.is_empty() {
        Work::Load
    } else {
        Work::Generate(Generate {
            prompt: asked.prompt,
            options: asked.options,
            format: asked.format,
            logprobs: asked.logprobs,
        })
    };
    let (job, mut events) = Job::new(weights, work, asked.keep_alive, site.engine.context());
    site.engine.submit(job)?;
    let teller = Teller {
        model: asked.model,
        shape,
        began,
    };
    let first = match events.recv().await {
        None => return Err(ApiError::EngineGone),
        Some(Event::Failed(failure)) => return Err(failure.into()),
        Some(event) => event,
    };
    if asked.stream {
        Ok(streamed(teller, first, events))
    } else {
        whole(&teller, first, events).await
    }
}

/// The whole reply as one object.
async fn whole(
    teller: &Teller,
    first: Event,
    mut events: Receiver<Event>,
) -> Result<Response, ApiError> {
    let mut text = String::new();
    let mut logprobs = Vec::new();
    let mut next = Some(first);
    loop {
        match next {
            None => return Err(ApiError::EngineGone),
            Some(Event::Failed(failure)) => return Err(failure.into()),
            Some(Event::Piece {
                text: more,
                logprobs: mut also,
            }) => {
                text.push_str(&more);
                logprobs.append(&mut also);
            }
            Some(Event::Done { reason, counts }) => {
                return Ok(json(&teller.last(text, logprobs, reason, &counts)));
            }
            Some(Event::Started | Event::Embedded { .. }) => {}
        }
        next = events.recv().await;
    }
}

/// Where a stream of lines is.
enum Telling {
    Event(Event),
    Next,
    /// The error line is out; the connection is broken off so that no client takes the text for
    /// whole, also one that does not know error lines.
    Break,
    End,
}

fn streamed(teller: Teller, first: Event, events: Receiver<Event>) -> Response {
    let lines = stream::unfold(
        (teller, events, Telling::Event(first)),
        |(teller, mut events, telling)| async {
            let mut telling = telling;
            loop {
                let event = match telling {
                    Telling::Event(event) => Some(event),
                    Telling::Next => events.recv().await,
                    Telling::Break => {
                        let broken = io::Error::other("the reply could not be completed");
                        return Some((Err(broken), (teller, events, Telling::End)));
                    }
                    Telling::End => return None,
                };
                let (text, then) = match event {
                    Some(Event::Started | Event::Embedded { .. }) => {
                        telling = Telling::Next;
                        continue;
                    }
                    Some(Event::Piece { text, logprobs }) => {
                        (ascii::to_line(&teller.piece(text, logprobs)), Telling::Next)
                    }
                    Some(Event::Done { reason, counts }) => (
                        ascii::to_line(&teller.last(String::new(), Vec::new(), reason, &counts)),
                        Telling::End,
                    ),
                    Some(Event::Failed(failure)) => {
                        (ApiError::from(failure).line(), Telling::Break)
                    }
                    None => (ApiError::EngineGone.line(), Telling::Break),
                };
                return Some((Ok(Bytes::from(text + "\n")), (teller, events, then)));
            }
        },
    );
    (
        [(header::CONTENT_TYPE, "application/x-ndjson")],
        Body::from_stream(lines),
    )
        .into_response()
}
