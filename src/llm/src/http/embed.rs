//! `/api/embed`.

use std::time::Instant;

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    response::Response,
};
use serde::Serialize;

use super::{
    Site,
    error::{ApiError, json},
    listing::find,
};
use crate::{
    engine::job::{Embed, Event, Job, Work},
    wire::{reply::nanoseconds, request::Embedding},
};

#[derive(Serialize)]
struct Embedded {
    model: String,
    embeddings: Vec<Vec<f32>>,
    total_duration: u64,
    load_duration: u64,
    prompt_eval_count: usize,
}

pub async fn embed(
    State(site): State<Site>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let began = Instant::now();
    let asked = Embedding::parse(&body?)?;
    let work = Work::Embed(Embed {
        input: asked.input,
        truncate: asked.truncate,
        num_ctx: asked.num_ctx,
        dimensions: asked.dimensions,
    });
    let (job, mut events) = Job::new(
        find(&site, &asked.model)?,
        work,
        asked.keep_alive,
        site.engine.context(),
    );
    site.engine.submit(job)?;
    loop {
        match events.recv().await {
            Some(Event::Embedded { vectors, counts }) => {
                return Ok(json(&Embedded {
                    model: asked.model,
                    embeddings: vectors,
                    total_duration: nanoseconds(began.elapsed()),
                    load_duration: nanoseconds(counts.load),
                    prompt_eval_count: counts.prompt_tokens,
                }));
            }
            Some(Event::Failed(failure)) => return Err(failure.into()),
            Some(Event::Started | Event::Piece { .. } | Event::Done { .. }) => {}
            None => return Err(ApiError::EngineGone),
        }
    }
}
