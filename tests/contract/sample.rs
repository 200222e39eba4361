//! Points to store, small enough to reckon with.

use griot::{
    domain::{ChunkKey, Collection, DocumentId, EmbedderIdentity, Embedding, SparseVector},
    ports::{Filter, Point, QueryVector, SearchRequest},
};

pub fn identity() -> EmbedderIdentity {
    named("model-a", 4)
}

pub fn named(model: &str, dimension: usize) -> EmbedderIdentity {
    EmbedderIdentity {
        model: model.to_owned(),
        dimension,
        max_tokens: 256,
    }
}

pub fn key(document: DocumentId, revision: u32, ordinal: u32) -> ChunkKey {
    ChunkKey {
        document,
        revision,
        ordinal,
    }
}

pub fn collection(name: &str) -> Collection {
    name.parse().unwrap()
}

/// Terms with weights, as a sparse vector.
pub fn sparse(terms: &[(u32, f32)]) -> SparseVector {
    SparseVector {
        indices: terms.iter().map(|(term, _)| *term).collect(),
        values: terms.iter().map(|(_, weight)| *weight).collect(),
    }
}

/// A point in the collection `default`.
pub fn point(key: ChunkKey, dense: [f32; 4], terms: &[(u32, f32)]) -> Point {
    Point {
        key,
        collection: Collection::default(),
        dense: Embedding(dense.to_vec()),
        sparse: sparse(terms),
    }
}

pub fn by_vector(dense: [f32; 4], limit: usize) -> SearchRequest {
    SearchRequest {
        vector: QueryVector::Dense(Embedding(dense.to_vec())),
        filter: Filter::default(),
        limit,
    }
}

pub fn by_terms(terms: &[u32], limit: usize) -> SearchRequest {
    let terms: Vec<_> = terms.iter().map(|term| (*term, 1.0)).collect();
    SearchRequest {
        vector: QueryVector::Sparse(sparse(&terms)),
        filter: Filter::default(),
        limit,
    }
}
