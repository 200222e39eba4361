//! The embedded store finds what an exact one finds, whatever was written and deleted.

use std::collections::BTreeSet;

use griot::{
    adapters::edge::EdgeStore,
    domain::{Collection, DocumentId, Embedding},
    ports::{Filter, Point, QueryVector, SearchRequest, VectorStore, fakes::MemoryStore},
};
use proptest::prelude::*;
use uuid::Uuid;

use crate::sample::{collection, key, named, sparse};

const DIMENSION: usize = 8;

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<Point>),
    Delete(DocumentId, Option<u32>),
    Flush,
}

fn document() -> impl Strategy<Value = DocumentId> {
    (0..4_u128).prop_map(|n| DocumentId::from_uuid(Uuid::from_u128(n)))
}

fn shelf() -> impl Strategy<Value = Collection> {
    prop::sample::select(vec!["a", "b"]).prop_map(collection)
}

fn direction() -> impl Strategy<Value = Embedding> {
    prop::collection::vec(-1.0_f32..1.0, DIMENSION)
        .prop_filter("a vector of no length has no direction", |vector| {
            vector.iter().any(|value| value.abs() > 0.01)
        })
        .prop_map(Embedding)
}

fn terms() -> impl Strategy<Value = Vec<(u32, f32)>> {
    prop::collection::btree_map(0..20_u32, 0.1_f32..2.2, 0..6)
        .prop_map(|terms| terms.into_iter().collect())
}

fn point() -> impl Strategy<Value = Point> {
    (
        document(),
        1..3_u32,
        0..5_u32,
        shelf(),
        direction(),
        terms(),
    )
        .prop_map(
            |(document, revision, ordinal, collection, dense, terms)| Point {
                key: key(document, revision, ordinal),
                collection,
                dense,
                sparse: sparse(&terms),
            },
        )
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec(point(), 1..20).prop_map(Step::Write),
        2 => (document(), prop::option::of(1..3_u32)).prop_map(|(d, keep)| Step::Delete(d, keep)),
        1 => Just(Step::Flush),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    (prop::option::of(shelf()), prop::option::of(document())).prop_map(|(collection, document)| {
        Filter {
            collection,
            document,
        }
    })
}

/// The scores in order, and the keys where the whole answer fits (the last of equals may differ).
async fn same(a: &dyn VectorStore, b: &dyn VectorStore, request: SearchRequest, scores: bool) {
    let limit = request.limit;
    let left = a.search(request.clone()).await.unwrap();
    let right = b.search(request).await.unwrap();
    assert_eq!(left.len(), right.len());
    if scores {
        for (left, right) in left.iter().zip(&right) {
            assert!(
                (left.score - right.score).abs() < 1e-4,
                "{left:?} {right:?}"
            );
        }
    }
    if left.len() < limit {
        let keys = |hits: &[_]| -> BTreeSet<_> {
            hits.iter()
                .map(|hit: &griot::ports::ScoredPoint| hit.key)
                .collect()
        };
        assert_eq!(keys(&left), keys(&right));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn edge_agrees_with_exact_search(
        steps in prop::collection::vec(step(), 1..8),
        filters in prop::collection::vec(filter(), 1..4),
        query in direction(),
        words in terms(),
        limit in 1..30_usize,
    ) {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let folder = tempfile::tempdir().unwrap();
            let edge = EdgeStore::new(folder.path().to_owned());
            let exact = MemoryStore::new();
            for store in [&edge as &dyn VectorStore, &exact] {
                store.open(&named("m", DIMENSION)).await.unwrap();
                for step in &steps {
                    match step {
                        Step::Write(points) => store.upsert(points.clone()).await.unwrap(),
                        Step::Delete(document, keep) => {
                            store.delete(*document, *keep).await.unwrap();
                        }
                        Step::Flush => store.flush().await.unwrap(),
                    }
                }
            }
            // The shard's term statistics still count what was deleted or replaced.
            let fresh = steps.len() == 1 && matches!(&steps[0], Step::Write(points)
                if points.iter().map(|p| p.key).collect::<BTreeSet<_>>().len() == points.len());
            for filter in filters {
                let by_vector = SearchRequest {
                    vector: QueryVector::Dense(query.clone()),
                    filter: filter.clone(),
                    limit,
                };
                same(&edge, &exact, by_vector, true).await;
                let by_words = SearchRequest {
                    vector: QueryVector::Sparse(sparse(&words)),
                    filter: filter.clone(),
                    limit,
                };
                same(&edge, &exact, by_words, fresh).await;
                assert_eq!(
                    edge.count(filter.clone()).await.unwrap(),
                    exact.count(filter).await.unwrap()
                );
            }
        });
    }
}
