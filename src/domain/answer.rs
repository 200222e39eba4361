//! An answer and what it rests on. The field names are those of the HTTP contract.

use serde::{Deserialize, Serialize};

use super::{AnswerId, Component, ConversationId, DocumentId};

/// How well a passage fits, by each way of looking. Absent when that way was not used.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Scores {
    /// Cosine similarity, from -1 to 1.
    pub dense: Option<f32>,
    /// BM25, from 0, without an upper bound.
    pub lexical: Option<f32>,
}

/// A passage given to the model, numbered from 1.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    pub n: u32,
    pub document_id: DocumentId,
    /// The document's name.
    pub document: String,
    pub page: Option<u32>,
    pub section: Option<String>,
    /// Half-open byte range of the document's stored text; `text` is exactly these bytes.
    pub start: u64,
    pub end: u64,
    pub text: String,
    /// Fused score, from 0 to 1.
    pub score: f32,
    pub scores: Scores,
}

/// A proven quotation: `quote` is byte for byte the stored text's `start..end`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Citation {
    /// The number of the evidence it is taken from.
    pub n: u32,
    pub document_id: DocumentId,
    pub document: String,
    pub page: Option<u32>,
    pub section: Option<String>,
    pub start: u64,
    pub end: u64,
    pub quote: String,
    pub score: f32,
}

/// Where the time went, in milliseconds since the question arrived (`retrieve`: its own duration).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timings {
    pub retrieve: u64,
    pub first_token: u64,
    pub total: u64,
}

/// What the language model read and wrote, over all its calls for this answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

/// The whole answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub id: AnswerId,
    pub question: String,
    /// What to show: ends with markers like `[1]` that point at `citations`.
    pub answer: String,
    /// `false` means: not in your documents.
    pub supported: bool,
    /// The estimated probability, 0 to 1, that the documents support an answer; `None` where none was
    /// estimated (no language model, nothing found). Answers under `answer.threshold` are not shown.
    pub support: Option<f32>,
    /// Parts that were missing while this was answered.
    pub degraded: Vec<Component>,
    pub citations: Vec<Citation>,
    pub evidence: Vec<Evidence>,
    pub conversation_id: ConversationId,
    /// The language model, or `None` where the answer is extractive.
    pub model: Option<String>,
    pub timings_ms: Timings,
    pub usage: Usage,
}
