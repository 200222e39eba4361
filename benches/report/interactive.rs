//! What taking documents in costs those who ask meanwhile: the same searches at rest and during a bulk
//! ingest, over the same library, through the service itself.

use std::{
    error::Error,
    time::{Duration, Instant},
};

use griot::{
    answer::Search,
    domain::{Document, Question},
};
use serde_json::{Value, json};

use super::{
    args::Args,
    daemon::File,
    datasets::RetrievalSet,
    ingest::{corpora, ingest},
    machine::Stopwatch,
    metrics::percentile,
    stack::{Intake, Stack},
    table::{Bar, Section, Table, number},
};

/// Between two searches: somebody reads what was found.
const PAUSE: Duration = Duration::from_millis(100);
/// Searches at rest, and before the clock starts.
const AT_REST: usize = 150;
const WARM: usize = 10;
/// Documents that are there before, and are searched.
const BEFORE: usize = 300;

/// Measures both. `None` without evaluation sets.
pub async fn run(args: &Args, stack: &Stack) -> Result<Option<Section>, Box<dyn Error>> {
    let Some(set) = RetrievalSet::read(&args.data.join("scifact"))? else {
        return Ok(None);
    };
    let queries: Vec<String> = set.queries.into_iter().map(|judged| judged.query).collect();
    let mut items = set.corpus.iter().map(|item| File {
        name: format!("{}.txt", item.id),
        bytes: item.as_file(),
    });
    let before: Vec<File> = items.by_ref().take(BEFORE).collect();
    let abstracts = items.take(if args.quick { 100 } else { 600 }).collect();
    let mut bulks: Vec<(&str, Vec<File>)> = vec![("abstracts", abstracts)];
    // Long documents, whose reading takes the processor too.
    bulks.extend(
        corpora(args)?
            .into_iter()
            .filter(|(name, _)| name.starts_with("mixed")),
    );

    let watch = Stopwatch::start();
    let mut table = Table::new(&[
        "meanwhile",
        "searches",
        "p50, ms",
        "p95, ms",
        "p99, ms",
        "CPU ms a search",
    ]);
    let mut figures = serde_json::Map::new();
    let mut bars = Vec::new();
    for (name, bulk) in bulks {
        let intake = Intake::start(stack).await?;
        ingest(&intake, &before).await?;
        let rest = {
            let mut times = Vec::new();
            let mut rest_watch = Stopwatch::start();
            for (number, query) in queries.iter().cycle().take(WARM + AT_REST).enumerate() {
                if number == WARM {
                    times.clear();
                    rest_watch = Stopwatch::start();
                }
                times.push(search(&intake, query).await?);
                tokio::time::sleep(PAUSE).await;
            }
            let cpu_ms = rest_watch.cpu_s() * 1e3 / AT_REST as f64;
            spread(&times, Some(cpu_ms))
        };
        let bulk_watch = Stopwatch::start();
        let (taken, times) = asked_meanwhile(&intake, &bulk, &queries).await?;
        let chunks: u64 = taken.iter().map(|document| document.chunks).sum();
        let busy = spread(&times, None);
        eprintln!(
            "bench: interactive: {name}: at rest {rest}, meanwhile {busy}, {:.1} chunks/s",
            chunks as f64 / bulk_watch.wall_s()
        );
        intake.stop().await;
        for (what, figures) in [
            (format!("nothing ({name} after it)"), &rest),
            (format!("{} {name} taken in", bulk.len()), &busy),
        ] {
            let of = |key: &str| figures[key].as_f64();
            table.row([
                what,
                figures["searches"].to_string(),
                number(of("p50_ms"), 1),
                number(of("p95_ms"), 1),
                number(of("p99_ms"), 1),
                number(of("cpu_ms"), 1),
            ]);
        }
        if let (Some(rest), Some(busy)) = (rest["p95_ms"].as_f64(), busy["p95_ms"].as_f64()) {
            bars.push(Bar {
                what: format!("p95 of a search while {name} are taken in, over that at rest"),
                wanted: "≤ 2.0".to_owned(),
                got: format!("{:.2}", busy / rest),
                met: (!args.quick).then_some(busy <= 2.0 * rest),
            });
        }
        figures.insert(
            name.to_owned(),
            json!({ "rest": rest, "busy": busy, "chunks": chunks, "wall_s": bulk_watch.wall_s() }),
        );
    }
    Ok(Some(Section {
        title: "Searches during an ingest".to_owned(),
        measured: watch.provenance(),
        notes: vec![format!(
            "`Answerer::search` with real questions over {BEFORE} abstracts, one after another with \
             {} ms between them, at rest and while more documents are taken in.",
            PAUSE.as_millis()
        )],
        tables: vec![table],
        bars,
        figures: Value::Object(figures),
    }))
}

/// Takes documents in and asks all the while. Both run on this task: a search is begun whenever the one
/// before is answered and read.
async fn asked_meanwhile(
    intake: &Intake,
    bulk: &[File],
    queries: &[String],
) -> Result<(Vec<Document>, Vec<f64>), Box<dyn Error>> {
    let taking = ingest(intake, bulk);
    tokio::pin!(taking);
    let mut times = Vec::new();
    for query in queries.iter().cycle() {
        let asking = async {
            let time = search(intake, query).await;
            tokio::time::sleep(PAUSE).await;
            time
        };
        tokio::pin!(asking);
        tokio::select! {
            time = &mut asking => times.push(time?),
            documents = &mut taking => return Ok((documents?, times)),
        }
    }
    Err("there are no queries".into())
}

/// Milliseconds that one search takes.
async fn search(intake: &Intake, query: &str) -> Result<f64, Box<dyn Error>> {
    let search = Search {
        query: Question::parse(query, usize::MAX)?,
        collection: None,
        top_k: None,
    };
    let began = Instant::now();
    let found = intake.answerer.search(search).await?;
    if !found.degraded.is_empty() {
        return Err(format!("a search was degraded: {:?}", found.degraded).into());
    }
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

fn spread(times: &[f64], cpu_ms: Option<f64>) -> Value {
    json!({
        "searches": times.len(),
        "p50_ms": percentile(times, 0.5),
        "p95_ms": percentile(times, 0.95),
        "p99_ms": percentile(times, 0.99),
        "cpu_ms": cpu_ms,
    })
}
