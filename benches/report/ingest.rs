//! How fast documents become searchable, beside what the embedder alone does with the same texts in
//! the same run. The ratio is what the pipeline costs; both sides suffer alike from a busy machine.

use std::{error::Error, fs, path::Path};

use griot::{
    domain::{Chunk, ChunkKey, Collection, Document, Status},
    ports::EmbedKind,
};
use serde_json::{Value, json};

use super::{
    answers::samples,
    args::Args,
    daemon::File,
    datasets::RetrievalSet,
    machine::Stopwatch,
    stack::{Intake, Stack},
    table::{Bar, Section, Table, number},
};

/// Texts given to the raw embedder at once, as the pipeline does.
const BATCH: usize = 64;
/// Rounds of each side, taken in turns.
const ROUNDS: usize = 2;
/// Formats that are read; other files of the shared documents are left out.
const READ: [&str; 6] = ["pdf", "docx", "md", "html", "csv", "txt"];
/// A file above this is left out, so that no single one decides the figure.
const MAX_BYTES: u64 = 800_000;

/// One side's sum over the rounds.
#[derive(Default)]
struct Spent {
    chunks: usize,
    wall_s: f64,
    cpu_s: f64,
}

impl Spent {
    fn add(&mut self, chunks: usize, watch: &Stopwatch) {
        self.chunks += chunks;
        self.wall_s += watch.wall_s();
        self.cpu_s += watch.cpu_s();
    }

    fn per_second(&self) -> f64 {
        self.chunks as f64 / self.wall_s
    }

    fn per_cpu_second(&self) -> f64 {
        self.chunks as f64 / self.cpu_s
    }
}

/// Measures each kind of document. `None` when there are no documents at all.
pub async fn run(args: &Args, stack: &Stack) -> Result<Option<Section>, Box<dyn Error>> {
    let watch = Stopwatch::start();
    let mut table = Table::new(&[
        "documents",
        "files",
        "chunks",
        "end to end, chunks/s",
        "raw embedder, chunks/s",
        "ratio",
        "ratio by CPU s",
    ]);
    let mut figures = serde_json::Map::new();
    let mut bars = Vec::new();
    for (name, files) in corpora(args)? {
        let count = files.len();
        let (whole, raw) = in_turns(&files, stack).await?;
        let ratio = whole.per_second() / raw.per_second();
        let cpu_ratio = whole.per_cpu_second() / raw.per_cpu_second();
        eprintln!(
            "bench: ingest: {name}: {:.1} of {:.1} chunks/s",
            whole.per_second(),
            raw.per_second()
        );
        table.row([
            name.to_owned(),
            count.to_string(),
            (whole.chunks / ROUNDS).to_string(),
            number(Some(whole.per_second()), 1),
            number(Some(raw.per_second()), 1),
            number(Some(ratio), 2),
            number(Some(cpu_ratio), 2),
        ]);
        bars.push(Bar {
            what: format!("end to end beside the raw embedder, {name}"),
            wanted: "≥ 0.90".to_owned(),
            got: format!("{ratio:.2}"),
            met: (!args.quick).then_some(ratio >= 0.9),
        });
        let side = |spent: &Spent| json!({ "chunks": spent.chunks, "wall_s": spent.wall_s, "cpu_s": spent.cpu_s });
        figures.insert(
            name.to_owned(),
            json!({ "files": count, "whole": side(&whole), "raw": side(&raw), "ratio": ratio, "cpu_ratio": cpu_ratio }),
        );
    }
    Ok((!figures.is_empty()).then(|| Section {
        title: "Ingest".to_owned(),
        measured: watch.provenance(),
        notes: vec![format!(
            "From the first uploaded byte to the last document searchable (hashed, stored durably, read in \
             the limited child process, cut, embedded, indexed, flushed), beside the embedder alone on the \
             same chunks in batches of {BATCH}; {ROUNDS} rounds of each in turns. Processor seconds \
             include the children."
        )],
        tables: vec![table],
        bars,
        figures: Value::Object(figures),
    }))
}

/// Files by what they are.
pub type Corpora = Vec<(&'static str, Vec<File>)>;

pub fn corpora(args: &Args) -> Result<Corpora, Box<dyn Error>> {
    let mut corpora = Vec::new();
    if let Some(set) = RetrievalSet::read(&args.data.join("scifact"))? {
        let count = if args.quick { 40 } else { 300 };
        let files = set.corpus.iter().take(count).map(|item| File {
            name: format!("{}.txt", item.id),
            bytes: item.as_file(),
        });
        corpora.push(("abstracts (text, one or two chunks each)", files.collect()));
    }
    let good = args.data.join("../docs-good");
    if good.is_dir() {
        let mut files = Vec::new();
        for folder in fs::read_dir(&good)? {
            let folder = folder?;
            let name = folder.file_name().to_string_lossy().into_owned();
            // Pictures of text and locked files give no chunks; the expected texts are no documents.
            if folder.file_type()?.is_dir() && !name.contains("expected") {
                take(&folder.path(), &mut files)?;
            }
        }
        files.sort_by(|a, b| a.name.cmp(&b.name));
        if args.quick {
            files.truncate(12);
        }
        corpora.push(("mixed files (PDF, DOCX, Markdown, HTML, CSV, text)", files));
    }
    if corpora.is_empty() && Path::new("data").is_dir() {
        corpora.push(("sample documents", samples(Path::new("data"))?));
    }
    Ok(corpora)
}

fn take(folder: &Path, files: &mut Vec<File>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = path
            .extension()
            .and_then(|kind| kind.to_str())
            .unwrap_or_default();
        let wanted = READ.contains(&kind) && !name.contains(".expected.");
        if wanted && entry.metadata()?.len() <= MAX_BYTES {
            files.push(File {
                name,
                bytes: fs::read(path)?,
            });
        }
    }
    Ok(())
}

async fn in_turns(files: &[File], stack: &Stack) -> Result<(Spent, Spent), Box<dyn Error>> {
    let embedder = stack.embedder();
    // Loads the weights and fills the caches of the processor and the file system.
    embedder
        .embed(vec!["warm".to_owned(); BATCH], EmbedKind::Passage)
        .await?;
    let (mut whole, mut raw) = (Spent::default(), Spent::default());
    for _ in 0..ROUNDS {
        let intake = Intake::start(stack).await?;
        let watch = Stopwatch::start();
        let documents = ingest(&intake, files).await?;
        let chunks = documents
            .iter()
            .map(|document| document.chunks as usize)
            .sum();
        whole.add(chunks, &watch);
        let texts = texts(&intake, &documents).await?;
        intake.stop().await;

        let watch = Stopwatch::start();
        for batch in texts.chunks(BATCH) {
            embedder.embed(batch.to_vec(), EmbedKind::Passage).await?;
        }
        raw.add(texts.len(), &watch);
    }
    Ok((whole, raw))
}

/// Uploads the files and waits for each. Files that cannot be read are no chunks and no failure here.
pub async fn ingest(intake: &Intake, files: &[File]) -> Result<Vec<Document>, Box<dyn Error>> {
    let mut ids = Vec::with_capacity(files.len());
    for file in files {
        let metadata = serde_json::Map::new();
        let mut upload = intake
            .library
            .begin_upload(&file.name, Collection::default(), metadata)
            .await?;
        upload.write(&file.bytes).await?;
        ids.push(upload.finish().await?.id);
    }
    let mut documents = Vec::with_capacity(ids.len());
    for id in ids {
        let document = intake.library.wait(id).await?;
        if document.status == Status::Searchable {
            documents.push(document);
        }
    }
    Ok(documents)
}

/// What the embedder was given for these documents.
async fn texts(intake: &Intake, documents: &[Document]) -> Result<Vec<String>, Box<dyn Error>> {
    let mut texts = Vec::new();
    for document in documents {
        let keys: Vec<ChunkKey> = (0..document.chunks as u32)
            .map(|ordinal| ChunkKey {
                document: document.id,
                revision: document.revision,
                ordinal,
            })
            .collect();
        let passages = intake
            .catalog
            .call(move |catalog| catalog.passages(&keys))
            .await?;
        texts.extend(passages.into_iter().map(|passage| {
            let chunk = Chunk {
                key: passage.key,
                locator: passage.locator,
                text: passage.text,
            };
            chunk.in_context(&document.name)
        }));
    }
    Ok(texts)
}
