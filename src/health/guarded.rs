//! A port behind its gate. Services hold an `Arc<dyn Port>` and do not know.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use super::gate::Gate;
use crate::{
    domain::{ChunkKey, DocumentId, EmbedderIdentity, Embedding, Pcm},
    ports::{
        ChatRequest, ChatStream, Clause, EmbedKind, Embedder, Filter, LanguageModel, Point,
        PortError, ScoredPoint, SearchRequest, Synthesizer, Transcriber, Transcript, Utterance,
        VectorStore, Voice,
    },
};

/// What each text of a batch adds to the time that embedding it may take: sixteen times what a
/// 256-token chunk was measured to take on one core (MiniLM-L6 in rten, 60 ms).
const PER_TEXT: Duration = Duration::from_secs(1);

/// How many times longer passages may take than a question: they give way, and while answers
/// are written there is little left for them. That the embedder hangs is found out by
/// questions and probes.
const GIVING_WAY: u32 = 20;

/// Implements the port `P` with every method through the gate.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// use griot::{
///     domain::Component,
///     health::{Board, Gate, Guarded, Limits},
///     ports::VectorStore,
/// };
///
/// fn guard(board: &Arc<Board>, store: Arc<dyn VectorStore>) -> Arc<dyn VectorStore> {
///     let slot = board.slot(Component::VectorStore, "edge");
///     Arc::new(Guarded::new(store, Gate::new(slot, Limits::call(Duration::from_secs(5)))))
/// }
/// ```
#[derive(Debug)]
pub struct Guarded<P: ?Sized> {
    inner: Arc<P>,
    gate: Arc<Gate>,
}

impl<P: ?Sized> Guarded<P> {
    /// `inner` behind `gate`. Several may share one gate, as far as they are one part.
    pub fn new(inner: Arc<P>, gate: Arc<Gate>) -> Self {
        Self { inner, gate }
    }

    /// Its gate.
    #[must_use]
    pub fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }
}

#[async_trait]
impl VectorStore for Guarded<dyn VectorStore> {
    async fn open(&self, identity: &EmbedderIdentity) -> Result<(), PortError> {
        let limit = self.gate.limits().open;
        self.gate.call(limit, self.inner.open(identity)).await
    }

    async fn upsert(&self, points: Vec<Point>) -> Result<(), PortError> {
        let limit = self.gate.limits().write;
        self.gate.call(limit, self.inner.upsert(points)).await
    }

    async fn flush(&self) -> Result<(), PortError> {
        let limit = self.gate.limits().write;
        self.gate.call(limit, self.inner.flush()).await
    }

    async fn search(&self, request: SearchRequest) -> Result<Vec<ScoredPoint>, PortError> {
        let limit = self.gate.limits().first;
        self.gate.call(limit, self.inner.search(request)).await
    }

    async fn delete(&self, document: DocumentId, keep: Option<u32>) -> Result<(), PortError> {
        let limit = self.gate.limits().write;
        self.gate
            .call(limit, self.inner.delete(document, keep))
            .await
    }

    async fn vectors(&self, keys: &[ChunkKey]) -> Result<Vec<Option<Embedding>>, PortError> {
        let limit = self.gate.limits().first;
        self.gate.call(limit, self.inner.vectors(keys)).await
    }

    async fn count(&self, filter: Filter) -> Result<u64, PortError> {
        let limit = self.gate.limits().first;
        self.gate.call(limit, self.inner.count(filter)).await
    }

    /// Not through the gate: it takes as long as it takes, and nobody waits for it.
    async fn upkeep(&self) -> Result<bool, PortError> {
        self.inner.upkeep().await
    }
}

#[async_trait]
impl Embedder for Guarded<dyn Embedder> {
    fn identity(&self) -> EmbedderIdentity {
        self.inner.identity()
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.inner.count_tokens(text)
    }

    async fn embed(
        &self,
        texts: Vec<String>,
        kind: EmbedKind,
    ) -> Result<Vec<Embedding>, PortError> {
        let texts_count = u32::try_from(texts.len()).unwrap_or(u32::MAX);
        let usual = self.gate.limits().first + PER_TEXT.saturating_mul(texts_count);
        let limit = match kind {
            EmbedKind::Query => usual,
            EmbedKind::Passage => usual * GIVING_WAY,
        };
        self.gate.call(limit, self.inner.embed(texts, kind)).await
    }
}

#[async_trait]
impl LanguageModel for Guarded<dyn LanguageModel> {
    fn name(&self) -> String {
        self.inner.name()
    }

    async fn chat(&self, request: ChatRequest) -> Result<ChatStream, PortError> {
        self.gate.stream(self.inner.chat(request)).await
    }
}

#[async_trait]
impl Transcriber for Guarded<dyn Transcriber> {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn languages(&self) -> Vec<String> {
        self.inner.languages()
    }

    async fn transcribe(&self, utterance: Utterance) -> Result<Transcript, PortError> {
        let limit = self.gate.limits().first;
        self.gate
            .in_turn(limit, self.inner.in_turn(utterance))
            .await
    }
}

#[async_trait]
impl Synthesizer for Guarded<dyn Synthesizer> {
    fn voices(&self) -> Vec<Voice> {
        self.inner.voices()
    }

    async fn speak(&self, clause: Clause) -> Result<Pcm, PortError> {
        let limit = self.gate.limits().first;
        self.gate.in_turn(limit, self.inner.in_turn(clause)).await
    }

    async fn ahead(&self, clause: Clause) -> Result<Pcm, PortError> {
        self.gate.aside(self.inner.ahead(clause)).await
    }
}
