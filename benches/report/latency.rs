//! How long a search takes at several sizes of the library, through the service itself: query
//! embedded, both sides searched, fused, near-duplicates dropped, passages read from the catalog.
//!
//! The large libraries are made of real passages: each chunk's text is the first half of one and the
//! second half of another, its vector lies between theirs with a little noise. So words are
//! distributed as in real text, vectors are clustered as real ones are, and no two are alike.

use std::{
    error::Error,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use griot::{
    answer::Search,
    domain::{DocumentId, Embedding, Question},
    ports::{EmbedKind, Embedder},
};
use serde_json::{Value, json};

use super::{
    answers::samples,
    args::Args,
    daemon::{Daemon, File},
    datasets::{Dice, RetrievalSet, own_questions},
    machine::Stopwatch,
    metrics::percentile,
    stack::{Ready, Shelf, Stack, cut},
    table::{Bar, Section, Table, number},
    vectors::Remembered,
};

/// Real passages that the large libraries are made of.
const SEEDS: usize = 2000;
/// Chunks of one made document.
const PER_DOCUMENT: usize = 10;
/// Length of the noise added to a vector of unit length.
const NOISE: f32 = 0.3;
/// Searches before the clock starts, and with it.
const WARM: usize = 20;
const MEASURED: usize = 300;
/// Daemons started and killed.
const STARTS: usize = 5;

/// Measures each size. `None` when there is nothing to make a library of.
pub async fn run(args: &Args, stack: &Stack) -> Result<Option<Section>, Box<dyn Error>> {
    let Some(material) = material(args)? else {
        return Ok(None);
    };
    let watch = Stopwatch::start();
    let mut table = Table::new(&[
        "chunks",
        "p50, ms",
        "p90, ms",
        "p99, ms",
        "CPU ms a search",
        "of it the query's embedding, p50 ms",
        "ready after a kill, s",
    ]);
    let mut figures = serde_json::Map::new();
    let mut bars = Vec::new();
    let embedder = stack.embedder();
    let seeds = seeds(&material.files, stack, &embedder).await?;
    for size in args.sizes() {
        let shelf = library(size, &seeds, stack, &embedder).await?;
        let mut measured = measure(&shelf, &material.questions).await?;
        drop(shelf);
        let ready_s = ready_after_kill(size, stack, &embedder).await?;
        measured["ready_after_kill_s"] = json!(ready_s);
        eprintln!("bench: latency: {size} chunks: {measured}");
        let of = |key: &str| measured[key].as_f64();
        table.row([
            size.to_string(),
            number(of("p50_ms"), 1),
            number(of("p90_ms"), 1),
            number(of("p99_ms"), 1),
            number(of("cpu_ms"), 1),
            number(of("embed_p50_ms"), 1),
            number(Some(ready_s), 2),
        ]);
        if size == 10_000 {
            bars.push(Bar {
                what: "ready after a kill at 10k chunks".to_owned(),
                wanted: "≤ 3 s".to_owned(),
                got: format!("{ready_s:.2} s"),
                met: Some(ready_s <= 3.0),
            });
            bars.extend(of("p50_ms").map(|p50| Bar {
                what: "retrieval p50 at 10k chunks".to_owned(),
                wanted: "≤ 25 ms".to_owned(),
                got: format!("{p50:.1} ms"),
                met: Some(p50 <= 25.0),
            }));
        }
        figures.insert(size.to_string(), measured);
    }
    Ok(Some(Section {
        title: "Retrieval latency".to_owned(),
        measured: watch.provenance(),
        notes: vec![format!(
            "`Answerer::search` with the embedded store, one search after another, {MEASURED} searches \
             with real questions after {WARM} to warm up; the query's embedding is included. Ready after a \
             kill: from the start of a daemon whose last run was killed to its first good `/readyz`, the \
             median of {STARTS}."
        )],
        tables: vec![table],
        bars,
        figures: Value::Object(figures),
    }))
}

/// What the libraries are made of.
struct Material {
    /// To take passages from.
    files: Vec<File>,
    questions: Vec<String>,
}

fn material(args: &Args) -> Result<Option<Material>, Box<dyn Error>> {
    let (mut files, mut questions) = (Vec::new(), Vec::new());
    for name in ["scifact", "cranfield", "2wiki-multihop"] {
        if let Some(set) = RetrievalSet::read(&args.data.join(name))? {
            let items = set.corpus.iter().take(SEEDS / 3).enumerate();
            files.extend(items.map(|(number, item)| File {
                name: format!("{number}.txt"),
                bytes: item.as_file(),
            }));
            questions.extend(set.queries.into_iter().map(|judged| judged.query));
        }
    }
    let folder = Path::new("data");
    if files.is_empty()
        && let Some(own) = own_questions(folder)?
    {
        files = samples(folder)?;
        questions.extend(own.into_iter().map(|question| question.question));
    }
    let usable = !files.is_empty() && !questions.is_empty();
    Ok(usable.then_some(Material { files, questions }))
}

/// Real chunks with their vectors.
async fn seeds(
    files: &[File],
    stack: &Stack,
    embedder: &Arc<dyn Embedder>,
) -> Result<Vec<Ready>, Box<dyn Error>> {
    let remembered: Arc<dyn Embedder> =
        Arc::new(Remembered::open(Arc::clone(embedder), &stack.cache)?);
    let mut chunker = stack.chunker(Arc::clone(&remembered));
    let mut seeds = Vec::new();
    for file in files {
        // One that cannot be read is no material.
        if let Ok(cut) = cut(&mut chunker, DocumentId::new(), &file.name, &file.bytes) {
            seeds.extend(cut.chunks.into_iter().map(|chunk| chunk.text));
        }
        if seeds.len() >= SEEDS {
            break;
        }
    }
    let mut ready = Vec::with_capacity(seeds.len());
    for batch in seeds.chunks(256) {
        let vectors = remembered.embed(batch.to_vec(), EmbedKind::Passage).await?;
        let texts = batch.iter().cloned();
        ready.extend(
            texts
                .zip(vectors)
                .map(|(text, vector)| Ready { text, vector }),
        );
    }
    Ok(ready)
}

fn folder(size: usize, stack: &Stack, embedder: &Arc<dyn Embedder>) -> PathBuf {
    stack
        .cache
        .join(format!("library-{}-{size}", embedder.identity().model))
}

/// A library of so many chunks, made anew or taken from the cache.
async fn library(
    size: usize,
    seeds: &[Ready],
    stack: &Stack,
    embedder: &Arc<dyn Embedder>,
) -> Result<Shelf, Box<dyn Error>> {
    let folder = folder(size, stack, embedder);
    let complete = folder.join("complete");
    if !complete.exists() {
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        let mut shelf = Shelf::open(stack, Arc::clone(embedder), &folder).await?;
        let mut dice = Dice::new(size as u64);
        let mut made = 0;
        while made < size {
            let count = PER_DOCUMENT.min(size - made);
            let chunks: Vec<Ready> = (0..count).map(|_| blend(seeds, &mut dice)).collect();
            shelf.add_ready(&format!("{made}.txt"), chunks).await?;
            made += count;
            if made % 10_000 == 0 {
                eprintln!("bench: latency: made {made} of {size} chunks");
            }
        }
        shelf.publish().await?;
        std::fs::write(&complete, "")?;
        return Ok(shelf);
    }
    Shelf::open(stack, Arc::clone(embedder), &folder).await
}

fn blend(seeds: &[Ready], dice: &mut Dice) -> Ready {
    let (a, b) = (
        &seeds[dice.below(seeds.len())],
        &seeds[dice.below(seeds.len())],
    );
    let half = |text: &str, first: bool| {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (left, right) = words.split_at(words.len() / 2);
        if first {
            left.join(" ")
        } else {
            right.join(" ")
        }
    };
    let dimension = a.vector.0.len() as f32;
    // A uniform number from -1 to 1 has variance 1/3.
    let step = NOISE * (3.0 / dimension).sqrt();
    let pairs = a.vector.0.iter().zip(&b.vector.0);
    let mixed: Vec<f32> = pairs
        .map(|(a, b)| a + b + step * (2.0 * dice.unit() - 1.0))
        .collect();
    let length = mixed
        .iter()
        .map(|value| value * value)
        .sum::<f32>()
        .sqrt()
        .max(f32::MIN_POSITIVE);
    Ready {
        text: format!("{} {}", half(&a.text, true), half(&b.text, false)),
        vector: Embedding(mixed.into_iter().map(|value| value / length).collect()),
    }
}

/// Seconds from the start of a daemon in a killed one's home until it takes questions.
async fn ready_after_kill(
    size: usize,
    stack: &Stack,
    embedder: &Arc<dyn Embedder>,
) -> Result<f64, Box<dyn Error>> {
    let home = folder(size, stack, embedder);
    let log = stack.cache.join("ready-after-kill.log");
    let settings = [("GRIOT__LLM__UPSTREAMS", "[]".to_owned())];
    let mut times = Vec::new();
    for start in 0..=STARTS {
        let began = Instant::now();
        let daemon = Daemon::start_in(&home, None, &settings, &log)?;
        while !daemon.is_ready().await? {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        // The first comes after a run that ended in order.
        if start > 0 {
            times.push(began.elapsed().as_secs_f64());
        }
        daemon.kill()?;
    }
    percentile(&times, 0.5).ok_or_else(|| "no daemon was started".into())
}

async fn measure(shelf: &Shelf, queries: &[String]) -> Result<Value, Box<dyn Error>> {
    let mut times = Vec::new();
    let mut watch = Stopwatch::start();
    for (number, query) in queries.iter().cycle().take(WARM + MEASURED).enumerate() {
        if number == WARM {
            times.clear();
            watch = Stopwatch::start();
        }
        let search = Search {
            query: Question::parse(query, usize::MAX)?,
            collection: None,
            top_k: None,
        };
        let began = Instant::now();
        let found = shelf.answerer.search(search).await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        if !found.degraded.is_empty() || found.passages.is_empty() {
            return Err(format!(
                "a search was degraded or found nothing: {:?}",
                found.degraded
            )
            .into());
        }
    }
    let cpu_ms = watch.cpu_s() * 1e3 / MEASURED as f64;
    let mut embeds = Vec::new();
    for query in queries.iter().cycle().take(MEASURED) {
        let began = Instant::now();
        shelf
            .embedder
            .embed(vec![query.clone()], EmbedKind::Query)
            .await?;
        embeds.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(json!({
        "p50_ms": percentile(&times, 0.5),
        "p90_ms": percentile(&times, 0.9),
        "p99_ms": percentile(&times, 0.99),
        "cpu_ms": cpu_ms,
        "embed_p50_ms": percentile(&embeds, 0.5),
        "searches": times.len(),
    }))
}
