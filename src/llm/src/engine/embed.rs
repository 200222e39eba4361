//! Embeddings out of a language model: the pooling its file asks for, else the mean over the
//! tokens; then scaled to length 1, as Ollama does.
//!
//! Rarely used here (the daemon embeds in its own process), so the second context that it takes
//! lives only as long as the request.

use std::time::{Duration, Instant};

use llama_cpp_2::{context::params::LlamaPoolingType, llama_batch::LlamaBatch};

use super::{
    Cancel,
    job::{Embed, Event, Failure, Job},
    session::{Session, add, context_params, llama, push_text},
};
use crate::{prompt::Token, wire::reply::Counts};

/// Answers a job with `Embedded`.
pub fn run(
    session: &mut Session<'_>,
    work: &Embed,
    job: &Job,
    load: Duration,
    cancel: &Cancel<'_>,
) -> Result<(), Failure> {
    let limit = session.limit(work.num_ctx);
    let texts = tokenize(session, work, limit)?;
    job.send(Event::Started);
    let began = Instant::now();
    let vectors = evaluate(session, &texts, work.dimensions, cancel)?;
    let counts = Counts {
        load,
        prompt_tokens: texts.iter().map(Vec::len).sum(),
        prompt_eval: began.elapsed(),
        ..Counts::default()
    };
    job.send(Event::Embedded { vectors, counts });
    Ok(())
}

fn tokenize(session: &Session<'_>, work: &Embed, limit: usize) -> Result<Vec<Vec<Token>>, Failure> {
    let vocabulary = session.model.vocab();
    let (bos, eos) = (vocabulary.bos().0, vocabulary.eos().0);
    work.input
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let mut tokens = Vec::new();
            // Far more text than can fit is cut before it is tokenized.
            let head = text.floor_char_boundary(limit.saturating_mul(64));
            if head < text.len() && !work.truncate {
                return Err(Failure::HugePrompt {
                    bytes: text.len(),
                    limit,
                });
            }
            push_text(&vocabulary, &text[..head], false, &mut tokens);
            if vocabulary.should_add_bos() && bos >= 0 {
                tokens.insert(0, bos);
            }
            if vocabulary.should_add_eos() && eos >= 0 {
                tokens.push(eos);
            }
            if tokens.len() > limit {
                if !work.truncate {
                    return Err(Failure::LongInput {
                        index,
                        tokens: tokens.len(),
                        limit,
                    });
                }
                tokens.truncate(limit);
            }
            if tokens.is_empty() {
                Err(Failure::EmptyPrompt)
            } else {
                Ok(tokens)
            }
        })
        .collect()
}

fn evaluate(
    session: &Session<'_>,
    texts: &[Vec<Token>],
    dimensions: Option<usize>,
    cancel: &Cancel<'_>,
) -> Result<Vec<Vec<f32>>, Failure> {
    let Some(longest) = texts.iter().map(Vec::len).max() else {
        return Ok(Vec::new());
    };
    let pooling = if session.weights.pools() {
        LlamaPoolingType::Unspecified
    } else {
        LlamaPoolingType::Mean
    };
    // Pooling runs over one batch, so the batch holds the longest text.
    let params = context_params(&session.settings, longest, longest)
        .with_embeddings(true)
        .with_pooling_type(pooling);
    let mut context = session
        .model
        .new_context(session.backend, params)
        .map_err(|_| Failure::Context { context: longest })?;
    let mut batch = LlamaBatch::new(longest, 1);
    texts
        .iter()
        .map(|tokens| {
            cancel.check()?;
            context.clear_kv_cache();
            batch.clear();
            for (position, token) in tokens.iter().enumerate() {
                add(&mut batch, *token, position, 0, true)?;
            }
            context.decode(&mut batch).map_err(llama)?;
            let pooled = context
                .embeddings_seq_ith(0)
                .map_err(|_| Failure::NoEmbeddings)?;
            Ok(normalised(pooled, dimensions))
        })
        .collect()
}

/// The first `dimensions` of a vector, scaled to length 1. A zero vector stays one.
fn normalised(vector: &[f32], dimensions: Option<usize>) -> Vec<f32> {
    let kept = &vector[..dimensions.unwrap_or(vector.len()).min(vector.len())];
    let length = kept
        .iter()
        .map(|x| f64::from(*x).powi(2))
        .sum::<f64>()
        .sqrt() as f32;
    kept.iter()
        .map(|x| if length > 0.0 { x / length } else { 0.0 })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_have_length_one() {
        assert_eq!(normalised(&[3.0, 4.0], None), [0.6, 0.8]);
        assert_eq!(normalised(&[3.0, 4.0], Some(1)), [1.0]);
        assert_eq!(normalised(&[3.0, 4.0], Some(9)), [0.6, 0.8]);
        assert_eq!(normalised(&[0.0, 0.0], None), [0.0, 0.0]);
    }
}
