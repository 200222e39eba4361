//! The daemon's memory: right after the start, before any weight is loaded, and after a document and
//! a question.

use std::{error::Error, fs, time::Duration};

use serde_json::json;

use super::{
    args::Args,
    daemon::{Daemon, File},
    machine::{Stopwatch, resident_mb},
    table::{Bar, Section, Table, number},
};

/// How long the daemon is left alone before it is looked at: longer than its first probes take.
const SETTLE: Duration = Duration::from_secs(5);

/// A document to load the embedder with.
const TEXT: &str = "The lease\n\nRent is payable on the first day of each calendar month. The deposit is \
                    three months' rent and is kept apart from the landlord's own money.";

/// Starts the daemon and looks at it.
pub async fn run(args: &Args) -> Result<Option<Section>, Box<dyn Error>> {
    let watch = Stopwatch::start();
    fs::create_dir_all(&args.out)?;
    let daemon = Daemon::start(
        args.models.as_deref(),
        &[],
        &args.out.join("rss-daemon.log"),
    )?;
    daemon.lives().await?;
    tokio::time::sleep(SETTLE).await;
    let idle = (
        resident_mb(daemon.pid()),
        daemon.worker().and_then(resident_mb),
    );
    let file = File {
        name: "lease.txt".to_owned(),
        bytes: TEXT.as_bytes().to_vec(),
    };
    let ids = daemon.upload(vec![file], "default").await?;
    daemon.wait(&ids).await?;
    let ingested = (
        resident_mb(daemon.pid()),
        daemon.worker().and_then(resident_mb),
    );
    daemon.ask("When is the rent payable?", "default").await?;
    let asked = (
        resident_mb(daemon.pid()),
        daemon.worker().and_then(resident_mb),
    );
    drop(daemon);

    let mut table = Table::new(&["", "griot, MB", "griot-llm, MB"]);
    for (when, (daemon, worker)) in [
        ("idle, before any weight is loaded", idle),
        ("after one document", ingested),
        ("after one question", asked),
    ] {
        table.row([when.to_owned(), number(daemon, 0), number(worker, 0)]);
    }
    let pair = |(daemon, worker): (Option<f64>, Option<f64>)| json!({ "griot_mb": daemon, "griot_llm_mb": worker });
    Ok(Some(Section {
        title: "Memory".to_owned(),
        measured: watch.provenance(),
        notes: vec![format!(
            "Resident memory (VmRSS) in 10⁶ bytes; idle is {} s after the start with default settings.",
            SETTLE.as_secs()
        )],
        tables: vec![table],
        bars: vec![Bar {
            what: "idle memory of the daemon".to_owned(),
            wanted: "< 150 MB".to_owned(),
            got: number(idle.0, 0) + " MB",
            met: idle.0.map(|mb| mb < 150.0),
        }],
        figures: json!({ "idle": pair(idle), "ingested": pair(ingested), "asked": pair(asked) }),
    }))
}
