//! `griot incidents`: what was lost, why, what was done about it and what it cost.

use clap::Args;
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{Context, Failure, print};
use crate::domain::Incident;

/// List what was lost and what was done about it, newest first
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  griot incidents -n 5\n  griot incidents inc_0190f3a1c2d37e6f8a9b0c1d2e3f4a5b"
)]
pub struct Incidents {
    /// Only this one, with all that was seen and done.
    id: Option<String>,
    /// At most this many.
    #[arg(short, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1000))]
    number: u16,
}

#[derive(Debug, Serialize, Deserialize)]
struct Listed {
    incidents: Vec<Incident>,
}

impl Incidents {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let client = context.client()?;
        if let Some(id) = &self.id {
            let incident: Incident = client
                .json(client.request(Method::GET, &["api", "incidents", id]))
                .await?;
            if context.json() {
                context.out.json(&incident)?;
                return Ok(());
            }
            for line in in_full(&incident) {
                context.out.line(&line)?;
            }
            return Ok(());
        }
        let request = client
            .request(Method::GET, &["api", "incidents"])
            .query(&[("limit", self.number)]);
        let listed: Listed = client.json(request).await?;
        if context.json() {
            context.out.json(&listed)?;
            return Ok(());
        }
        let rows: Vec<Vec<String>> = listed
            .incidents
            .iter()
            .map(|incident| {
                vec![
                    incident.id.to_string(),
                    incident.component.to_string(),
                    incident.opened.strftime("%Y-%m-%d %H:%M:%S").to_string(),
                    lasted(incident),
                    incident.degraded_answers.to_string(),
                    incident.cause.clone(),
                ]
            })
            .collect();
        let head = ["ID", "PART", "OPENED", "LASTED", "ANSWERS", "CAUSE"];
        context.out.table(&head, &rows)?;
        Ok(())
    }
}

fn lasted(incident: &Incident) -> String {
    incident.lasted().map_or_else(
        || "still open".to_owned(),
        |lasted| print::duration(lasted.as_secs()),
    )
}

fn in_full(incident: &Incident) -> Vec<String> {
    let mut lines = vec![
        format!("{} ({})", incident.component, incident.part),
        format!("opened    {}", incident.opened),
        format!("lasted    {}", lasted(incident)),
        format!("cause     {}", incident.cause),
        format!("done      {}", incident.action),
        format!(
            "answers   {} at a lower level meanwhile",
            incident.degraded_answers
        ),
    ];
    let events = incident.events.iter();
    lines.extend(events.map(|event| {
        let at = event.at.strftime("%H:%M:%S");
        format!("{at}  {:<7} {}", event.kind.as_str(), event.text)
    }));
    lines
}
