//! Passages, quotations and answers.

use serde::Serialize;
use utoipa::ToSchema;

use super::components;
use crate::domain::{self, AnswerId, Component, ConversationId, DocumentId};

/// How well a passage fits, by each way of looking; null where that way was not used.
#[derive(Debug, Serialize, ToSchema)]
pub struct Scores {
    /// Cosine similarity.
    pub dense: Option<f32>,
    /// BM25.
    pub lexical: Option<f32>,
}

/// A passage of a document. `text` is the stored text's bytes `start..end`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Evidence {
    /// Its number, from 1.
    pub n: u32,
    #[schema(value_type = String, pattern = "^doc_[0-9a-f]{32}$")]
    pub document_id: DocumentId,
    /// The document's name.
    pub document: String,
    pub page: Option<u32>,
    pub section: Option<String>,
    pub start: u64,
    pub end: u64,
    pub text: String,
    pub score: f32,
    pub scores: Scores,
}

impl From<domain::Evidence> for Evidence {
    fn from(evidence: domain::Evidence) -> Self {
        Self {
            n: evidence.n,
            document_id: evidence.document_id,
            document: evidence.document,
            page: evidence.page,
            section: evidence.section,
            start: evidence.start,
            end: evidence.end,
            text: evidence.text,
            score: evidence.score,
            scores: Scores {
                dense: evidence.scores.dense,
                lexical: evidence.scores.lexical,
            },
        }
    }
}

/// The passages nearest to a query.
#[derive(Debug, Serialize, ToSchema)]
pub struct Context {
    pub query: String,
    pub passages: Vec<Evidence>,
    /// Parts that were missing.
    #[schema(schema_with = components)]
    pub degraded: Vec<Component>,
    pub took_ms: u64,
}

/// A proven quotation: `quote` is the stored text's bytes `start..end`.
#[derive(Debug, Serialize, ToSchema)]
pub struct Citation {
    /// The number of the evidence it is taken from.
    pub n: u32,
    #[schema(value_type = String, pattern = "^doc_[0-9a-f]{32}$")]
    pub document_id: DocumentId,
    pub document: String,
    pub page: Option<u32>,
    pub section: Option<String>,
    pub start: u64,
    pub end: u64,
    pub quote: String,
    pub score: f32,
}

impl From<domain::Citation> for Citation {
    fn from(citation: domain::Citation) -> Self {
        Self {
            n: citation.n,
            document_id: citation.document_id,
            document: citation.document,
            page: citation.page,
            section: citation.section,
            start: citation.start,
            end: citation.end,
            quote: citation.quote,
            score: citation.score,
        }
    }
}

/// Milliseconds since the question arrived (`retrieve`: its own duration).
#[derive(Debug, Serialize, ToSchema)]
pub struct Timings {
    pub retrieve: u64,
    pub first_token: u64,
    pub total: u64,
}

/// What the language model read and wrote.
#[derive(Debug, Serialize, ToSchema)]
pub struct Usage {
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
}

/// An answer and what it rests on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Answer {
    #[schema(value_type = String, pattern = "^ans_[0-9a-f]{32}$")]
    pub id: AnswerId,
    pub question: String,
    /// Markers like `[1]` point at `citations`.
    pub answer: String,
    /// `false` means: not in your documents.
    pub supported: bool,
    /// The estimated probability, 0 to 1, that the documents support an answer. null where none was
    /// estimated: nothing was found to quote, or there was no language model.
    pub support: Option<f32>,
    /// Parts that were missing while this was answered.
    #[schema(schema_with = components)]
    pub degraded: Vec<Component>,
    pub citations: Vec<Citation>,
    pub evidence: Vec<Evidence>,
    #[schema(value_type = String, pattern = "^conv_[0-9a-f]{32}$")]
    pub conversation_id: ConversationId,
    /// null where the answer is extractive.
    pub model: Option<String>,
    pub timings_ms: Timings,
    pub usage: Usage,
}

impl From<domain::Answer> for Answer {
    fn from(answer: domain::Answer) -> Self {
        Self {
            id: answer.id,
            question: answer.question,
            answer: answer.answer,
            supported: answer.supported,
            support: answer.support,
            degraded: answer.degraded,
            citations: answer.citations.into_iter().map(Citation::from).collect(),
            evidence: answer.evidence.into_iter().map(Evidence::from).collect(),
            conversation_id: answer.conversation_id,
            model: answer.model,
            timings_ms: Timings {
                retrieve: answer.timings_ms.retrieve,
                first_token: answer.timings_ms.first_token,
                total: answer.timings_ms.total,
            },
            usage: Usage {
                prompt_tokens: answer.usage.prompt_tokens,
                completion_tokens: answer.usage.completion_tokens,
            },
        }
    }
}
