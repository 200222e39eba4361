//! Chunks by the likeness of their vectors.
//!
//! The index is derived: texts live in the catalog, and a point carries only its key and collection.
//! What of a document is visible is decided by the catalog, never here.

use async_trait::async_trait;

use super::PortError;
use crate::domain::{ChunkKey, Collection, DocumentId, EmbedderIdentity, Embedding, SparseVector};

/// A chunk's vectors, ready to store under [`ChunkKey::point_id`].
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    pub key: ChunkKey,
    pub collection: Collection,
    pub dense: Embedding,
    /// Term frequencies, saturated as in BM25 ([`crate::domain::bm25`]); the store multiplies by IDF.
    pub sparse: SparseVector,
}

/// What to look with.
#[derive(Debug, Clone, PartialEq)]
pub enum QueryVector {
    /// By cosine similarity.
    Dense(Embedding),
    /// By BM25: the dot product with IDF applied by the store.
    Sparse(SparseVector),
}

/// Which points count. The default is all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    pub collection: Option<Collection>,
    pub document: Option<DocumentId>,
}

/// One search.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchRequest {
    pub vector: QueryVector,
    pub filter: Filter,
    /// At most this many, best first.
    pub limit: usize,
}

/// A hit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScoredPoint {
    pub key: ChunkKey,
    /// Cosine similarity or BM25, as asked.
    pub score: f32,
}

/// An index of points.
///
/// Behaviours every implementation keeps (the contract suite in `tests/contract` checks them):
/// writing a point twice leaves one; what `flush` has confirmed survives a kill; a deleted
/// document's points are never returned again; points of other collections are not returned.
#[async_trait]
pub trait VectorStore: Send + Sync {
    /// Opens the index, or makes it, for vectors of `identity`.
    ///
    /// # Errors
    /// [`PortError::Refused`] when the index was made for another model or dimension.
    async fn open(&self, identity: &EmbedderIdentity) -> Result<(), PortError>;

    /// Writes points, replacing those with the same key. Not durable before [`Self::flush`].
    async fn upsert(&self, points: Vec<Point>) -> Result<(), PortError>;

    /// Returns when everything written so far survives a kill.
    async fn flush(&self) -> Result<(), PortError>;

    /// The best points by one vector.
    async fn search(&self, request: SearchRequest) -> Result<Vec<ScoredPoint>, PortError>;

    /// Removes a document's points, those of `keep` (a revision) excepted.
    async fn delete(&self, document: DocumentId, keep: Option<u32>) -> Result<(), PortError>;

    /// The dense vectors of points, in the order of `keys`; `None` where there is no such point.
    ///
    /// They have the direction that was written; a store may have brought them to unit length.
    async fn vectors(&self, keys: &[ChunkKey]) -> Result<Vec<Option<Embedding>>, PortError>;

    /// Number of points that match.
    async fn count(&self, filter: Filter) -> Result<u64, PortError>;

    /// Puts the index's files in order: vectors of deleted points leave them, and what makes searches
    /// fast is built where there are enough points. May take minutes, in which searches go on and
    /// writers wait; cheap when there is nothing to do. Returns whether there was. Stores that see to
    /// it themselves need not implement it.
    async fn upkeep(&self) -> Result<bool, PortError> {
        Ok(false)
    }
}
