//! Sound over HTTP, as OpenAI's clients ask for it. Errors have the shape of the API they imitate.

mod captions;
mod encode;
pub mod speech;
pub mod transcriptions;

use std::time::Duration;

use axum::{
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use super::{Code, Problem, extract::is_other_json};
use crate::ports::PortError;

/// Seconds after which somebody may be done, and have left a place.
const BUSY_S: u64 = 5;

/// A request that is not served, and why.
#[derive(Debug)]
pub struct Refusal {
    status: StatusCode,
    message: String,
    param: Option<&'static str>,
    code: &'static str,
    retry_after_s: Option<u64>,
}

/// One server-sent event.
#[derive(Debug, ToSchema)]
#[expect(
    dead_code,
    reason = "describes the stream, which is written event by event"
)]
pub struct AudioEvent {
    /// JSON, whose `type` says what of it.
    data: String,
}

/// The body of an error.
#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorBody {
    error: ErrorDetail,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ErrorDetail {
    message: String,
    /// `invalid_request_error` or `server_error`.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The field that is at fault.
    param: Option<&'static str>,
    code: Option<&'static str>,
}

/// A body as a value, which is an object; `what` it is to be.
///
/// # Errors
/// When it is none, or not what is wanted.
pub fn object<T: DeserializeOwned>(body: &[u8], what: &str) -> Result<T, Refusal> {
    if is_other_json(body) {
        let message = format!("the body is not {what}: it is JSON, but no object");
        return Err(Refusal::unreadable(message));
    }
    serde_json::from_slice(body)
        .map_err(|error| Refusal::unreadable(format!("the body is not {what}: {error}")))
}

impl Refusal {
    /// A request whose field cannot be served.
    pub fn bad(param: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            message: message.into(),
            param: Some(param),
            code: "invalid_value",
            retry_after_s: None,
        }
    }

    /// A request that cannot be read.
    pub fn unreadable(message: impl Into<String>) -> Self {
        Self {
            param: None,
            code: "unreadable_request",
            ..Self::bad("", message)
        }
    }

    /// The same with another status.
    pub fn with_status(self, status: StatusCode) -> Self {
        Self { status, ..self }
    }

    /// A request that comes while as many like it are in work as may be.
    pub fn busy(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::TOO_MANY_REQUESTS,
            param: None,
            code: "rate_limit_exceeded",
            retry_after_s: Some(BUSY_S),
            ..Self::bad("", message)
        }
    }

    /// The same for the native API.
    fn into_problem(self) -> Problem {
        let code = match (self.status, self.param) {
            (StatusCode::PAYLOAD_TOO_LARGE, _) => Code::TooLarge,
            (StatusCode::TOO_MANY_REQUESTS, _) => Code::Busy,
            (_, Some(_)) => Code::InvalidValue,
            _ => Code::Malformed,
        };
        let problem = Problem::new(code, self.message);
        match self.retry_after_s {
            Some(seconds) => problem.retry_after(Duration::from_secs(seconds)),
            None => problem,
        }
    }

    /// The body, as JSON is written.
    fn body(&self) -> ErrorBody {
        let kind = if self.status.is_server_error() {
            "server_error"
        } else {
            "invalid_request_error"
        };
        ErrorBody {
            error: ErrorDetail {
                message: self.message.clone(),
                kind,
                param: self.param,
                code: Some(self.code),
            },
        }
    }

    fn broken(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            param: None,
            code: "internal_error",
            ..Self::bad("", message)
        }
    }
}

impl From<PortError> for Refusal {
    fn from(error: PortError) -> Self {
        let retry_after_s = match &error {
            PortError::Refused { reason, .. } => {
                return Self {
                    param: None,
                    ..Self::bad("", reason.clone())
                };
            }
            PortError::Resting { retry_after, .. } => retry_after.as_secs().max(1),
            PortError::Unavailable { .. }
            | PortError::TimedOut { .. }
            | PortError::NoRoom { .. } => 5,
            PortError::Busy { .. } => return Self::busy(error.to_string()),
        };
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            message: error.to_string(),
            param: None,
            code: "unavailable",
            retry_after_s: Some(retry_after_s),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = self.body();
        let mut response = (self.status, axum::Json(body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
