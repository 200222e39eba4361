//! What belongs together: an embedder and the store of its vectors. Both are exchanged at once when the
//! library goes over to another embedding model, so that no question is embedded by one model and looked
//! for among the vectors of another.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;

use super::{
    EmbedKind, Embedder, Filter, Point, PortError, ScoredPoint, SearchRequest, VectorStore,
};
use crate::domain::{ChunkKey, Component, DocumentId, EmbedderIdentity, Embedding};

/// An embedder and the store of its vectors.
#[derive(Clone)]
pub struct Pair {
    pub embedder: Arc<dyn Embedder>,
    pub store: Arc<dyn VectorStore>,
}

impl Pair {
    /// Opens the store for vectors of the embedder.
    ///
    /// # Errors
    /// As [`VectorStore::open`].
    pub async fn open(&self) -> Result<(), PortError> {
        self.store.open(&self.embedder.identity()).await
    }
}

/// An index that is being built, or is kept: what is deleted goes from it too.
#[derive(Clone)]
pub struct Beside {
    pub made_for: EmbedderIdentity,
    pub store: Arc<dyn VectorStore>,
}

/// The pair in use, whichever it is, and those beside it that know of the same documents. It is an
/// embedder and a store itself, for those who do not mind which; who asks both for one thing takes
/// [`Self::ready`].
pub struct Index {
    /// Never held across an `.await`.
    state: RwLock<State>,
}

struct State {
    pair: Pair,
    /// Why the store cannot be searched although it may work; `None`: it can be.
    unready: Option<String>,
    /// Whether documents can be stored. They can while an index is filled, not while there is none.
    closed: bool,
    beside: Vec<Beside>,
    epoch: u64,
}

impl Index {
    /// An index that can be searched, and stays what it is unless it is [switched](Self::switch).
    #[must_use]
    pub fn new(pair: Pair) -> Arc<Self> {
        Arc::new(Self {
            state: RwLock::new(State {
                pair,
                unready: None,
                closed: false,
                beside: Vec::new(),
                epoch: 0,
            }),
        })
    }

    /// The pair, for one question from its beginning to its end.
    ///
    /// # Errors
    /// [`PortError::Unavailable`] while the index does not hold all documents.
    pub fn ready(&self) -> Result<Pair, PortError> {
        let state = self.state();
        match &state.unready {
            None => Ok(state.pair.clone()),
            Some(reason) => Err(unavailable(reason)),
        }
    }

    /// The pair, ready or not.
    #[must_use]
    pub fn pair(&self) -> Pair {
        self.state().pair.clone()
    }

    /// Takes `pair` in place of the one before, `unready` for the reason given, if any. Questions that have
    /// begun end with the one before. The caller sees to it that no document is stored meanwhile.
    pub fn switch(&self, pair: Pair, unready: Option<String>) {
        self.change(|state| {
            state.pair = pair;
            state.unready = unready;
            state.closed = false;
            state.epoch += 1;
        });
    }

    /// From now on it is searched.
    pub fn set_ready(&self) {
        self.change(|state| {
            state.unready = None;
            state.closed = false;
        });
    }

    /// From now on questions are told that it does not hold all documents, and why; documents are
    /// stored in it.
    pub fn set_unready(&self, reason: impl Into<String>) {
        self.change(|state| {
            state.unready = Some(reason.into());
            state.closed = false;
        });
    }

    /// From now on it is neither searched nor written to: documents wait.
    pub fn set_closed(&self, reason: impl Into<String>) {
        self.change(|state| {
            state.unready = Some(reason.into());
            state.closed = true;
        });
    }

    /// The indexes from which deleted documents go too.
    pub fn set_beside(&self, beside: Vec<Beside>) {
        self.change(|state| state.beside = beside);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The store, where it may be written to.
    fn store(&self) -> Result<Arc<dyn VectorStore>, PortError> {
        let state = self.state();
        match &state.unready {
            Some(reason) if state.closed => Err(unavailable(reason)),
            _ => Ok(Arc::clone(&state.pair.store)),
        }
    }

    fn beside(&self) -> Vec<Beside> {
        self.state().beside.clone()
    }
}

fn unavailable(reason: &str) -> PortError {
    PortError::unavailable(Component::VectorStore, reason.to_owned())
}

#[async_trait]
impl Embedder for Index {
    fn identity(&self) -> EmbedderIdentity {
        self.pair().embedder.identity()
    }

    fn epoch(&self) -> u64 {
        self.state().epoch
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.pair().embedder.count_tokens(text)
    }

    async fn embed(
        &self,
        texts: Vec<String>,
        kind: EmbedKind,
    ) -> Result<Vec<Embedding>, PortError> {
        self.pair().embedder.embed(texts, kind).await
    }
}

#[async_trait]
impl VectorStore for Index {
    /// For vectors of the embedder in use, whatever `identity` the caller had in mind: it may have been
    /// exchanged since.
    async fn open(&self, _identity: &EmbedderIdentity) -> Result<(), PortError> {
        self.store()?;
        self.pair().open().await
    }

    async fn upsert(&self, points: Vec<Point>) -> Result<(), PortError> {
        self.store()?.upsert(points).await
    }

    async fn flush(&self) -> Result<(), PortError> {
        self.store()?.flush().await?;
        for other in self.beside() {
            other.store.open(&other.made_for).await?;
            other.store.flush().await?;
        }
        Ok(())
    }

    async fn search(&self, request: SearchRequest) -> Result<Vec<ScoredPoint>, PortError> {
        self.ready()?.store.search(request).await
    }

    async fn delete(&self, document: DocumentId, keep: Option<u32>) -> Result<(), PortError> {
        self.store()?.delete(document, keep).await?;
        for other in self.beside() {
            other.store.open(&other.made_for).await?;
            other.store.delete(document, keep).await?;
        }
        Ok(())
    }

    async fn vectors(&self, keys: &[ChunkKey]) -> Result<Vec<Option<Embedding>>, PortError> {
        self.store()?.vectors(keys).await
    }

    async fn count(&self, filter: Filter) -> Result<u64, PortError> {
        self.store()?.count(filter).await
    }

    async fn upkeep(&self) -> Result<bool, PortError> {
        let mut tended = self.store()?.upkeep().await?;
        for other in self.beside() {
            other.store.open(&other.made_for).await?;
            tended |= other.store.upkeep().await?;
        }
        Ok(tended)
    }
}

/// What is found of a generation where it would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Nothing,
    /// An index of this model's vectors.
    Made {
        model: String,
        dimension: usize,
    },
    /// Something that cannot be opened, for a reason that does not pass.
    Damaged(String),
}

/// The places of the index's generations. A generation is an index of all documents, made with one
/// embedding model; they are numbered in the order in which they were begun, and a number is not used
/// twice.
#[async_trait]
pub trait Generations: Send + Sync {
    /// The embedder of that name. Weights that are missing are no reason not to have one: asked for
    /// vectors it says so.
    ///
    /// # Errors
    /// [`PortError::Refused`] where there can be no such model.
    fn embedder(&self, model: &str) -> Result<Arc<dyn Embedder>, PortError>;

    /// The store of that generation, not opened; the same each time.
    fn store(&self, number: u32) -> Arc<dyn VectorStore>;

    /// The pair as questions and documents use it: behind whatever watches over parts in use.
    fn guarded(&self, pair: Pair) -> Pair {
        pair
    }

    /// What is there of a generation. Makes nothing.
    async fn found(&self, number: u32) -> Result<Found, PortError>;

    /// Removes a generation, if it is there. Nobody uses it any more.
    async fn remove(&self, number: u32) -> Result<(), PortError>;
}
