//! Axum's extractors with our problems as their rejections, and identifiers parsed from paths.

use std::str::FromStr;

use axum::extract::{FromRequest, FromRequestParts};

use super::problem::{Code, Problem};
use crate::domain::ids::InvalidName;

/// A JSON body.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub struct Json<T>(pub T);

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
