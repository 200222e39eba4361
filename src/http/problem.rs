//! Every error that leaves over HTTP, as RFC 9457 `application/problem+json`. The one place where
//! causes become status codes.

mod rejections;

use std::time::Duration;

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    answer::AnswerError,
    catalog::CatalogError,
    domain::spread::jitter,
    ingest::{IngestError, reindex::ReindexError},
    ports::PortError,
};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $status:ident, $name:literal, $title:literal;)+) => {
        /// What can go wrong, as a client tells the cases apart. Scripts match on the names: add to
        /// them, never rename one.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant),+ }

        impl Code {
            /// Every code, for the tables and the tests.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The HTTP status it is sent with.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }

            /// The last part of the problem's `type`.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What all problems of this kind have in common, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }
        }
    };
}

codes! {
    /// The request is not what HTTP, JSON or multipart want.
    Malformed = BAD_REQUEST, "malformed-request", "The request cannot be read";
    Unauthorized = UNAUTHORIZED, "unauthorized", "An API key is needed";
    /// The name in `Host` is not ours (DNS rebinding).
    HostNotAllowed = FORBIDDEN, "host-not-allowed", "This host name is not served here";
    /// A page of another site asks.
    OriginNotAllowed = FORBIDDEN, "origin-not-allowed", "Calls from other sites are refused";
    /// A file outside `ingest.allowed_roots`.
    PathNotAllowed = FORBIDDEN, "path-not-allowed", "This path may not be read";
    RouteNotFound = NOT_FOUND, "route-not-found", "There is nothing at this address";
    DocumentNotFound = NOT_FOUND, "document-not-found", "There is no such document";
    /// It is not processed yet, or could not be read.
    TextNotFound = NOT_FOUND, "text-not-found", "This document has no stored text";
    WatchNotFound = NOT_FOUND, "watch-not-found", "There is no such watch";
    ProfileNotFound = NOT_FOUND, "profile-not-found", "This user has no voice profile";
    IncidentNotFound = NOT_FOUND, "incident-not-found", "There is no such incident";
    /// There is no earlier index to go back to.
    NothingKept = NOT_FOUND, "nothing-kept", "No earlier index is kept";
    MethodNotAllowed = METHOD_NOT_ALLOWED, "method-not-allowed", "This method does not work here";
    /// Something that can be done once at a time is being done.
    Conflict = CONFLICT, "conflict", "Something else is under way";
    /// There is no such part here.
    PartNotFound = NOT_FOUND, "part-not-found", "No such part";
    /// The folder is watched already, or the settings say that it is.
    WatchConflict = CONFLICT, "watch-conflict", "This folder is watched otherwise";
    /// The body stopped coming.
    RequestTimedOut = REQUEST_TIMEOUT, "request-timed-out", "The request did not arrive in time";
    TooLarge = PAYLOAD_TOO_LARGE, "too-large", "The request is larger than allowed";
    UriTooLong = URI_TOO_LONG, "uri-too-long", "The address is longer than allowed";
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "This kind of body is not accepted here";
    /// Readable, but a value is not one that is possible.
    InvalidValue = UNPROCESSABLE_ENTITY, "invalid-value", "A value is not valid";
    TooManyQuestions = TOO_MANY_REQUESTS, "too-many-questions", "Too many questions at once";
    TooManyUploads = TOO_MANY_REQUESTS, "too-many-uploads", "Too many uploads at once";
    TooManyConversations = TOO_MANY_REQUESTS, "too-many-conversations", "Too many conversations at once";
    /// A part works, and has more to do than it can.
    Busy = TOO_MANY_REQUESTS, "busy", "As much is being done as can be";
    Internal = INTERNAL_SERVER_ERROR, "internal", "Something broke inside";
    QueueFull = SERVICE_UNAVAILABLE, "queue-full", "Too many documents are waiting";
    /// A part that this needs cannot be reached.
    Unavailable = SERVICE_UNAVAILABLE, "unavailable", "A part that this needs is down";
    Stopping = SERVICE_UNAVAILABLE, "stopping", "The daemon is stopping";
    NotReady = SERVICE_UNAVAILABLE, "not-ready", "The daemon is not ready";
    StorageFull = INSUFFICIENT_STORAGE, "storage-full", "The disk is full";
}

/// One problem, ready to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    code: Code,
    detail: String,
    retry_after: Option<Duration>,
}

/// A problem as it is written.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub struct Written<'a> {
    /// `urn:griot:problem:NAME`; scripts match on it.
    #[serde(rename = "type")]
    #[schema(example = "urn:griot:problem:document-not-found")]
    kind: String,
    /// What all problems of this type have in common.
    title: &'static str,
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What happened, to what, and what to do.
    detail: &'a str,
    /// Seconds after which asking again may help; as in the `Retry-After` header.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem with what happened in this case.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
            retry_after: None,
        }
    }

    /// Says that asking again after `wait` may help.
    #[must_use]
    pub fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Says that asking again may help after a time between `wait` and twice that. Those who are refused
    /// together would otherwise come back together.
    #[must_use]
    pub fn retry_after_about(self, wait: Duration) -> Self {
        self.retry_after(wait + wait.mul_f64(jitter()))
    }

    /// A fault of our own: the cause goes to the log, the client learns that it is not to blame.
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(
            error = chain(cause),
            "a request failed for a reason of our own"
        );
        Self::new(
            Code::Internal,
            "the request could not be served; the daemon's log says why",
        )
    }

    /// The kind of problem.
    pub fn code(&self) -> Code {
        self.code
    }

    /// The body, as JSON is written.
    pub fn written(&self) -> Written<'_> {
        Written {
            kind: format!("urn:griot:problem:{}", self.code.name()),
            title: self.code.title(),
            status: self.code.status().as_u16(),
            detail: &self.detail,
            retry_after_s: self.retry_after_s(),
        }
    }

    /// Whole seconds, rounded up: coming back too early is the mistake to avoid.
    fn retry_after_s(&self) -> Option<u64> {
        self.retry_after
            .map(|wait| wait.as_millis().div_ceil(1000).max(1) as u64)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self.written()).expect("texts and numbers become JSON");
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.code.status();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code == Code::Unauthorized {
            // RFC 9110, section 11.6.1: a 401 names the scheme that would be accepted.
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"griot\""),
            );
        }
        response
    }
}

/// An error and its causes, in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut line = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let text = inner.to_string();
        // `#[error("… {0}")]` beside `#[source]` says the same twice.
        if !line.ends_with(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        cause = inner.source();
    }
    line
}

/// Why a body could not be read to its end, from whatever layer noticed.
pub fn body_failure(error: &(dyn std::error::Error + 'static), status: StatusCode) -> Problem {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if inner.is::<tower_http::timeout::TimeoutError>() {
            return Problem::new(
                Code::RequestTimedOut,
                "the rest of the body did not come; send it without pauses",
            );
        }
        cause = inner.source();
    }
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Problem::new(
            Code::TooLarge,
            "the body is larger than `server.max_body_bytes` (for uploads \
             `server.max_upload_bytes`) allows; send less at once or raise the limit",
        );
    }
    Problem::new(
        Code::Malformed,
        format!("the body cannot be read: {}", chain(error)),
    )
}

impl From<PortError> for Problem {
    fn from(error: PortError) -> Self {
        let component = error.component();
        match error {
            PortError::Unavailable { .. } => {
                tracing::warn!(
                    error = chain(&error),
                    "a request needed a part that is down"
                );
                Self::new(
                    Code::Unavailable,
                    format!("the {component} is down; `griot status` says more"),
                )
                .retry_after(Duration::from_secs(5))
            }
            PortError::TimedOut { limit, .. } => Self::new(
                Code::Unavailable,
                format!("the {component} gave no answer within {limit:?}"),
            )
            .retry_after(Duration::from_secs(5)),
            PortError::Refused { reason, .. } => Self::new(
                Code::InvalidValue,
                format!("the {component} refused: {reason}"),
            ),
            PortError::Resting { retry_after, .. } => Self::new(
                Code::Unavailable,
                format!("the {component} rests after faults; `griot status` says more"),
            )
            .retry_after(retry_after),
            PortError::NoRoom { .. } => storage_full(),
            PortError::Busy { .. } => Self::new(
                Code::Busy,
                format!("the {component} has as much to do as it can; ask again shortly"),
            )
            .retry_after(Duration::from_secs(5)),
        }
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        match error {
            CatalogError::DiskFull => storage_full(),
            other => Self::internal(&other),
        }
    }
}

fn storage_full() -> Problem {
    Problem::new(
        Code::StorageFull,
        "the disk that holds the library is full (but for what `ingest.keep_free_mib` keeps free) and \
         nothing was stored; free some space, or delete documents, and send it again (reading and asking \
         go on)",
    )
}

fn stopping() -> Problem {
    Problem::new(
        Code::Stopping,
        "the daemon is stopping; ask again when it is back",
    )
    .retry_after_about(Duration::from_secs(5))
}

impl From<AnswerError> for Problem {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Catalog(error) => error.into(),
            AnswerError::Port(error) => error.into(),
            AnswerError::Template(_) => Self::internal(&error),
            AnswerError::Stopping => stopping(),
        }
    }
}

impl From<IngestError> for Problem {
    fn from(error: IngestError) -> Self {
        match error {
            IngestError::NotFound(id) => Self::new(
                Code::DocumentNotFound,
                format!("no document has the id {id}: it was deleted, or never taken in"),
            ),
            IngestError::TooLarge { limit } => Self::new(
                Code::TooLarge,
                format!("the file is larger than {limit} bytes (`ingest.max_file_bytes`)"),
            ),
            IngestError::QueueFull { retry_after } => Self::new(
                Code::QueueFull,
                "as many documents wait as `ingest.max_queue` allows; send this one again later",
            )
            .retry_after(retry_after),
            IngestError::DiskFull => storage_full(),
            IngestError::EmptyFile => Self::new(
                Code::InvalidValue,
                "the file is empty; there is nothing to read in it",
            ),
            IngestError::OutsideRoots { path } => Self::new(
                Code::PathNotAllowed,
                format!(
                    "{} is in none of the folders of `ingest.allowed_roots`; upload the file, or \
                     allow its folder in the settings",
                    path.display()
                ),
            ),
            IngestError::WatchNotFound(_) => Self::new(
                Code::WatchNotFound,
                format!("{error}; GET /api/watches lists them"),
            ),
            IngestError::WatchedAlready { .. } | IngestError::WatchConfigured { .. } => {
                Self::new(Code::WatchConflict, error.to_string())
            }
            IngestError::WatchRules { .. } => Self::new(Code::InvalidValue, error.to_string()),
            IngestError::PathUnreadable { path, source } => Self::new(
                Code::InvalidValue,
                format!("{} cannot be read: {source}", path.display()),
            ),
            IngestError::Catalog(error) => error.into(),
            IngestError::Port(error) => error.into(),
            other @ IngestError::Io { .. } => Self::internal(&other),
            IngestError::Stopping => stopping(),
        }
    }
}

impl From<ReindexError> for Problem {
    fn from(error: ReindexError) -> Self {
        match error {
            ReindexError::Busy(_) | ReindexError::NothingToDo { .. } => {
                Self::new(Code::Conflict, error.to_string())
            }
            ReindexError::NothingKept => Self::new(Code::NothingKept, error.to_string()),
            ReindexError::Model { .. } => Self::new(Code::Unavailable, error.to_string()),
            ReindexError::Ingest(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests;
