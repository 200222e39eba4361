//! Writes the signals of `answer::support` for question and quotation pairs, one JSON object a line,
//! for `scripts/fit_support.py` to fit the weights on.
//!
//! `cargo bench --bench signals > signals.jsonl` (needs `../shared/data/rag-eval/squad2` and the weights of
//! the embedder). Each question of SQuAD2's development set gives a row with its own passage; each
//! answerable one gives a second row with the nearest passage of another article: a question that the
//! library does not answer. The quotation is the passage's sentence that is nearest to the question in
//! meaning and words, in the place of the one that the language model would copy.

use std::{collections::HashMap, io::Write, path::Path};

use griot::{
    adapters::embed_local::{self, Options},
    answer::{sentence::sentences, support::Signals, words::content_words},
    domain::Embedding,
    ports::{EmbedKind, Embedder},
};
use serde_json::{Value, json};

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let set = root.join("../shared/data/rag-eval/squad2");
    if !set.is_dir() {
        eprintln!("signals: {} is not here; nothing to do", set.display());
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime starts");
    runtime.block_on(dump(&set));
}

fn read(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).expect("the set is readable");
    text.lines()
        .map(|line| serde_json::from_str(line).expect("a line is JSON"))
        .collect()
}

fn cosine(a: &Embedding, b: &Embedding) -> f32 {
    a.0.iter().zip(&b.0).map(|(a, b)| a * b).sum()
}

struct Passage {
    title: String,
    text: String,
    sentences: Vec<std::ops::Range<usize>>,
    near: Embedding,
    near_sentences: Vec<Embedding>,
}

async fn dump(set: &Path) {
    let models = std::env::var_os("GRIOT_TEST_MODELS").map_or_else(
        || {
            let data = std::env::var_os("XDG_DATA_HOME").map_or_else(
                || Path::new(&std::env::var_os("HOME").expect("a home")).join(".local/share"),
                Into::into,
            );
            data.join("griot/models")
        },
        Into::into,
    );
    let embedder = embed_local::load(
        &models,
        "minilm-l6",
        Options {
            threads: 0,
            batch: 8,
        },
    )
    .expect("the model is known");
    let embed = async |texts: Vec<String>| {
        let mut vectors = Vec::with_capacity(texts.len());
        for part in texts.chunks(64) {
            vectors.extend(
                embedder
                    .embed(part.to_vec(), EmbedKind::Passage)
                    .await
                    .expect("the weights are there"),
            );
        }
        vectors
    };
    let rows = read(&set.join("passages.jsonl"));
    let questions = read(&set.join("questions.jsonl"));
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();

    let near = embed(rows.iter().map(|row| text(row, "text")).collect()).await;
    let mut passages = HashMap::new();
    for (row, near) in rows.iter().zip(near) {
        let body = text(row, "text");
        let ranges = sentences(&body);
        let near_sentences = embed(
            ranges
                .iter()
                .map(|range| body[range.clone()].to_owned())
                .collect(),
        )
        .await;
        let passage = Passage {
            title: text(row, "title"),
            text: body,
            sentences: ranges,
            near,
            near_sentences,
        };
        passages.insert(text(row, "_id"), passage);
    }
    eprintln!("signals: {} passages embedded", passages.len());
    let near = embed(questions.iter().map(|row| text(row, "question")).collect()).await;

    let mut out = std::io::stdout().lock();
    for (row, near) in questions.iter().zip(&near) {
        let question = text(row, "question");
        let own = &passages[&text(row, "passage")];
        let answerable = row["answerable"] == true;
        let mut write = |kind: &str, passage: &Passage| {
            let (quote, near_quote) = best_sentence(&question, near, passage);
            let signals = Signals {
                near_quote: Some(near_quote),
                near_passage: Some(cosine(near, &passage.near)),
                ..Signals::of_texts(&question, quote, &passage.text)
            };
            let line = json!({
                "id": row["id"], "kind": kind, "title": own.title, "question": question,
                "quote": quote, "passage": passage.text,
                "signals": signals.named().into_iter().collect::<HashMap<_, _>>(),
            });
            writeln!(out, "{line}").expect("standard output is open");
        };
        write(
            if answerable {
                "answerable"
            } else {
                "adversarial"
            },
            own,
        );
        if answerable {
            let elsewhere = passages
                .values()
                .filter(|passage| passage.title != own.title)
                .max_by(|a, b| cosine(near, &a.near).total_cmp(&cosine(near, &b.near)));
            if let Some(elsewhere) = elsewhere {
                write("elsewhere", elsewhere);
            }
        }
    }
}

fn best_sentence<'p>(question: &str, near: &Embedding, passage: &'p Passage) -> (&'p str, f32) {
    let wanted = content_words(question);
    let worth = |at: usize| {
        let words = content_words(&passage.text[passage.sentences[at].clone()]);
        let found = wanted.iter().filter(|word| words.contains(word)).count();
        cosine(near, &passage.near_sentences[at]) + 0.6 * found as f32 / wanted.len().max(1) as f32
    };
    let best = (0..passage.sentences.len())
        .max_by(|a, b| worth(*a).total_cmp(&worth(*b)))
        .unwrap_or_default();
    let Some(range) = passage.sentences.get(best) else {
        return ("", 0.0);
    };
    (
        &passage.text[range.clone()],
        cosine(near, &passage.near_sentences[best]),
    )
}
