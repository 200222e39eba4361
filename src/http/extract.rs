//! Axum's extractors with our problems as their rejections, and identifiers parsed from paths.

use std::str::FromStr;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::header,
};
use serde::de::{DeserializeOwned, IgnoredAny};

use super::problem::{Code, Problem};
use crate::domain::ids::InvalidName;

/// A JSON body, which is an object.
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.split(';').next())
            .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
        if !is_json {
            return Err(Problem::new(
                Code::UnsupportedMediaType,
                "send JSON and say so: `Content-Type: application/json`",
            ));
        }
        let body = Bytes::from_request(request, state).await?;
        if is_other_json(&body) {
            return Err(Problem::new(
                Code::InvalidValue,
                "the body is JSON, but not an object like {\"question\":\"…\"}",
            ));
        }
        let axum::Json(value) = axum::Json::from_bytes(&body)?;
        Ok(Self(value))
    }
}

/// Whether a body is JSON and no object: serde would take `["When is rent due?"]` for an object's fields in
/// their order.
pub fn is_other_json(body: &[u8]) -> bool {
    let begins = body.trim_ascii_start().first();
    begins != Some(&b'{') && serde_json::from_slice::<IgnoredAny>(body).is_ok()
}

/// The query string.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub struct Query<T>(pub T);

/// The variable parts of the path.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Path), rejection(Problem))]
pub struct Path<T>(pub T);

/// An identifier or a name out of a path, query or form; the rule it breaks is the detail.
pub fn parsed<T: FromStr<Err = InvalidName>>(given: &str) -> Result<T, Problem> {
    given
        .parse()
        .map_err(|error: InvalidName| Problem::new(Code::InvalidValue, error.to_string()))
}
