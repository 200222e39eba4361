//! How the daemon and its parts are. Everything here reads what is already known; no request to it
//! makes a call to a dependency.

use std::{collections::BTreeMap, time::Duration};

use axum::extract::State as Shared;
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
    reindex, wire,
};
use crate::{
    domain::{Component, IncidentId, WatchId},
    health::{BreakerState, ComponentReport, ComponentState, HealthReport, Hold, Overall},
    ingest::reindex::Standing,
};

/// Incidents shown, unless the request says otherwise, and at most.
const DEFAULT_INCIDENTS: usize = 100;
const MAX_INCIDENTS: usize = 1000;

fn one_of(words: impl IntoIterator<Item = &'static str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(words))
        .build()
}

fn state() -> Object {
    one_of(["ok", "starting", "degraded", "down", "off"])
}

fn breaker() -> Object {
    one_of(["closed", "open", "half_open"])
}

fn overall() -> Object {
    one_of(["ok", "degraded", "down"])
}

/// One part.
#[derive(Debug, Serialize, ToSchema)]
pub struct ComponentHealth {
    #[schema(schema_with = wire::component)]
    name: Component,
    #[schema(schema_with = state)]
    state: ComponentState,
    /// Whether it is asked: not while `open`.
    #[schema(schema_with = breaker)]
    breaker: BreakerState,
    /// An operator holds the breaker, whatever the part's calls say.
    held: bool,
    /// When it came into this state.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    latency_ms: Option<u64>,
    /// What is wrong now; null while all is well.
    last_error: Option<String>,
    /// How often its process was started again.
    restarts: u32,
}

impl From<ComponentReport> for ComponentHealth {
    fn from(report: ComponentReport) -> Self {
        Self {
            name: report.name,
            state: report.state,
            breaker: report.breaker,
            held: report.held,
            since: report.since,
            latency_ms: report.latency_ms,
            last_error: report.last_error,
            restarts: report.restarts,
        }
    }
}

/// The daemon and its parts.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `degraded`: questions are answered, some of them at a lower level.
    #[schema(schema_with = overall)]
    status: Overall,
    components: Vec<ComponentHealth>,
    incidents_open: u32,
    index: IndexHealth,
    /// Watched folders that somebody should look at (a disk that is away).
    watches: Vec<TroubledWatch>,
    version: &'static str,
    uptime_s: u64,
}

/// A watched folder that somebody should look at.
#[derive(Debug, Serialize, ToSchema)]
pub struct TroubledWatch {
    #[schema(value_type = String, pattern = "^watch_[0-9a-f]{32}$")]
    id: WatchId,
    condition: &'static str,
    /// For people.
    detail: Option<String>,
}

/// The vector index: whose vectors it holds, and what is done about it.
#[derive(Debug, Serialize, ToSchema)]
pub struct IndexHealth {
    #[schema(schema_with = reindex::activity)]
    activity: &'static str,
    /// The embedding model that answers.
    model: String,
    /// The one that the settings name.
    configured_model: String,
    /// What a person should know and do; null while all is well.
    notice: Option<String>,
}

impl From<Standing> for IndexHealth {
    fn from(standing: Standing) -> Self {
        Self {
            activity: standing.activity.as_str(),
            model: standing.model,
            configured_model: standing.configured,
            notice: standing.notice,
        }
    }
}

impl Health {
    fn new(report: HealthReport, index: Standing) -> Self {
        Self {
            index: index.into(),
            status: report.status,
            components: report
                .components
                .into_iter()
                .map(ComponentHealth::from)
                .collect(),
            incidents_open: report.incidents_open,
            watches: Vec::new(),
            version: report.version,
            uptime_s: report.uptime_s,
        }
    }
}

/// Each part, its breaker, and how many incidents are open. `200` also when parts are down: it is the
/// question for details; `/readyz` is the one for a load balancer.
#[utoipa::path(get, path = "/api/health", tag = "health",
    responses((status = 200, description = "As of now", body = Health)))]
pub async fn health(Shared(state): Shared<State>) -> axum::Json<Health> {
    let mut health = Health::new(state.board().report(), state.reindex().standing());
    health.watches = state
        .library()
        .troubled_watches()
        .into_iter()
        .map(|(id, condition)| TroubledWatch {
            id,
            condition: condition.as_str(),
            detail: condition.detail(),
        })
        .collect();
    axum::Json(health)
}

/// How a breaker is to be.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// `open`: the part is not asked; `closed`: it is asked whatever its calls say; `auto`: as its calls
    /// say.
    #[schema(schema_with = hold_words)]
    breaker: String,
}

fn hold_words() -> Object {
    one_of(["open", "closed", "auto"])
}

/// Holds a part's breaker open or closed, or lets it go. Until the daemon ends.
#[utoipa::path(put, path = "/api/health/breakers/{component}", tag = "health", request_body = HoldRequest,
    params(("component" = String, Path, description = "A part's name in /api/health")),
    responses((status = 200, description = "As it is now", body = Health)))]
pub async fn hold(
    shared: Shared<State>,
    Path(name): Path<String>,
    Json(request): Json<HoldRequest>,
) -> Result<axum::Json<Health>, Problem> {
    let held = match request.breaker.as_str() {
        "open" => Some(Hold::Open),
        "closed" => Some(Hold::Closed),
        "auto" => None,
        other => {
            return Err(Problem::new(
                Code::InvalidValue,
                format!("`breaker` is {other:?}; use \"open\", \"closed\" or \"auto\""),
            ));
        }
    };
    let component = Component::ALL
        .into_iter()
        .find(|component| component.as_str() == name);
    if component.is_some_and(|component| shared.0.board().hold(component, held)) {
        tracing::warn!(
            part = name,
            breaker = request.breaker,
            "an operator sets a breaker"
        );
        Ok(health(shared).await)
    } else {
        let name: String = name.chars().take(100).collect();
        Err(Problem::new(
            Code::PartNotFound,
            format!("no part {name:?} has a breaker here; GET /api/health names them"),
        ))
    }
}

/// A short word.
#[derive(Debug, Serialize, ToSchema)]
pub struct Alive {
    /// `ok`.
    status: &'static str,
}

/// Whether the process serves requests at all. Depends on nothing.
#[utoipa::path(get, path = "/livez", tag = "health",
    responses((status = 200, description = "It lives", body = Alive)))]
pub async fn livez() -> axum::Json<Alive> {
    axum::Json(Alive { status: "ok" })
}

/// Whether questions can be taken now.
#[utoipa::path(get, path = "/readyz", tag = "health",
    responses((status = 200, description = "Ready", body = Alive)))]
pub async fn readyz(Shared(state): Shared<State>) -> Result<axum::Json<Alive>, Problem> {
    match state.board().ready() {
        Ok(()) => Ok(axum::Json(Alive { status: "ok" })),
        Err(waited_for) => {
            let names: Vec<&str> = waited_for.iter().map(|part| part.as_str()).collect();
            Err(
                Problem::new(Code::NotReady, format!("waiting for {}", names.join(", ")))
                    .retry_after(Duration::from_secs(1)),
            )
        }
    }
}

/// A part was lost, from when to when.
#[derive(Debug, Serialize, ToSchema)]
pub struct Incident {
    #[schema(value_type = String, pattern = "^inc_[0-9a-f]{32}$")]
    id: IncidentId,
    #[schema(schema_with = wire::component)]
    component: Component,
    /// Which of the component's parts.
    part: String,
    #[schema(value_type = String, format = DateTime)]
    opened: Timestamp,
    /// null while it lasts.
    #[schema(value_type = Option<String>, format = DateTime)]
    closed: Option<Timestamp>,
    cause: String,
    /// What was done about it.
    action: String,
    /// Answers given at a lower level meanwhile.
    degraded_answers: u64,
    /// What was seen and done, oldest first.
    events: Vec<IncidentEvent>,
}

/// One thing that was seen or done while an incident lasted.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentEvent {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// `cause`: what was seen to be wrong; `action`: what was done; `output`: what the process wrote last.
    #[schema(pattern = "^(cause|action|output)$")]
    kind: &'static str,
    text: String,
}

impl From<crate::domain::Incident> for Incident {
    fn from(incident: crate::domain::Incident) -> Self {
        Self {
            id: incident.id,
            component: incident.component,
            part: incident.part,
            opened: incident.opened,
            closed: incident.closed,
            cause: incident.cause,
            action: incident.action,
            degraded_answers: incident.degraded_answers,
            events: incident
                .events
                .into_iter()
                .map(|event| IncidentEvent {
                    at: event.at,
                    kind: event.kind.as_str(),
                    text: event.text,
                })
                .collect(),
        }
    }
}

/// What was lost, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct IncidentList {
    incidents: Vec<Incident>,
}

/// How many incidents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct IncidentQuery {
    /// At most this many, 1 to 1000; 100 unless given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// What was lost, newest first: this run's from memory, earlier ones from the catalog.
#[utoipa::path(get, path = "/api/incidents", tag = "health", params(IncidentQuery),
    responses((status = 200, description = "Incidents", body = IncidentList)))]
pub async fn incidents(
    Shared(state): Shared<State>,
    Query(query): Query<IncidentQuery>,
) -> Result<axum::Json<IncidentList>, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_INCIDENTS);
    if !(1..=MAX_INCIDENTS).contains(&limit) {
        return Err(Problem::new(
            Code::InvalidValue,
            format!("`limit` is {limit}; use 1 to {MAX_INCIDENTS}"),
        ));
    }
    let stored = state
        .catalog()
        .call(move |catalog| catalog.incidents(limit))
        .await
        .unwrap_or_else(|error| {
            // The incident may be that the catalog is lost; then this run's are worth the more.
            tracing::warn!(%error, "earlier incidents cannot be read");
            Vec::new()
        });
    // Memory is newer than the catalog, so it goes in last. Identifiers sort by time.
    let by_id: BTreeMap<_, _> = stored
        .into_iter()
        .chain(state.board().incidents().recent())
        .map(|incident| (incident.id, incident))
        .collect();
    let incidents = by_id
        .into_values()
        .rev()
        .take(limit)
        .map(Incident::from)
        .collect();
    Ok(axum::Json(IncidentList { incidents }))
}

/// One incident.
#[utoipa::path(get, path = "/api/incidents/{id}", tag = "health",
    params(("id" = String, Path, description = "An incident's id")),
    responses((status = 200, description = "The incident", body = Incident)))]
pub async fn incident(
    Shared(state): Shared<State>,
    Path(id): Path<String>,
) -> Result<axum::Json<Incident>, Problem> {
    let id: IncidentId = parsed(&id)?;
    let recent = state.board().incidents().recent();
    let found = match recent.into_iter().find(|incident| incident.id == id) {
        Some(incident) => Some(incident),
        None => {
            state
                .catalog()
                .call(move |catalog| catalog.incident(id))
                .await?
        }
    };
    found
        .map(|incident| axum::Json(incident.into()))
        .ok_or_else(|| {
            Problem::new(
                Code::IncidentNotFound,
                format!("no incident has the id {id}; GET /api/incidents lists them"),
            )
        })
}
