//! What can go wrong with the Ollama API, and which case of [`PortError`] it is.

use std::{error::Error, time::Duration};

use futures::StreamExt;
use reqwest::{Response, StatusCode, Url, header::RETRY_AFTER};
use serde::Deserialize;

use crate::{domain::Component, ports::PortError};

/// Bytes of an error's body that are read.
const BODY: usize = 16 * 1024;

/// Characters of a server's message that are shown.
const MESSAGE: usize = 300;

/// When to come back to a server that is busy and does not say when.
const BUSY: Duration = Duration::from_secs(1);

/// No server puts us off for longer; after that it is asked again.
const LONGEST_BUSY: Duration = Duration::from_secs(60);

/// A fault: the source of [`PortError::Unavailable`].
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("its worker is not running")]
    NotRunning,
    #[error("{server} cannot be reached: {}", root(source))]
    Unreachable {
        server: String,
        source: reqwest::Error,
    },
    #[error("{server} failed with status {status}: {message}")]
    Failed {
        server: String,
        status: StatusCode,
        message: String,
    },
    #[error("the connection broke in the middle of the reply: {}", root(.0))]
    Broken(#[source] reqwest::Error),
    #[error("the reply ended before it was finished")]
    Cut,
    #[error("the reply is not what the Ollama API describes: {0}")]
    Garbled(#[source] serde_json::Error),
    #[error("a line of the reply is longer than {limit} bytes")]
    TooLong { limit: usize },
    #[error("it gave {given} vectors for {asked} texts")]
    Miscounted { asked: usize, given: usize },
    #[error("it gave something else than a vector of {dimension} numbers")]
    NotAVector { dimension: usize },
    #[error("it gave up in the middle of the reply: {0}")]
    GaveUp(String),
}

impl Failure {
    pub(super) fn at(self, component: Component) -> PortError {
        PortError::unavailable(component, self)
    }
}

/// The innermost cause, which says most: "Connection refused" rather than "error sending request".
fn root(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// A server's address as it may be shown: without a name and password that it may carry.
pub(super) fn server(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// What an answer that is not a success means: 429 and 503 are a server that has too much to do, not
/// one that is broken; other 4xx are a no; the rest is a fault.
pub(super) async fn of_response(component: Component, url: &Url, response: Response) -> PortError {
    let status = response.status();
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => PortError::Resting {
            component,
            retry_after: retry_after(&response),
        },
        StatusCode::REQUEST_TIMEOUT => Failure::Failed {
            server: server(url),
            status,
            message: message(response).await,
        }
        .at(component),
        _ if status.is_client_error() => PortError::Refused {
            component,
            reason: format!("{} ({status})", message(response).await),
        },
        _ => Failure::Failed {
            server: server(url),
            status,
            message: message(response).await,
        }
        .at(component),
    }
}

/// `Retry-After` in seconds; a date is not worth parsing for a wait this short.
fn retry_after(response: &Response) -> Duration {
    response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|seconds| seconds.parse().ok())
        .map_or(BUSY, Duration::from_secs)
        .clamp(BUSY, LONGEST_BUSY)
}

#[derive(Deserialize)]
struct Body {
    error: String,
}

/// The server's own words, as far as they go.
async fn message(response: Response) -> String {
    let mut bytes = Vec::new();
    let mut body = response.bytes_stream();
    while let Some(Ok(chunk)) = body.next().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= BODY {
            bytes.truncate(BODY);
            break;
        }
    }
    let text = match serde_json::from_slice::<Body>(&bytes) {
        Ok(body) => body.error,
        Err(_) => String::from_utf8_lossy(&bytes).into_owned(),
    };
    shown(&text)
}

/// A server's words in one line of bounded length.
pub(super) fn shown(text: &str) -> String {
    let line: String = text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MESSAGE)
        .collect();
    if line.is_empty() {
        "it gave no reason".to_owned()
    } else {
        line
    }
}
