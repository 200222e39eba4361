//! What this server has and what it is at: `/`, `/api/version`, `/api/tags`, `/api/show`, `/api/ps`.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    body::Bytes,
    extract::{State, rejection::BytesRejection},
    response::Response,
};
use serde::Serialize;
use serde_json::Value;

use super::{
    Site,
    error::{ApiError, json},
};
use crate::{engine::status::Requests, shelf::Weights, wire::request};

/// When a model goes that never goes, as Ollama writes it: far away.
const NEVER: &str = "9999-12-31T23:59:59Z";

pub async fn banner() -> &'static str {
    "griot-llm is running and speaks the Ollama API"
}

#[derive(Serialize)]
struct Version {
    version: &'static str,
}

pub async fn version() -> Response {
    json(&Version {
        version: env!("CARGO_PKG_VERSION"),
    })
}

#[derive(Serialize)]
struct Details<'a> {
    parent_model: &'static str,
    format: &'static str,
    family: &'a str,
    families: [&'a str; 1],
    parameter_size: &'a str,
    quantization_level: &'a str,
}

impl<'a> Details<'a> {
    fn of(weights: &'a Weights) -> Self {
        Self {
            parent_model: "",
            format: "gguf",
            family: &weights.family,
            families: [&weights.family],
            parameter_size: &weights.parameter_size,
            quantization_level: &weights.quantization,
        }
    }
}

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    model: &'a str,
    modified_at: String,
    size: u64,
    digest: &'a str,
    details: Details<'a>,
}

#[derive(Serialize)]
struct Tags<'a> {
    models: Vec<Listed<'a>>,
}

pub async fn tags(State(site): State<Site>) -> Response {
    let models = site
        .shelf
        .iter()
        .map(|weights| Listed {
            name: &weights.name,
            model: &weights.name,
            modified_at: weights.modified.to_string(),
            size: weights.bytes,
            digest: &weights.digest,
            details: Details::of(weights),
        })
        .collect();
    json(&Tags { models })
}

#[derive(Serialize)]
struct Shown<'a> {
    modelfile: String,
    parameters: &'static str,
    template: &'a str,
    details: Details<'a>,
    model_info: &'a BTreeMap<String, Value>,
    capabilities: Vec<&'static str>,
    modified_at: String,
}

pub async fn show(
    State(site): State<Site>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, ApiError> {
    let name = request::shown_model(&body?)?;
    let weights = find(&site, &name)?;
    Ok(json(&Shown {
        modelfile: format!("FROM {}\n", weights.path.display()),
        parameters: "",
        template: &weights.template,
        details: Details::of(&weights),
        model_info: &weights.metadata,
        capabilities: vec![if weights.pools() {
            "embedding"
        } else {
            "completion"
        }],
        modified_at: weights.modified.to_string(),
    }))
}

#[derive(Serialize)]
struct Running<'a> {
    name: &'a str,
    model: &'a str,
    size: u64,
    digest: &'a str,
    details: Details<'a>,
    expires_at: String,
    size_vram: u64,
    context_length: usize,
}

#[derive(Serialize)]
struct Ps<'a> {
    models: Vec<Running<'a>>,
    /// Of this project: what the engine is at.
    requests: Counters,
}

#[derive(Serialize)]
struct Counters {
    queued: usize,
    #[serde(flatten)]
    counted: Requests,
}

pub async fn ps(State(site): State<Site>) -> Response {
    let status = site.engine.status();
    let loaded = status.model();
    let models = loaded
        .iter()
        .map(|loaded| Running {
            name: &loaded.weights.name,
            model: &loaded.weights.name,
            size: loaded.weights.bytes,
            digest: &loaded.weights.digest,
            details: Details::of(&loaded.weights),
            expires_at: loaded
                .expires_at
                .map_or_else(|| NEVER.to_owned(), |time| time.to_string()),
            size_vram: 0,
            context_length: loaded.context_length,
        })
        .collect();
    let requests = Counters {
        queued: site.engine.queued(),
        counted: status.requests(),
    };
    json(&Ps { models, requests })
}

/// The model a request names.
pub fn find(site: &Site, name: &str) -> Result<Arc<Weights>, ApiError> {
    site.shelf
        .find(name)
        .cloned()
        .ok_or_else(|| ApiError::NoSuchModel {
            name: name.chars().take(200).collect(),
        })
}
