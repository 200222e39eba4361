//! `griot reindex`: another embedding model, while questions go on.

use std::{io::IsTerminal, time::Duration};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde::{Deserialize, Serialize};

use super::{Context, Failure, client::Client, print};

/// How often it is asked how far it is. People read it; nothing depends on it.
const POLL: Duration = Duration::from_millis(500);

/// Make the index anew with the embedding model that the settings name
///
/// Set `embed.model`, restart the daemon (it goes on with the model that the index was made with), then
/// run this. A second index is built beside the first, which answers until the second is whole; then one
/// switch. The first is kept until the next reindex, --drop-old, or --rollback, which takes in what came
/// since and switches back. Stop this command at any time: the daemon goes on, also after a restart.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  griot config show | grep embed.model\n  griot reindex\n  griot reindex --status\n  griot reindex --rollback\n  griot reindex --drop-old"
)]
pub struct Reindex {
    /// Say how it is and how far, and begin nothing.
    #[arg(long, conflicts_with_all = ["rollback", "drop_old", "force"])]
    status: bool,
    /// Go back to the index of before.
    #[arg(long, conflicts_with_all = ["drop_old", "force"])]
    rollback: bool,
    /// Remove the index of before.
    #[arg(long, conflicts_with = "force")]
    drop_old: bool,
    /// Also where the index is of that model already.
    #[arg(long)]
    force: bool,
    /// Begin it and do not wait for its end.
    #[arg(long)]
    no_wait: bool,
}

/// The daemon's report. Words stay words, so that a newer daemon's can be shown too.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    activity: String,
    configured_model: String,
    active: Option<Generation>,
    building: Option<Generation>,
    kept: Option<Generation>,
    documents: u64,
    documents_done: u64,
    chunks: u64,
    chunks_done: u64,
    chunks_per_s: Option<f32>,
    time_left_s: Option<u64>,
    trouble: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Generation {
    number: u32,
    model: String,
    dimension: usize,
    complete: bool,
    made_at: jiff::Timestamp,
}

impl Report {
    fn in_work(&self) -> bool {
        matches!(
            self.activity.as_str(),
            "building" | "rolling_back" | "filling"
        )
    }
}

impl Reindex {
    pub async fn run(self, context: Context) -> Result<(), Failure> {
        let client = context.client()?;
        let report = if self.status {
            status(&client).await?
        } else if self.drop_old {
            let request = client.request(Method::DELETE, &["api", "reindex", "kept"]);
            client.json(request).await?
        } else {
            let request = if self.rollback {
                client.request(Method::POST, &["api", "reindex", "rollback"])
            } else {
                client
                    .request(Method::POST, &["api", "reindex"])
                    .json(&serde_json::json!({ "force": self.force }))
            };
            let begun: Report = client.json(request).await?;
            if self.no_wait {
                begun
            } else {
                wait(&client, begun).await?
            }
        };
        if context.json() {
            context.out.json(&report)?;
        } else {
            show(&context, &report)?;
        }
        if report.activity == "closed" {
            return Err(Failure::Said);
        }
        Ok(())
    }
}

async fn status(client: &Client) -> Result<Report, Failure> {
    let request = client.request(Method::GET, &["api", "reindex"]);
    Ok(client.json(request).await?)
}

/// Waits until nothing is done about the index any more.
async fn wait(client: &Client, begun: Report) -> Result<Report, Failure> {
    let bar = bar();
    let mut report = begun;
    while report.in_work() {
        bar.set_length(report.chunks);
        bar.set_position(report.chunks_done);
        let left = report.time_left_s.map_or_else(String::new, |left| {
            format!("{} left", print::duration(left))
        });
        bar.set_message(match &report.trouble {
            Some(trouble) => format!("waits: {}", print::shown(trouble, false)),
            None => left,
        });
        tokio::time::sleep(POLL).await;
        report = status(client).await?;
    }
    bar.finish_and_clear();
    Ok(report)
}

/// A bar on standard error, where a person looks; nothing elsewhere.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} chunks, {wide_msg}")
        .expect("the template is well formed");
    let bar = ProgressBar::new(0).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

fn show(context: &Context, report: &Report) -> Result<(), Failure> {
    let out = context.out;
    let rows: Vec<Vec<String>> = [
        ("answers", &report.active),
        ("is built", &report.building),
        ("is kept", &report.kept),
    ]
    .into_iter()
    .filter_map(|(role, generation)| {
        let generation = generation.as_ref()?;
        Some(vec![
            generation.number.to_string(),
            role.to_owned(),
            generation.model.clone(),
            generation.dimension.to_string(),
            generation.made_at.to_string(),
        ])
    })
    .collect();
    out.table(&["INDEX", "IT", "MODEL", "VALUES", "BEGUN"], &rows)?;
    let what = match report.activity.as_str() {
        "building" => "another index is being built",
        "rolling_back" => "the kept index is being brought up to date",
        "filling" => "the index is being filled; questions are answered by words until then",
        "closed" => "the index cannot be used",
        _ => "",
    };
    if report.in_work() {
        out.line(&format!(
            "{what}: {} of {}, {} of {}",
            report.documents_done,
            print::counted(report.documents, "document"),
            report.chunks_done,
            print::counted(report.chunks, "chunk"),
        ))?;
    } else if !what.is_empty() {
        out.line(what)?;
    }
    if let Some(trouble) = &report.trouble {
        out.line(trouble)?;
    }
    let answering = report.active.as_ref().map(|active| &active.model);
    if report.activity == "idle" && answering != Some(&report.configured_model) {
        out.line(&format!(
            "`embed.model` is {}; `griot reindex` goes over to it",
            report.configured_model
        ))?;
    }
    Ok(())
}
