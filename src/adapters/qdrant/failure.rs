//! What a failed call means to the port.

use std::{error::Error, time::Duration};

use qdrant_client::QdrantError;
use tonic::{Code, Status};

use crate::{domain::Component, ports::PortError};

/// The gRPC code of a server's (or the connection's) answer.
pub(super) fn code(error: &QdrantError) -> Option<Code> {
    match error {
        QdrantError::ResponseError { status }
        | QdrantError::ResourceExhaustedError { status, .. } => Some(status.code()),
        _ => None,
    }
}

/// The port's error. Its texts are the server's message without the headers, which the client's own
/// text would show.
pub(super) fn port_error(error: QdrantError, limit: Duration) -> PortError {
    let component = Component::VectorStore;
    let status = match error {
        QdrantError::ResponseError { status }
        | QdrantError::ResourceExhaustedError { status, .. } => status,
        QdrantError::Io(source) => return PortError::unavailable(component, source),
        other => {
            return PortError::Refused {
                component,
                reason: other.to_string(),
            };
        }
    };
    match status.code() {
        // The client's own deadline comes as `Cancelled`.
        Code::DeadlineExceeded | Code::Cancelled => PortError::TimedOut { component, limit },
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::AlreadyExists
        | Code::Unimplemented => PortError::Refused {
            component,
            reason: format!("Qdrant says: {}", status.message()),
        },
        Code::Unauthenticated | Code::PermissionDenied => PortError::Refused {
            component,
            reason: format!(
                "Qdrant does not accept the key in `store.api_key`: {}",
                status.message()
            ),
        },
        _ => PortError::unavailable(component, Failure::from(&status)),
    }
}

/// The server answered something that makes no sense.
pub(super) fn nonsense(what: &'static str) -> PortError {
    PortError::unavailable(Component::VectorStore, format!("Qdrant: {what}"))
}

/// A status without its headers, with what lies below it.
#[derive(Debug, thiserror::Error)]
#[error("Qdrant: {message}")]
struct Failure {
    message: String,
}

impl From<&Status> for Failure {
    fn from(status: &Status) -> Self {
        let mut message = status.message().to_owned();
        let mut below = status.source();
        while let Some(source) = below {
            let text = source.to_string();
            if !message.contains(&text) {
                message = format!("{message}: {text}");
            }
            below = source.source();
        }
        Self { message }
    }
}
