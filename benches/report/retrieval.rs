//! How well the right document is found, on sets with judgements.
//!
//! Documents go through the project's own chunker, embedder, word weights and store, and queries
//! through its fusion. A document stands where its best chunk stands.

use std::{collections::HashMap, error::Error, path::Path, sync::Arc};

use griot::{
    answer::{Search, rank::fuse},
    domain::{ChunkKey, DocumentId, Question, bm25::Bm25},
    ports::{EmbedKind, Embedder, Filter, QueryVector, ScoredPoint, SearchRequest, VectorStore},
};
use serde_json::{Value, json};

use super::{
    answers::samples,
    args::Args,
    datasets::{Item, Judged, RetrievalSet, own_questions},
    machine::Stopwatch,
    metrics::{mean, ndcg, recall},
    stack::{Shelf, Stack},
    table::{Bar, Section, Table, number},
    vectors::Remembered,
};

const SETS: [&str; 4] = ["scifact", "cacm", "cranfield", "2wiki-multihop"];

/// Documents looked at per query.
const CUT: usize = 10;
/// Chunks asked of each side, as the service does.
const DEPTH: usize = 100;
/// Constant of reciprocal rank fusion, as usual (Cormack, Clarke and Büttcher, SIGIR 2009).
const RRF_K: f64 = 60.0;

/// The ways of ranking that are compared.
const WAYS: [&str; 5] = ["dense", "BM25", "RRF", "fused", "service"];

/// Measures each set. `None` when there is none.
pub async fn run(args: &Args, stack: &Stack) -> Result<Option<Section>, Box<dyn Error>> {
    let watch = Stopwatch::start();
    let mut table = Table::new(&[
        "set",
        "documents",
        "chunks",
        "queries",
        "nDCG@10 dense",
        "BM25",
        "RRF",
        "fused",
        "service",
        "recall@10 service",
    ]);
    let mut figures = serde_json::Map::new();
    let remembered = Arc::new(Remembered::open(stack.embedder(), &stack.cache)?);
    for set in sets(args)? {
        let measured = measure(&set, stack, &remembered, args.quick).await?;
        let score = |way: &str, of: &str| measured[way][of].as_f64();
        table.row(
            [
                set.name.clone(),
                set.corpus.len().to_string(),
                measured["chunks"].to_string(),
                measured["queries"].to_string(),
            ]
            .into_iter()
            .chain(WAYS.iter().map(|way| number(score(way, "ndcg"), 3)))
            .chain([number(score("service", "recall"), 3)]),
        );
        eprintln!("bench: retrieval: {} {measured}", set.name);
        figures.insert(set.name, measured);
    }
    if figures.is_empty() {
        return Ok(None);
    }
    let scifact = figures
        .get("scifact")
        .and_then(|set| set["service"]["ndcg"].as_f64());
    Ok(Some(Section {
        title: "Retrieval".to_owned(),
        measured: watch.provenance(),
        notes: vec![format!(
            "Every document a plain text file (title, blank line, text) through the default settings' \
             chunker and embedder; a document stands where its best chunk stands. Dense, BM25, RRF \
             (k {RRF_K}) and fused rank {DEPTH} chunks of each side; service is `Answerer::search`, which \
             also drops near-duplicates. No reranker. {} texts were embedded in this run, the others \
             taken from its cache.",
            remembered.embedded()
        )],
        tables: vec![table],
        bars: scifact
            .map(|got| Bar {
                what: "nDCG@10 on SciFact".to_owned(),
                wanted: "≥ 0.74".to_owned(),
                got: format!("{got:.3}"),
                met: (!args.quick).then_some(got >= 0.74),
            })
            .into_iter()
            .collect(),
        figures: Value::Object(figures),
    }))
}

fn sets(args: &Args) -> Result<Vec<RetrievalSet>, Box<dyn Error>> {
    let mut sets = Vec::new();
    for name in SETS {
        if args.sets.is_empty() || args.sets.iter().any(|wanted| wanted == name) {
            sets.extend(RetrievalSet::read(&args.data.join(name))?);
        }
    }
    if args.sets.is_empty() || args.sets.iter().any(|wanted| wanted == "samples") {
        sets.extend(own_set(Path::new("data"))?);
    }
    Ok(sets)
}

/// The sample documents with the project's own questions.
fn own_set(folder: &Path) -> Result<Option<RetrievalSet>, Box<dyn Error>> {
    let Some(questions) = own_questions(folder)? else {
        return Ok(None);
    };
    let files = samples(folder)?.into_iter();
    let corpus = files.map(|file| Item {
        id: file.name,
        title: String::new(),
        text: String::new(),
        original: Some(file.bytes),
    });
    let queries = questions.into_iter().filter_map(|question| {
        Some(Judged {
            query: question.question,
            relevant: [question.document?].into(),
        })
    });
    Ok(Some(RetrievalSet {
        name: "samples".to_owned(),
        corpus: corpus.collect(),
        queries: queries.collect(),
    }))
}

async fn measure(
    set: &RetrievalSet,
    stack: &Stack,
    remembered: &Arc<Remembered>,
    quick: bool,
) -> Result<Value, Box<dyn Error>> {
    let embedder: Arc<dyn Embedder> = remembered.clone();
    let mut shelf = Shelf::empty(stack, embedder).await?;
    let mut ids: HashMap<DocumentId, &str> = HashMap::new();
    for (number, item) in set.corpus.iter().enumerate() {
        if quick
            && number % 10 != 0
            && !set
                .queries
                .iter()
                .any(|judged| judged.relevant.contains(&item.id))
        {
            continue;
        }
        // A number for a name tells the index nothing; a real file keeps its own.
        let name = match &item.original {
            Some(_) => item.id.clone(),
            None => format!("{number}.txt"),
        };
        let id = shelf.add_file(&name, &item.as_file()).await?;
        ids.extend(id.map(|id| (id, item.id.as_str())));
        if number % 500 == 499 {
            eprintln!(
                "bench: retrieval: {} {}/{}",
                set.name,
                number + 1,
                set.corpus.len()
            );
        }
    }
    shelf.publish().await?;
    let mut scores: HashMap<&str, (Vec<f64>, Vec<f64>)> = HashMap::new();
    for judged in &set.queries {
        for (way, ranked) in rank(&shelf, &judged.query).await? {
            let mut documents: Vec<String> = Vec::new();
            for id in ranked {
                let name = ids[&id].to_owned();
                if !documents.contains(&name) {
                    documents.push(name);
                }
            }
            let (gains, recalls) = scores.entry(way).or_default();
            gains.push(ndcg(&documents, &judged.relevant, CUT));
            recalls.push(recall(&documents, &judged.relevant, CUT));
        }
    }
    let mut measured = json!({
        "documents": set.corpus.len(),
        "chunks": shelf.chunks(),
        "queries": set.queries.len(),
    });
    for (way, (gains, recalls)) in scores {
        measured[way] =
            json!({ "ndcg": mean(&gains), "recall": mean(&recalls), "ndcg_per_query": gains });
    }
    Ok(measured)
}

/// The documents of the chunks found, in each way's order.
async fn rank(
    shelf: &Shelf,
    query: &str,
) -> Result<Vec<(&'static str, Vec<DocumentId>)>, Box<dyn Error>> {
    let vectors = shelf
        .embedder
        .embed(vec![query.to_owned()], EmbedKind::Query)
        .await?;
    let vector = vectors
        .into_iter()
        .next()
        .ok_or("the embedder gave no vector")?;
    let dense = find(shelf, QueryVector::Dense(vector)).await?;
    let lexical = find(shelf, QueryVector::Sparse(Bm25::default().query(query))).await?;
    let fused = fuse(&dense, &lexical)
        .into_iter()
        .map(|candidate| candidate.key.document)
        .collect();
    let rrf = reciprocal_ranks(&dense, &lexical);
    let search = Search {
        query: Question::parse(query, usize::MAX)?,
        collection: None,
        top_k: Some(DEPTH),
    };
    let found = shelf.answerer.search(search).await?;
    let service = found.passages.iter().map(|passage| passage.document_id);
    let documents = |hits: &[ScoredPoint]| hits.iter().map(|hit| hit.key.document).collect();
    Ok(vec![
        ("dense", documents(&dense)),
        ("BM25", documents(&lexical)),
        ("RRF", rrf),
        ("fused", fused),
        ("service", service.collect()),
    ])
}

async fn find(shelf: &Shelf, vector: QueryVector) -> Result<Vec<ScoredPoint>, Box<dyn Error>> {
    let request = SearchRequest {
        vector,
        filter: Filter::default(),
        limit: DEPTH,
    };
    Ok(shelf.store.search(request).await?)
}

fn reciprocal_ranks(dense: &[ScoredPoint], lexical: &[ScoredPoint]) -> Vec<DocumentId> {
    let mut scores: HashMap<ChunkKey, f64> = HashMap::new();
    for hits in [dense, lexical] {
        for (hit, place) in hits.iter().zip(1_u32..) {
            *scores.entry(hit.key).or_default() += 1.0 / (RRF_K + f64::from(place));
        }
    }
    let mut ranked: Vec<(ChunkKey, f64)> = scores.into_iter().collect();
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    ranked.into_iter().map(|(key, _)| key.document).collect()
}
