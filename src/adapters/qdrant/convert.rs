//! Our points and filters in Qdrant's words, and its hits in ours.

use qdrant_client::{
    Payload,
    qdrant::{
        self, Condition, NamedVectors, PointStruct, Value, Vector, VectorsSelector,
        point_id::PointIdOptions, with_vectors_selector::SelectorOptions,
    },
};
use uuid::Uuid;

use super::{DENSE, SPARSE, failure};
use crate::{
    domain::{ChunkKey, DocumentId, Embedding},
    ports::{Filter, Point, PortError, ScoredPoint},
};

/// Fields of a point.
pub(super) const DOCUMENT: &str = "document";
pub(super) const COLLECTION: &str = "collection";
pub(super) const REVISION: &str = "revision";
const ORDINAL: &str = "ordinal";

pub(super) fn point(point: Point) -> PointStruct {
    let mut vectors = NamedVectors::default().add_vector(DENSE, Vector::new_dense(point.dense.0));
    // A text of stop words only has no sparse vector.
    if !point.sparse.indices.is_empty() {
        let sparse = Vector::new_sparse(point.sparse.indices, point.sparse.values);
        vectors = vectors.add_vector(SPARSE, sparse);
    }
    let mut payload = Payload::new();
    payload.insert(DOCUMENT, point.key.document.uuid().to_string());
    payload.insert(REVISION, i64::from(point.key.revision));
    payload.insert(ORDINAL, i64::from(point.key.ordinal));
    payload.insert(COLLECTION, String::from(point.collection));
    PointStruct::new(point.key.point_id().to_string(), vectors, payload)
}

pub(super) fn filter(filter: &Filter) -> Option<qdrant::Filter> {
    let mut must = Vec::new();
    if let Some(collection) = &filter.collection {
        must.push(Condition::matches(
            COLLECTION,
            collection.as_str().to_owned(),
        ));
    }
    if let Some(document) = filter.document {
        must.push(is_of(document));
    }
    (!must.is_empty()).then(|| qdrant::Filter::must(must))
}

/// A document's points but those of revision `keep`.
pub(super) fn of_document(document: DocumentId, keep: Option<u32>) -> qdrant::Filter {
    let kept = keep.map(|revision| Condition::matches(REVISION, i64::from(revision)));
    qdrant::Filter {
        must: vec![is_of(document)],
        must_not: kept.into_iter().collect(),
        ..qdrant::Filter::default()
    }
}

fn is_of(document: DocumentId) -> Condition {
    Condition::matches(DOCUMENT, document.uuid().to_string())
}

pub(super) fn dense_only() -> SelectorOptions {
    SelectorOptions::Include(VectorsSelector {
        names: vec![DENSE.to_owned()],
    })
}

/// A point's id with its dense vector; `None` for what is not one of ours.
pub(super) fn vector(point: qdrant::RetrievedPoint) -> Option<(Uuid, Embedding)> {
    let PointIdOptions::Uuid(id) = point.id?.point_id_options? else {
        return None;
    };
    match point.vectors?.get_vector_by_name(DENSE)? {
        qdrant::vector_output::Vector::Dense(dense) => {
            Some((Uuid::parse_str(&id).ok()?, Embedding(dense.data)))
        }
        _ => None,
    }
}

pub(super) fn hit(hit: &qdrant::ScoredPoint) -> Result<ScoredPoint, PortError> {
    let number = |name| {
        let value = hit.payload.get(name).and_then(Value::as_integer)?;
        u32::try_from(value).ok()
    };
    let key = || {
        let document = hit.payload.get(DOCUMENT)?.as_str()?;
        Some(ChunkKey {
            document: DocumentId::from_uuid(Uuid::parse_str(document).ok()?),
            revision: number(REVISION)?,
            ordinal: number(ORDINAL)?,
        })
    };
    Ok(ScoredPoint {
        key: key().ok_or_else(|| failure::nonsense("it found a point that carries no key"))?,
        score: hit.score,
    })
}
