//! Watched folders over HTTP.

use axum::{
    extract::State as Shared,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{
    IntoParams, ToSchema,
    openapi::schema::{Object, ObjectBuilder, Type},
};

use super::{
    State,
    extract::{Json, Path, Query, parsed},
    problem::{Code, Problem},
};
use crate::{
    domain::{Collection, Deleted, WatchId, WatchRules},
    ingest::watch::{Asker, WatchReport},
};

fn one_of(words: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .build()
}

fn condition() -> Object {
    one_of([
        "scanning",
        "listening",
        "polling",
        "away",
        "partly_away",
        "failing",
    ])
}

fn deleted() -> Object {
    one_of(["retire", "keep"])
}

/// A watched folder and how it is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Watch)]
pub struct Watched {
    #[schema(value_type = String, pattern = "^watch_[0-9a-f]{32}$")]
    id: WatchId,
    path: String,
    #[schema(value_type = String)]
    collection: Collection,
    include: Vec<String>,
    exclude: Vec<String>,
    /// What becomes of a document whose file is deleted.
    #[schema(schema_with = deleted)]
    deleted: Deleted,
    /// It stands in the settings and can be ended only there.
    configured: bool,
    #[schema(schema_with = condition)]
    condition: &'static str,
    /// What there is to say about the condition, for people.
    detail: Option<String>,
    files: u64,
    /// Files whose document is searchable with the bytes they have now.
    searchable: u64,
    /// Files that could not be read, or whose document failed.
    failed: u64,
    /// When every file was last looked at.
    #[schema(value_type = Option<String>, format = DateTime)]
    scanned_at: Option<Timestamp>,
}

impl From<WatchReport> for Watched {
    fn from(report: WatchReport) -> Self {
        let rules = report.watch.rules;
        Self {
            id: report.watch.id,
            path: rules.root.to_string_lossy().into_owned(),
            collection: rules.collection,
            include: rules.include,
            exclude: rules.exclude,
            deleted: rules.deleted,
            configured: report.watch.configured,
            condition: report.condition.as_str(),
            detail: report.condition.detail(),
            files: report.counts.files,
            searchable: report.counts.searchable,
            failed: report.counts.failed,
            scanned_at: report.scanned_at,
        }
    }
}

/// The watched folders, the oldest watch first.
#[derive(Debug, Serialize, ToSchema)]
pub struct WatchList {
    watches: Vec<Watched>,
}

/// A folder to be watched.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WatchRequest {
    /// A folder on the daemon's machine, inside `ingest.allowed_roots` (or any that the daemon may read,
    /// for whoever can read its home folder).
    #[schema(min_length = 1)]
    path: String,
    /// Where its documents go.
    #[serde(default)]
    collection: Option<String>,
    /// Patterns as in `.gitignore`; without any, whatever is of a kind that can be read.
    #[serde(default)]
    include: Vec<String>,
    /// Patterns as in `.gitignore` of what is left out.
    #[serde(default)]
    exclude: Vec<String>,
    /// `retire` unless given.
    #[serde(default)]
    #[schema(schema_with = deleted, required = false)]
    deleted: Option<String>,
}

/// The watched folders and how they are.
#[utoipa::path(get, path = "/api/watches", tag = "knowledge",
    responses((status = 200, description = "As of now", body = WatchList)))]
pub async fn list(Shared(state): Shared<State>) -> Result<axum::Json<WatchList>, Problem> {
    let watches = state.library().watches().await?;
    Ok(axum::Json(WatchList {
        watches: watches.into_iter().map(Watched::from).collect(),
    }))
}

/// Watches a folder: its files are documents as long as they are there.
#[utoipa::path(post, path = "/api/watches", tag = "knowledge", request_body = WatchRequest,
    responses((status = 201, description = "It is watched from now on", body = Watched)))]
pub async fn add(
    Shared(state): Shared<State>,
    headers: HeaderMap,
    Json(request): Json<WatchRequest>,
) -> Result<Response, Problem> {
    if request.path.is_empty() || request.path.contains('\0') {
        return Err(Problem::new(
            Code::InvalidValue,
            "`path` is the path of a folder, without NUL characters",
        ));
    }
    let owner = state.local_key().is_some_and(|key| key.is_shown(&headers));
    let rules = WatchRules {
        root: request.path.into(),
        collection: match &request.collection {
            Some(name) => parsed(name)?,
            None => state.default_collection().clone(),
        },
        include: request.include,
        exclude: request.exclude,
        deleted: deleted_of(request.deleted.as_deref())?,
    };
    let asker = if owner { Asker::Owner } else { Asker::Anyone };
    let report = state.library().add_watch(rules, asker).await?;
    Ok((StatusCode::CREATED, axum::Json(Watched::from(report))).into_response())
}

fn deleted_of(word: Option<&str>) -> Result<Deleted, Problem> {
    word.map_or(Ok(Deleted::default()), |word| {
        word.parse().map_err(|_| {
            Problem::new(
                Code::InvalidValue,
                format!("{word:?} is neither `retire` nor `keep`"),
            )
        })
    })
}

/// What becomes of the documents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RemoveQuery {
    /// They stay, as if they had been uploaded; otherwise they are retired.
    keep: Option<bool>,
}

/// Ends a watch. Documents that also somebody uploaded, or that are in another watched folder, stay.
#[utoipa::path(delete, path = "/api/watches/{id}", tag = "knowledge",
    params(("id" = String, Path, description = "A watch's id"), RemoveQuery),
    responses((status = 200, description = "The watch as it was", body = Watched)))]
pub async fn remove(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
    Query(query): Query<RemoveQuery>,
) -> Result<axum::Json<Watched>, Problem> {
    let documents = if query.keep.unwrap_or(false) {
        Deleted::Keep
    } else {
        Deleted::Retire
    };
    let report = state
        .library()
        .remove_watch(parsed(&id)?, documents)
        .await?;
    Ok(axum::Json(report.into()))
}
