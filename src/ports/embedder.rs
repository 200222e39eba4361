//! Text to vectors.

use async_trait::async_trait;

use super::PortError;
use crate::domain::{EmbedderIdentity, Embedding};

/// What a text is, for models that treat the two differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmbedKind {
    /// A question, short; somebody waits for it, so it goes before queued passages.
    Query,
    /// A chunk of a document.
    Passage,
}

/// Turns texts into vectors of unit length.
#[async_trait]
pub trait Embedder: Send + Sync {
    /// Which model this is. Constant as long as [`Self::epoch`] is.
    fn identity(&self) -> EmbedderIdentity;

    /// How often the model behind this value was exchanged. Vectors of two epochs belong to different
    /// indexes.
    fn epoch(&self) -> u64 {
        0
    }

    /// Tokens of `text` as this model counts them, its special tokens not included. Runs on the
    /// caller's thread and takes microseconds; where the model's tokenizer is not at hand it is an
    /// estimate on the high side.
    fn count_tokens(&self, text: &str) -> usize;

    /// One unit vector per text, in order: `[texts.len(), dimension]`.
    ///
    /// # Errors
    /// As [`PortError`] says; a text beyond `max_tokens` is cut, not refused.
    async fn embed(&self, texts: Vec<String>, kind: EmbedKind)
    -> Result<Vec<Embedding>, PortError>;
}
