//! Vectors: the dense ones of an embedding model and the sparse ones of words.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A dense vector of unit length, `[dimension]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding(pub Vec<f32>);

/// Tells apart the texts that vectors were made of: the first half of their SHA-256. Two texts of one
/// fingerprint are the same text, so a model gives them the same vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// Of exactly this text, byte for byte.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let digest = Sha256::digest(text);
        let (half, _) = digest.split_at(16);
        Self(half.try_into().expect("it was cut at 16"))
    }
}

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
