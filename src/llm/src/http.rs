//! The Ollama HTTP API over the engine: which path is what, and how it is guarded.
//!
//! Knows the engine by its handle and no llama.cpp.

mod answer;
mod embed;
mod error;
mod guard;
mod listing;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode, Uri},
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post},
};

use crate::{engine::EngineHandle, shelf::Shelf};
use error::ApiError;

/// Largest request body. A context of 128k tokens of text is half a megabyte, JSON included less
/// than two; the rest is for long lists to embed.
const BODY: usize = 8 << 20;

/// What handlers share.
#[derive(Debug, Clone)]
pub struct Site {
    pub shelf: Arc<Shelf>,
    pub engine: EngineHandle,
}

/// The whole API.
pub fn router(site: Site) -> Router {
    Router::new()
        .route("/", get(listing::banner))
        .route("/api/version", get(listing::version))
        .route("/api/tags", get(listing::tags))
        .route("/api/show", post(listing::show))
        .route("/api/ps", get(listing::ps))
        .route("/api/chat", post(answer::chat))
        .route("/api/generate", post(answer::generate))
        .route("/api/embed", post(embed::embed))
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn(guard::local_only))
        .with_state(site)
}

async fn unknown_path(method: Method, uri: Uri) -> Response {
    let path = uri.path().to_owned();
    ApiError::NoSuchPath { method, path }.into_response()
}

async fn wrong_method(method: Method, uri: Uri) -> Response {
    let error = ApiError::NoSuchPath {
        method,
        path: uri.path().to_owned(),
    };
    (StatusCode::METHOD_NOT_ALLOWED, error.into_response()).into_response()
}
