//! An exact vector store in memory.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;

use super::trouble::{Mood, Trouble};
use crate::{
    domain::{ChunkKey, Component, DocumentId, EmbedderIdentity, Embedding, SparseVector, bm25},
    ports::{Filter, Point, PortError, QueryVector, ScoredPoint, SearchRequest, VectorStore},
};

/// A [`VectorStore`] that looks at every point. [`Self::crash`] takes it back to the last flush, as
/// a kill would.
#[derive(Debug)]
pub struct MemoryStore {
    mood: Mood,
    /// Held for the length of one call, never across an await.
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    identity: Option<EmbedderIdentity>,
    points: BTreeMap<ChunkKey, Point>,
    flushed: BTreeMap<ChunkKey, Point>,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// An empty store, to be opened.
    #[must_use]
    pub fn new() -> Self {
        Self {
            mood: Mood::good(Component::VectorStore),
            state: Mutex::default(),
        }
    }

    /// From now on every call meets this.
    pub fn trouble(&self, trouble: Trouble) {
        self.mood.set(Some(trouble));
    }

    /// Ends the trouble; hanging calls go on.
    pub fn recover(&self) {
        self.mood.set(None);
    }

    /// Forgets whatever no flush has confirmed.
    pub fn crash(&self) {
        let mut state = self.state();
        state.points = state.flushed.clone();
    }

    /// The keys of every point, in order.
    #[must_use]
    pub fn keys(&self) -> Vec<ChunkKey> {
        self.state().points.keys().copied().collect()
    }

    /// What it was opened for first.
    #[must_use]
    pub fn made_for(&self) -> Option<EmbedderIdentity> {
        self.state().identity.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no holder of this lock panics")
    }

    /// The state, once there is no trouble and it was opened.
    async fn opened(&self) -> Result<MutexGuard<'_, State>, PortError> {
        self.mood.check().await?;
        let state = self.state();
        if state.identity.is_none() {
            return Err(PortError::unavailable(
                Component::VectorStore,
                "the index was not opened",
            ));
        }
        Ok(state)
    }
}

impl State {
    fn check_dimension(&self, given: usize) -> Result<(), PortError> {
        match &self.identity {
            Some(identity) if identity.dimension != given => Err(refused(format!(
                "a vector of {given} values was given to an index of {}",
                identity.dimension
            ))),
            _ => Ok(()),
        }
    }

    /// Over the points that have words, as the real stores count.
    fn idf(&self, query: &SparseVector) -> HashMap<u32, f32> {
        let with_words = |point: &&Point| !point.sparse.indices.is_empty();
        let total = self.points.values().filter(with_words).count() as u64;
        query
            .indices
            .iter()
            .map(|term| {
                let holding = self
                    .points
                    .values()
                    .filter(|point| point.sparse.indices.contains(term))
                    .count() as u64;
                (*term, bm25::idf(total, holding))
            })
            .collect()
    }
}

fn refused(reason: String) -> PortError {
    PortError::Refused {
        component: Component::VectorStore,
        reason,
    }
}

fn matches(filter: &Filter, point: &Point) -> bool {
    filter
        .collection
        .as_ref()
        .is_none_or(|collection| *collection == point.collection)
        && filter
            .document
            .is_none_or(|document| document == point.key.document)
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f32>();
    let lengths = (dot(a, a) * dot(b, b)).sqrt();
    if lengths == 0.0 {
        0.0
    } else {
        dot(a, b) / lengths
    }
}

/// The dot product with IDF; `None` without a common term.
fn lexical(query: &SparseVector, passage: &SparseVector, idf: &HashMap<u32, f32>) -> Option<f32> {
    let mut score = None;
    for (term, weight) in query.indices.iter().zip(&query.values) {
        if let Ok(at) = passage.indices.binary_search(term) {
            *score.get_or_insert(0.0) += weight * passage.values[at] * idf[term];
        }
    }
    score
}

#[async_trait]
impl VectorStore for MemoryStore {
    async fn open(&self, identity: &EmbedderIdentity) -> Result<(), PortError> {
        self.mood.check().await?;
        let mut state = self.state();
        match &state.identity {
            Some(made_for)
                if (&made_for.model, made_for.dimension)
                    != (&identity.model, identity.dimension) =>
            {
                Err(refused(format!(
                    "the index was made for {} ({} values), not for {} ({} values)",
                    made_for.model, made_for.dimension, identity.model, identity.dimension
                )))
            }
            _ => {
                state.identity = Some(identity.clone());
                Ok(())
            }
        }
    }

    async fn upsert(&self, points: Vec<Point>) -> Result<(), PortError> {
        let mut state = self.opened().await?;
        for point in &points {
            state.check_dimension(point.dense.0.len())?;
        }
        state
            .points
            .extend(points.into_iter().map(|point| (point.key, point)));
        Ok(())
    }

    async fn flush(&self) -> Result<(), PortError> {
        let mut state = self.opened().await?;
        state.flushed = state.points.clone();
        Ok(())
    }

    async fn search(&self, request: SearchRequest) -> Result<Vec<ScoredPoint>, PortError> {
        let state = self.opened().await?;
        let candidates = state
            .points
            .values()
            .filter(|point| matches(&request.filter, point));
        let mut hits: Vec<ScoredPoint> = match &request.vector {
            QueryVector::Dense(query) => {
                state.check_dimension(query.0.len())?;
                candidates
                    .map(|point| ScoredPoint {
                        key: point.key,
                        score: cosine(&query.0, &point.dense.0),
                    })
                    .collect()
            }
            QueryVector::Sparse(query) => {
                let idf = state.idf(query);
                candidates
                    .filter_map(|point| {
                        lexical(query, &point.sparse, &idf).map(|score| ScoredPoint {
                            key: point.key,
                            score,
                        })
                    })
                    .collect()
            }
        };
        hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.key.cmp(&b.key)));
        hits.truncate(request.limit);
        Ok(hits)
    }

    async fn delete(&self, document: DocumentId, keep: Option<u32>) -> Result<(), PortError> {
        self.opened()
            .await?
            .points
            .retain(|key, _| key.document != document || keep == Some(key.revision));
        Ok(())
    }

    async fn vectors(&self, keys: &[ChunkKey]) -> Result<Vec<Option<Embedding>>, PortError> {
        let state = self.opened().await?;
        let dense = |key| state.points.get(key).map(|point| point.dense.clone());
        Ok(keys.iter().map(dense).collect())
    }

    async fn count(&self, filter: Filter) -> Result<u64, PortError> {
        let state = self.opened().await?;
        Ok(state
            .points
            .values()
            .filter(|point| matches(&filter, point))
            .count() as u64)
    }
}
