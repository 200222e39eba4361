//! Vectors: the dense ones of an embedding model and the sparse ones of words.

use serde::{Deserialize, Serialize};

/// A dense vector of unit length, `[dimension]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding(pub Vec<f32>);

/// Which model made the vectors. Vectors of different identities cannot be compared, so a store
/// records the identity it was made for and refuses another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmbedderIdentity {
    /// The model's name, as in the manifest or as Ollama calls it.
    pub model: String,
    /// Length of each vector.
    pub dimension: usize,
    /// Tokens the model reads; what is beyond is cut.
    pub max_tokens: usize,
}

/// A sparse vector: `values[i]` at `indices[i]`. Indices are sorted and occur once.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SparseVector {
    pub indices: Vec<u32>,
    pub values: Vec<f32>,
}
