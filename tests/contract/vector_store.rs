//! The promises of `VectorStore`.

use griot::{
    domain::{ChunkKey, DocumentId, bm25},
    ports::{Filter, PortError, ScoredPoint, VectorStore},
};

use crate::{
    sample::{by_terms, by_vector, collection, identity, key, named, point},
    subjects,
};

const EAST: [f32; 4] = [1.0, 0.0, 0.0, 0.0];
const NORTH: [f32; 4] = [0.0, 1.0, 0.0, 0.0];
const NORTH_EAST: [f32; 4] = [0.6, 0.8, 0.0, 0.0];

macro_rules! suite {
    ($($behaviour:ident),+ $(,)?) => {
        suite!(@subject fake: $($behaviour),+);
        suite!(@subject edge: $($behaviour),+);
        suite!(@subject qdrant_double: $($behaviour),+);
        suite!(@subject qdrant: $($behaviour),+);
    };
    (@subject $subject:ident: $($behaviour:ident),+) => {
        mod $subject {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $behaviour() {
                    if let Some(subject) = super::subjects::$subject().await {
                        super::$behaviour(&*subject.store).await;
                    }
                }
            )+
        }
    };
}

suite!(
    a_store_that_was_not_opened_is_unavailable,
    opening_again_is_fine_and_other_vectors_are_refused,
    writing_twice_leaves_one,
    the_likeliest_come_first,
    words_score_as_in_bm25,
    a_point_without_words_is_found_by_its_vector,
    only_matching_points_count,
    a_deleted_document_is_gone,
    a_revision_can_be_kept,
    vectors_of_another_length_are_refused,
    many_points_and_large_numbers,
    vectors_come_back_as_they_were_written,
    nothing_to_do_is_fine,
);

fn keys(hits: &[ScoredPoint]) -> Vec<ChunkKey> {
    hits.iter().map(|hit| hit.key).collect()
}

fn assert_scores(hits: &[ScoredPoint], expected: &[(ChunkKey, f32)]) {
    let close = hits.len() == expected.len()
        && hits
            .iter()
            .zip(expected)
            .all(|(hit, (key, score))| hit.key == *key && (hit.score - score).abs() < 1e-4);
    assert!(close, "{hits:?}\nexpected {expected:?}");
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(result: Result<T, PortError>, words: &[&str]) {
    match result {
        Err(PortError::Refused { reason, .. }) => {
            for word in words {
                assert!(reason.contains(word), "{reason:?} says nothing of {word}");
            }
        }
        other => panic!("not refused: {other:?}"),
    }
}

async fn a_store_that_was_not_opened_is_unavailable(store: &dyn VectorStore) {
    let document = DocumentId::new();
    let failures = [
        store
            .upsert(vec![point(key(document, 1, 0), EAST, &[])])
            .await
            .err(),
        store.flush().await.err(),
        store.search(by_vector(EAST, 1)).await.err(),
        store.search(by_terms(&[1], 1)).await.err(),
        store.delete(document, None).await.err(),
        store.count(Filter::default()).await.err(),
        store.vectors(&[key(document, 1, 0)]).await.err(),
    ];
    for failure in failures {
        assert!(
            matches!(failure, Some(PortError::Unavailable { .. })),
            "{failure:?}"
        );
    }
}

async fn opening_again_is_fine_and_other_vectors_are_refused(store: &dyn VectorStore) {
    store.open(&identity()).await.unwrap();
    store.open(&identity()).await.unwrap();
    assert_refused(
        store.open(&named("model-b", 4)).await,
        &["model-a", "model-b"],
    );
    assert_refused(
        store.open(&named("model-a", 5)).await,
        &["model-a", "4 values", "5 values"],
    );
    // The refused ones changed nothing.
    store
        .upsert(vec![point(key(DocumentId::new(), 1, 0), EAST, &[])])
        .await
        .unwrap();
    assert_eq!(store.count(Filter::default()).await.unwrap(), 1);
}

async fn writing_twice_leaves_one(store: &dyn VectorStore) {
    store.open(&identity()).await.unwrap();
    let one = key(DocumentId::new(), 1, 0);
    store
        .upsert(vec![point(one, EAST, &[(7, 1.0)])])
        .await
        .unwrap();
    store
        .upsert(vec![point(one, NORTH, &[(8, 1.0)])])
        .await
        .unwrap();
    store.flush().await.unwrap();

    assert_eq!(store.count(Filter::default()).await.unwrap(), 1);
    let hits = store.search(by_vector(NORTH, 9)).await.unwrap();
    assert_scores(&hits, &[(one, 1.0)]);
    assert_eq!(store.search(by_terms(&[7], 9)).await.unwrap(), []);
    assert_eq!(keys(&store.search(by_terms(&[8], 9)).await.unwrap()), [one]);
}

async fn the_likeliest_come_first(store: &dyn VectorStore) {
    store.open(&identity()).await.unwrap();
    let document = DocumentId::new();
    let [a, b, c] = [0, 1, 2].map(|ordinal| key(document, 1, ordinal));
    let points = vec![
        point(a, NORTH, &[]),
        point(b, EAST, &[]),
        point(c, NORTH_EAST, &[]),
    ];
    store.upsert(points).await.unwrap();

    let hits = store.search(by_vector(EAST, 9)).await.unwrap();
    assert_scores(&hits, &[(b, 1.0), (c, 0.6), (a, 0.0)]);
    let hits = store.search(by_vector(EAST, 2)).await.unwrap();
    assert_scores(&hits, &[(b, 1.0), (c, 0.6)]);
}

async fn words_score_as_in_bm25(store: &dyn VectorStore) {
    store.open(&identity()).await.unwrap();
    let document = DocumentId::new();
    let [a, b, c, d] = [0, 1, 2, 3].map(|ordinal| key(document, 1, ordinal));
    let points = vec![
        point(a, EAST, &[(1, 1.5), (2, 0.5)]),
        point(b, EAST, &[(1, 0.8)]),
        point(c, EAST, &[(3, 1.1), (u32::MAX, 2.0)]),
        point(d, EAST, &[(9, 1.0)]),
    ];
    store.upsert(points).await.unwrap();

    // Four points; term 1 stands in two of them, 2 and the last one in one, 4 in none.
    let (common, rare) = (bm25::idf(4, 2), bm25::idf(4, 1));
    let hits = store
        .search(by_terms(&[1, 2, 4, u32::MAX], 9))
        .await
        .unwrap();
    let mut expected = [
        (a, 1.5 * common + 0.5 * rare),
        (b, 0.8 * common),
        (c, 2.0 * rare),
    ];
    expected.sort_by(|x, y| y.1.total_cmp(&x.1));
    assert_scores(&hits, &expected);
    let hits = store.search(by_terms(&[1], 1)).await.unwrap();
    assert_scores(&hits, &[(a, 1.5 * common)]);
}

async fn a_point_without_words_is_found_by_its_vector(store: &dyn VectorStore) {
    store.open(&identity()).await.unwrap();
    let one = key(DocumentId::new(), 1, 0);
    store.upsert(vec![point(one, EAST, &[])]).await.unwrap();
    assert_eq!(
        keys(&store.search(by_vector(EAST, 9)).await.unwrap()),
        [one]
    );
    assert_eq!(store.search(by_terms(&[1], 9)).await.unwrap(), []);
}

async fn only_matching_points_count(store: &dyn VectorStore) {
    store.open(&identity()).await.unwrap();
    let [x, y] = [DocumentId::new(), DocumentId::new()];
    let [a, b, c] = [key(x, 1, 0), key(x, 1, 1), key(y, 1, 0)];
    let mut points: Vec<_> = [a, b, c].map(|key| point(key, EAST, &[(1, 1.0)])).into();
    points[1].collection = collection("other");
    points[2].collection = collection("other");
    store.upsert(points).await.unwrap();

    let other = Some(collection("other"));
    for (collection, document, expected) in [
        (None, None, vec![a, b, c]),
        (other.clone(), None, vec![b, c]),
        (None, Some(x), vec![a, b]),
        (other, Some(x), vec![b]),
        (Some(collection("nothing-here")), None, vec![]),
        (None, Some(DocumentId::new()), vec![]),
    ] {
        let filter = Filter {
            collection,
            document,
        };
        let sorted = |mut keys: Vec<ChunkKey>| {
            keys.sort();
            keys
        };
        for mut request in [by_vector(EAST, 9), by_terms(&[1], 9)] {
            request.filter = filter.clone();
            let hits = store.search(request).await.unwrap();
            assert_eq!(sorted(keys(&hits)), sorted(expected.clone()), "{filter:?}");
        }
        let count = store.count(filter.clone()).await.unwrap();
        assert_eq!(count, expected.len() as u64, "{filter:?}");
    }
}

async fn a_deleted_document_is_gone(store: &dyn VectorStore) {
    store.open(&identity()).await.unwrap();
    let [x, y] = [DocumentId::new(), DocumentId::new()];
    let left = key(y, 1, 0);
    let points = vec![
        point(key(x, 1, 0), EAST, &[(1, 1.0)]),
        point(key(x, 2, 0), EAST, &[(1, 1.0)]),
        point(left, NORTH, &[(1, 1.0)]),
    ];
    store.upsert(points).await.unwrap();
    store.delete(x, None).await.unwrap();
    store.delete(DocumentId::new(), None).await.unwrap();
    store.flush().await.unwrap();

    assert_eq!(store.count(Filter::default()).await.unwrap(), 1);
    assert_eq!(
        keys(&store.search(by_vector(EAST, 9)).await.unwrap()),
        [left]
    );
    assert_eq!(
        keys(&store.search(by_terms(&[1], 9)).await.unwrap()),
        [left]
    );

    // It may come back, with the same points.
    let again = key(x, 1, 0);
    store.upsert(vec![point(again, EAST, &[])]).await.unwrap();
    assert_eq!(
        keys(&store.search(by_vector(EAST, 1)).await.unwrap()),
        [again]
    );
}

async fn a_revision_can_be_kept(store: &dyn VectorStore) {
    store.open(&identity()).await.unwrap();
    let [x, y] = [DocumentId::new(), DocumentId::new()];
    let points = [
        key(x, 1, 0),
        key(x, 2, 0),
        key(x, 2, 1),
        key(x, 3, 0),
        key(y, 1, 0),
    ];
    let written = points.map(|key| point(key, EAST, &[(1, 1.0)]));
    store.upsert(written.into()).await.unwrap();
    store.delete(x, Some(2)).await.unwrap();

    let mut left = keys(&store.search(by_vector(EAST, 9)).await.unwrap());
    left.sort();
    let mut expected = vec![key(x, 2, 0), key(x, 2, 1), key(y, 1, 0)];
    expected.sort();
    assert_eq!(left, expected);
}

async fn vectors_of_another_length_are_refused(store: &dyn VectorStore) {
    store.open(&identity()).await.unwrap();
    let document = DocumentId::new();
    let good = point(key(document, 1, 0), EAST, &[]);
    let mut bad = point(key(document, 1, 1), EAST, &[]);
    bad.dense.0.push(0.0);
    assert_refused(store.upsert(vec![good, bad.clone()]).await, &["5", "4"]);
    let mut request = by_vector(EAST, 1);
    request.vector = griot::ports::QueryVector::Dense(bad.dense);
    assert_refused(store.search(request).await, &["5", "4"]);
    assert_eq!(store.count(Filter::default()).await.unwrap(), 0);
}

async fn many_points_and_large_numbers(store: &dyn VectorStore) {
    store.open(&identity()).await.unwrap();
    let document = DocumentId::new();
    let long = collection(&"c".repeat(64));
    let points = (0..600)
        .map(|n| {
            let mut point = point(key(document, u32::MAX, u32::MAX - n), EAST, &[(n, 1.0)]);
            point.collection = long.clone();
            point
        })
        .collect();
    store.upsert(points).await.unwrap();
    let filter = Filter {
        collection: Some(long),
        document: Some(document),
    };
    assert_eq!(store.count(filter).await.unwrap(), 600);
    assert_eq!(
        store.search(by_vector(EAST, 1000)).await.unwrap().len(),
        600
    );
    let hits = store.search(by_terms(&[599], 9)).await.unwrap();
    assert_eq!(keys(&hits), [key(document, u32::MAX, u32::MAX - 599)]);
}

async fn nothing_to_do_is_fine(store: &dyn VectorStore) {
    store.open(&identity()).await.unwrap();
    store.upsert(Vec::new()).await.unwrap();
    store.flush().await.unwrap();
    assert_eq!(store.search(by_vector(EAST, 9)).await.unwrap(), []);
    assert_eq!(store.search(by_terms(&[1], 9)).await.unwrap(), []);
    let one = key(DocumentId::new(), 1, 0);
    store
        .upsert(vec![point(one, EAST, &[(1, 1.0)])])
        .await
        .unwrap();
    assert_eq!(store.search(by_terms(&[], 9)).await.unwrap(), []);
    assert_eq!(store.search(by_vector(EAST, 0)).await.unwrap(), []);
    assert_eq!(store.search(by_terms(&[1], 0)).await.unwrap(), []);
}

async fn vectors_come_back_as_they_were_written(store: &dyn VectorStore) {
    store.open(&identity()).await.unwrap();
    let (document, gone) = (DocumentId::new(), DocumentId::new());
    // More than one request's worth, and of one document two revisions.
    let points = (0..600).map(|n| {
        let angle = n as f32 / 600.0;
        point(
            key(document, 1, n),
            [angle.cos(), angle.sin(), 0.0, 0.0],
            &[(n, 1.0)],
        )
    });
    store.upsert(points.collect()).await.unwrap();
    let others = vec![
        point(key(document, 2, 7), NORTH, &[]),
        point(key(gone, 1, 0), EAST, &[]),
    ];
    store.upsert(others).await.unwrap();
    store.delete(gone, None).await.unwrap();
    store.flush().await.unwrap();

    let mut asked: Vec<_> = (0..600).rev().map(|n| key(document, 1, n)).collect();
    asked.extend([key(gone, 1, 0), key(document, 2, 7), key(document, 3, 7)]);
    let found = store.vectors(&asked).await.unwrap();
    assert_eq!(found.len(), asked.len());
    for (n, vector) in (0..600_u32).rev().zip(&found) {
        let angle = n as f32 / 600.0;
        let vector = &vector.as_ref().unwrap().0;
        let expected = [angle.cos(), angle.sin(), 0.0, 0.0];
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-6;
        assert!(vector.iter().zip(&expected).all(close), "{n}: {vector:?}");
    }
    assert_eq!(found[600], None, "of a deleted document");
    assert_eq!(found[601].as_ref().unwrap().0, NORTH);
    assert_eq!(found[602], None, "of a revision that there never was");
    assert_eq!(store.vectors(&[]).await.unwrap(), []);
}
