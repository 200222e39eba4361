//! Going over to another embedding model, and back.

use axum::{
    extract::State as Shared,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{
    ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};

use super::{State, extract::Json, problem::Problem};
use crate::{domain, ingest::reindex};

/// The words of an activity.
pub fn activity() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([
            "idle",
            "closed",
            "building",
            "rolling_back",
            "filling",
        ]))
        .build()
}

/// An index of all documents, made with one embedding model.
#[derive(Debug, Serialize, ToSchema)]
pub struct Generation {
    /// Indexes are numbered in the order in which they were begun.
    number: u32,
    model: String,
    /// Length of each vector.
    dimension: usize,
    /// Whether it holds every document.
    complete: bool,
    #[schema(value_type = String, format = DateTime)]
    made_at: jiff::Timestamp,
}

impl From<domain::Generation> for Generation {
    fn from(generation: domain::Generation) -> Self {
        Self {
            number: generation.number,
            model: generation.model,
            dimension: generation.dimension,
            complete: generation.complete,
            made_at: generation.made_at,
        }
    }
}

/// The index, and how far what is done about it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Report {
    /// `idle`: nothing is done. `building`: another index is made beside the one that answers.
    /// `rolling_back`: the kept one is brought up to date to answer again. `filling`: the one in use is
    /// made anew, and questions are answered by words. `closed`: it cannot be used; `trouble` says why.
    #[schema(schema_with = activity)]
    activity: &'static str,
    /// The embedding model that the settings name.
    configured_model: String,
    /// The one that answers.
    active: Option<Generation>,
    building: Option<Generation>,
    /// The one before, to which `POST /api/reindex/rollback` goes back.
    kept: Option<Generation>,
    /// Documents to be in the index that something is done about, and those that are.
    documents: u64,
    documents_done: u64,
    chunks: u64,
    chunks_done: u64,
    /// Null before there is anything to base it on, and while nothing is done; as below.
    chunks_per_s: Option<f32>,
    time_left_s: Option<u64>,
    /// What it waits for; null while all is well.
    trouble: Option<String>,
}

impl From<reindex::Report> for Report {
    fn from(report: reindex::Report) -> Self {
        Self {
            activity: report.activity.as_str(),
            configured_model: report.configured,
            active: report.active.map(Generation::from),
            building: report.building.map(Generation::from),
            kept: report.kept.map(Generation::from),
            documents: report.coverage.documents,
            documents_done: report.coverage.documents_held,
            chunks: report.coverage.chunks,
            chunks_done: report.coverage.chunks_held,
            chunks_per_s: report.chunks_per_s,
            time_left_s: report.time_left_s,
            trouble: report.trouble,
        }
    }
}

/// What to begin.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Begin {
    /// Also where the index is of the configured model already.
    force: bool,
}

/// Which index answers, which others there are, and how far one is that is being made.
#[utoipa::path(get, path = "/api/reindex", tag = "library",
    responses((status = 200, description = "As of now", body = Report)))]
pub async fn report(Shared(state): Shared<State>) -> Result<axum::Json<Report>, Problem> {
    Ok(axum::Json(state.reindex().report().await?.into()))
}

/// Begins to make an index with the configured embedding model, beside the one that answers meanwhile.
/// An index that was kept is removed.
#[utoipa::path(post, path = "/api/reindex", tag = "library", request_body = Begin,
    responses((status = 202, description = "Begun", body = Report)))]
pub async fn begin(
    Shared(state): Shared<State>,
    Json(begin): Json<Begin>,
) -> Result<Response, Problem> {
    accepted(state.reindex().begin(begin.force).await?)
}

/// Begins to go back to the index that is kept. It first takes in what came since.
#[utoipa::path(post, path = "/api/reindex/rollback", tag = "library",
    responses((status = 202, description = "Begun", body = Report)))]
pub async fn roll_back(Shared(state): Shared<State>) -> Result<Response, Problem> {
    accepted(state.reindex().roll_back().await?)
}

/// Removes the index that is kept.
#[utoipa::path(delete, path = "/api/reindex/kept", tag = "library",
    responses((status = 200, description = "Removed", body = Report)))]
pub async fn drop_kept(Shared(state): Shared<State>) -> Result<axum::Json<Report>, Problem> {
    Ok(axum::Json(state.reindex().drop_kept().await?.into()))
}

fn accepted(report: reindex::Report) -> Result<Response, Problem> {
    let report = axum::Json(Report::from(report));
    Ok((StatusCode::ACCEPTED, report).into_response())
}
