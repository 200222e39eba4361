//! `griot status`: each part, its breaker, open incidents.

use clap::Args;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{Context, Failure, print};
use crate::domain::Incident;

/// Show how the daemon and its parts are; exit code 1 when something is down
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  griot status\n  griot status --json | jq .status")]
pub struct Status {}

/// The daemon's own report.
#[derive(Debug, Serialize, Deserialize)]
struct Health {
    status: String,
    components: Vec<Component>,
    incidents_open: u32,
    /// Absent in daemons of before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    index: Option<Index>,
    #[serde(default)]
    watches: Vec<Watch>,
    version: String,
    uptime_s: u64,
}

/// The vector index.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    activity: String,
    model: String,
    configured_model: String,
    notice: Option<String>,
}

/// One part. Words stay words here, so that a newer daemon's can be shown too.
#[derive(Debug, Serialize, Deserialize)]
struct Component {
    name: String,
    state: String,
    breaker: String,
    since: jiff::Timestamp,
    latency_ms: Option<u64>,
    last_error: Option<String>,
    restarts: u32,
}

/// A watched folder that somebody should look at.
#[derive(Debug, Serialize, Deserialize)]
struct Watch {
    id: String,
    condition: String,
    detail: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Incidents {
    incidents: Vec<Incident>,
}

impl Status {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let client = context.client()?;
        let health: Health = client
            .json(client.request(Method::GET, &["api", "health"]))
            .await?;
        let something_down =
            health.status == "down" || health.components.iter().any(|part| part.state == "down");
        if context.json() {
            context.out.json(&health)?;
        } else {
            let incidents: Incidents = client
                .json(client.request(Method::GET, &["api", "incidents"]))
                .await?;
            show(&context, &health, &incidents.incidents)?;
        }
        if something_down {
            Err(Failure::Said)
        } else {
            Ok(())
        }
    }
}

fn show(context: &Context, health: &Health, incidents: &[Incident]) -> Result<(), Failure> {
    let out = context.out;
    out.line(&format!(
        "griot {} is {}, up {}",
        health.version,
        health.status,
        print::duration(health.uptime_s)
    ))?;
    let rows: Vec<Vec<String>> = health
        .components
        .iter()
        .map(|part| {
            vec![
                part.name.clone(),
                part.state.clone(),
                part.breaker.clone(),
                part.latency_ms
                    .map_or_else(|| "-".to_owned(), |latency| format!("{latency} ms")),
                part.restarts.to_string(),
                part.last_error.clone().unwrap_or_default(),
            ]
        })
        .collect();
    out.table(
        &[
            "PART",
            "STATE",
            "BREAKER",
            "LATENCY",
            "RESTARTS",
            "WHAT IS WRONG",
        ],
        &rows,
    )?;
    if let Some(notice) = health
        .index
        .as_ref()
        .and_then(|index| index.notice.as_ref())
    {
        out.line(&format!("index: {notice}"))?;
    }
    for watch in &health.watches {
        out.line(&format!(
            "watched folder {}: {}; {}",
            watch.id,
            watch.condition,
            watch
                .detail
                .as_deref()
                .unwrap_or("`griot watch ls` says more")
        ))?;
    }
    for incident in incidents
        .iter()
        .filter(|incident| incident.closed.is_none())
    {
        out.line(&format!(
            "open incident {}: {} since {}: {}; {}",
            incident.id, incident.component, incident.opened, incident.cause, incident.action
        ))?;
    }
    Ok(())
}
