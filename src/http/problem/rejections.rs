//! Requests that axum's extractors refuse.

use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};

use super::{Code, Problem, body_failure};

impl From<BytesRejection> for Problem {
    fn from(rejection: BytesRejection) -> Self {
        let status = rejection.status();
        body_failure(&rejection, status)
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        match rejection {
            JsonRejection::JsonDataError(error) => {
                Self::new(Code::InvalidValue, cause_of(&error, &error.body_text()))
            }
            JsonRejection::JsonSyntaxError(error) => Self::new(
                Code::Malformed,
                format!("the body is not JSON: {}", cause_of(&error, "")),
            ),
            JsonRejection::BytesRejection(rejection) => rejection.into(),
            other => Self::new(Code::Malformed, other.body_text()),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(
            Code::InvalidValue,
            format!(
                "the query string does not fit: {}",
                cause_of(&rejection, "it cannot be read")
            ),
        )
    }
}

impl From<PathRejection> for Problem {
    fn from(rejection: PathRejection) -> Self {
        if rejection.status().is_server_error() {
            return Self::internal(&rejection);
        }
        Self::new(
            Code::Malformed,
            format!("the address cannot be read: {}", rejection.body_text()),
        )
    }
}

/// The innermost cause, which is what the person wrote wrong; `otherwise` where there is none.
fn cause_of(error: &(dyn std::error::Error + 'static), otherwise: &str) -> String {
    let mut innermost = error.source();
    while let Some(deeper) = innermost.and_then(std::error::Error::source) {
        innermost = Some(deeper);
    }
    innermost.map_or_else(|| otherwise.to_owned(), ToString::to_string)
}
