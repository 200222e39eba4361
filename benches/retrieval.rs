//! What one search costs: the embedded store at 10,000 and 100,000 chunks, by vector and by words, and
//! a question's embedding where the weights are (`GRIOT_TEST_MODELS`).
//!
//! Vectors are drawn around 200 centres, words by a distribution like Zipf's, both from fixed seeds.

use std::{env, hint::black_box, path::PathBuf, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use griot::{
    adapters::{
        edge::EdgeStore,
        embed_local::{self, Options},
    },
    domain::{ChunkKey, Collection, DocumentId, EmbedderIdentity, Embedding, SparseVector},
    ports::{EmbedKind, Embedder, Filter, Point, QueryVector, SearchRequest, VectorStore},
};
use uuid::Uuid;

const DIMENSION: usize = 384;
const CENTRES: u64 = 200;
/// Different terms of a chunk of 256 tokens, stop words not counted.
const TERMS: usize = 70;
const VOCABULARY: f32 = 50_000.0;

/// A small generator of the linear congruential kind (Knuth's MMIX constants).
struct Random(u64);

impl Random {
    /// Uniform in `0.0..1.0`.
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1_u64 << 24) as f32
    }

    fn vector(&mut self) -> Embedding {
        let centre = (self.next() * CENTRES as f32) as u64;
        let mut at = Random(centre.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut vector: Vec<f32> = (0..DIMENSION)
            .map(|_| (at.next() - 0.5) + 0.8 * (self.next() - 0.5))
            .collect();
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        vector.iter_mut().for_each(|x| *x /= length);
        Embedding(vector)
    }

    /// Terms of which the n-th most common is about n times rarer than the first.
    fn words(&mut self, count: usize) -> SparseVector {
        let mut indices: Vec<u32> = (0..count)
            .map(|_| VOCABULARY.powf(self.next()) as u32)
            .collect();
        indices.sort_unstable();
        indices.dedup();
        SparseVector {
            values: indices.iter().map(|_| 0.5 + self.next()).collect(),
            indices,
        }
    }
}

fn points(from: u32, to: u32) -> Vec<Point> {
    let mut random = Random(u64::from(from) + 1);
    (from..to)
        .map(|n| Point {
            key: ChunkKey {
                document: DocumentId::from_uuid(Uuid::from_u128(u128::from(n / 50))),
                revision: 1,
                ordinal: n % 50,
            },
            collection: Collection::default(),
            dense: random.vector(),
            sparse: random.words(TERMS),
        })
        .collect()
}

async fn filled(folder: PathBuf, count: u32) -> EdgeStore {
    let store = EdgeStore::new(folder);
    let identity = EmbedderIdentity {
        model: "drawn".to_owned(),
        dimension: DIMENSION,
        max_tokens: 256,
    };
    store.open(&identity).await.expect("a fresh folder opens");
    for from in (0..count).step_by(1000) {
        store
            .upsert(points(from, from + 1000))
            .await
            .expect("there is room");
    }
    store.flush().await.expect("there is room");
    store
}

fn search(c: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    let mut group = c.benchmark_group("search, 20 of");
    group.measurement_time(Duration::from_secs(8));
    for count in [10_000, 100_000] {
        let folder = tempfile::tempdir().expect("there is room");
        let store = runtime.block_on(filled(folder.path().to_owned(), count));
        let mut random = Random(7);
        let mut run = |name: &str, vector: &mut dyn FnMut(&mut Random) -> QueryVector| {
            group.bench_function(BenchmarkId::new(name, count), |b| {
                b.iter(|| {
                    let request = SearchRequest {
                        vector: vector(&mut random),
                        filter: Filter::default(),
                        limit: 20,
                    };
                    black_box(runtime.block_on(store.search(request)).expect("it is open"))
                });
            });
        };
        run("by vector", &mut |random| {
            QueryVector::Dense(random.vector())
        });
        run("by words", &mut |random| {
            QueryVector::Sparse(random.words(6))
        });
    }
    group.finish();
}

fn question(c: &mut Criterion) {
    let Some(models) = env::var_os("GRIOT_TEST_MODELS").map(PathBuf::from) else {
        println!("skipped: GRIOT_TEST_MODELS does not name the models' folder");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().expect("there are threads");
    let options = Options {
        threads: 0,
        batch: 8,
    };
    for model in ["minilm-l6", "minilm-l6-int8"] {
        let embedder = embed_local::load(&models, model, options).expect("the name is known");
        if embedder.check().is_err() {
            println!("skipped: no weights of {model}");
            continue;
        }
        c.bench_function(&format!("embed a question, {model}"), |b| {
            b.iter(|| {
                let texts = vec!["When is the rent due, and to whom is it paid?".to_owned()];
                black_box(
                    runtime
                        .block_on(embedder.embed(texts, EmbedKind::Query))
                        .expect("it runs"),
                )
            });
        });
    }
}

criterion_group!(benches, search, question);
criterion_main!(benches);
