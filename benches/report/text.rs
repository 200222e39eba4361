//! How much of each document's text is stored, beside the text expected of it: all formats, and for PDF
//! each reader alone beside what the gate between them keeps.

pub mod score;

use std::{
    error::Error,
    fs::{self, File},
    path::{Path, PathBuf},
};

use griot::{
    domain::Engine,
    ingest::{
        extract::{ExtractError, Extracted, Limits},
        jail::{Confinement, Extractor},
    },
};
use serde_json::{Value, json};

use super::{
    args::Args,
    machine::Stopwatch,
    table::{Bar, Section, Table, number},
};
use score::{Score, expected, median};

/// The readers of PDF.
const ALONE: [Engine; 2] = [Engine::Unpdf, Engine::Lopdf];

/// What was promised of documents that have a text to read.
const MEDIAN: f64 = 0.98;
const LOWEST: f64 = 0.90;

/// Reads every sample document that has an expected text. `None` where there are none.
pub async fn run(args: &Args) -> Result<Option<Section>, Box<dyn Error>> {
    let watch = Stopwatch::start();
    let root = args.data.join("../docs-good");
    if !root.is_dir() {
        return Ok(None);
    }
    let reader = Extractor::new(
        PathBuf::from(env!("CARGO_BIN_EXE_griot")),
        Limits::default(),
        Confinement::default(),
    );
    let mut table = Table::new(&[
        "document",
        "kept from",
        "recall",
        "precision",
        "order",
        "unpdf alone: recall, precision",
        "lopdf alone: recall, precision",
    ]);
    let mut figures = serde_json::Map::new();
    let mut reached = Vec::new();
    for path in documents(&root)? {
        let Some(expected) = expected(&path).filter(|text| !text.trim().is_empty()) else {
            continue;
        };
        let name = path.strip_prefix(&root)?.display().to_string();
        let read = read(&reader, &path).await;
        let mut cells = vec![name.clone()];
        let mut figure = serde_json::Map::new();
        match &read {
            Ok(extracted) => {
                let score = Score::of(&extracted.text, &expected);
                cells.extend([
                    engines(extracted),
                    number(Some(score.recall), 3),
                    number(Some(score.precision), 3),
                    number(Some(score.order), 3),
                ]);
                figure.insert("kept".to_owned(), shares(score));
                // A picture of text has none to read; its page says so.
                if extracted.without_text().is_none() {
                    reached.push(score);
                }
            }
            Err(error) => {
                cells.push(error.code.to_string());
                cells.extend([const { String::new() }; 3]);
            }
        }
        for engine in ALONE {
            let alone = if path.extension().is_some_and(|e| e == "pdf") {
                self::read(&reader.clone().with_only(engine), &path)
                    .await
                    .ok()
            } else {
                None
            };
            let score = alone.map(|extracted| Score::of(&extracted.text, &expected));
            cells.push(score.map_or_else(String::new, |score| {
                format!("{:.3}, {:.3}", score.recall, score.precision)
            }));
            if let Some(score) = score {
                figure.insert(engine.to_string(), shares(score));
            }
        }
        table.row(cells);
        figures.insert(name, Value::Object(figure));
    }
    let middle = median(reached.iter().map(|score| score.recall));
    let lowest = reached.iter().map(|s| s.recall).fold(1.0, f64::min);
    let bar = |what: &str, wanted: f64, got: f64| Bar {
        what: what.to_owned(),
        wanted: format!("≥ {wanted:.2}"),
        got: format!("{got:.3}"),
        met: Some(got >= wanted),
    };
    Ok((!figures.is_empty()).then(|| Section {
        title: "Text".to_owned(),
        measured: watch.provenance(),
        notes: vec![format!(
            "Each of {} documents with an expected text, read in the limited child process. Recall: expected \
             tokens that are stored; precision: stored tokens that are expected (the expected texts leave out \
             running heads, pictures and some tables); order: neighbouring pairs of expected tokens that are \
             neighbours in the stored text. For PDF, each reader alone stands beside what was kept.",
            figures.len()
        )],
        tables: vec![table],
        bars: vec![
            bar("recall of documents with text, median", MEDIAN, middle),
            bar("recall of documents with text, lowest", LOWEST, lowest),
        ],
        figures: Value::Object(figures),
    }))
}

async fn read(reader: &Extractor, path: &Path) -> Result<Extracted, ExtractError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let file = File::open(path).map_err(|error| {
        ExtractError::new(griot::domain::FailureCode::Internal, error.to_string())
    })?;
    reader.extract(file, &name, |_| {}).await
}

fn engines(extracted: &Extracted) -> String {
    let mut names: Vec<&str> = extracted.pages.iter().map(|p| p.engine.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.join(" ")
}

fn shares(score: Score) -> Value {
    json!({ "recall": score.recall, "precision": score.precision, "order": score.order })
}

/// The documents below a folder, in order of their paths.
fn documents(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.to_string_lossy().contains(".expected") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
