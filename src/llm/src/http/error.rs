//! Every error as Ollama writes them: a status and `{"error": "…"}`. The one place where a failure
//! gets its status.

use axum::{
    body::Bytes,
    extract::rejection::BytesRejection,
    http::{Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    engine::{job::Failure, queue::Turned},
    wire::{ascii, request::BadRequest},
};

/// An answer other than the one asked for.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error(transparent)]
    Request(#[from] BadRequest),
    #[error("the request body could not be read: {0}")]
    Body(#[from] BytesRejection),
    #[error("model {name:?} not found; /api/tags lists what this server has")]
    NoSuchModel { name: String },
    #[error(
        "this server has no {method} {path}; it serves chat, generate, embed, show, tags, ps and version under /api"
    )]
    NoSuchPath { method: Method, path: String },
    #[error("this server answers programs on this machine only: {0}")]
    Foreign(&'static str),
    #[error(transparent)]
    Turned(#[from] Turned),
    #[error(transparent)]
    Failure(#[from] Failure),
    #[error("the engine stopped in the middle of this request")]
    EngineGone,
}

#[derive(Serialize)]
struct Body {
    error: String,
}

impl ApiError {
    fn status(&self) -> StatusCode {
        match self {
            Self::Request(_) => StatusCode::BAD_REQUEST,
            Self::Body(rejection) => rejection.status(),
            Self::NoSuchModel { .. } | Self::NoSuchPath { .. } => StatusCode::NOT_FOUND,
            Self::Foreign(_) => StatusCode::FORBIDDEN,
            Self::Turned(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failure(failure) => match failure {
                Failure::LongPrompt { .. }
                | Failure::HugePrompt { .. }
                | Failure::EmptyPrompt
                | Failure::Template(_)
                | Failure::Schema { .. }
                | Failure::LongInput { .. }
                | Failure::NoEmbeddings => StatusCode::BAD_REQUEST,
                Failure::Left | Failure::Stopping => StatusCode::SERVICE_UNAVAILABLE,
                Failure::Load { .. }
                | Failure::Context { .. }
                | Failure::Llama { .. }
                | Failure::NoToken
                | Failure::Bug => StatusCode::INTERNAL_SERVER_ERROR,
            },
            Self::EngineGone => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The error as a line of a stream whose status has been sent already.
    pub fn line(&self) -> String {
        ascii::to_line(&Body {
            error: self.to_string(),
        })
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (
            self.status(),
            json(&Body {
                error: self.to_string(),
            }),
        )
            .into_response()
    }
}

/// A value as an ASCII JSON body.
pub fn json(value: &impl Serialize) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        Bytes::from(ascii::to_line(value)),
    )
        .into_response()
}
